"""Fixtures that unit tests of several folders share."""
import pytest

from ebpf_plugin import log


@pytest.fixture
def said(monkeypatch):
    """The texts that were logged so far; nothing counts as logged before."""
    lines = []
    monkeypatch.setattr(log, "_said", set())
    monkeypatch.setattr(log, "write", lambda level, text: lines.append(text))
    return lines
