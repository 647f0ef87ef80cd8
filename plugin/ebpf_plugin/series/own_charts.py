"""Charts of their own for some series of a table.

Where the others have one chart with a dimension for each series, these have one for each series, with one dimension.
"""
from __future__ import annotations

from ..model.declared import Chart, Dimension
from .charts import sum_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Mapping, Sequence

    from .table import Labels, Series, SeriesTable

    Shown = tuple[Chart, tuple[int, ...]]


class OwnCharts:
    """Charts whose values are in rows of groups' counters.

    counters: {group: its counters (collect/rows.py)}. charts: those that each such series has. row_of(key of a series) is
    its row. describe(series): (type, labels) of its charts, None if it has none. Types are made unique here.
    """

    def __init__(self, table: SeriesTable, counters: Mapping[str, Any], charts: Sequence[Chart],
                 row_of: Callable[[Any], int], describe: Callable[[Series], tuple[str, Labels] | None]):
        self._table, self._counters, self._row_of, self._describe = table, counters, row_of, describe
        self._charts = [(chart, chart.dimensions[0].plus) for chart in charts]
        self._version = -1
        self._own: dict[object, list[Shown]] = {}  # by the series' keys, in the order of `charts`
        self._types: dict[str, object] = {}  # by types: the key that has it, or had it last

    def values(self, sources: set[str]) -> list[Shown]:
        """The charts of these groups with their values; what does not move is the same object. Those of a series that has
        left come once more, without dimensions."""
        gone: list[Shown] = []
        if self._version != self._table.version:
            gone = self._leave()
            for key, series in self._table.live.items():
                described = None if key in self._own else self._describe(series)
                if described is not None:
                    self._own[key] = list(self._made(series, *described))
            self._version = self._table.version
            self._update(range(len(self._charts)))
        else:
            self._update([number for number, (chart, places) in enumerate(self._charts)
                          if not self._counters[chart.group].moved.isdisjoint(places)])
        return gone + [shown for own in self._own.values() for shown in own if shown[0].group in sources]

    def _update(self, numbers: Iterable[int]) -> None:
        """Put the values of these charts in."""
        for number in numbers:
            chart, places = self._charts[number]
            columns = [self._counters[chart.group].columns[place] for place in places]
            for key, own in self._own.items():
                row = self._row_of(key)
                value = sum([column[row] for column in columns])
                value += sum_of(self._table.live[key].base.get(chart.group), places)
                if own[number][1] != (value,):
                    own[number] = own[number][0], (value,)

    def _leave(self) -> list[Shown]:
        left = [key for key in self._own if key not in self._table.live]
        return [(chart.replaced(dimensions=()), ()) for key in left for chart, _ in self._own.pop(key)]

    def _made(self, series: Series, type: str, labels: Labels) -> Iterable[Shown]:
        type = self._unique(type, series.key)
        for chart, places in self._charts:
            start = sum_of(series.start.get(chart.group), places) if self._table.has_appeared(series) else None
            dimension = Dimension(chart.units.partition("/")[0], start=start)
            yield chart.replaced(type=type, dimensions=(dimension,), kind="line", by="", labels=labels), ()

    def _unique(self, type: str, key: object) -> str:
        """A type whose charts no other series has, or may have again: counters must not go back."""
        number, unique = 1, type
        while self._is_taken(unique, key):
            number += 1
            unique = "%s_%d" % (type, number)
        self._types[unique] = key
        return unique

    def _is_taken(self, type: str, key: object) -> bool:
        other = self._types.get(type, key)
        return other != key and (other in self._table.live or self._table.is_remembered(other))
