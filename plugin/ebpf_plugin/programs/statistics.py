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
from .. import log
from ..kernel import bpf, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


def for_charts(of_all: bool, programs: dict[str, int]) -> tuple[dict[str, Any] | None, list[int]]:
    """(what ProgramCharts needs or None, descriptors to be held open); `programs` are ours, {name: descriptor}.

    What cannot be shown is logged.
    """
    held = []
    try:
        held.append(enable())
    except Refused as refused:
        if not are_on():  # by the user, who knows that the plugin may not
            log.write(log.ERROR, "no charts of BPF programs: %s" % refused)
            return None, []
    if of_all:
        try:
            next(objects.programs(), None)
        except OSError as error:
            log.write(log.ERROR, "only our own BPF programs are charted: the kernel does not list others: %s (it takes "
                      "CAP_SYS_ADMIN)" % error.strerror)
            of_all = False
    return {"programs": programs, "all": of_all}, held


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
