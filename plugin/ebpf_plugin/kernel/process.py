"""prctl(2) and setns(2): what this process asks the kernel for itself. Each function raises OSError."""
from __future__ import annotations

from .libc import LIBC, call

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
