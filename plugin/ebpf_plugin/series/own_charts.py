"""Charts of their own for some series of a table.

Where the others have one chart with a dimension for each series, these have one for each series, with one dimension.
"""
from __future__ import annotations

from ..model.declared import Chart, Dimension
from .charts import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

    from .table import Labels, Series, SeriesTable

    Shown = tuple[Chart, tuple[int, ...]]


class OwnCharts:
    """`charts` are those that each such series has, of the source that their group is. describe(series): (type, labels) of
    its charts, None if it has none. Types are made unique here."""

    def __init__(self, table: SeriesTable, charts: tuple[Chart, ...],
                 describe: Callable[[Series], tuple[str, Labels] | None]):
        self._table, self._describe = table, describe
        self._charts = [(chart, Part(chart.dimensions[0].plus)) for chart in charts]
        self._version = -1
        self._own: dict[object, list[tuple[Part, Shown]]] = {}  # by the series' keys, in the order of `charts`
        self._types: dict[str, object] = {}  # by types: the key that has it, or had it last

    def values(self, sources: set[str]) -> list[Shown]:
        """The charts of these sources with their values. Those of a series that has left come once more, without
        dimensions."""
        gone: list[Shown] = []
        if self._version != self._table.version:
            gone = self._leave()
            for key, series in self._table.live.items():
                described = None if key in self._own else self._describe(series)
                if described is not None:
                    self._own[key] = list(self._made(series, *described))
            self._version = self._table.version
        for source in sources:
            for series in self._table.changed.get(source, ()):
                own = self._own.get(series.key, ())
                for place, (part, (chart, _)) in enumerate(own):
                    if chart.group == source:
                        own[place] = part, (chart, (part.value(series.sums[source]),))  # type: ignore[index]
        return gone + [shown for own in self._own.values() for _, shown in own if shown[0].group in sources]

    def _leave(self) -> list[Shown]:
        left = [key for key in self._own if key not in self._table.live]
        return [(chart.replaced(dimensions=()), ()) for key in left for _, (chart, _) in self._own.pop(key)]

    def _made(self, series: Series, type: str, labels: Labels) -> Iterable[tuple[Part, Shown]]:
        type = self._unique(type, series.key)
        for chart, part in self._charts:
            start = part.value(series.start.get(chart.group)) if self._table.has_appeared(series) else None
            dimension = Dimension(chart.units.partition("/")[0], start=start)
            own = chart.replaced(type=type, dimensions=(dimension,), kind="line", by="", labels=labels)
            yield part, (own, (part.value(series.sums.get(chart.group)),))

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
