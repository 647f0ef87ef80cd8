"""Reads the counters of groups from the memory that they are mapped into: no system call."""
from __future__ import annotations

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

    read() gives the sums over all rows of the host; then `values` has {row: sums over all CPUs}, and `changed` the rows that
    are others than at the last read. Raises OSError if the map cannot be mapped (BPF_F_MMAPABLE, Linux 5.5).
    """

    def __init__(self, descriptor: int, count: int, rows: int, row_set: RowSet):
        self._count, self._size, self._set = count, procfs.cpu_ids() * count, row_set
        self._memory = memoryview(bpf.map_memory(descriptor, rows * self._size * 8)).cast("Q")
        self._raw: dict[int, bytes] = {}  # what `values` was made of
        self._zero = self._totals = (0,) * count
        self.values: dict[int, Values] = {}
        self.changed: list[int] = []

    def read(self) -> Values:
        """In the order of the group's counters; the same object as before if nothing has changed."""
        memory, size, count, raws = self._memory, self._size, self._count, self._raw
        changed: list[int] = []
        self.changed = changed
        for row in self._set.rows:
            raw = memory[row * size:row * size + size].tobytes()
            if raws.get(row) != raw:
                raws[row] = raw
                before = self.values.get(row, self._zero)
                of_cpus = memoryview(raw).cast("Q")
                after = self.values[row] = tuple([sum(of_cpus[slot::count]) for slot in range(count)])
                changed.append(row)
                if row < self._set.host:
                    self._totals = tuple([total + new - old for total, new, old in zip(self._totals, after, before)])
        return self._totals

    def row(self, row: int) -> Values:
        """What a row has, as it was read last; zeros if it never was."""
        return self.values.get(row, self._zero)
