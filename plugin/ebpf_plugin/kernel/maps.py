"""Reads a hash of the kernel's whole: one system call for thousands of rows (BPF_MAP_LOOKUP_BATCH, 5.6)."""
from __future__ import annotations

import errno
import mmap
import struct

from . import bpf
from .libc import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator


class HashMap:
    """`key_size` is in bytes, `value` the struct format of a row's value, `room` the most rows of a batch:
    those that the map can have, if it is to be read by one system call."""

    def __init__(self, descriptor: int, key_size: int, value: str, room: int):
        self._descriptor, self._key, self._room = descriptor, struct.Struct("%ds" % key_size), room
        self._value = struct.Struct(value)
        # memory of which only what the kernel writes is there
        self._keys = mmap.mmap(-1, key_size * room)
        self._values = mmap.mmap(-1, self._value.size * room)
        self._place = bytearray(4)

    def count(self) -> int:
        """How many rows there are. Raises OSError."""
        return sum(self._batches())

    def rows(self) -> Iterator[tuple[bytes, tuple[Any, ...]]]:
        """Yields (key as bytes, value as a tuple). Raises OSError."""
        for count in self._batches():
            keys = self._key.iter_unpack(memoryview(self._keys)[:count * self._key.size])
            values = self._value.iter_unpack(memoryview(self._values)[:count * self._value.size])
            yield from ((key, value) for (key,), value in zip(keys, values))

    def _batches(self) -> Iterator[int]:
        """How many rows are in the buffers, batch by batch."""
        begun, done = False, False
        while not done:
            place = address(self._place)
            attributes = bytearray(struct.pack(
                "=QQQQIIQQ", place if begun else 0, place, address(self._keys), address(self._values),
                self._room, self._descriptor, 0, 0))
            try:
                bpf.bpf(bpf.BPF_MAP_LOOKUP_BATCH, attributes)
            except OSError as error:
                if error.errno != errno.ENOENT:  # which says that these were the last ones
                    raise
                done = True
            begun = True
            yield int(struct.unpack_from("=I", attributes, 32)[0])
