"""The processes that are there when we come: places them, and teaches the kernel the names that it cannot have seen."""
from __future__ import annotations

import errno
from functools import partial
import os
from typing import TYPE_CHECKING, Callable, Mapping

from .. import log
from ..collect.application_matcher import Matcher
from ..collect.applications import INIT, ProcessTable, teach
from ..kernel import procfs

if TYPE_CHECKING:
    from ..collect.application_matcher import Rules

LOOKS = 10  # at most; a machine that forks all the time always has somebody new


def enter(tables: Mapping[str, int], rules: Rules) -> set[int]:
    """Fill the kernel's tables ({name: descriptor}) and return the set of rows that have a process. `rules`: of
    apps_groups.Groups.

    What fails is logged and ends it: who is not entered counts as `other`.
    """
    matcher, rows = Matcher(rules), {0}
    try:
        teach(tables["apps_names"], matcher)
        _place(ProcessTable(tables), matcher, rows)
    except OSError as error:
        full = error.errno == errno.E2BIG
        log.once(log.WARNING, "the table of processes is full at the start: what is not in it counts as `other` "
                 "([global] pid table size)" if full else
                 "cannot enter processes: %s; who is not entered counts as `other`" % error.strerror)
    return rows


def _place(table: ProcessTable, matcher: Matcher, rows: set[int]) -> None:
    """Adds to `rows`. The kernel's programs run already: what they have entered is newer. A process that was born to one
    that they did not know yet is found by another look."""
    entered = True
    for _ in range(LOOKS):
        if not entered:
            break
        entered = False
        for pid, row in placed(matcher, procfs.processes()).items():
            if table.enter(pid, row):
                rows.add(row)
                entered = True


def placed(matcher: Matcher, processes: Mapping[int, tuple[bytes, int]],
           line: Callable[[int], bytes | None] = procfs.command_line) -> dict[int, int]:
    """{pid: row}. `processes` is {pid: (comm, parent's pid)}; `line` gives the command line of a pid."""
    rows = {0: 0, INIT: 0}

    def row_of(pid: int) -> int:
        way = []
        while pid not in rows:
            comm, parent = processes.get(pid, (b"", 0))
            group = matcher.group_of(comm, partial(line, pid)) if comm else None
            if group is not None:
                rows[pid] = group
            else:
                rows[pid] = 0  # until its parent's is known; and an end, if the kernel's answers make a circle
                way.append(pid)
                pid = parent
        for each in way:
            rows[each] = rows[pid]
        return rows[pid]

    for pid in processes:
        row_of(pid)
    return {pid: row for pid, row in rows.items() if pid in processes}


def are_visible() -> bool:
    """Whether /proc tells of everybody's processes: of the first one, which is root's."""
    return procfs.comm_of(INIT) is not None


def are_those_of_the_machine() -> bool:
    """Whether we are in the first pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h)."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == 0xEFFFFFFC
    except OSError:
        return True
