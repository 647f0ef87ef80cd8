"""Series of tables: rows of the kernel that come and go get an id, a name, and sums that never go back.

A row (of a map, or of the groups' counters) becomes a Series when it is added and stops being one when it is removed. Its
key may come back: then the series goes on with the sums that it had. A row may begin anew under the same key, which its
epoch tells.
"""
from __future__ import annotations

from _operator import add, sub  # operator itself, which is Python, would stay in memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable

    Values = tuple[int, ...]
    Labels = tuple[tuple[str, str], ...]


class Series:
    """What has been counted of one key. Values are tuples of int, by their source (a group, or a map).

    key: anything hashable. raw: as the kernel had them last; sums: in all, since the series was first added; base: what the
    sums are above raw, of the sources where they are not the same; before: the sums at the last tick, of the sources that
    have moved since; start: the sums when it was added; removed: the tick at which it was removed; is_taken_back: whether
    that took back sums that were in a sample.
    """

    __slots__ = ("key", "id", "name", "labels", "epoch", "raw", "sums", "base", "before", "start", "tick", "since", "active",
                 "score", "removed", "is_taken_back")

    def __init__(self, key: Any, id: str, name: str, labels: Labels):
        self.key, self.id, self.name, self.labels = key, id, name, labels
        self.epoch = self.tick = self.removed = 0
        self.is_taken_back = False
        self.raw: dict[str, Values] = {}
        self.sums: dict[str, Values] = {}
        self.base: dict[str, Values] = {}
        self.before: dict[str, Values] = {}
        self.start: dict[str, Values] = {}
        self.since = self.active = self.score = 0.0


class SeriesTable:
    """The series that are there, in the order in which they were added.

    describe(key) gives id, name and labels; ids are made unique here. `remembered` is how many removed series are kept for
    when their key comes back. `version` changes with what is there and with names.
    """

    def __init__(self, describe: Callable[[Any], tuple[str, str, Labels]], remembered: int):
        self._describe, self._remembered = describe, remembered
        self.live: dict[object, Series] = {}
        self._retired: dict[object, Series] = {}  # the one that was removed last is the last
        self._ids: set[str] = set()
        self.changed: dict[str, set[Series]] = {}  # by source: those whose sums are others than at the last tick
        self.version = 0
        self._ticks = 0

    def begin_tick(self) -> None:
        """What is updated from now on is of a new tick."""
        for moved in self.changed.values():
            for series in moved:
                series.before.clear()
        self.changed.clear()
        self._ticks += 1

    def age(self, series: Series) -> int:
        """How many ticks ago the series was added."""
        return self._ticks - series.tick

    def has_appeared(self, series: Series) -> bool:
        """Whether the series was added after the first tick; of the others nobody knows where they began."""
        return series.tick > 1

    def add(self, key: object, now: float, raw: dict[str, Values], epoch: int = 0) -> Series:
        """The series of a key from now on. What its row has in `raw` is not counted for it.

        Raises ValueError if the key was removed at this tick, a tick after it was added: its sums of the last tick have
        been taken back, and would be seen to go back.
        """
        series = self._retired.get(key)
        if series is not None and series.is_taken_back and series.removed == self._ticks:
            raise ValueError("%r was removed at this tick" % (key,))
        self._retired.pop(key, None)
        if series is None:
            id, name, labels = self._describe(key)
            series = Series(key, self._unique(id), name, labels)
        series.raw, series.epoch, series.tick = raw, epoch, self._ticks
        series.since, series.active, series.score = now, now, 0.0
        for source, values in raw.items():
            series.sums.setdefault(source, (0,) * len(values))
        series.base = {source: tuple(map(sub, sums, raw[source])) if source in raw else sums
                       for source, sums in series.sums.items()}
        series.start = dict(series.sums)
        self.live[key] = series
        self.version += 1
        return series

    def _unique(self, id: str) -> str:
        number, unique = 1, id
        while unique in self._ids:
            number += 1
            unique = "%s_%d" % (id, number)
        self._ids.add(unique)
        return unique

    def update(self, series: Series, source: str, values: Values, epoch: int = 0) -> None:
        """Count what the row of a series has now."""
        if epoch != series.epoch:  # it has begun anew
            series.epoch = epoch
            series.base[source] = series.sums.get(source, (0,) * len(values))
        series.raw[source] = values
        base = series.base.get(source)
        self._put(series, source, values if base is None else tuple(map(add, values, base)))

    def count(self, series: Series, source: str, moved: Values) -> None:
        """Add to the sums of a series what its row had before it was added."""
        series.base[source] = tuple(map(add, series.base[source], moved))
        self._put(series, source, tuple(map(add, series.sums[source], moved)))

    def _put(self, series: Series, source: str, sums: Values) -> None:
        if source not in series.before:
            series.before[source] = series.sums.get(source) or (0,) * len(sums)
            self.changed.setdefault(source, set()).add(series)
        series.sums[source] = sums

    def remove(self, series: Series) -> dict[str, Values]:
        """The series is there no more. What it has moved in this tick is taken back, and returned by source.

        After one tick it is all that it has moved: outputs take the first value of a series for where it began.
        """
        del self.live[series.key]
        shown = series.before
        if self.age(series) <= 1:
            shown = {source: series.start.get(source, (0,) * len(sums)) for source, sums in series.sums.items()}
        back = {source: tuple(map(sub, series.sums[source], sums)) for source, sums in shown.items()}
        series.sums.update(shown)
        series.before.clear()
        for moved in self.changed.values():
            moved.discard(series)
        series.removed, series.is_taken_back = self._ticks, self.age(series) == 1
        self._retired[series.key] = series
        while len(self._retired) > self._remembered:
            self._ids.discard(self._retired.pop(next(iter(self._retired))).id)
        self.version += 1
        return back

    def last_epoch(self, key: object) -> int | None:
        """The epoch of a key that had a series, and is not forgotten."""
        return self._retired[key].epoch if key in self._retired else None

    def is_remembered(self, key: object) -> bool:
        """Whether the key had a series that is not forgotten."""
        return key in self._retired

    def remember(self, removed: int) -> None:
        """Keep so many removed series from now on."""
        self._remembered = removed

    def relabel(self) -> None:
        """Give all series the labels that describe() has for them now."""
        for series in (*self.live.values(), *self._retired.values()):
            series.labels = self._describe(series.key)[2]

    def rename(self, names: Iterable[tuple[Series, str]]) -> None:
        """Give series other names."""
        for series, name in names:
            if series.name != name:
                series.name = name
                self.version += 1
