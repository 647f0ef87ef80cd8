"""What programs have used between two looks."""
from types import SimpleNamespace

import pytest

from ebpf_plugin.commands import arguments
from ebpf_plugin.kernel import procfs
from ebpf_plugin.programs import objects, places, usage

SECOND = 10 ** 9


def program(number, runs=0, run_time=0, at=0, name="one", type="kprobe"):
    return SimpleNamespace(id=number, runs=runs, run_time=run_time, at=at, name=name, type=type, map_count=0,
                           function_count=0, btf_id=0, missed=0, uid=0)


class Machine:
    """Programs now, and the memory of maps by their ids."""

    def __init__(self):
        self.programs, self.memory, self.searches, self.places = [], {}, 0, places.Places()
        self.maps = {}

    def find(self, _names, _programs):
        self.searches += 1
        return self.places


@pytest.fixture
def machine(monkeypatch):
    """A Machine with two CPUs that are online."""
    found = Machine()
    monkeypatch.setattr(procfs, "online_cpus", lambda: 2)
    monkeypatch.setattr(objects, "programs", lambda: iter(found.programs))
    monkeypatch.setattr(objects, "with_descriptor", lambda _, number, use: found.maps.get(number))
    monkeypatch.setattr(objects, "map_memory", lambda number: found.memory[number])
    monkeypatch.setattr(places, "find", found.find)
    return found


def looks(machine, *several):
    """What the last of several looks says; each is the list of programs then."""
    looker = usage.Looker()
    for programs in several:
        machine.programs = programs
        found = looker.look()
    return found


def test_overhead_is_of_the_time_that_has_passed(machine):
    found, = looks(machine, [program(1, 100, 1000, at=5 * SECOND)],
                   [program(1, 123, 1000 + SECOND // 4, at=7 * SECOND)])
    assert (found.of_a_cpu, found.of_the_machine) == (12.5, 6.25)
    assert (found.rate, found.average, found.ran) == (11.5, SECOND // 4 / 23, 23)


def test_at_the_first_look_nothing_is_known(machine):
    found, = looks(machine, [program(1, 100, 1000, at=SECOND)])
    assert (found.of_a_cpu, found.rate, found.average, found.program.runs) == (0, 0, None, 100)


def test_a_program_that_has_come_began_with_nothing(machine):
    old, new = looks(machine, [program(1, 7, 70, at=SECOND)],
                     [program(1, 7, 70, at=2 * SECOND), program(2, 23, 2300, at=2 * SECOND)])
    assert (old.ran, new.ran, new.used, new.interval) == (0, 23, 2300, SECOND)


def test_a_program_that_has_gone_is_not_there(machine):
    assert [each.program.id for each in looks(machine, [program(1), program(2)], [program(2)])] == [2]


def test_places_are_looked_for_when_programs_come_or_go(machine):
    looks(machine, [program(1)], [program(1)], [program(1)])
    assert machine.searches == 1
    looks(machine, [program(1)], [program(1), program(2)], [program(2)])
    assert machine.searches == 1 + 3


def test_places_are_looked_for_now_and_then(machine):
    looks(machine, *[[program(1)]] * (2 * usage.LOOK_AGAIN + 1))
    assert machine.searches == 3


def test_the_memory_of_maps(machine):
    machine.maps, machine.memory = {1: ((10, 11), 0), 2: ((11,), 0)}, {10: 4096, 11: 8192}
    one, two, gone = looks(machine, [program(1), program(2), program(3)])
    assert (one.memory, two.memory, gone.memory) == (12288, 8192, 0)


def test_ours_is_what_our_process_holds(machine):
    machine.places.hold(1, 700, "ebpf.plugin")
    machine.places.hold(2, 701, "systemd")
    machine.places.attach(1, "kprobe:vfs_read")
    machine.places.attach(1, "kprobe:vfs_read")
    ours, other, nobodys = looks(machine, [program(1), program(2), program(3)])
    assert (ours.is_ours, other.is_ours, nobodys.is_ours) == (True, False, False)
    assert (ours.attached, ours.holders) == (["kprobe:vfs_read"], {700: "ebpf.plugin"})


@pytest.mark.parametrize("by, order", [
    ("overhead", [2, 1, 3]), ("rate", [1, 2, 3]), ("average", [2, 1, 3]), ("total", [3, 1, 2]), ("time", [3, 2, 1]),
    ("memory", [2, 1, 3]), ("id", [1, 2, 3]), ("type", [3, 1, 2]), ("name", [2, 3, 1])])
def test_sorted_by(machine, by, order):
    machine.maps, machine.memory = {2: ((10,), 0)}, {10: 4096}
    before = [program(1, name="c"), program(2, name="a"), program(3, 1000, 10 ** 6, name="b")]
    after = [program(1, 200, 2000, SECOND, "c"), program(2, 100, 4000, SECOND, "a"),
             program(3, 1000, 10 ** 6, SECOND, "b", "cgroup_skb")]
    assert [each.program.id for each in sorted(looks(machine, before, after), key=usage.SORTS[by])] == order


def test_the_command_line_has_them_all():
    assert tuple(usage.SORTS) == arguments.SORTS
