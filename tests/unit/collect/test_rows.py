"""Sums over the CPUs that are possible."""
import ctypes
import struct

import pytest

from ebpf_plugin.collect import counters
from ebpf_plugin.kernel import bpf, procfs


@pytest.mark.parametrize("text, number", [
    ("0\n", 1), ("0-3\n", 4), ("0-127\n", 128), ("0,2\n", 2), ("0-3,8\n", 5), ("0-1,4-5,7\n", 5), ("5", 1),
])
def test_possible_cpus(text, number):
    assert procfs.possible_cpus(text) == number


def test_possible_cpus_of_the_kernel(monkeypatch):
    monkeypatch.setattr(procfs, "read", {"/sys/devices/system/cpu/possible": "0-11\n"}.__getitem__)
    assert procfs.possible_cpus() == 12


def test_possible_cpus_where_nobody_knows(monkeypatch):
    monkeypatch.setattr(procfs, "read", lambda path: "")
    assert procfs.possible_cpus() == 1


def test_a_read_sums_the_cpus_and_sees_what_changed(monkeypatch):
    monkeypatch.setattr(procfs, "read", lambda path: "0-2\n")
    of_cpus = [[1, 2 ** 63, 0], [10, 2 ** 63, 0], [100, 1, 7]]

    def lookup(command, attributes):
        descriptor, _, key, value, flags = struct.unpack("=IIQQQ", attributes)
        assert (command, descriptor, flags) == (bpf.BPF_MAP_LOOKUP_ELEM, 9, 0)
        assert ctypes.c_uint32.from_address(key).value == 0
        data = struct.pack("=9Q", *sum(of_cpus, []))
        ctypes.memmove(value, data, len(data))

    monkeypatch.setattr(bpf, "bpf", lookup)
    reader = counters.Counters(9, 3)
    assert reader.read() == (111, 2 ** 64 + 1, 7)
    of_cpus[0][2] = 5
    assert reader.read() == (111, 2 ** 64 + 1, 12)


def test_a_read_that_fails(monkeypatch):
    def lookup(command, attributes):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(bpf, "bpf", lookup)
    with pytest.raises(OSError):
        counters.Counters(9, 3).read()


class Kernel:
    """Rows of two counters on three CPUs. `marks`: rows that had a process; `reads`: rows that were asked for."""

    def __init__(self):
        self.rows, self.marks, self.reads, self.error = {}, set(), [], None

    def map_lookup(self, descriptor, key, size):
        assert (descriptor, key, size) == (8, bytes(4), 5)
        if self.error:
            raise self.error
        return bytes(row in self.marks for row in range(size))

    def bpf(self, command, attributes):
        descriptor, _, key, value, flags = struct.unpack("=IIQQQ", attributes)
        assert (command, descriptor, flags) == (bpf.BPF_MAP_LOOKUP_ELEM, 9, 0)
        row = ctypes.c_uint32.from_address(key).value
        self.reads.append(row)
        data = struct.pack("=6Q", *self.rows.get(row, (0,) * 6))
        ctypes.memmove(value, data, len(data))


@pytest.fixture
def played(monkeypatch):
    """(Kernel, rows that the collector knows, Rows)"""
    found, known = Kernel(), {0}
    monkeypatch.setattr(procfs, "read", lambda path: "0-2\n")
    monkeypatch.setattr(bpf, "bpf", found.bpf)
    monkeypatch.setattr(bpf, "map_lookup", found.map_lookup)
    return found, known, counters.Rows(9, 2, 8, 5, known)


def test_rows_of_applications_and_their_sum(played):
    found, known, reader = played
    found.rows = {0: (1, 2, 10, 20, 100, 200), 3: (5, 0, 0, 0, 0, 2 ** 63), 4: (7,) * 6}
    found.marks = {3}
    assert reader.read() == (116, 222 + 2 ** 63)
    assert reader.rows == {0: (111, 222), 3: (5, 2 ** 63)}
    # what neither the kernel nor the collector has given to anybody is not read
    assert found.reads == [0, 3]
    known.add(4)
    assert reader.read() == (137, 243 + 2 ** 63) and reader.rows[4] == (21, 21)


def test_a_row_that_changes(played):
    found, _, reader = played
    found.marks = {1, 2}
    found.rows = {1: (1, 1, 0, 0, 0, 0), 2: (2, 2, 0, 0, 0, 0)}
    reader.read()
    before = reader.rows[2]
    found.rows[1] = 0, 0, 4, 1, 0, 0
    assert reader.read() == (6, 3)
    assert reader.rows == {0: (0, 0), 1: (4, 1), 2: (2, 2)}
    assert reader.rows[2] is before, "what has not changed is not made anew"


def test_a_row_whose_processes_are_gone_stays(played):
    found, _, reader = played
    found.marks, found.rows = {2}, {2: (3,) * 6}
    assert reader.read() == (9, 9) == reader.read()
    assert reader.rows == {0: (0, 0), 2: (9, 9)}


def test_rows_that_cannot_be_read(played):
    found, _, reader = played
    found.error = OSError(1, "Operation not permitted")
    with pytest.raises(OSError):
        reader.read()
    found.error = None
    assert reader.read() == (0, 0)


def test_the_collectors_rows_are_only_read(played):
    found, known, reader = played
    found.marks = {1, 4}
    reader.read()
    assert known == {0}


def test_rows_of_control_groups_are_not_in_the_sum(played):
    found, known, reader = played
    found.rows = {0: (1, 0, 0, 0, 0, 0), 1: (0, 2, 0, 0, 0, 0), 5: (100,) * 6, 9: (0, 0, 0, 0, 7, 2 ** 63)}
    found.marks = {1}
    known.update((5, 9))
    assert reader.read() == (1, 2)
    # behind the last application are no marks
    assert reader.rows == {0: (1, 0), 1: (0, 2), 5: (300, 300), 9: (7, 2 ** 63)} and found.reads == [0, 1, 5, 9]


def test_a_row_of_a_control_group_that_has_gone_is_not_read(played):
    found, known, reader = played
    found.rows[7] = (1,) * 6
    known.add(7)
    reader.read()
    known.discard(7)
    found.rows[7] = (2,) * 6
    assert reader.read() == (0, 0) and found.reads == [0, 7, 0]
    known.add(7)
    assert reader.read() == (0, 0) and reader.rows[7] == (6, 6)


def test_rows_of_control_groups_alone(played):
    found, _, _ = played
    found.error = OSError(1, "nobody marks a row")
    found.rows = {0: (1, 2, 3, 4, 5, 6), 1: (1, 0, 0, 0, 0, 2), 2: (3, 4, 0, 0, 0, 0)}
    known = {0, 1}
    reader = counters.Rows(9, 2, None, 1, known)
    assert reader.read() == (9, 12) and reader.rows == {0: (9, 12), 1: (1, 2)} and found.reads == [0, 1]
    known.add(2)
    assert reader.read() == (9, 12) and reader.rows[2] == (3, 4)
