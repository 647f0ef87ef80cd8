"""BTF: what is said where there is none."""
import ctypes

import pytest

from ebpf_plugin import btf


def test_no_libbpf(monkeypatch):
    def load(name):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", load)
    with pytest.raises(btf.NoBTF, match="apt-get install libbpf1"):
        btf.BTF()


def test_a_kernel_without_btf(monkeypatch, tmp_path):
    class Library:
        """Takes any function's declaration."""

        def __getattr__(self, name):
            return type("Function", (), {"__call__": lambda *_: pytest.fail("there is nothing to read")})()

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(btf, "BTF_PATH", str(tmp_path / "none"))
    with pytest.raises(btf.NoBTF, match="CONFIG_DEBUG_INFO_BTF"):
        btf.BTF()
