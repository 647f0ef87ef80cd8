"""The processes that are there when we come: places them, and teaches the kernel the names that it cannot have seen."""
from __future__ import annotations

import os
import struct

from . import kernel
from .apps import APPLICATION, FIRST, NAME, command_line, decision
from .apps_match import LONGEST_NAME, Matcher


def enter(tables, rules):
    """Fill the kernel's tables ({name: descriptor}) and return the set of rows that have a process. Raises OSError.

    The kernel's programs run already: what they have entered is newer. A process that was born to one that they did not know
    yet is found by the second look.
    """
    matcher = Matcher(rules)
    for certain, names in zip((True, False), matcher.seeds()):
        for name, group in names.items():
            kernel.map_update(tables["apps_names"], NAME.pack(name), decision(group, certain))
    rows = {0}
    for _ in range(2):
        for pid, row in placed(matcher, found()).items():
            try:
                kernel.map_update(tables["applications"], struct.pack("=I", pid), APPLICATION.pack(row, 0, 0),
                                  kernel.BPF_NOEXIST)
            except FileExistsError:
                continue
            except OSError:
                break  # the table is full: apps.py tells
            rows.add(row)
    return rows


def placed(matcher, processes, line=command_line):
    """{pid: row}. `processes` is {pid: (comm, parent's pid)}."""
    rows = {0: 0, FIRST: 0}

    def row_of(pid):
        way = []
        while pid not in rows:
            comm, parent = processes.get(pid, (b"", 0))
            group = matcher.group_of(comm[:LONGEST_NAME], lambda pid=pid: line(pid)) if comm else None
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


def found():
    """{pid: (comm in bytes, parent's pid)} of /proc now."""
    processes = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, "rb") as file:
                text = file.read()
        except OSError:
            continue
        # "pid (comm) state ppid ...", and comm may hold anything
        begin, end = text.index(b"(") + 1, text.rindex(b")")
        processes[int(pid)] = text[begin:end], int(text[end + 2:].split()[1])
    return processes
