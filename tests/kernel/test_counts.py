"""Exactly N events, exactly N on the charts, and nothing on any other chart: every attach method, both modes."""
import time

from cases import CASES
from harness.attached import COMM, GROUPS_BY_COMM, FtraceReleases
import pytest
from workloads import syscalls

N = 23


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counts(attached, case, tmp_path):
    before = attached.values()
    with FtraceReleases(attached.methods()) as releases:
        syscalls.run(case.work, COMM, N, tmp_path)
        grown, expected = settled(attached, case, before)
        if without_releases(grown) == without_releases(expected):
            releases.skip_if_programs_did_not_run(grown.get("exit.task", 0), expected.get("exit.task", 0))
    assert grown == expected


def without_releases(values):
    return {name: value for name, value in values.items() if name != "exit.task"}


def settled(attached, case, before):
    """({dimension: grown by}, {dimension: expected}) when they are equal, or when nothing more can be expected to come."""
    expected = {name: value + N * expected_of(case, attached, name) for name, value in before.items()}
    # Where a tracepoint tells of releases, they come when RCU gets round to it: up to 10 s with CONFIG_RCU_LAZY
    # (LAZY_FLUSH_JIFFIES, kernel/rcu/tree_nocb.h, 6.2). Then nothing more may come.
    deadline = time.monotonic() + 15
    while attached.values() != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.02)
    return [{name: value - before[name] for name, value in values.items() if value != before[name]}
            for values in (attached.values(), expected)]


def expected_of(case, attached, dimension):
    """What one event adds to `dimension` on the attach method that its hooks are on."""
    methods, adds = attached.methods()[dimension], dict(case.adds)
    if "tracepoint" in methods:
        adds.update(case.system_call)
    if "probe" in methods and attached.mode == "entry":
        adds.update(case.requested)
    return adds.get(dimension, 0)


def test_every_hook_is_on_the_method_that_was_asked_for(attached):
    """Where an attach method works at all, it works for every hook that can use it."""
    elsewhere = {
        "%s/%s" % (group, name): hook.failed
        for group, hooks in attached.loaded.hooks.items() for name, hook in hooks.items()
        if hook.method != attached.method
    }
    assert elsewhere == {}
    assert attached.loaded.broken == {}


def test_every_dimension_of_the_mode_is_moved_by_some_case(attached):
    moved = {name for case in CASES for name in attached.values() if expected_of(case, attached, name)}
    assert moved == set(attached.values())


def test_charts_of_the_mode_are_all_shown(attached):
    charts = [chart for group in GROUPS_BY_COMM for chart in group.charts]
    wanted = [(chart.id, len(chart.dims)) for chart in charts if attached.mode in chart.modes]
    assert [(each.id, len(each.dimensions)) for each in attached.shown] == wanted
