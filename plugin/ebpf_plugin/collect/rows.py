"""Reads the counters of groups from the memory that they are mapped into: no system call."""
from __future__ import annotations

from _operator import ne
from itertools import compress
import struct

from ..kernel import bpf, procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    Values = tuple[int, ...]

MAX_APPS = 512  # bytes of the map apps_rows, one for each row


class RowSet:
    """Which rows are read: those that the kernel has marked in the map `marks`, and those that the collector has given
    itself.

    Rows below `host` are of applications: each event of the machine is in one of them. Those behind are of control
    groups, which count the same events once more.
    """

    def __init__(self, host: int = 1, known: Iterable[int] = (0,), marks: int | None = None):
        self.host = host
        self._known = set(known)
        self._marks = None if marks is None else memoryview(bpf.map_memory(marks, MAX_APPS))
        self._seen = b""
        self.rows = sorted(self._known)

    def add(self, row: int) -> None:
        """Read this row, too, from the next refresh() on."""
        self._known.add(row)
        self._seen = b""

    def discard(self, row: int) -> None:
        """Do not read this row any more, from the next refresh() on, unless the kernel has marked it."""
        self._known.discard(row)
        self._seen = b""

    def refresh(self) -> None:
        """Look at the kernel's marks, and make `rows` anew if something has changed."""
        marks = self._marks.tobytes() if self._marks is not None else b"-"
        if marks != self._seen:
            self._seen = marks
            marked: Iterable[int] = () if self._marks is None else [row for row, mark in enumerate(marks) if mark]
            self.rows = sorted(self._known.union(marked))


class Counters:
    """The map <group>_counters: an array of row x CPU, each place `count` u64. `rows` is how many rows it has.

    read() gives the sums over all rows of the host. `columns` has a list for each counter, with the sum over all CPUs of
    each row; zero where the row is not read. `moved`: the places of the counters that have changed since the last read.
    Raises OSError if the map cannot be mapped (BPF_F_MMAPABLE, Linux 5.5).
    """

    def __init__(self, descriptor: int, count: int, rows: int, row_set: RowSet):
        self._count, self._cpus, self._set = count, procfs.cpu_ids(), row_set
        self._zero = bytes(8 * self._cpus * count)
        self._memory = bpf.map_memory(descriptor, rows * len(self._zero))
        self._rows: list[int] = []
        self._layout = struct.Struct("")  # gives the bytes of each row
        self._raw: tuple[bytes, ...] = ()  # what was read of them last
        self._of_counter = [slice(place, None, count) for place in range(count)]
        self._totals = (0,) * count
        self.columns = [[0] * rows for _ in range(count)]
        self.moved: set[int] = set()

    def read(self) -> Values:
        """In the order of the group's counters; the same object as before if nothing has changed."""
        if self._rows is not self._set.rows:
            self._look_at(self._set.rows)
        before, self._raw = self._raw, self._layout.unpack_from(self._memory)
        self.moved = set()
        if self._raw != before:
            self._add_up(before)
        return self._totals

    def row(self, row: int) -> Values:
        """What a row has, as it was read last; zeros if it never was."""
        return tuple([column[row] for column in self.columns])

    def _look_at(self, rows: list[int]) -> None:
        """Read these rows from now on."""
        size, known = len(self._zero), dict(zip(self._rows, self._raw))
        gaps = [(row - before - 1) * size for before, row in zip([-1, *rows], rows)]
        self._layout = struct.Struct("".join(["%dx%ds" % (gap, size) for gap in gaps]))
        self._rows, self._raw = rows, tuple([known.get(row, self._zero) for row in rows])

    def _add_up(self, before: tuple[bytes, ...]) -> None:
        """Sum the counters that have moved, of the rows that have moved. Each step is one call for all of these rows: in
        Python a step for each number would take ten times as long."""
        differs = list(map(ne, self._raw, before))
        rows = list(compress(self._rows, differs))
        now_of, then_of = [
            list(map(memoryview(b"".join(compress(raw, differs))).cast("Q").__getitem__, self._of_counter))
            for raw in (self._raw, before)]
        self.moved = set(compress(range(self._count), map(ne, now_of, then_of)))
        totals = list(self._totals)
        for place in self.moved:
            column, numbers = self.columns[place], now_of[place].tolist()
            # by rows, each with its CPUs
            sums = numbers if self._cpus == 1 else map(sum, zip(*[iter(numbers)] * self._cpus))
            any(map(column.__setitem__, rows, sums))  # gives None each time, so it goes through all
            totals[place] = sum(column[:self._set.host])
        self._totals = tuple(totals)
