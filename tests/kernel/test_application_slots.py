"""Slots, the copies of rows that programs read first: exact with process ids that have the same slot, with ids that are used
again, and while the collector moves processes that run."""
import itertools
import os
import time

from harness.attached_applications import (
    ALPHA, BETA, DELTA, EPSILON, NEW_NAMES, UNGROUPED, Growth, closes_add, ends_add, process_state,
    repeat_if_events_were_missed, summed, until
)
import pytest
from workloads import elf, syscalls

from ebpf_plugin.collect.applications import ROW_SLOTS
from ebpf_plugin.kernel import procfs

pytestmark = pytest.mark.skipif(not syscalls.X86, reason="the programs are x86-64's")

N, M, K = 23, 37, 53
MOVES = 211
NO_OTHERS_ENDS = ("task_close",)  # of ids that are used again: on tracepoints a release comes when another has the id


def neighbours(pid):
    """Ids that have the same slot and that no process has."""
    most = int(procfs.read("/proc/sys/kernel/pid_max"))
    found = itertools.chain(range(pid + ROW_SLOTS, most, ROW_SLOTS), range(pid % ROW_SLOTS, pid, ROW_SLOTS))
    return (each for each in found if each > 300 and not os.path.exists("/proc/%d" % each))


def started_as(processes, pid, path):
    """Start a program with this process id, from one that is of no application, and wait until it has stopped itself."""
    processes.start(processes.write(UNGROUPED, elf.forked_as(pid, elf.executes(path)), elf.waits()))
    assert until(lambda: process_state(pid) == "T"), "a machine where another process took the id"


def assert_slots_agree(apps):
    assert until(lambda: not apps.wrong_slots(), 5), apps.wrong_slots()


def resumed_until_ended(processes, pid):
    processes.resume(pid)
    assert until(lambda: process_state(pid) in ("", "Z"))


@repeat_if_events_were_missed
def test_a_process_has_its_slot_from_fork_to_exit(apps, processes):
    taken = {each % ROW_SLOTS for each in apps.slots()}
    pid = next(each for each in range(ROW_SLOTS + 301, 2 * ROW_SLOTS)
               if each % ROW_SLOTS not in taken and not os.path.exists("/proc/%d" % each))
    other = processes.write(BETA, elf.stop(), elf.named(DELTA), elf.stop())
    growth = Growth(apps)
    started_as(processes, pid, other)
    assert apps.slots()[pid] == apps.application_of(pid) == "beta"
    processes.resume(pid)
    assert until(lambda: apps.slots().get(pid) == apps.application_of(pid) == "delta")
    resumed_until_ended(processes, pid)
    assert pid not in apps.slots()
    growth.assert_exactly(ends_add("delta"))


@repeat_if_events_were_missed
def test_two_processes_of_one_slot_count_exactly_each_in_its_row(apps, processes):
    """The first has the slot until it ends; the second takes it when it is placed the next time."""
    growth = Growth(apps)
    first = processes.run_until_stopped(processes.write(BETA, elf.closes(N), elf.stop(), elf.closes(N)))
    second = next(neighbours(first))
    started_as(processes, second, processes.write(
        DELTA, elf.closes(M), elf.stop(), elf.closes(K), elf.named(EPSILON), elf.stop(), elf.closes(K)))
    slots = apps.slots()
    assert slots.get(first) == "beta" and second not in slots
    processes.run_to_end(first)
    processes.resume(second)
    assert until(lambda: process_state(second) == "T" and apps.application_of(second) == "epsilon")
    assert apps.slots().get(second) == "epsilon"
    resumed_until_ended(processes, second)
    growth.assert_exactly(summed(closes_add(beta=2 * N, delta=M + K, epsilon=K), ends_add("beta"), ends_add("epsilon")))
    assert_slots_agree(apps)


@repeat_if_events_were_missed
def test_the_end_of_a_neighbour_leaves_the_slot(apps, processes):
    """Of one that never had it, many times."""
    growth = Growth(apps)
    pid = processes.run_until_stopped(processes.write(BETA, elf.stop(), elf.closes(N)))
    assert apps.slots().get(pid) == "beta"
    ids = itertools.islice(neighbours(pid), 3)
    children = [elf.forked_as(each, elf.named(DELTA) + elf.closes(1)) + elf.waits() for each in ids]
    processes.run(processes.write(EPSILON, *children * M))
    assert apps.slots().get(pid) == "beta"
    processes.run_to_end(pid)
    n = len(children) * M
    growth.assert_exactly(summed(
        closes_add(beta=N, delta=n), ends_add("beta"), ends_add("epsilon"), ends_add("delta", n),
        {("epsilon", "process_create"): n}), NO_OTHERS_ENDS)


@repeat_if_events_were_missed
def test_an_id_that_is_used_again_at_once_counts_for_who_has_it(apps, processes):
    """By turns for a child that stays in its parent's application and for one that does not."""
    pid = next(neighbours(ROW_SLOTS + 301))
    stays, leaves = elf.closes(1), elf.closes(1) + elf.named(DELTA) + elf.closes(2)
    pair = b"".join(elf.forked_as(pid, child) + elf.waits() for child in (stays, leaves))
    growth = Growth(apps)
    processes.run(processes.write(BETA, elf.repeated(pair, MOVES)))
    growth.assert_exactly(summed(
        closes_add(beta=2 * MOVES, delta=2 * MOVES), ends_add("beta", 1 + MOVES), ends_add("delta", MOVES),
        {("beta", "process_create"): 2 * MOVES}), NO_OTHERS_ENDS)
    assert_slots_agree(apps)


@repeat_if_events_were_missed
def test_a_move_by_the_collector_moves_both_of_one_slot(apps, processes):
    """New names, which only the collector can place."""
    names = [next(NEW_NAMES) for _ in range(2)]
    programs = [processes.write(name, elf.closes(N), elf.stop(), elf.closes(M)) for name in names]
    starts = processes.write(BETA, elf.executes(programs[0]))
    growth = Growth(apps)
    first = processes.run_until_stopped(starts)
    second = next(neighbours(first))
    parent = processes.start(processes.write(EPSILON, elf.forked_as(second, elf.executes(programs[1])), elf.waits()))
    assert until(lambda: process_state(second) == "T")
    assert (apps.application_of(first), apps.application_of(second)) == ("beta", "epsilon")
    apps.place_all()
    assert (apps.application_of(first), apps.application_of(second)) == ("alpha", "alpha")
    assert apps.slots().get(first) == "alpha" and second not in apps.slots()
    processes.run_to_end(first)
    processes.resume(second)
    processes.wait_until_ended(parent)
    opens = int("tracepoint" not in apps.methods("vfs_open"))
    growth.assert_exactly(summed(
        closes_add(beta=N, epsilon=N, alpha=2 * M), ends_add("alpha", 2), ends_add("epsilon"),
        {("epsilon", "process_create"): 1, ("beta", "vfs_open"): opens, ("epsilon", "vfs_open"): opens}))
    assert_slots_agree(apps)


def closed(apps, application):
    return apps.values().get((application, "file_closed"), 0)


@repeat_if_events_were_missed
def test_no_event_counts_in_the_row_that_a_running_process_was_moved_from(apps, processes):
    """One that has its slot and one that has not, each for ever in close(2)."""
    forever = processes.write(BETA, elf.stop(), elf.repeated(elf.closes(1000), 1 << 30))
    first = processes.run_until_stopped(forever)
    second = next(neighbours(first))
    started_as(processes, second, forever)
    before = closed(apps, "beta")
    for pid in (first, second):
        processes.resume(pid)
    assert until(lambda: closed(apps, "beta") > before)
    for turn in range(N):
        here, left = (("delta", "epsilon"), ("epsilon", "delta"))[turn % 2]
        for pid in (first, second):
            assert apps.move(pid, here)
        time.sleep(0.002)  # until the programs that have read their row have counted
        begun = closed(apps, left), closed(apps, "beta"), closed(apps, here)
        assert until(lambda begun=begun, here=here: closed(apps, here) > begun[2])
        assert (closed(apps, left), closed(apps, "beta")) == begun[:2]
    assert (first in apps.slots(), second in apps.slots()) == (True, False)
    processes.kill(first)
    os.kill(second, 9)
    assert until(lambda: process_state(second) in ("", "Z"))


@repeat_if_events_were_missed
def test_moves_renames_forks_and_ends_of_one_slot_at_the_same_time_lose_nothing(apps, processes):
    """Two processes of one slot change their names and have children whose ids are of the same slot; the collector moves
    all of them meanwhile. Which row has how many is nobody's to say, but all rows together have all."""
    first_of_all = processes.run_until_stopped(processes.write(ALPHA, elf.stop()))
    ids = list(itertools.islice(neighbours(first_of_all), 4))
    processes.kill(first_of_all)
    growth = Growth(apps)

    def works(child_id):
        child = elf.closes(1) + elf.named(DELTA) + elf.closes(1)
        loop = elf.named(BETA) + elf.closes(3) + elf.named(EPSILON) + elf.closes(3)
        return elf.repeated(loop + elf.forked_as(child_id, child) + elf.waits(), MOVES)

    for pid, child_id in zip(ids[:2], ids[2:]):
        path = processes.write(BETA + "-%d" % (pid == ids[0]), elf.stop(), works(child_id))
        started_as(processes, pid, path)
    for pid in ids[:2]:
        processes.resume(pid)
    moved = 0
    while any(process_state(pid) not in ("", "Z") for pid in ids[:2]):
        for pid in ids:
            moved += apps.move(pid, ("beta", "delta", "epsilon", "gamma")[moved % 4])
        apps.tick()
    assert moved

    def total():
        grown = growth.grown()
        return tuple(sum(value for (_, chart), value in grown.items() if chart == each)
                     for each in ("file_closed", "file_close_error", "process_create"))

    expected = (2 * MOVES * 8, 2 * MOVES * 8, 2 * MOVES)
    until(lambda: total() == expected, 2)
    assert total() == expected
    assert_slots_agree(apps)
