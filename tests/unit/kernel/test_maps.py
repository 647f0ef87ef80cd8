"""The rows of a hash of the kernel's, read in batches."""
import ctypes
import errno
import os
import struct

import pytest

from ebpf_plugin.kernel import bpf, maps

ROWS = [(bytes([number] * 20), (number, number ** 2, 2 ** 64 - 1 - number)) for number in range(1, 8)]


class Kernel:
    """Gives `rows` in batches of these sizes; the last one comes with ENOENT, as the kernel's does."""

    def __init__(self, rows, sizes, last=errno.ENOENT, room=100):
        self._rows, self._sizes, self._last, self._room = rows, sizes, last, room
        self.calls = 0

    def bpf(self, command, attributes):
        assert command == bpf.BPF_MAP_LOOKUP_BATCH and isinstance(attributes, bytearray)
        begin, place, keys, values, count, descriptor, flags, more = struct.unpack("=QQQQIIQQ", attributes)
        assert (count, descriptor, flags, more) == (self._room, 9, 0, 0)
        number = self.calls % len(self._sizes)
        # the first call of a read begins anew, the others go on where the one before ended
        assert (begin == 0) == (number == 0)
        if number:
            assert ctypes.c_uint32.from_address(begin).value == 40 + number
        self.calls += 1
        ctypes.c_uint32.from_address(place).value = 41 + number
        first = sum(self._sizes[:number])
        rows = self._rows[first:first + self._sizes[number]]
        ctypes.memmove(keys, b"".join(key for key, _ in rows), 20 * len(rows))
        data = b"".join(struct.pack("=3Q", *value) for _, value in rows)
        ctypes.memmove(values, data, len(data))
        struct.pack_into("=I", attributes, 32, len(rows))
        if number == len(self._sizes) - 1:
            raise OSError(self._last, os.strerror(self._last))


@pytest.mark.parametrize("sizes", [(7,), (3, 4), (3, 4, 0), (1, 0, 2, 4), (0, 7), (0,)])
def test_batches(monkeypatch, sizes):
    played = Kernel(ROWS, sizes)
    monkeypatch.setattr(bpf, "bpf", played.bpf)
    table = maps.HashMap(9, 20, "=3Q", 100)
    for _ in range(2):
        assert list(table.rows()) == ROWS[:sum(sizes)]
    assert table.count() == sum(sizes)
    assert played.calls == 3 * len(sizes)


def test_a_full_map(monkeypatch):
    monkeypatch.setattr(bpf, "bpf", Kernel(ROWS, (7,), room=7).bpf)
    assert list(maps.HashMap(9, 20, "=3Q", 7).rows()) == ROWS


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOSPC, errno.EFAULT])
def test_other_errors_are_raised(monkeypatch, number):
    monkeypatch.setattr(bpf, "bpf", Kernel(ROWS, (3, 4), number).bpf)
    with pytest.raises(OSError) as caught:
        list(maps.HashMap(9, 20, "=3Q", 100).rows())
    assert caught.value.errno == number


def test_the_sizes_of_flows_are_those_of_the_kernels_structures():
    from ebpf_plugin.collect import connections
    from ebpf_plugin.groups.network import NETWORK
    flows = next(table for table in NETWORK.tables if table.name == "flows")
    assert (connections.KEY.format, connections.VALUE) == (flows.key, flows.value)
    assert flows.value_size() == 8 * (1 + len(connections.MEASURES))
