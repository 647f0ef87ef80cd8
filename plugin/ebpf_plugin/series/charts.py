"""Charts with a dimension for each series of a table, or several, and perhaps one for the rest of them."""
from __future__ import annotations

from _operator import add, itemgetter

from ..model.declared import Chart, Dimension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence

    from .table import Labels, Series, SeriesTable, Values


class Part:
    """One dimension of each series: its value is the sum of `places` in the series' values. `suffix` ends its id and
    name, `labels` come behind those of the series."""

    __slots__ = ("suffix", "multiplier", "places", "labels", "value", "divisor")

    def __init__(self, places: tuple[int, ...], suffix: str = "", multiplier: int = 1, labels: Labels = (), *,
                 divisor: int = 1):
        self.places, self.suffix, self.multiplier, self.labels, self.divisor = places, suffix, multiplier, labels, divisor
        # value(values) of a series that has these values from the chart's source
        self.value: Callable[[Sequence[int]], int] = self._sum
        if len(places) == 1:
            self.value = itemgetter(places[0])

    def _sum(self, values: Sequence[int]) -> int:
        return sum([values[place] for place in self.places])


class SeriesChart:
    """A chart of a table's series. `chart` is what all of its versions have in common.

    parts: Parts; parts_of(series) those of one series, if not all. other: id, name and labels of what
    is shown for the rest, if any.
    """

    def __init__(self, table: SeriesTable, source: str, chart: Chart, parts: tuple[Part, ...],
                 parts_of: Callable[[Series], tuple[Part, ...]] | None = None,
                 other: tuple[str, str, Labels] | None = None):
        self._table, self._source, self.chart, self._parts, self._other = table, source, chart, parts, other
        self._parts_of = parts_of or (lambda series: parts)
        self._version = -1
        self._parts_at: dict[Series, tuple[tuple[int, Part], ...]] = {}  # with the places of their values
        self._values: list[int] = []
        self._shown: tuple[int, ...] = ()  # what values() gave last: the same object as long as nothing moves
        self._rest: Sequence[int] = ()

    def values(self, other: Sequence[int] = ()) -> tuple[Chart, tuple[int, ...]]:
        """(the chart as it is now, its values); `other`: the values of the rest, in the order of the source's."""
        has_moved = False
        if self._version != self._table.version:
            self._build()
            has_moved = True
        else:
            values, source = self._values, self._source
            for series in self._table.changed.get(source, ()):
                sums = series.sums[source]
                for place, part in self._parts_at[series]:
                    value = part.value(sums)
                    if value != values[place]:
                        values[place] = value
                        has_moved = True
        if has_moved or other != self._rest:
            self._rest = other
            rest = () if self._other is None else [part.value(other) for part in self._parts]
            self._shown = (*self._values, *rest)
        return self.chart, self._shown

    def _build(self) -> None:
        dimensions, source = [], self._source
        self._parts_at, self._values = {}, []
        for series in self._table.live.values():
            parts = self._parts_of(series)
            self._parts_at[series] = tuple(enumerate(parts, len(self._values)))
            sums = series.sums.get(source)
            before = series.start.get(source)
            for part in parts:
                name = series.name + part.suffix if series.name else ""
                start = None
                if self._table.has_appeared(series):
                    start = 0 if before is None else part.value(before)
                dimensions.append(Dimension(series.id + part.suffix, "incremental", part.multiplier, name=name,
                                            labels=series.labels + part.labels, start=start, divisor=part.divisor))
                self._values.append(0 if sums is None else part.value(sums))
        if self._other is not None:
            id, name, labels = self._other
            dimensions += [Dimension(id + part.suffix, "incremental", part.multiplier, name=name + part.suffix,
                                     labels=labels + part.labels, divisor=part.divisor) for part in self._parts]
        self.chart = self.chart.replaced(dimensions=tuple(dimensions))
        self._version = self._table.version


class RowCharts:
    """Charts of a table's series whose values are in rows of a group's counters.

    counters: the group's (collect/rows.py): `columns`, and which have `moved` since the last tick. charts: what all versions
    of each have in common, and the places of the columns whose sum is shown. row_of(key of a series) is its row; what the
    series has besides (`base`) is added. is_shown(series): whether the charts have the series.
    """

    def __init__(self, table: SeriesTable, counters: Any, charts: Sequence[tuple[Chart, tuple[int, ...]]],
                 row_of: Callable[[Any], int] = int, is_shown: Callable[[Series], bool] = lambda series: True):
        self._table, self._counters, self._row_of, self._is_shown = table, counters, row_of, is_shown
        self._charts = [chart for chart, _ in charts]
        self._places = [places for _, places in charts]
        self._version = -1
        self._pick: Callable[[list[int]], Values] = tuple  # gives the rows of a column
        self._bases: list[Values] = []
        self._sample: list[tuple[Chart, Values]] = []

    def values(self) -> list[tuple[Chart, Values]]:
        """Each chart as it is now with its values; what does not move is the same object."""
        if self._version != self._table.version:
            self._build()
        elif self._counters.moved:
            for number, places in enumerate(self._places):
                if not self._counters.moved.isdisjoint(places):
                    self._sample[number] = self._charts[number], self._values(number)
        return self._sample

    def _values(self, number: int) -> Values:
        first, *more = [self._pick(self._counters.columns[place]) for place in self._places[number]]
        if any(self._bases[number]):
            more.append(self._bases[number])
        for column in more:
            first = tuple(map(add, first, column))
        return first

    def _build(self) -> None:
        live = list(filter(self._is_shown, self._table.live.values()))
        rows = [self._row_of(series.key) for series in live]
        self._pick = lambda column: tuple([column[row] for row in rows])
        if len(rows) > 1:  # it gives a tuple only then
            self._pick = itemgetter(*rows)
        self._bases = []
        for number, (chart, places) in enumerate(zip(self._charts, self._places)):
            self._bases.append(tuple([sum_of(series.base.get(chart.group), places) for series in live]))
            self._charts[number] = chart.replaced(dimensions=tuple([
                Dimension(series.id, "incremental", name=series.name, labels=series.labels,
                          start=sum_of(series.start.get(chart.group), places) if self._table.has_appeared(series) else None)
                for series in live]))
        self._sample = [(chart, self._values(number)) for number, chart in enumerate(self._charts)]
        self._version = self._table.version


def sum_of(values: Values | None, places: tuple[int, ...]) -> int:
    """The sum of what is at these places; 0 if there are no values."""
    return sum([values[place] for place in places]) if values else 0
