"""One tick: read the counters, derive the values of all charts. Who is shown them is not known here."""
from __future__ import annotations

from .. import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Mapping, Optional, Protocol

    from ..model.declared import Chart, Dimension

    Values = tuple[int, ...]
    Sample = list[tuple[Chart, tuple[Optional[int], ...]]]

    class Reader(Protocol):
        """What reads the counters of a group."""

        def read(self) -> Values:
            """In the group's order; the same object as before if nothing has changed. Raises OSError."""

    class Source(Protocol):
        """What gives charts whose dimensions come and go."""

        def read(self) -> None:
            """Only try whether all that tick() does is allowed. Raises OSError."""

        def tick(self, now: float, counters: dict[str, Values | None]) -> Sample:
            """Its charts with their values; `counters` by group, None of one that could not be read."""


class Collector:
    """charts: the fixed ones; readers: {group: Reader}; sources: of the others.

    `every` is the interval between two ticks, in seconds; `refresh` is called before the counters are read.
    """

    def __init__(self, charts: tuple[Chart, ...], readers: Mapping[str, Reader], every: float,
                 sources: tuple[Source, ...] = (), refresh: Callable[[], None] | None = None):
        self.charts, self._readers, self._every, self._sources, self._refresh = charts, readers, every, sources, refresh
        self.counters: dict[str, Values | None] = {}  # of the last tick, by group; None of one that could not be read
        self._time: float | None = None
        # place of a chart: its counters, what they made
        self._last: dict[int, tuple[Values | None, tuple[int | None, ...]]] = {}
        self._is_steady = [all(dimension.algorithm == "incremental" for dimension in chart.dimensions) for chart in charts]

    def tick(self, now: float) -> Sample:
        """Each chart with an int, or None for unknown, for each dimension. `now` is monotonic, in seconds.

        Incremental dimensions are counters. Absolute ones are their change during a tick: after a tick that came late
        (a suspended process) or early (a clock that was set) they are unknown.
        """
        on_time = self._time is not None and abs(now - self._time - self._every) < self._every / 2
        if self._refresh is not None:
            self._refresh()
        before, self.counters = self.counters, {group: self._read(group, reader) for group, reader in self._readers.items()}
        self._time = now
        sample: Sample = []
        for place, chart in enumerate(self.charts):
            counters = self.counters[chart.group]
            if self._is_steady[place]:
                last = self._last.get(place)
                if last is None or last[0] is not counters:
                    last = self._last[place] = counters, tuple([
                        None if counters is None else _total(dimension, counters) for dimension in chart.dimensions])
                sample.append((chart, last[1]))
            else:
                then = before.get(chart.group) if on_time else None
                sample.append((chart, tuple([_value(dimension, counters, then) for dimension in chart.dimensions])))
        for source in self._sources:
            sample += source.tick(now, self.counters)
        return sample

    @staticmethod
    def _read(group: str, reader: Reader) -> Values | None:
        try:
            return reader.read()
        except OSError as error:
            log.once(log.ERROR, "%s: cannot read the counters: %s; its charts have a gap" % (group, error.strerror))
            return None


def _value(dimension: Dimension, counters: Values | None, before: Values | None) -> int | None:
    if counters is None:
        return None
    if dimension.algorithm == "incremental":
        return _total(dimension, counters)
    return None if before is None else _total(dimension, counters) - _total(dimension, before)


def _total(dimension: Dimension, counters: Values) -> int:
    if len(dimension.plus) == 1 and not dimension.minus:  # most of them
        return counters[dimension.plus[0]]
    return sum([counters[place] for place in dimension.plus]) - sum([counters[place] for place in dimension.minus])
