"""The collector's part of applications: answers about names, charts that grow, rows that are summed."""
import os
import struct

import pytest

from ebpf_plugin import log
from ebpf_plugin.collect import applications
from ebpf_plugin.collect.rows import RowSet
from ebpf_plugin.config import apps_groups
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.model.declared import Chart, Dimension, pack

CONF = "web: nginx*\njvm: *kafka*\nlate: java\n"  # rows 1, 2, 3
CHART = Chart("toy", "calls", "Calls", "calls/s", "Toys", 1, (Dimension("application", plus=(0, 2)),), "stacked", "apps")


class Reader:
    """Three counters of rows, as rows.Counters has them; all of them have moved."""

    moved = {0, 1, 2}

    def __init__(self, rows):
        self.columns = [[0] * rows for _ in self.moved]

    def set(self, row, *values):
        for column, value in zip(self.columns, values):
            column[row] = value


class World:
    """Applications over dictionaries in place of the kernel's maps."""

    def __init__(self, monkeypatch):
        self.maps = {"applications": {}, "apps_names": {}, "apps_asked": {}, "row_slots": {}}
        self.said, self.lines, self.questions = [], {}, 0
        monkeypatch.setattr(log, "_said", set())
        monkeypatch.setattr(log, "write", lambda level, text: self.said.append(text))
        monkeypatch.setattr(bpf, "map_update", self._update)
        monkeypatch.setattr(bpf, "map_delete", lambda name, key: self.maps[name].pop(key, None))
        monkeypatch.setattr(bpf, "map_lookup", self._lookup)
        monkeypatch.setattr(bpf, "map_memory", lambda name, size, *_: bytearray(size))
        monkeypatch.setattr(applications, "HashMap", lambda name, *_: self.Rows(self.maps[name], name))
        monkeypatch.setattr(procfs, "command_line", self.lines.get)
        self.names = {}
        monkeypatch.setattr(procfs, "comm_of", self.names.get)
        groups = apps_groups.parse(CONF)[0]
        self.reader = Reader(len(groups.ids))
        self.row_set = RowSet(len(groups.ids))
        self.reader.set(0, 1, 2, 3)
        self.applications = applications.Applications({
            "rules": groups.rules, "names": groups.names, "ids": groups.ids, "tables": {name: name for name in self.maps},
            "charts": pack((CHART,)), "processes": 99}, {"toy": self.reader}, self.row_set)

    class Rows:
        def __init__(self, table, name):
            formats = {"apps_asked": applications.QUESTION, "apps_names": applications.DECISION}
            self._table, self._format = table, formats.get(name, applications.APPLICATION)

        def rows(self):
            return [(key, self._format.unpack(value)) for key, value in self._table.items()]

    def _update(self, name, key, value, flags=0):
        if flags == bpf.BPF_EXIST and key not in self.maps[name]:
            raise FileNotFoundError
        self.maps[name][key] = value

    def _lookup(self, name, key, size):
        if key not in self.maps[name]:
            raise FileNotFoundError
        return self.maps[name][key]

    def live(self, pid, line=None, row=0, task=7):
        self.maps["applications"][struct.pack("=I", pid)] = applications.APPLICATION.pack(row, task)
        self.lines[pid] = line

    def ask(self, pid, comm, line=None, row=0, task=7, asked=7):
        """A process that is `task`, and a question about it when it was `asked`."""
        self.live(pid, line, row, task)
        self.maps["apps_asked"][struct.pack("=I", pid)] = applications.QUESTION.pack(comm, asked)

    def tick(self, full=0, unasked=0, **counters):
        self.questions += bool(self.maps["apps_asked"])
        self.row_set.refresh()
        return self.applications.tick(0, {"toy": (1, 2, 3), "apps": (full, unasked, self.questions), **counters})

    def known(self):
        self.row_set.refresh()
        return set(self.row_set.rows)

    def row(self, pid):
        return applications.APPLICATION.unpack(self.maps["applications"][struct.pack("=I", pid)])

    def decided(self, comm):
        return struct.unpack("=II", self.maps["apps_names"][applications.COMM.pack(comm)])


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_a_name_by_pattern_is_decided_for_good(world):
    world.ask(5, b"nginx-7")
    world.tick()
    assert world.row(5) == (1, 7) and world.decided(b"nginx-7") == (1, 0) and 1 in world.known()
    assert world.maps["apps_asked"] == {}


@pytest.mark.parametrize("line, row", [(b"java\0kafka.Kafka", 2), (b"java\0-jar", 3), (None, 3)])
def test_a_name_that_a_command_line_may_overrule_is_asked_about_again(world, line, row):
    world.ask(5, b"java", line)
    world.tick()
    assert world.row(5)[0] == row and world.decided(b"java") == (3, 1)


def test_a_name_of_no_group_stays(world):
    world.ask(5, b"sh", b"sh\0-c", row=1)
    world.tick()
    assert world.row(5) == (1, 7) and world.decided(b"sh") == (applications.ROW_STAYS, 1)


def test_the_first_process_is_not_moved(world):
    world.ask(1, b"nginx")
    world.tick()
    assert world.row(1)[0] == 0


def test_who_has_ended_is_not_entered(world):
    world.ask(5, b"nginx")
    world.maps["applications"].clear()
    world.tick()
    assert world.maps["applications"] == {} and world.said == []


def test_a_question_about_the_one_that_had_the_number_before_moves_nobody(world):
    world.ask(5, b"nginx", task=8, asked=7)
    world.tick()
    assert world.row(5) == (0, 8) and world.decided(b"nginx") == (1, 0) and world.maps["apps_asked"] == {}


def test_who_was_there_before_us_is_the_one_that_was_asked_about(world):
    """The collector itself has entered it and does not know the task; from now on it does."""
    world.ask(5, b"nginx", task=0, asked=7)
    world.tick()
    assert world.row(5) == (1, 7)


def test_some_at_a_time(world):
    for pid in range(10, 10 + applications.MAX_PER_TICK + 3):
        world.ask(pid, b"nginx")
    world.tick()
    assert len(world.maps["apps_asked"]) == 3
    world.tick()
    assert not world.maps["apps_asked"]


def test_a_row_that_comes_later_began_at_zero(world):
    """What was counted before the first tick is the agent's baseline, as for the host."""
    (chart, values), = world.tick()
    assert [(dimension.id, dimension.start) for dimension in chart.dimensions] == [("other", None)]
    assert values == (4,)
    world.reader.set(0, 2, 2, 3)
    world.reader.set(1, 5, 0, 0)
    world.row_set.add(1)
    (chart, values), = world.tick()
    assert [(dimension.id, dimension.start) for dimension in chart.dimensions] == [("other", None), ("web", 0)]
    assert values == (5, 5)
    (again, values), = world.tick()
    assert again is chart
    assert values == (5, 5)


def test_a_group_that_could_not_be_read_is_a_gap(world):
    assert world.tick(toy=None) == []


def test_a_full_table_is_told_once_and_swept_of_the_dead(world):
    world.maps["applications"] = {struct.pack("=I", pid): applications.APPLICATION.pack(0, 0) for pid in (1, 99999999)}
    for full in (0, 3, 3, 5):
        world.tick(full)
    assert len(world.said) == 1 and "table of 99 processes is full" in world.said[0]
    assert list(world.maps["applications"]) == [struct.pack("=I", 1)]


def test_a_table_that_stays_full_is_swept_seldom(world, monkeypatch):
    sweeps = []
    monkeypatch.setattr(os.path, "exists", lambda path: sweeps.append(path) or True)
    world.live(1)
    for full in range(2 * applications.RESCAN_TICKS + 2):
        world.tick(full)  # at the first tick nobody was refused yet
    assert sweeps == ["/proc/1"] * 3


@pytest.mark.parametrize("line, row", [(b"java\0kafka.Kafka", 2), (b"java\0-jar", 3)])
def test_everybody_is_looked_at_if_there_was_no_room_for_questions(world, monkeypatch, line, row):
    monkeypatch.setattr(procfs, "processes", lambda: {
        1: (b"nginx", 0), 5: (b"nginx-8", 1), 6: (b"java", 1), 7: (b"sh", 5), 8: (b"nginx", 1)})
    for pid in (1, 5, 6, 7):
        world.live(pid, row=3 if pid == 7 else 0, task=pid)
    world.lines[6] = line
    for tick in range(applications.RESCAN_TICKS):
        assert world.row(5)[0] == 0
        world.tick(unasked=tick)
    assert [world.row(pid) for pid in (1, 5, 6, 7)] == [(0, 1), (1, 5), (row, 6), (3, 7)]
    assert struct.pack("=I", 8) not in world.maps["applications"] and {0, 1, row} == world.known()
    assert world.decided(b"nginx-8") == (1, 0)


def test_everybody_is_looked_at_seldom_and_not_again_without_need(world, monkeypatch):
    looks = []
    monkeypatch.setattr(procfs, "processes", lambda: looks.append(1) or {})
    for tick in range(1, 4 * applications.RESCAN_TICKS + 1):
        world.tick(unasked=min(tick, 2 * applications.RESCAN_TICKS - 1))
    assert len(looks) == 2


def test_counters_that_could_not_be_read_are_as_they_were(world, monkeypatch):
    monkeypatch.setattr(procfs, "processes", lambda: pytest.fail("looked"))
    for _ in range(2 * applications.RESCAN_TICKS):
        world.tick(apps=None)
    assert world.said == []


def test_maps_that_cannot_be_read_are_told_once_and_charts_go_on(world, monkeypatch):
    def refuse(self):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(World.Rows, "rows", refuse)
    assert world.tick() and world.tick()
    assert len(world.said) == 1 and "Operation not permitted" in world.said[0]


def test_what_only_tries_whether_it_is_allowed_teaches_nothing(world):
    world.ask(5, b"nginx")
    world.applications.read()
    assert world.decided(b"") == (applications.ROW_STAYS, 0) and world.row(5)[0] == 0 and world.maps["apps_asked"]


def test_exec_while_a_command_line_is_read(world, monkeypatch):
    """The kernel places it and takes the question back; the answer is about a name that it has no more."""
    world.ask(5, b"java", b"java\0-jar")

    def line(pid):
        world.maps["apps_asked"].pop(struct.pack("=I", pid), None)
        world.live(pid, row=1)
        world.names[pid] = b"nginx-1"
        return b"java\0-jar"

    monkeypatch.setattr(procfs, "command_line", line)
    world.tick()
    assert world.row(5)[0] == 1


def test_a_question_that_is_asked_anew_while_others_are_answered(world, monkeypatch):
    world.ask(4, b"x", b"x")
    world.ask(5, b"sh", b"sh")

    def line(pid):
        if pid == 4:
            world.ask(5, b"java", b"java\0-jar")
        return world.lines[pid]

    monkeypatch.setattr(procfs, "command_line", line)
    world.tick()
    world.tick()
    assert world.row(5)[0] == 3


def test_one_that_changes_its_name_all_the_time(world, monkeypatch):
    names = iter(b"nginx-%d" % i for i in range(99))
    monkeypatch.setattr(procfs, "comm_of", lambda pid: next(names))
    world.ask(5, b"nginx", b"")
    world.tick()
    assert world.row(5)[0] == 1 and next(names) == b"nginx-%d" % applications.TRIES


def test_patterns_that_were_read_again(world):
    """The kernel forgets names of before; processes go where they belong now."""
    world.ask(5, b"nginx")
    world.live(6, row=1)
    world.tick()
    assert (world.row(5)[0], world.row(6)[0]) == (1, 1)
    rules = apps_groups.parse("web: apache2\njvm: nginx\nlate: java\n")[0].rules
    world.applications.take_over({"patterns of applications": rules}, {"patterns of applications"}, ((5, 2), (6, 0), (7, 1)))
    assert (world.row(5), world.row(6)[0]) == ((2, 7), 0)
    assert world.decided(b"nginx") == (2, 0) and world.decided(b"apache2") == (1, 0)
    world.ask(8, b"apache2-7")
    world.tick()
    assert world.row(8)[0] == 0 and 2 in world.known()


def test_patterns_that_have_not_changed_stay(world):
    world.ask(5, b"nginx")
    world.tick()
    before = dict(world.maps["apps_names"])
    world.applications.take_over({"patterns of applications": ()}, {"hostnames"}, ((5, 0),))
    assert world.maps["apps_names"] == before and world.row(5)[0] == 1
