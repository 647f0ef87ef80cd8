"""Maps and programs of the plan: made when they are asked for, and only then."""
from __future__ import annotations

import os
from typing import Iterator, Mapping

from ..compile import bytecode
from ..compile.bytecode import GroupCode
from ..kernel import bpf, procfs
from ..model.table import Table


class Maps(Mapping[str, int]):
    """{table: descriptor}. A map is made when it is looked up first; raises OSError."""

    def __init__(self, tables: Mapping[str, Table], values: Mapping[str, int]):
        self._tables, self._values = tables, values
        self._descriptors: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        if name not in self._descriptors:
            table = self._tables[name]
            entries = table.entries_with(self._values, procfs.possible_cpus())
            self._descriptors[name] = bpf.map_create(
                table.kind, table.key_size(), table.value_size(), entries, table.flags, name)
        return self._descriptors[name]

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


def memory(descriptors: list[int]) -> int:
    """Bytes that maps take in the kernel, as it says itself (map_fdinfo, `memlock`)."""
    lines = [line for descriptor in descriptors for line in procfs.read("/proc/self/fdinfo/%d" % descriptor).splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("memlock:"))
