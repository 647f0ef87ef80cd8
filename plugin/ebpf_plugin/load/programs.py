"""Maps and programs of the plan: made when they are asked for, and only then."""
from __future__ import annotations

import os
from typing import Iterator, Mapping

from ..compile import bytecode
from ..compile.bytecode import GroupCode
from ..kernel import bpf, procfs
from ..model.table import BPF_F_NO_PREALLOC, HASH, Table

PROG_PERF_EVENT = 7  # enum bpf_prog_type, include/uapi/linux/bpf.h
RETURN_0 = bytes.fromhex("b700000000000000" "9500000000000000")  # r0 = 0; exit


class Maps(Mapping[str, int]):
    """{table: descriptor}. A map is made when it is looked up first; raises OSError."""

    def __init__(self, tables: Mapping[str, Table], values: Mapping[str, int]):
        self._tables, self._values = tables, values
        self._descriptors: dict[str, int] = {}
        self._hashes_may_allocate: bool | None = None

    def __getitem__(self, name: str) -> int:
        if name not in self._descriptors:
            table = self._tables[name]
            entries = table.entries_with(self._values, procfs.possible_cpus())
            self._descriptors[name] = bpf.map_create(
                table.kind, table.key_size(), table.value_size(), entries, self._flags(table), name)
        return self._descriptors[name]

    def _flags(self, table: Table) -> int:
        if table.kind != HASH or not table.flags & BPF_F_NO_PREALLOC:
            return table.flags
        if self._hashes_may_allocate is None:
            self._hashes_may_allocate = hashes_may_allocate()
        return table.flags if self._hashes_may_allocate else table.flags & ~BPF_F_NO_PREALLOC

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._descriptors)

    def __len__(self) -> int:
        return len(self._descriptors)

    def close_others(self, used: set[str]) -> None:
        """Close the maps that are not in `used`: programs that could not be attached have asked for them."""
        for name in set(self._descriptors) - used:
            os.close(self._descriptors.pop(name))


def hashes_may_allocate() -> bool:
    """Whether programs may use a hash that allocates an entry when it is needed, and not all at the start.

    Since 6.1 it has an allocator that works wherever a program runs (bpf_mem_alloc). Before that the kernel could deadlock,
    and gave such a hash to our kinds of programs all the same, with a warning in its log. Only to programs of perf events
    it refused one, up to the version that made it safe (check_map_prog_compatibility(), kernel/bpf/verifier.c): so that is
    what is tried. Raises OSError if no map can be made.
    """
    trial = bpf.map_create(HASH, 4, 4, 1, BPF_F_NO_PREALLOC, "trial")
    try:
        load_map = bytecode.INSTRUCTION.pack(bytecode.LD_IMM64, bytecode.PSEUDO_MAP << 4 | 1, 0, trial) + bytes(8)
        os.close(bpf.prog_load(PROG_PERF_EVENT, "trial", load_map + RETURN_0))
        return True
    except OSError:
        return False
    finally:
        os.close(trial)


class Programs:
    """The instructions of a group, as the running kernel takes them."""

    def __init__(self, code: GroupCode, values: Mapping[str, int], maps: Maps):
        self._code, self._values, self._maps = code, values, maps

    def instructions(self, name: str, arguments: int) -> bytes:
        """Of a program, at a function with so many arguments. Raises bytecode.Refused, OSError if a map cannot be made."""
        if name not in self._code.programs:
            raise bytecode.Refused("the bytecode has no program of this name")
        return bytecode.fill(self._code, self._code.programs[name], self._values, self._maps, arguments)

    def tables(self, name: str) -> tuple[str, ...]:
        """The names of the tables that a program refers to."""
        return bytecode.tables_in(self._code, self._code.programs[name])
