"""The memory file by which the collector hands each sample to the process that serves it. Neither ever waits for the other.

A number of 8 bytes says how many samples were written. The samples stand in two places by turns: while one is written, the
one before can be read. A sample is a header and records: what metrics need of a chart, and its values.
"""
from __future__ import annotations

import marshal
import os
import struct

from ..model.declared import Chart, Dimension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator, Optional

    from ..collect.collector import Sample

    Values = tuple[Optional[int], ...]

SEQUENCE = struct.Struct("=Q")
HEADER = struct.Struct("=QQddd")  # sequence; bytes of records; monotonic and wall clock, interval, in seconds
RECORD = struct.Struct("=II")  # bytes of the chart and of its values
FIRST, ROOM = 4096, 64 << 20  # where the places begin, bytes of each; what is not used takes no memory
RAW = "raw"  # type of a chart that is none: its dimensions are a group's counters, its values pairs of a row and its values
BUFFERS = 1000  # at most in one pwritev(2): IOV_MAX is 1024
TRIES = 10


class Page:
    """A sample as it was read. `now` and `written`: the monotonic and the wall clock of its tick; `every`: the interval."""

    __slots__ = ("sequence", "now", "written", "every", "_records")

    def __init__(self, sequence: int, now: float, written: float, every: float, records: bytes):
        self.sequence, self.now, self.written, self.every, self._records = sequence, now, written, every, records

    def sample(self) -> Iterator[tuple[Chart, Values]]:
        """The charts with their values, one after the other: there may be thousands of dimensions."""
        return (each for each in self._each() if each[0].type != RAW)

    def rows(self) -> Iterator[tuple[str, int, str, int]]:
        """(group, row, counter, value) of the rows as the kernel has them, if they are told (--debug)."""
        for chart, rows in self._each():
            for row, values in rows if chart.type == RAW else ():
                for dimension, value in zip(chart.dimensions, values):
                    yield chart.group, row, dimension.id, value

    def _each(self) -> Iterator[tuple[Chart, Any]]:
        records, place = memoryview(self._records), 0
        while place < len(records):
            of_chart, of_values = RECORD.unpack_from(records, place)
            place += RECORD.size
            chart = _unpack(marshal.loads(records[place:place + of_chart]))
            place += of_chart
            yield chart, marshal.loads(records[place:place + of_values])
            place += of_values


class Writer:
    """Writes samples to the memory file `descriptor`."""

    def __init__(self, descriptor: int):
        self._descriptor, self._sequence = descriptor, 0
        self._packed: dict[str, tuple[Chart, bytes]] = {}  # full id: the chart, as it was packed last

    def write(self, now: float, written: float, every: float, sample: Sample) -> None:
        """The next sample, for Page. Raises OSError."""
        buffers: list[bytes] = [b""]
        for chart, values in sample:
            before = self._packed.get(chart.full_id)
            if before is None or before[0] is not chart:
                before = self._packed[chart.full_id] = chart, marshal.dumps(_pack(chart))
            of_values = marshal.dumps(values)
            buffers += (RECORD.pack(len(before[1]), len(of_values)), before[1], of_values)
        size = sum(map(len, buffers))
        if size > ROOM - HEADER.size:
            raise OSError(None, "a sample of %d bytes" % size)
        self._sequence += 1
        buffers[0] = HEADER.pack(self._sequence, size, now, written, every)
        place = _place(self._sequence)
        for first in range(0, len(buffers), BUFFERS):
            place += os.pwritev(self._descriptor, buffers[first:first + BUFFERS], place)
        if place != _place(self._sequence) + HEADER.size + size:
            raise OSError(None, "no memory")
        os.pwrite(self._descriptor, SEQUENCE.pack(self._sequence), 0)


def read(descriptor: int) -> Page | None:
    """The last sample; None if there is none, or if the writer was faster every time. Raises OSError."""
    for _ in range(TRIES):
        written = os.pread(descriptor, SEQUENCE.size, 0)
        if not any(written):  # the first sample may be in its place already, and the file has room before it
            return None
        place = _place(*SEQUENCE.unpack(written))
        sequence, size, now, clock, every = HEADER.unpack(os.pread(descriptor, HEADER.size, place))
        records = os.pread(descriptor, size, place + HEADER.size)
        if os.pread(descriptor, SEQUENCE.size, 0) == written and SEQUENCE.pack(sequence) == written:
            return Page(sequence, now, clock, every, records)
    return None


def _pack(chart: Chart) -> tuple[Any, ...]:
    """What metrics need of a chart. Not declared.pack(): charts with thousands of dimensions may change at every tick."""
    dimensions = tuple([(dimension.id, dimension.algorithm, dimension.multiplier, dimension.divisor, dimension.labels)
                        for dimension in chart.dimensions])
    return chart.group, chart.id, chart.title, chart.units, dimensions, chart.type, chart.by, chart.metric


def _unpack(packed: tuple[Any, ...]) -> Chart:
    group, id, title, units, dimensions, type, by, metric = packed
    return Chart(group, id, title, units, "", 0, tuple([
        Dimension(id, algorithm, multiplier, divisor=divisor, labels=labels)
        for id, algorithm, multiplier, divisor, labels in dimensions]), type=type, by=by, metric=metric)


def _place(sequence: int) -> int:
    return FIRST + sequence % 2 * ROOM
