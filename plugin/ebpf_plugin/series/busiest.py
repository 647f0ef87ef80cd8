"""Chooses the busiest rows of a table as its series; what all others have moved is `other`.

For each measure, the shown series and `other` are together the total that the kernel counts beside the rows, so nothing
is lost when a row leaves the kernel's map or is not shown. No sum ever goes back.
"""
from __future__ import annotations

from _operator import add, sub

from .table import SeriesTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence

    from .table import Labels, Series, Values

    Row = tuple[object, Values]  # key; epoch, then the measures

DECAY = 0.9  # a tick: what was moved half a minute ago hardly counts
MIN_LIFETIME = 60  # seconds that a series is shown at least before another takes its place
REPLACE_FACTOR = 2  # how much busier than a shown one another has to be to take its place
IDLE = 600  # seconds without a move after which a series goes
RESCAN_TICKS = 5  # from one look at the rows that are not shown to the next, while there is no room
REMEMBERED = 2  # times as many as are shown: series that were removed, and go on where they were if they come back
MAX_REPLACED = 20  # places that change hands in one tick: charts do not flap
SOURCE = "rows"


class Busiest:
    """`limit` series are shown at a time, of rows with so many `measures`."""

    def __init__(self, limit: int, measures: int, describe: Callable[[Any], tuple[str, str, Labels]]):
        self._limit = limit
        self.table = SeriesTable(describe, REMEMBERED * limit)
        self.other = [0] * measures
        self._given: Values = (0,) * measures  # what has gone to series in all
        self._seen: dict[object, tuple[int, int, float]] = {}  # of rows that are not shown: epoch, moved, score
        self._ticks, self._scanned = 0, True
        self._rows: Sequence[Row] | None = None  # those of the last tick
        self._looked = False  # whether candidates have been looked for among them
        self._spared = 0  # looks since then, which would have found what they had found

    def resize(self, limit: int) -> None:
        """Show so many from the next tick on."""
        self._limit = limit
        self._looked = False  # there may be room for rows that rest
        self.table.remember(REMEMBERED * limit)

    def forget_rows(self) -> None:
        """Let go of the rows of the last tick: there may be thousands, and others are about to be read."""
        self._rows = None

    def tick(self, now: float, rows: Sequence[Row], totals: Sequence[int],
             is_excluded: Callable[[Any], bool] | None = None) -> None:
        """Take the kernel's rows, and the totals of the measures, which were read before them.

        `rows` are the same object as at the last tick if none has changed: then they are not gone through.
        is_excluded(key) says which must not be shown.
        """
        self.table.begin_tick()
        self._ticks += 1
        # while there is no room, the others are looked at only now and then: there may be thousands
        scan = len(self.table.live) < self._limit or self._ticks % RESCAN_TICKS == 0
        if rows is not self._rows:
            self._count(now, rows)
            self._rows, self._looked = rows, False
        candidates = None
        if scan and self._looked:
            self._spared += 1
        elif scan:
            candidates = [row for row in rows if row[0] not in self.table.live]
        for series in self.table.live.values():
            series.score *= DECAY
        for series in [series for series in self.table.live.values() if self._has_to_go(series, now, is_excluded)]:
            self._remove(series)
        live = self.table.live
        if len(live) > self._limit:
            for series in sorted(live.values(), key=lambda series: series.score)[:len(live) - self._limit]:
                self._remove(series)
        if candidates is not None:
            self._choose(now, candidates, is_excluded)
            self._looked, self._spared = True, 0
        self._scanned = scan
        self.other = [max(known, total - given) for known, total, given in zip(self.other, totals, self._given)]

    def _count(self, now: float, rows: Sequence[Row]) -> None:
        """Count what the series have moved."""
        live = self.table.live
        before, after = [], []
        for key, value in rows:
            series = live.get(key)
            if series is not None and (value[1:] != series.raw[SOURCE] or value[0] != series.epoch):
                before.append(series.sums[SOURCE])
                self.table.update(series, SOURCE, value[1:], value[0])
                after.append(series.sums[SOURCE])
                series.active = now
                series.score += sum(after[-1]) - sum(before[-1])
        if after:
            moved = map(sub, map(sum, zip(*after)), map(sum, zip(*before)))
            self._given = tuple(map(add, self._given, moved))

    @staticmethod
    def _has_to_go(series: Series, now: float, is_excluded: Callable[[Any], bool] | None) -> bool:
        return now - series.active > IDLE or is_excluded is not None and is_excluded(series.key)

    def _remove(self, series: Series) -> None:
        """What has not been shown in its name goes to `other`."""
        for moved in self.table.remove(series).values():
            self._given = tuple(map(sub, self._given, moved))
        self._seen[series.key] = series.epoch, sum(series.raw[SOURCE]), series.score

    def _candidate(self, key: object, value: Values, seen: dict[object, tuple[int, int, float]]) -> tuple[
            float, object, Values, int, bool]:
        """(score, key, value, what it has moved since the last look, whether it is new)"""
        epoch, before, score = self._seen.get(key, (None, 0, 0.0))
        is_new = epoch != value[0]
        moved = sum(value[1:])
        since = moved if is_new else moved - before
        score = score * DECAY ** (RESCAN_TICKS * (1 + self._spared)) + since
        seen[key] = value[0], moved, score
        return score, key, value, since, is_new

    def _choose(self, now: float, rows: list[Row], is_excluded: Callable[[Any], bool] | None) -> None:
        """The busiest candidates take the free places, then those of series that are far less busy."""
        if not self._limit:
            return
        seen = {key: known for key, known in self._seen.items() if self.table.is_remembered(key)}
        candidates = [self._candidate(key, value, seen) for key, value in rows]
        self._seen = seen
        candidates = [one for one in candidates if one[3] and not (is_excluded and is_excluded(one[1]))]
        candidates.sort(key=lambda one: one[:2], reverse=True)
        room = self._limit - len(self.table.live)
        chosen = candidates[:room]
        if len(candidates) > room:
            weak = sorted((series for series in self.table.live.values() if now - series.since >= MIN_LIFETIME),
                          key=lambda series: series.score)
            for series, candidate in zip(weak[:MAX_REPLACED], candidates[room:]):
                if candidate[0] > REPLACE_FACTOR * series.score:
                    self._remove(series)
                    chosen.append(candidate)
        for score, key, value, _, is_new in chosen:
            is_new = is_new and self.table.last_epoch(key) != value[0]
            series = self.table.add(key, now, {SOURCE: value[1:]}, value[0])
            series.score = score
            del self._seen[key]
            # what a row has moved since the last tick is its own; what was there at the last tick went to `other` then
            if is_new and self._scanned:
                self.table.count(series, SOURCE, value[1:])
                self._given = tuple(map(add, self._given, value[1:]))
