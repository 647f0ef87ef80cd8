"""prctl(2) and setns(2): what this process asks the kernel for itself. Each function raises OSError."""
from __future__ import annotations

import os

from .libc import LIBC, call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_THP_DISABLE = 1, 15, 38, 41


def die_with_parent(signal_number: int) -> None:
    """Ask for `signal_number` when the thread that started this process is gone (prctl(2))."""
    call(LIBC.prctl, PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def set_name(name: str) -> None:
    """What ps(1) and the agent's own charts call this process; 15 characters are kept."""
    call(LIBC.prctl, PR_SET_NAME, name.encode(), 0, 0, 0)


def no_huge_pages() -> None:
    """No transparent huge pages for this process and what it executes."""
    call(LIBC.prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0)


def enter_network_namespace(descriptor: int) -> None:
    """setns(2), for the calling thread; `descriptor` is that of a file such as /proc/PID/ns/net."""
    call(LIBC.setns, descriptor, CLONE_NEWNET)


def no_new_privileges() -> None:
    """What this process executes gets no more privilege than it has itself."""
    call(LIBC.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def when_gone(function: Callable[[], object], *descriptors: int) -> int:
    """Let a child call `function` when this process is gone, however it went: after SIGKILL, too.

    Returns the writing end of a pipe: the child waits until nobody has it open any more. Of the descriptors the child keeps
    only `descriptors`, which are closed here.
    """
    import signal  # which the collector does without
    reading, writing = os.pipe()
    if os.fork():
        for descriptor in (reading, *descriptors):
            os.close(descriptor)
        return writing
    try:
        os.setsid()  # a signal to our process group is not for the child
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        kept, begin = sorted({reading, *descriptors}), 0
        for descriptor in kept:
            os.closerange(begin, descriptor)
            begin = descriptor + 1
        os.closerange(begin, os.sysconf("SC_OPEN_MAX"))
        os.read(reading, 1)
        function()
    finally:
        os._exit(0)
