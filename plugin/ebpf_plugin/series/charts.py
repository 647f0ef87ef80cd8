"""Charts with a dimension for each series of a table, or several, and perhaps one for the rest of them."""
from __future__ import annotations

from ..model.declared import Chart, Dimension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence

    from .table import Series, SeriesTable


class Part:
    """One dimension of each series: its value is the sum of `places` in the series' values. `suffix` ends its id and
    name."""

    __slots__ = ("suffix", "multiplier", "places")

    def __init__(self, places: tuple[int, ...], suffix: str = "", multiplier: int = 1):
        self.places, self.suffix, self.multiplier = places, suffix, multiplier

    def value(self, values: Sequence[int] | None) -> int:
        """Of a series that has these values from the chart's source."""
        if values is None:
            return 0
        if len(self.places) == 1:
            return values[self.places[0]]
        return sum([values[place] for place in self.places])


class SeriesChart:
    """A chart of a table's series. `chart` is what all of its versions have in common.

    parts: Parts; parts_of(series) those of one series, if not all. other: id and name of what is shown for the rest, if any.
    """

    def __init__(self, table: SeriesTable, source: str, chart: Chart, parts: tuple[Part, ...],
                 parts_of: Callable[[Series], tuple[Part, ...]] | None = None, other: tuple[str, str] | None = None):
        self._table, self._source, self.chart, self._parts, self._other = table, source, chart, parts, other
        self._parts_of = parts_of or (lambda series: parts)
        self._version = -1
        self._places: dict[object, int] = {}  # key: the place of its first dimension
        self._values: list[int] = []

    def values(self, other: Sequence[int] = ()) -> tuple[Chart, tuple[int, ...]]:
        """(the chart as it is now, its values); `other`: the values of the rest, in the order of the source's."""
        if self._version != self._table.version:
            self._build()
        else:
            for series in self._table.changed.get(self._source, ()):
                place = self._places[series.key]
                for part in self._parts_of(series):
                    self._values[place] = part.value(series.sums[self._source])
                    place += 1
        if self._other is None:
            return self.chart, tuple(self._values)
        return self.chart, (*self._values, *[part.value(other) for part in self._parts])

    def _build(self) -> None:
        dimensions, source = [], self._source
        self._places, self._values = {}, []
        for key, series in self._table.live.items():
            self._places[key] = len(self._values)
            for part in self._parts_of(series):
                name = series.name + part.suffix if series.name else ""
                start = part.value(series.start.get(source)) if self._table.has_appeared(series) else None
                dimensions.append(Dimension(series.id + part.suffix, "incremental", part.multiplier, name=name,
                                            labels=series.labels, start=start))
                self._values.append(part.value(series.sums.get(source)))
        if self._other is not None:
            id, name = self._other
            dimensions += [Dimension(id + part.suffix, "incremental", part.multiplier, name=name + part.suffix)
                           for part in self._parts]
        self.chart = self.chart.replaced(dimensions=tuple(dimensions))
        self._version = self._table.version
