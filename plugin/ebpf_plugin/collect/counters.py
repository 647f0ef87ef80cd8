"""Reads the counters of a group: one system call a tick, whatever their number."""
from __future__ import annotations

import ctypes

from ..kernel import bpf, procfs


class Counters:
    """A per-CPU array of one entry, an array of u64. read() gives their sums over all CPUs, and raises OSError."""

    def __init__(self, descriptor, count):
        self._count = count
        self._key = ctypes.c_uint32(0)
        # the kernel writes one value, rounded up to 8 bytes, for each *possible* CPU (kernel/bpf/arraymap.c)
        self._values = (ctypes.c_uint64 * (count * procfs.possible_cpus()))()
        self._attributes = bpf.element(descriptor, self._key, self._values)

    def read(self):
        """A tuple of int, in the order of the group's counters."""
        bpf.bpf(bpf.BPF_MAP_LOOKUP_ELEM, self._attributes)
        return self._sums(self._values)

    def _sums(self, values):
        values = memoryview(values).cast("B").cast("Q")
        return tuple(sum(values[slot::self._count]) for slot in range(self._count))


class Rows(Counters):
    """The same with a row for each application: read() gives the sums over all rows, and then `rows` is {row: its counters}.

    Only rows are read that ever had a process: those that the kernel has marked in the map `marks`, one byte for each of
    `most`, and those in `known`, which the collector adds to. Rows behind `most` are of control groups, which count the same
    events once more. Without `marks` there are only those in `known`.
    """

    def __init__(self, descriptor, count, marks, most, known):
        super().__init__(descriptor, count)
        self._marks, self._most, self._known = marks, most, known
        self._raw = {}  # row: the bytes that `rows` was made of
        self.rows = {}

    def read(self):
        marks = b"" if self._marks is None else bpf.map_lookup(self._marks, bytes(4), self._most)
        for row in sorted(self._known.union(row for row, mark in enumerate(marks) if mark)):
            self._key.value = row
            bpf.bpf(bpf.BPF_MAP_LOOKUP_ELEM, self._attributes)
            raw = bytes(self._values)
            if self._raw.get(row) != raw:
                self._raw[row] = raw
                self.rows[row] = self._sums(raw)
        return tuple(map(sum, zip(*(counters for row, counters in self.rows.items() if row < self._most))))
