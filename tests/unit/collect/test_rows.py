"""Counters in mapped memory: sums over CPUs and rows, and which rows are read."""
import struct

from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.collect import rows
from ebpf_plugin.collect.rows import Counters, RowSet
from ebpf_plugin.kernel import bpf, procfs

CPUS, COUNT, MARKS = 3, 2, 9


class Memory:
    """The values of arrays by descriptor: counters of CPUS x COUNT u64 in each row, and the kernel's marks."""

    def __init__(self, monkeypatch):
        self.held = {}
        monkeypatch.setattr(bpf, "map_memory", self._map)
        monkeypatch.setattr(procfs, "cpu_ids", lambda: CPUS)

    def _map(self, descriptor, size):
        return self.held.setdefault(descriptor, bytearray(size))

    def set(self, row, *values, descriptor=8):
        struct.pack_into("=%dQ" % len(values), self.held[descriptor], row * CPUS * COUNT * 8, *values)

    def mark(self, row):
        self.held[MARKS][row] = 1


@pytest.fixture
def memory(monkeypatch):
    return Memory(monkeypatch)


def test_one_row_is_the_sum_over_its_cpus(memory):
    counters = Counters(8, COUNT, 1, RowSet())
    memory.set(0, 1, 2 ** 63, 10, 2 ** 63, 100, 1)
    assert counters.read() == (111, 2 ** 64 + 1)
    memory.set(0, 1, 2 ** 63, 10, 2 ** 63, 100, 6)
    assert counters.read() == (111, 2 ** 64 + 6)


def test_without_a_change_it_is_the_same_object(memory):
    counters = Counters(8, COUNT, 1, RowSet())
    memory.set(0, 1, 2, 3, 4, 5, 6)
    first = counters.read()
    assert counters.moved == {0, 1}
    assert counters.read() is first
    assert counters.moved == set()


def test_counters_that_have_moved_are_known(memory):
    counters = Counters(8, COUNT, 2, RowSet(known=(0, 1)))
    memory.set(1, 0, 0, 0, 4, 0, 0)
    counters.read()
    assert counters.moved == {1}
    memory.set(0, 1, 0, 0, 0, 0, 0)
    counters.read()
    assert counters.moved == {0} and counters.columns == [[1, 0], [0, 4]]


def test_rows_of_the_host_are_summed_and_rows_behind_them_are_not(memory):
    row_set = RowSet(host=2, known=(0, 1, 2))
    counters = Counters(8, COUNT, 3, row_set)
    memory.set(0, 1, 2, 10, 20, 100, 200)
    memory.set(1, 5, 0, 0, 0, 0, 0)
    memory.set(2, 7, 7, 7, 7, 7, 7)
    assert counters.read() == (116, 222)
    assert counters.columns == [[111, 5, 21], [222, 0, 21]]


def test_only_rows_that_are_known_or_marked_are_read(memory):
    row_set = RowSet(host=5, marks=MARKS)
    counters = Counters(8, COUNT, 5, row_set)
    memory.set(3, 1, 1, 1, 1, 1, 1)
    memory.set(4, 2, 2, 2, 2, 2, 2)
    row_set.refresh()
    assert counters.read() == (0, 0)
    memory.mark(3)
    row_set.refresh()
    assert counters.read() == (3, 3)
    row_set.add(4)
    row_set.refresh()
    assert counters.read() == (9, 9)
    assert row_set.rows == [0, 3, 4]


def test_a_row_that_is_discarded_stays_as_it_was_read_last(memory):
    row_set = RowSet(host=1, known=(0, 1))
    counters = Counters(8, COUNT, 2, row_set)
    memory.set(1, 1, 1, 0, 0, 0, 0)
    counters.read()
    row_set.discard(1)
    row_set.refresh()
    memory.set(1, 5, 5, 0, 0, 0, 0)
    counters.read()
    assert counters.row(1) == (1, 1)


def test_a_row_that_was_never_read_is_zero(memory):
    assert Counters(8, COUNT, 2, RowSet()).row(1) == (0, 0)


@FUZZ
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 2 ** 40), min_size=6, max_size=6)), max_size=20))
def test_totals_are_the_sum_of_the_rows(changes):
    with pytest.MonkeyPatch.context() as monkeypatch:
        memory = Memory(monkeypatch)
        counters = Counters(8, COUNT, 4, RowSet(host=3, known=range(4)))
        for row, values in changes:
            memory.set(row, *values)
            totals = counters.read()
            assert totals == tuple(sum(counters.row(row)[place] for row in range(3)) for place in range(COUNT))


def test_the_kernels_marks_have_a_byte_for_each_application():
    from ebpf_plugin.config.apps_groups import MOST_GROUPS
    from ebpf_plugin.groups.apps import APPS
    from ebpf_plugin.groups.rows import MAX_APPS
    marks = next(table for table in APPS.tables if table.name == "apps_rows")
    assert rows.MAX_APPS == MAX_APPS == MOST_GROUPS == marks.value_size()


@pytest.mark.parametrize("text, number, ids", [
    ("0\n", 1, 1), ("0-3\n", 4, 4), ("0-127\n", 128, 128), ("0,2\n", 2, 3), ("0-3,8\n", 5, 9), ("0-1,4-5,7\n", 5, 8),
    ("5", 1, 6), ("", 1, 1),
])
def test_possible_cpus_and_their_numbers(monkeypatch, text, number, ids):
    monkeypatch.setattr(procfs, "read", {"/sys/devices/system/cpu/possible": text}.__getitem__)
    assert (procfs.possible_cpus(), procfs.cpu_ids()) == (number, ids)
