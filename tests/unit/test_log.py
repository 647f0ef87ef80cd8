"""Lines on stderr: each whole, each one line, whatever is in it."""
import os
import re
from unittest import mock

from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin import log


@pytest.mark.parametrize("text, shown", [
    ("a plain text, it's \"good\"", "a plain text, it's \"good\""),
    ("two\nlines\r", "two\\nlines\\r"),
    ("\x1b[2J\0", "\\x1b[2J\\x00"),
    ("\u2028", "\\u2028"),
    ("\u00e9", "\u00e9"),
    ("\udcff", "\\udcff"),
])
def test_a_line(capfd, text, shown):
    log.write(log.ERROR, text)
    line = capfd.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: ebpf\.plugin ERROR : (.*)\n", line).group(1) == shown


def test_levels_are_as_wide(capfd):
    log.write(log.INFO, "x")
    log.write(log.ERROR, "x")
    info, error = capfd.readouterr().err.splitlines()
    assert len(info) == len(error)


@FUZZ
@given(text=st.text(st.characters()))
def test_any_text_is_one_write_of_one_line(text):
    with mock.patch.object(log.os, "write") as write:
        log.write(log.INFO, text)
    (descriptor, data), _ = write.call_args
    assert write.call_count == 1 and descriptor == 2 and data.endswith(b"\n") and data[:-1].decode().isprintable()


def test_once(monkeypatch):
    written = []
    monkeypatch.setattr(log, "_said", set())
    monkeypatch.setattr(log, "write", lambda *line: written.append(line))
    for text in ("a", "b", "a"):
        log.once(log.ERROR, text)
    assert written == [(log.ERROR, "a"), (log.ERROR, "b")]


def test_once_about_something(monkeypatch):
    written = []
    monkeypatch.setattr(log, "_said", set())
    monkeypatch.setattr(log, "write", lambda *line: written.append(line))
    for number in range(3):
        log.once(log.ERROR, "%d so far" % number, "the count")
    assert written == [(log.ERROR, "0 so far")]


def test_a_stderr_that_is_closed(monkeypatch):
    def write(descriptor, data):
        raise OSError(9, os.strerror(9))

    monkeypatch.setattr(log.os, "write", write)
    log.write(log.ERROR, "to nobody")
