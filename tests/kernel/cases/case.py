"""A case: a workload of N events, and the system calls that one event consists of."""
from typing import NamedTuple, Optional

from workloads import syscalls


class Call(NamedTuple):
    """A system call of an event, as far as counted.py asks for it.

    `result` is a number of bytes, 0 or a negative errno; `requested` the bytes that it was asked to move, if these are
    others; `flags` those of its arguments. `reaches` are the functions of the kernel that it is passed on to; without it
    these are all if the call succeeds, and none if it fails.
    """
    name: str
    result: int = 0
    requested: Optional[int] = None
    flags: tuple = ()
    reaches: Optional[tuple] = None

    def failed(self):
        return self.result < 0

    def reached(self, function):
        return not self.failed() if self.reaches is None else function in self.reaches


class Case(NamedTuple):
    """`work` is a workload of workloads/syscalls.py. System calls that no group counts need no Call."""
    name: str
    work: object
    calls: tuple


def repeated(name, system_call, result, make, prepare=None, **facts):
    """The Case of one system call, N times, with the arguments make(i), or make(what prepare(N) gave, i). `result` is a
    number, or "ok" for any descriptor. `facts` are a Call's."""
    if prepare:
        work = syscalls.repeat_on(system_call, result, prepare, make)
    else:
        work = syscalls.repeat(system_call, result, make)
    return Case(name, work, (Call(system_call, 0 if result == "ok" else result, **facts),))
