"""Applications: decides about names that the kernel has not seen before, and charts the rows of their counters.

Row numbers are indexes of the groups in apps_groups.conf; 0 is `other`. bpf/apps.c is the kernel's side.
"""
from __future__ import annotations

import mmap
import os
import struct

from .. import log
from ..kernel import bpf, procfs
from ..kernel.maps import HashMap
from ..model import declared
from ..series.charts import RowCharts
from ..series.table import SeriesTable
from .application_matcher import Matcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Mapping

    from .collector import Sample, Values
    from .rows import Counters, RowSet

COMM = struct.Struct("=16s")  # struct comm
QUESTION = struct.Struct("=16sI")  # struct question: name, task
KEY, APPLICATION = struct.Struct("=I"), struct.Struct("=II")  # process id; struct application: row, task
ROW_SLOTS = 4096  # entries of the map row_slots
DECISION = struct.Struct("=II")  # struct decision: row, ask
ROW_STAYS = 0xffffffff
MAX_QUESTIONS = 1024  # entries of the map apps_asked
MAX_NAMES = 4096  # of the map apps_names
MAX_PER_TICK = 200  # questions that are answered in one tick; the others wait
RESCAN_TICKS = 30  # between two looks at every process
TRIES = 3  # to decide about a process that changes its name all the time
INIT = 1  # the process that stays in `other`, as in the agent
FULL, UNASKED, QUESTIONS = range(3)  # counters of the group apps


def decision(row: int | None, certain: bool) -> bytes:
    """A value of the map apps_names: which row a name belongs in, None for the one where its process is; and whether to
    ask."""
    return DECISION.pack(ROW_STAYS if row is None else row, not certain)


class ProcessTable:
    """Which row each process is in, as the kernel's programs read it: the hash `applications`, and `row_slots`, an array of
    copies (bpf/rows.h). Both are written in the order that bpf/apps.c explains; the kernel writes them at the same time.

    tables: {name: descriptor}. Raises OSError, as all its methods do.
    """

    def __init__(self, tables: Mapping[str, int]):
        self._hash = tables["applications"]
        memory = bpf.map_memory(tables["row_slots"], 8 * ROW_SLOTS, mmap.PROT_READ | mmap.PROT_WRITE)
        self._slots = memoryview(memory).cast("Q")  # an aligned u64 is written by one instruction

    def enter(self, pid: int, row: int) -> bool:
        """A process that the kernel's programs do not know; whether that is so."""
        try:
            bpf.map_update(self._hash, KEY.pack(pid), APPLICATION.pack(row, 0), bpf.BPF_NOEXIST)
        except FileExistsError:
            return False
        self._fill_slot(pid, row)
        return True

    def move(self, pid: int, row: int, asked: int) -> bool:
        """Put a process that is there into another row if its task is `asked` (0: whichever it is); whether it was."""
        key = KEY.pack(pid)
        try:
            _, task = APPLICATION.unpack(bpf.map_lookup(self._hash, key, APPLICATION.size))
            if task and asked not in (task, 0):
                return False
            bpf.map_update(self._hash, key, APPLICATION.pack(row, task or asked), bpf.BPF_EXIST)
        except FileNotFoundError:
            return False  # the process is gone
        self._fill_slot(pid, row)
        return True

    def take_out(self, pid: int) -> None:
        """Nothing happens if it is not there."""
        bpf.map_delete(self._hash, KEY.pack(pid))
        self._check_slot(pid)

    def pids(self, room: int) -> list[int]:
        """All processes in the table, which has `room` entries."""
        return [KEY.unpack(key)[0] for key, _ in HashMap(self._hash, KEY.size, APPLICATION.format, room).rows()]

    def _fill_slot(self, pid: int, row: int) -> None:
        if self._slots[pid % ROW_SLOTS] >> 32 in (0, pid):
            self._slots[pid % ROW_SLOTS] = pid << 32 | row
            self._check_slot(pid)

    def _check_slot(self, pid: int) -> None:
        try:
            row, _ = APPLICATION.unpack(bpf.map_lookup(self._hash, KEY.pack(pid), APPLICATION.size))
        except FileNotFoundError:
            row = None
        copy = self._slots[pid % ROW_SLOTS]
        if copy >> 32 == pid and copy & 0xffffffff != row:
            self._slots[pid % ROW_SLOTS] = 0


def teach(names: int, matcher: Matcher) -> None:
    """Enter the names that stand in the file into the map apps_names, whose descriptor this is. Raises OSError."""
    for certain, seeds in zip((True, False), matcher.seeds()):
        for name, group in seeds.items():
            bpf.map_update(names, COMM.pack(name), decision(group, certain))


class Applications:
    """state: {"rules", "names", "ids": of apps_groups.Groups, "tables": {name: descriptor}, "charts": packed, of
    select_application_charts(), "processes": entries of the map applications}. readers: {group: Counters}."""

    def __init__(self, state: dict[str, Any], readers: dict[str, Counters], row_set: RowSet):
        self._matcher = Matcher(state["rules"])
        self._names, self._ids = state["names"], state["ids"]
        self._maps = state["tables"]
        self._asked = HashMap(self._maps["apps_asked"], 4, QUESTION.format, MAX_QUESTIONS)
        self._process_table, self._processes = ProcessTable(self._maps), state["processes"]
        self._row_set = row_set
        self._rows: list[int] = []  # those that have been looked at
        self._table = SeriesTable(self._describe, 0)
        charts = [(chart.replaced(dimensions=()), chart.dimensions[0].plus) for chart in declared.unpack(state["charts"])]
        self._charts = {group: RowCharts(self._table, reader, [chart for chart in charts if chart[0].group == group])
                        for group, reader in readers.items()}
        self._ticks = self._full = self._unasked = 0
        self._questions = -1  # asked so far, when they were answered last
        self._next_sweep = 0  # the tick from on which the table of processes may be swept again

    def _describe(self, row: int) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        id, name = self._ids[row], self._names[row]
        return id, "" if name == id else name, (("application", name),)

    def take_over(self, wanted: dict[str, Any], changed: set[str], processes: Iterable[tuple[int, int]]) -> None:
        """Place processes by other patterns, if they have changed (commands/reread.py). processes: pid and row of each."""
        if "patterns of applications" not in changed:
            return
        self._matcher = Matcher(wanted["patterns of applications"])
        for name, _ in list(HashMap(self._maps["apps_names"], COMM.size, DECISION.format, MAX_NAMES).rows()):
            bpf.map_delete(self._maps["apps_names"], name)
        teach(self._maps["apps_names"], self._matcher)
        for pid, row in processes:
            if self._process_table.move(pid, row, 0):
                self._row_set.add(row)

    def read(self) -> None:
        """Only try whether all that is done here is allowed. Raises OSError."""
        bpf.map_update(self._maps["apps_names"], bytes(COMM.size), decision(None, True))
        list(self._asked.rows())

    def tick(self, now: float, counters: dict[str, Values | None]) -> Sample:
        """The charts of applications, with a dimension for each row that ever had a process."""
        self._ticks += 1
        self._place(counters.get("apps"))
        self._table.begin_tick()
        if self._rows is not self._row_set.rows:
            self._rows = self._row_set.rows
            for row in self._rows:
                if row not in self._table.live and row < len(self._ids):
                    self._table.add(row, now, {})
        return [chart for group, charts in self._charts.items() if counters.get(group) is not None
                for chart in charts.values()]

    def _place(self, counters: Values | None) -> None:
        """Put processes into rows, as far as the kernel could not."""
        if counters is None:
            counters = self._full, self._unasked, -1
        if counters[QUESTIONS] != self._questions:
            try:
                self._questions = counters[QUESTIONS] if self._answer() else -1
            except OSError as error:
                log.once(log.ERROR, "cannot place new processes: %s; they count where their parents do" % error.strerror)
        if counters[UNASKED] != self._unasked and not self._ticks % RESCAN_TICKS:
            self._unasked = counters[UNASKED]
            try:
                self._rescan()
            except OSError as error:
                log.once(log.ERROR, "cannot place processes: %s; they count where their parents do" % error.strerror)
        if counters[FULL] != self._full:
            self._full = counters[FULL]
            self._sweep()

    def _answer(self) -> bool:
        """Decide about processes whose name is new, or whose command line matters. Whether these were all."""
        questions = [key for key, _ in self._asked.rows()]
        for key in questions[:MAX_PER_TICK]:
            try:  # as it is now: an answer takes time, and the process may have called exec meanwhile
                comm, task = QUESTION.unpack(bpf.map_lookup(self._maps["apps_asked"], key, QUESTION.size))
            except FileNotFoundError:
                continue
            bpf.map_delete(self._maps["apps_asked"], key)
            self._decide(key, comm, task)
        return len(questions) <= MAX_PER_TICK

    def _decide(self, key: bytes, name: bytes, asked: int) -> None:
        """Teach the kernel the name, and put the process where it belongs if its task is `asked` (0: whichever it is).

        Again if it has another name by then: what the kernel has decided meanwhile may have been overwritten.
        """
        pid, = KEY.unpack(key)
        for _ in range(TRIES):
            comm = name.partition(b"\0")[0]
            row, certain = self._matcher.by_comm(comm)
            bpf.map_update(self._maps["apps_names"], name, decision(row, certain))
            if not certain:
                row = self._matcher.group_of(comm, procfs.command_line(pid))
            if row is None or pid == INIT:
                return
            if self._process_table.move(pid, row, asked):
                self._row_set.add(row)
            now = procfs.comm_of(pid)
            if now in (None, comm):
                return
            name = COMM.pack(now)

    def _rescan(self) -> None:
        """There were more questions than room for them: look at every process, of which most are as they were."""
        for pid, (comm, _) in procfs.processes().items():
            self._decide(KEY.pack(pid), COMM.pack(comm), 0)

    def _sweep(self) -> None:
        """Take processes that are gone out of the table, which is full."""
        log.once(log.WARNING, "the table of %d processes is full: what is not in it counts as `other` "
                 "([global] pid table size)" % self._processes)
        if self._ticks < self._next_sweep:
            return
        self._next_sweep = self._ticks + RESCAN_TICKS
        for pid in self._process_table.pids(self._processes):
            if not os.path.exists("/proc/%d" % pid):
                self._process_table.take_out(pid)
