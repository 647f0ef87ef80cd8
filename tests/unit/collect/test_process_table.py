"""Which row a process is in: a hash, and an array of copies that has to agree with it whoever writes at the same time."""
import itertools
import struct
import threading

import pytest

from ebpf_plugin.collect import applications
from ebpf_plugin.collect.applications import APPLICATION, ROW_SLOTS, ProcessTable
from ebpf_plugin.groups import rows
from ebpf_plugin.kernel import bpf

PID, NEIGHBOUR = 5, 5 + ROW_SLOTS  # which have the same slot


def test_the_map_has_as_many_slots_as_the_collector_and_the_c_text_take_it_to_have():
    slots, = (table for table in rows.TABLES if table.name == "row_slots")
    assert slots.value_size() == 8 * ROW_SLOTS and ROW_SLOTS == rows.ROW_SLOTS


class Kernel:
    """The maps. `step` is called before each access to one of them."""

    def __init__(self, monkeypatch):
        self.hash, self.slots, self.step = {}, {}, lambda: None
        monkeypatch.setattr(bpf, "map_lookup", self._lookup)
        monkeypatch.setattr(bpf, "map_update", self._update)
        monkeypatch.setattr(bpf, "map_delete", self._delete)
        monkeypatch.setattr(bpf, "map_memory", lambda name, size, *_: bytearray(size))
        self.table = ProcessTable({"applications": "applications", "row_slots": "row_slots"})
        self.table._slots = self

    def _lookup(self, name, key, size):
        self.step()
        if key not in self.hash:
            raise FileNotFoundError
        return self.hash[key]

    def _update(self, name, key, value, flags=0):
        self.step()
        if flags == bpf.BPF_EXIST and key not in self.hash:
            raise FileNotFoundError
        if flags == bpf.BPF_NOEXIST and key in self.hash:
            raise FileExistsError
        self.hash[key] = value

    def _delete(self, name, key):
        self.step()
        self.hash.pop(key, None)

    def __getitem__(self, number):
        self.step()
        return self.slots.get(number, 0)

    def __setitem__(self, number, word):
        self.step()
        self.slots[number] = word

    def in_hash(self, pid):
        """(row, task), None if it is not there."""
        value = self.hash.get(struct.pack("=I", pid))
        return value and APPLICATION.unpack(value)

    def in_slot(self, pid):
        """The row that the process's slot says, None if the process does not have it."""
        word = self.slots.get(pid % ROW_SLOTS, 0)
        return word & 0xffffffff if word >> 32 == pid else None

    def row(self, pid):
        """As row_of() in bpf/rows.h."""
        copy = self.in_slot(pid)
        return copy if copy is not None else (self.in_hash(pid) or (0, 0))[0]


@pytest.fixture
def kernel(monkeypatch):
    return Kernel(monkeypatch)


def test_a_process_that_is_entered_has_its_slot(kernel):
    assert kernel.table.enter(PID, 3)
    assert kernel.in_hash(PID) == (3, 0) and kernel.in_slot(PID) == 3


def test_a_process_that_the_kernel_has_entered_is_left_where_it_is(kernel):
    kernel.table.enter(PID, 3)
    assert not kernel.table.enter(PID, 4)
    assert kernel.in_hash(PID) == (3, 0) and kernel.in_slot(PID) == 3


def test_a_slot_is_left_to_the_process_that_has_it(kernel):
    kernel.table.enter(PID, 3)
    kernel.table.enter(NEIGHBOUR, 4)
    kernel.table.move(NEIGHBOUR, 6, 0)
    assert (kernel.in_slot(PID), kernel.in_slot(NEIGHBOUR)) == (3, None)
    assert (kernel.row(PID), kernel.row(NEIGHBOUR)) == (3, 6)
    kernel.table.take_out(NEIGHBOUR)
    assert (kernel.row(PID), kernel.row(NEIGHBOUR)) == (3, 0)


def test_a_slot_that_is_free_again_is_taken_at_the_next_move(kernel):
    kernel.table.enter(PID, 3)
    kernel.table.enter(NEIGHBOUR, 4)
    kernel.table.take_out(PID)
    assert kernel.in_slot(NEIGHBOUR) is None and kernel.row(NEIGHBOUR) == 4
    kernel.table.move(NEIGHBOUR, 6, 0)
    assert kernel.in_slot(NEIGHBOUR) == kernel.row(NEIGHBOUR) == 6


@pytest.mark.parametrize("task, asked, moved, remembered", [
    (7, 7, True, 7), (7, 0, True, 7), (0, 8, True, 8), (7, 8, False, 7)])
def test_a_move_is_of_the_task_that_was_asked_about(kernel, task, asked, moved, remembered):
    kernel.hash[struct.pack("=I", PID)] = APPLICATION.pack(3, task)
    assert kernel.table.move(PID, 4, asked) == moved
    assert kernel.in_hash(PID) == (4 if moved else 3, remembered)
    assert kernel.in_slot(PID) == (4 if moved else None)


def test_a_process_that_is_gone_is_not_moved(kernel):
    assert not kernel.table.move(PID, 4, 0)
    assert not kernel.hash and not kernel.slots


def test_what_is_taken_out_leaves_nothing(kernel):
    kernel.table.enter(PID, 3)
    kernel.table.take_out(PID)
    kernel.table.take_out(PID)
    assert kernel.in_hash(PID) is None and kernel.slots == {PID: 0}


# two at the same time

class Turns:
    """Lets two threads access the maps one after the other, in a given order of their numbers; who is not in it any more
    goes when the other has ended."""

    def __init__(self, order):
        self._order, self._ended = list(order), set()
        self._changed = threading.Condition()
        self._numbers = {}

    def run(self, works):
        threads = [threading.Thread(target=self._work, args=pair) for pair in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, number, work):
        self._numbers[threading.get_ident()] = number
        try:
            work()
        finally:
            with self._changed:
                self._ended.add(number)
                self._changed.notify_all()

    def step(self):
        number = self._numbers[threading.get_ident()]
        with self._changed:
            while self._next() != number:
                self._changed.wait()
            if self._order:
                self._order.pop(0)
            self._changed.notify_all()

    def _next(self):
        while self._order and self._order[0] in self._ended:
            self._order.pop(0)
        if self._order:
            return self._order[0]
        return min({0, 1} - self._ended)


MOST_ACCESSES = 7  # of one writer: move() has seven
WRITERS = {
    "move": lambda table: table.move(PID, 4, 0),
    "move again": lambda table: table.move(PID, 6, 0),
    "end": lambda table: table.take_out(PID),
    "enter": lambda table: table.enter(PID, 8),
    "end of a neighbour": lambda table: table.take_out(NEIGHBOUR),
    "move of a neighbour": lambda table: table.move(NEIGHBOUR, 9, 0),
}
PAIRS = [("move", "move again"), ("move", "end"), ("end", "enter"), ("move", "enter"), ("enter", "move of a neighbour"),
         ("move", "move of a neighbour"), ("move", "end of a neighbour"), ("end", "move of a neighbour")]


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
@pytest.mark.parametrize("before", [(), (PID,), (NEIGHBOUR, PID), (PID, NEIGHBOUR)], ids=lambda pids: "%d there" % len(pids))
def test_two_writers_leave_no_slot_that_says_what_the_hash_does_not(kernel, pair, before):
    """Whatever the order of their accesses: all 3432 orders of seven and seven, of which every seventh will do."""
    for first in itertools.islice(itertools.combinations(range(2 * MOST_ACCESSES), MOST_ACCESSES), 0, None, 7):
        kernel.hash.clear(), kernel.slots.clear()
        kernel.step = lambda: None
        for pid in before:
            kernel.table.enter(pid, 3)
        turns = Turns(int(place not in first) for place in range(2 * MOST_ACCESSES))
        kernel.step = turns.step
        turns.run([lambda name=name: WRITERS[name](kernel.table) for name in pair])
        for pid in (PID, NEIGHBOUR):
            assert kernel.in_slot(pid) in (None, (kernel.in_hash(pid) or (None,))[0]), (pid, first)


def test_the_table_is_read_as_a_whole(kernel, monkeypatch):
    class Rows:
        def __init__(self, name, key_size, value, room):
            assert (name, key_size, value, room) == ("applications", 4, APPLICATION.format, 99)

        @staticmethod
        def rows():
            return [(key, APPLICATION.unpack(value)) for key, value in kernel.hash.items()]

    monkeypatch.setattr(applications, "HashMap", Rows)
    kernel.table.enter(PID, 3)
    assert kernel.table.pids(99) == [PID]
