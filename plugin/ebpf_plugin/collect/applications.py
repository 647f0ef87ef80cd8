"""Applications: decides about names that the kernel has not seen before, and charts the rows of their counters.

Row numbers are indexes of the groups in apps_groups.conf; 0 is `other`. bpf/apps.c is the kernel's side.
"""
from __future__ import annotations

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
    from typing import Any

    from .collector import Sample, Values
    from .rows import Counters, RowSet

COMM = struct.Struct("=16s")  # struct comm
QUESTION = struct.Struct("=16sQ")  # struct question: name, task
APPLICATION = struct.Struct("=IIQ")  # struct application: row, unused, task
DECISION = struct.Struct("=II")  # struct decision: row, ask
ROW_STAYS = 0xffffffff
MAX_QUESTIONS = 1024  # entries of the map apps_asked
MAX_PER_TICK = 200  # questions that are answered in one tick; the others wait
RESCAN_TICKS = 30  # between two looks at every process
TRIES = 3  # to decide about a process that changes its name all the time
INIT = 1  # the process that stays in `other`, as in the agent
FULL, UNASKED, QUESTIONS = range(3)  # counters of the group apps


def decision(row: int | None, certain: bool) -> bytes:
    """A value of the map apps_names: which row a name belongs in, None for the one where its process is; and whether to
    ask."""
    return DECISION.pack(ROW_STAYS if row is None else row, not certain)


class Applications:
    """state: {"rules", "names", "ids": of apps_groups.Groups, "tables": {name: descriptor}, "charts": packed, of
    select_application_charts(), "processes": entries of the map applications}. readers: {group: Counters}."""

    def __init__(self, state: dict[str, Any], readers: dict[str, Counters], row_set: RowSet):
        self._matcher = Matcher(state["rules"])
        self._names, self._ids = state["names"], state["ids"]
        self._maps = state["tables"]
        self._asked = HashMap(self._maps["apps_asked"], 4, QUESTION.format, MAX_QUESTIONS)
        self._processes = state["processes"]
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
        pid, = struct.unpack("=I", key)
        for _ in range(TRIES):
            comm = name.partition(b"\0")[0]
            row, certain = self._matcher.by_comm(comm)
            bpf.map_update(self._maps["apps_names"], name, decision(row, certain))
            if not certain:
                row = self._matcher.group_of(comm, procfs.command_line(pid))
            if row is None or pid == INIT:
                return
            self._move(key, row, asked)
            now = procfs.comm_of(pid)
            if now in (None, comm):
                return
            name = COMM.pack(now)

    def _move(self, key: bytes, row: int, asked: int) -> None:
        try:
            _, _, task = APPLICATION.unpack(bpf.map_lookup(self._maps["applications"], key, APPLICATION.size))
            if asked in (task, 0) or not task:
                moved = APPLICATION.pack(row, 0, task or asked)
                bpf.map_update(self._maps["applications"], key, moved, bpf.BPF_EXIST)
                self._row_set.add(row)
        except FileNotFoundError:
            pass  # the process is gone

    def _rescan(self) -> None:
        """There were more questions than room for them: look at every process, of which most are as they were."""
        for pid, (comm, _) in procfs.processes().items():
            self._decide(struct.pack("=I", pid), COMM.pack(comm), 0)

    def _sweep(self) -> None:
        """Take processes that are gone out of the table, which is full."""
        log.once(log.ERROR, "the table of %d processes is full: what is not in it counts as `other` "
                 "([global] pid table size)" % self._processes)
        if self._ticks < self._next_sweep:
            return
        self._next_sweep = self._ticks + RESCAN_TICKS
        for key, _ in HashMap(self._maps["applications"], 4, APPLICATION.format, self._processes).rows():
            if not os.path.exists("/proc/%d" % struct.unpack("=I", key)[0]):
                bpf.map_delete(self._maps["applications"], key)
