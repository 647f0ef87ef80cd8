"""Reads the counters of a group from the memory that they are mapped into: no system call."""
from __future__ import annotations

from ..kernel import bpf, procfs


class Counters:
    """The map <group>_counters: an array of row x CPU, each place `count` u64. This reads row 0.

    Raises OSError if the map cannot be mapped (BPF_F_MMAPABLE, Linux 5.5).
    """

    def __init__(self, descriptor, count, rows=1):
        self._count, self._cpus = count, procfs.cpu_ids()
        self._values = memoryview(bpf.map_memory(descriptor, rows * self._cpus * count * 8)).cast("Q")

    def read(self):
        """A tuple of int, the sums over all CPUs, in the order of the group's counters."""
        return self._sums(self._row(0))

    def _row(self, row):
        size = self._cpus * self._count
        return self._values[row * size:(row + 1) * size]

    def _sums(self, values):
        return tuple(sum(values[slot::self._count]) for slot in range(self._count))


class Rows(Counters):
    """The same with a row for each application: read() gives the sums over all rows, and then `rows` is {row: its counters}.

    Only rows are read that ever had a process: those that the kernel has marked in the map `marks`, one byte for each of
    `most`, and those in `known`, which the collector adds to. Rows behind `most` are of control groups, which count the same
    events once more. Without `marks` there are only those in `known`.
    """

    def __init__(self, descriptor, count, rows, marks, most, known):
        super().__init__(descriptor, count, rows)
        self._marks, self._most, self._known = marks, most, known
        self._raw = {}  # row: the bytes that `rows` was made of
        self._totals = (0,) * count
        self.rows = {}

    def read(self):
        marks = b"" if self._marks is None else bpf.map_lookup(self._marks, bytes(4), MARKS)
        for row in sorted(self._known.union(row for row, mark in enumerate(marks) if mark)):
            values = self._row(row)
            raw = values.tobytes()
            if self._raw.get(row) != raw:
                before = self.rows.get(row, (0,) * self._count)
                self._raw[row] = raw
                after = self.rows[row] = self._sums(memoryview(raw).cast("Q"))
                if row < self._most:
                    self._totals = tuple(total + new - old for total, new, old in zip(self._totals, after, before))
        return self._totals


MARKS = 512  # bytes of the map apps_rows
