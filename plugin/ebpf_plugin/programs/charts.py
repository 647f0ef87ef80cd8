"""What BPF programs cost as charts: runs, time and average time, by name and type of a program.

Programs of one name and type are one series: those of a service that starts again go on where it was, whatever their ids.
"""
from __future__ import annotations

from . import objects
from .names import Names
from .. import log
from ..model.declared import Chart, Dimension
from ..series.busiest import SOURCE, Busiest
from ..series.charts import Part, SeriesChart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional, Sequence

    from ..series.table import Labels
    from .objects import Program

    Key = tuple[str, str]  # name, type
    Sample = list[tuple[Chart, tuple[Optional[int], ...]]]

SHOWN = 100  # programs; the busiest. The plugin itself has half as many
GROUP, FAMILY, BY = "programs", "BPF programs", "program"
RUNS, TIME = (0,), (1,)  # places in a row's values
OTHER = ("other", "other", (("program", "other"),))
# id, title, units, priority, name of the metric
RUNS_CHART = ("programs_runs", "Runs of BPF programs", "runs/s", 29000, "runs")
TIME_CHART = ("programs_time", "Time in BPF programs", "milliseconds/s", 29001, "run")
AVERAGE_CHART = ("programs_average", "Average time of a run of BPF programs", "nanoseconds", 29002, "run_average")


class ProgramCharts:
    """state: {"programs": {name: descriptor} of ours, "all": whether those of others are shown as well}"""

    def __init__(self, state: dict[str, Any]):
        self._ours: dict[str, int] = state["programs"]
        self._all: bool = state["all"]
        self._names = Names()
        self._keys: dict[int, Key] = {}  # by the id of a program
        self._before: dict[int, tuple[int, int]] = {}  # by the id: runs and time at the last tick
        self._rows: dict[Key, tuple[int, ...]] = {}  # epoch, runs, time of programs that are there
        self._totals = [0, 0]
        self._ticks = 0
        self._busiest = Busiest(SHOWN, 2, self._describe)
        table = self._busiest.table
        self._runs = SeriesChart(table, SOURCE, _chart(RUNS_CHART), (Part(RUNS),), other=OTHER)
        self._time = SeriesChart(table, SOURCE, _chart(TIME_CHART), (Part(TIME, divisor=10 ** 6),), other=OTHER)
        self._average = _chart(AVERAGE_CHART, "line")
        self._version = -1  # of the table, when _average was made

    def read(self) -> None:
        """Only read, to try whether that is allowed. Raises OSError."""
        for _ in self._programs():
            pass

    def tick(self, now: float, _counters: object = None) -> Sample:
        """The three charts; none if programs cannot be read."""
        self._ticks += 1
        other = self._busiest.other
        try:
            self._count(list(self._programs()))
        except OSError as error:
            log.once(log.ERROR, "cannot read what BPF programs cost: %s; their charts have a gap" % error.strerror)
            return []
        # a row is new when it has first run: then all of it is its own
        self._busiest.tick(now, [row for row in self._rows.items() if any(row[1][1:])], self._totals)
        return [self._runs.values(self._busiest.other), self._time.values(self._busiest.other),
                (self._average_chart(), tuple(self._averages(other)))]

    def _programs(self) -> Iterator[tuple[Key, Program]]:
        """(key, Program) of each. Raises OSError."""
        if not self._all:
            for name, descriptor in self._ours.items():
                program = objects.program(descriptor)
                yield (name, program.type), program
            return
        keys = {}
        for program in objects.programs():
            keys[program.id] = self._keys.get(program.id) or self._key(program)
            yield keys[program.id], program
        self._keys = keys

    def _key(self, program: Program) -> Key:
        if not self._keys:
            # the kernel cuts our names as well
            ours = {objects.program(descriptor).id: name for name, descriptor in self._ours.items()}
            if program.id in ours:
                return ours[program.id], program.type
        _, function = objects.with_descriptor(objects.BPF_PROG_GET_FD_BY_ID, program.id,
                                              lambda opened: objects.maps_and_function(opened, program)) or ((), 0)
        return self._names.of_program(program, function), program.type

    def _count(self, programs: list[tuple[Key, Program]]) -> None:
        """Add what programs have done since the last tick. One that has come since began with nothing."""
        before, self._before = self._before, {}
        rows: dict[Key, list[int]] = {}
        for key, program in programs:
            now = program.runs, program.run_time
            then = before.get(program.id, now if self._ticks == 1 else (0, 0))
            row = rows.get(key)
            if row is None:
                row = rows[key] = list(self._rows.get(key, (self._ticks, 0, 0)))
            for place in (0, 1):
                moved = now[place] - then[place]
                row[1 + place] += moved
                self._totals[place] += moved
            self._before[program.id] = now
        self._rows = {key: tuple(row) for key, row in rows.items()}

    @staticmethod
    def _describe(key: Any) -> tuple[str, str, Labels]:
        name, kind = key
        shown = name or kind
        # a name from BTF may have any character
        id = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in shown)[:100]
        return id, shown, (("program", name), ("type", kind))

    def _average_chart(self) -> Chart:
        if self._version != self._busiest.table.version:
            self._version = self._busiest.table.version
            dimensions = [Dimension(series.id, "absolute", name=series.name, labels=series.labels)
                          for series in self._busiest.table.live.values()]
            dimensions.append(Dimension(OTHER[0], "absolute", name=OTHER[1], labels=OTHER[2]))
            self._average = self._average.replaced(dimensions=tuple(dimensions))
        return self._average

    def _averages(self, other: Sequence[int]) -> Iterator[int | None]:
        """Nanoseconds of a run since the last tick, of each series and of the rest (which had `other`); None if none ran."""
        for series in self._busiest.table.live.values():
            yield _average(series.before.get(SOURCE), series.sums[SOURCE])
        yield _average(other, self._busiest.other)


def _average(before: Sequence[int] | None, now: Sequence[int]) -> int | None:
    if before is None or now[0] <= before[0]:
        return None
    return round((now[1] - before[1]) / (now[0] - before[0]))


def _chart(chart: tuple[str, str, str, int, str], kind: str = "stacked") -> Chart:
    id, title, units, priority, metric = chart
    return Chart(GROUP, id, title, units, FAMILY, priority, (), kind, by=BY, metric=(metric, "", "", ()))
