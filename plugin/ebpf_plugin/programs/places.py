"""Who holds programs, what they are attached to, and where they are pinned."""
from __future__ import annotations

import os

from . import links, objects
from .cgroups import Cgroups, mounts_of
from ..kernel import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    from .names import Names
    from .objects import Program

PROGRAM, LINK, EVENT = "anon_inode:bpf-prog", "anon_inode:bpf_link", "anon_inode:[perf_event]"
LINKS = (LINK, "anon_inode:bpf-link", "anon_inode:bpf-raw-tracepoint")


class Places:
    """By the id of a program: `attached`: what it is attached to; `holders`: {pid: comm} of the processes that have it, a
    link or an event of it open; `pins`: paths where it, or a link of it, is pinned."""

    def __init__(self) -> None:
        self.attached: dict[int, list[str]] = {}
        self.holders: dict[int, dict[int, str]] = {}
        self.pins: dict[int, list[str]] = {}

    def attach(self, program: int, where: str) -> None:
        """The program is attached there, once however many say so."""
        places = self.attached.setdefault(program, [])
        if where not in places:
            places.append(where)

    def hold(self, program: int, pid: int, comm: str) -> None:
        """The process holds the program."""
        self.holders.setdefault(program, {})[pid] = comm


def find(names: Names, programs: Iterable[Program] = ()) -> Places:
    """Look for all of them: in the list of links, the open files of all processes, the mounted bpffs. Raises OSError where
    the kernel gives no links. Control groups are asked for those of `programs` that have no link."""
    found, cgroups = Places(), Cgroups()
    unnamed = []
    for link in links.links(names, cgroups):
        if link.where == "perf_event":  # before 6.6 the link does not say which; a process that has the event does
            unnamed.append(link)
        else:
            found.attach(link.program, link.where)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        _look_at_process(int(pid), found)
    for link in unnamed:
        if link.program not in found.attached:
            found.attach(link.program, link.where)
    types = {program.type for program in programs if program.id not in found.attached}
    for number, attach_type, path in cgroups.attached(types):
        found.attach(number, links.at_cgroup(attach_type, path))
    for mount in mounts_of("bpf"):
        _look_at_pins(mount, found)
    return found


def _look_at_process(pid: int, found: Places) -> None:
    """One that ends meanwhile has nothing."""
    directory, comm = "/proc/%d/fd" % pid, None
    try:
        numbers = os.listdir(directory)
    except OSError:
        return
    for number in numbers:
        try:
            target = os.readlink("%s/%s" % (directory, number))
        except OSError:
            continue
        if not target.startswith("anon_inode:"):
            continue
        program = 0
        if target == EVENT:
            try:
                program, kind, name = objects.event_of(pid, int(number))
                found.attach(program, links.event(kind, name))
            except OSError:
                continue  # an event without a program
        elif target == PROGRAM or target in LINKS:
            program = procfs.fdinfo(pid, number).get("prog_id", 0)
        if program:
            comm = comm or os.fsdecode(procfs.comm_of(pid) or b"?")
            found.hold(program, pid, comm)


def _look_at_pins(mount: str, found: Places) -> None:
    for directory, _, files in os.walk(mount):
        for file in files:
            path = os.path.join(directory, file)
            program = program_pinned_at(path)
            if program:
                found.pins.setdefault(program, []).append(path)


def program_pinned_at(path: str) -> int:
    """The id of the program that is pinned there, or whose link is; 0 if it is something else or gone."""
    try:
        opened = objects.pinned(path)
    except OSError:
        return 0
    try:
        return procfs.fdinfo("self", opened).get("prog_id", 0)
    finally:
        os.close(opened)
