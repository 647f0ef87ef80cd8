"""Where the processes that are there at the start are placed, and what the kernel's tables get."""
import struct
from types import SimpleNamespace

import pytest

from ebpf_plugin.collect.application_matcher import Matcher
from ebpf_plugin.collect.applications import APPLICATION, COMM, ROW_SLOTS
from ebpf_plugin.config import apps_groups
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.load import running_processes

CONF = "web: nginx\nsql: mysql*\njvm: *kafka*\nlate: java\n"  # rows 1 to 4


def rules():
    return apps_groups.parse(CONF)[0].rules


def place(found, lines=()):
    return running_processes.placed(Matcher(rules()), found, dict(lines).get)


def test_a_process_is_placed_by_its_name_its_command_line_or_its_parent():
    found = {1: (b"systemd", 0), 5: (b"nginx", 1), 6: (b"sh", 5), 7: (b"sleep", 6), 8: (b"mysqld", 6), 9: (b"java", 1),
             10: (b"java", 1), 11: (b"sh", 1)}
    assert place(found, {9: b"java\0kafka.Kafka", 10: b"java\0-jar"}) == {
        1: 0, 5: 1, 6: 1, 7: 1, 8: 2, 9: 3, 10: 4, 11: 0}


def test_the_first_process_is_other_whatever_its_name():
    assert place({1: (b"nginx", 0), 2: (b"sh", 1)}) == {1: 0, 2: 0}


def test_a_parent_that_is_gone_and_a_circle_are_other():
    assert place({7: (b"sh", 6), 8: (b"sh", 9), 9: (b"sh", 8), 10: (b"sh", 10)}) == {7: 0, 8: 0, 9: 0, 10: 0}


def test_a_child_is_listed_before_its_parent():
    assert place({2: (b"sh", 3), 3: (b"sh", 900), 900: (b"nginx", 1)}) == {2: 1, 3: 1, 900: 1}


def test_a_chain_longer_than_python_recurses():
    found = {pid: (b"sh", pid - 1) for pid in range(3, 5000)}
    found[2] = b"nginx", 1
    assert set(place(found).values()) == {1}


class Tables:
    """Maps that are dictionaries. `room` is of the table of processes."""

    def __init__(self, monkeypatch, room=100):
        self.maps, self.room = {"applications": {}, "apps_names": {}}, room
        self.slots = bytearray(8 * ROW_SLOTS)
        monkeypatch.setattr(bpf, "map_update", self._update)
        monkeypatch.setattr(bpf, "map_lookup", lambda descriptor, key, size: self.maps[descriptor][key])
        monkeypatch.setattr(bpf, "map_memory", lambda descriptor, size, *_: self.slots)

    def _update(self, descriptor, key, value, flags=0):
        table = self.maps[descriptor]
        if flags == bpf.BPF_NOEXIST and key in table:
            raise FileExistsError
        if descriptor == "applications" and len(table) >= self.room:
            raise OSError(7, "Argument list too long")
        table[key] = value

    def names(self):
        return {name: name for name in (*self.maps, "row_slots")}

    def rows(self):
        return {struct.unpack("=I", key)[0]: APPLICATION.unpack(value)[0]
                for key, value in self.maps["applications"].items()}

    def copies(self):
        """{pid: row}, of the slots."""
        words = struct.unpack("=%dQ" % ROW_SLOTS, self.slots)
        return {word >> 32: word & 0xffffffff for word in words if word}


def enter(monkeypatch, tables, *looks):
    looks = iter(looks)
    last = {}
    monkeypatch.setattr(procfs, "processes", lambda: last.update(next(looks, {})) or dict(last))
    monkeypatch.setattr(procfs, "command_line", lambda pid: b"")
    return running_processes.enter(tables.names(), rules())


def test_enter_fills_the_table_and_teaches_names(monkeypatch):
    tables = Tables(monkeypatch)
    assert enter(monkeypatch, tables, {1: (b"init", 0), 2: (b"nginx", 1)}) == {0, 1}
    assert tables.rows() == tables.copies() == {1: 0, 2: 1}
    assert tables.maps["apps_names"] == {
        COMM.pack(b"nginx"): struct.pack("=II", 1, 0), COMM.pack(b"java"): struct.pack("=II", 4, 1)}


def test_enter_leaves_what_the_kernel_has_entered(monkeypatch):
    tables = Tables(monkeypatch)
    newer = APPLICATION.pack(2, 77)
    tables.maps["applications"][struct.pack("=I", 2)] = newer
    enter(monkeypatch, tables, {1: (b"init", 0), 2: (b"nginx", 1)})
    assert tables.maps["applications"][struct.pack("=I", 2)] == newer


def test_who_is_born_to_one_that_was_born_between_two_looks_is_found(monkeypatch):
    """The kernel's program does not enter a child of a parent that it does not know: look until there is nobody new."""
    tables = Tables(monkeypatch)
    enter(monkeypatch, tables, {1: (b"init", 0), 2: (b"nginx", 1)}, {3: (b"nginx", 2)}, {4: (b"nginx", 3)},
          {5: (b"nginx", 4)})
    assert set(tables.rows()) == {1, 2, 3, 4, 5}


def test_a_machine_that_always_has_somebody_new_is_not_looked_at_for_ever(monkeypatch):
    tables, looks = Tables(monkeypatch), []
    monkeypatch.setattr(procfs, "processes", lambda: looks.append(1) or {len(looks): (b"sh", 0)})
    monkeypatch.setattr(procfs, "command_line", lambda pid: b"")
    assert running_processes.enter(tables.names(), rules()) == {0} and len(
        looks) == running_processes.LOOKS == len(tables.rows())


def test_a_table_that_is_full_at_the_start_is_told_and_stops_nothing(monkeypatch, said):
    tables = Tables(monkeypatch, room=2)
    assert enter(monkeypatch, tables, {1: (b"init", 0), 2: (b"nginx", 1), 3: (b"mysqld", 1)}) == {0, 1}
    assert tables.rows() == {1: 0, 2: 1}
    assert len(said) == 1 and "table of processes is full at the start" in said[0]


def test_a_table_with_room_is_not_told_of(monkeypatch, said):
    enter(monkeypatch, Tables(monkeypatch, room=3), {1: (b"init", 0), 2: (b"nginx", 1), 3: (b"mysqld", 1)})
    assert said == []


@pytest.mark.parametrize("refused", ["apps_names", "applications"])
def test_a_refusal_is_told_and_not_taken_for_a_full_table(monkeypatch, said, refused):
    """The kernel's programs may have placed somebody already, so the rows are read all the same."""
    tables = Tables(monkeypatch)
    update = bpf.map_update

    def refuse(descriptor, *rest):
        if descriptor == refused:
            raise PermissionError(1, "Operation not permitted")
        update(descriptor, *rest)

    monkeypatch.setattr(bpf, "map_update", refuse)
    assert enter(monkeypatch, tables, {1: (b"init", 0)}) == {0} and tables.rows() == {}
    assert len(said) == 1 and "cannot enter processes: Operation not permitted" in said[0]


@pytest.mark.parametrize("name, visible", [(b"init", True), (b"", True), (None, False)])
def test_hidepid(monkeypatch, name, visible):
    monkeypatch.setattr(procfs, "comm_of", {1: name}.__getitem__)
    assert running_processes.are_visible() == visible


@pytest.mark.parametrize("number, ours", [(4026531836, True), (4026531835, False), (4026533007, False), (None, True)])
def test_a_pid_namespace_of_its_own_has_other_numbers_than_the_kernel(monkeypatch, number, ours):
    """Where the kernel has no such namespaces, there is no such file."""
    def stat(path):
        assert path == "/proc/self/ns/pid"
        if number is None:
            raise FileNotFoundError
        return SimpleNamespace(st_ino=number)

    monkeypatch.setattr(running_processes, "os", SimpleNamespace(stat=stat))
    assert running_processes.are_those_of_the_machine() == ours
