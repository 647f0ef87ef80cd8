"""Lets the kernel count the runs of BPF programs and take their time.

It is off otherwise, because every run of every program then reads the clock twice. Since 5.8 a descriptor holds it
(BPF_ENABLE_STATS); the kernel counts who holds one. Before that there is the sysctl kernel.bpf_stats_enabled (5.1), which
stays as it is set. So a child waits for our end, and sets it back.
"""
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct

from . import objects
from ..kernel import bpf, process

SYSCTL = "/proc/sys/kernel/bpf_stats_enabled"
# bytes of the sysctl that are locked: by whoever decides, and by all who need it on
DECIDING, NEEDED = 0, 1


class Refused(Exception):
    """Why statistics cannot be switched on; the text is for the user."""


def enable() -> int:
    """Returns a descriptor: until it is closed, statistics are on. It may be inherited. Raises Refused."""
    try:
        return bpf.bpf(objects.BPF_ENABLE_STATS, bytearray(struct.pack("=I", objects.BPF_STATS_RUN_TIME)))
    except OSError as error:
        if error.errno != errno.EINVAL:  # which says that the kernel does not know the command
            raise Refused("cannot switch on statistics of BPF programs: %s (the kernel takes CAP_SYS_ADMIN for it: run as "
                          "root, or sysctl kernel.bpf_stats_enabled=1)" % error.strerror) from error
    try:
        return by_sysctl()
    except FileNotFoundError as error:
        raise Refused("this kernel has no statistics of BPF programs (Linux 5.1)") from error
    except OSError as error:
        raise Refused("cannot write %s: %s (run as root)" % (SYSCTL, error.strerror)) from error


def are_on() -> bool:
    """Whether the sysctl says so. What others hold by descriptors is not in it."""
    with contextlib.suppress(OSError), open(SYSCTL, "rb") as file:
        return file.read().strip() not in (b"", b"0")
    return False


def by_sysctl(path: str = SYSCTL) -> int:
    """As enable(), on kernels without the descriptor. Raises OSError.

    All who need it on hold a lock. The last one sets it back, if it was 0 before the first one.
    """
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    _lock(file, DECIDING, fcntl.F_WRLCK)
    if _are_others_gone(file):
        if os.pread(file, 16, 0).strip() != b"0":
            _lock(file, DECIDING, fcntl.F_UNLCK)
            return file  # it is somebody else's setting: there is nothing to set back
        os.pwrite(file, b"1\n", 0)
    _lock(file, NEEDED, fcntl.F_RDLCK)
    _lock(file, DECIDING, fcntl.F_UNLCK)
    return process.when_gone(lambda: _set_back(file), file)


def _set_back(file: int) -> None:
    _lock(file, DECIDING, fcntl.F_WRLCK)
    if _are_others_gone(file):
        os.pwrite(file, b"0\n", 0)


def _are_others_gone(file: int) -> bool:
    """Whether nobody else needs it on."""
    try:
        _lock(file, NEEDED, fcntl.F_WRLCK, fcntl.F_OFD_SETLK)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _lock(file: int, byte: int, kind: int, command: int = fcntl.F_OFD_SETLKW) -> None:
    """Lock a byte, for everybody with this open file: a child has the lock, too. Raises OSError."""
    fcntl.fcntl(file, command, struct.pack("=hhxxxxqqi4x", kind, os.SEEK_SET, byte, 1, 0))
