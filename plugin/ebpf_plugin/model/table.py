"""Tables: the shapes of BPF maps, as frozen data. bpf/maps.h gives the C side their names and checks the sizes."""
from __future__ import annotations

import struct
from typing import Mapping, NamedTuple

# enum bpf_map_type, include/uapi/linux/bpf.h
HASH, ARRAY, LRU_HASH, LPM_TRIE = 1, 2, 9, 11
BPF_F_NO_PREALLOC, BPF_F_MMAPABLE = 1, 1 << 10


class Table(NamedTuple):
    """A BPF map. Its name is the same in every group's text; the first group that needs it makes it.

    key, value: struct formats. entries: how many, or the name of a value that says it; `per_cpu` more for each possible
    CPU. switch: the name of a value; where that is 0 nothing uses the map, and it has one entry. kind: one of the above.
    flags: of a HASH, BPF_F_NO_PREALLOC means that it may be used where the kernel can do that safely (load/programs.py).
    """

    name: str
    kind: int
    key: str
    value: str
    entries: int | str
    per_cpu: int = 0
    switch: str = ""
    flags: int = 0

    def key_size(self) -> int:
        """In bytes."""
        return struct.calcsize(self.key)

    def value_size(self) -> int:
        """In bytes."""
        return struct.calcsize(self.value)

    def entries_with(self, values: Mapping[str, int], cpus: int) -> int:
        """How many entries the map has; `values` as the loader fills them in, `cpus` the number of possible CPUs."""
        if self.switch and not values.get(self.switch):
            return 1
        entries = self.entries if isinstance(self.entries, int) else values.get(self.entries, 0)
        return max(1, entries) + self.per_cpu * cpus


def counters_table(group: str, counters: tuple[str, ...], split: bool) -> Table:
    """The map of a group's counters: an array of row x CPU, whose values are one u64 for each counter.

    With `split` there is a row for each application and control group, else one. The collector maps it into its memory.
    """
    return Table(group + "_counters", ARRAY, "=I", "=%dQ" % len(counters), "PLACES" if split else "CPUS",
                 flags=BPF_F_MMAPABLE)
