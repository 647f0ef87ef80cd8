"""One tick: read the counters, derive the values. What to do with them is the output's business."""
from __future__ import annotations

from .. import log


class Collector:
    """`readers` is {group: object with read() -> tuple of counters, may raise OSError}; `shown` from lineup()."""

    def __init__(self, shown, readers, every):
        self.shown, self._readers, self._every = shown, readers, every
        self.samples = {}  # of the last tick: {group: counters, or None}
        self._time = None

    def tick(self, now):
        """For each chart a tuple with an int, or None for unknown, for each dimension. `now` is monotonic, in seconds.

        Incremental dimensions are counters. Absolute ones are their change during a tick: after a tick that came late
        (a suspended process) or early (a clock that was set) they are unknown.
        """
        on_time = self._time is not None and abs(now - self._time - self._every) < self._every / 2
        samples = {group: self._read(group, reader) for group, reader in self._readers.items()}
        values = [
            tuple(self._value(line, samples[chart.group], self.samples.get(chart.group), on_time) for line in chart.lines)
            for chart in self.shown
        ]
        self._time, self.samples = now, samples
        return values

    @staticmethod
    def _read(group, reader):
        try:
            return reader.read()
        except OSError as error:
            log.once(log.ERROR, "%s: cannot read the counters: %s; its charts have a gap" % (group, error.strerror))
            return None

    @staticmethod
    def _value(line, sample, before, on_time):
        if sample is None:
            return None
        if line.algorithm == "incremental":
            return _total(line, sample)
        return _total(line, sample) - _total(line, before) if before is not None and on_time else None


def _total(line, sample):
    return sum(sample[place] for place in line.plus) - sum(sample[place] for place in line.minus)
