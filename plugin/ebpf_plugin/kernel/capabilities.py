"""The capabilities(7) of this process, by capset(2) and /proc/self/status.

A set of them is a bit mask; a `name` is one of CAPABILITIES.
"""
from __future__ import annotations

import struct

from . import procfs
from .libc import LIBC, call

CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = {"dac_read_search": 2, "sys_admin": 21, "perfmon": 38, "bpf": 39}


def effective_and_permitted() -> tuple[int, int]:
    """(effective, permitted)."""
    return _status("CapEff"), _status("CapPrm")


def inheritable() -> int:
    """The capabilities that may be ambient."""
    return _status("CapInh")


def bounded_by(name: str) -> bool:
    """Whether a program that is executed from here could ever have the capability."""
    return bool(_status("CapBnd") >> CAPABILITIES[name] & 1)


def _status(field: str) -> int:
    return next(int(line.split()[1], 16) for line in procfs.read("/proc/self/status").splitlines() if line.startswith(field))


def set_capabilities(effective: int, permitted: int, inheriting: int = 0) -> None:
    """Only those that are permitted now can be kept. What is not inheriting is not ambient any more. Raises OSError."""
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    halves = [(mask >> shift) & 0xFFFFFFFF for shift in (0, 32) for mask in (effective, permitted, inheriting)]
    call(LIBC.capset, header, struct.pack("=6I", *halves))


def has_capability(*names: str) -> bool:
    """True if one of them is effective."""
    effective, _ = effective_and_permitted()
    return any(effective >> CAPABILITIES[name] & 1 for name in names)
