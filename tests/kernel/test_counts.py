"""N events add exactly N to the charts, and nothing to any other chart: every attach method, both modes."""
import time

from cases import CASES
from cases.counted import added_by
from harness import ftrace
from harness.attached import COMM, GROUPS_BY_COMM
from harness.exact_counts import assert_counts, difference
import pytest
from workloads import syscalls

N = 23
LAZY_RCU = 15  # seconds; releases are counted when RCU runs, up to 10 s later with CONFIG_RCU_LAZY
# (LAZY_FLUSH_JIFFIES, kernel/rcu/tree_nocb.h, 6.2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_n_events_add_exactly_n(attached, case, tmp_path):
    methods, before = attached.methods(), attached.values()
    added = {name: N * added_by(case, name, methods[name], attached.mode) for name in before}
    with ftrace.releases() as releases:
        syscalls.run(case.work, COMM, N, tmp_path)
        seen = settled_difference(attached, before, added)
        if without_releases(seen) == without_releases(added):
            releases.skip_if_programs_did_not_run(seen.get("exit.task", 0), added.get("exit.task", 0))
    assert_counts(seen, added, methods, attached.mode)


def settled_difference(attached, before, expected_difference):
    """What every dimension has grown by: as soon as it is as expected, and nothing more comes; or at the end of the time."""
    deadline = time.monotonic() + LAZY_RCU
    while time.monotonic() < deadline and difference(attached.values(), before) != nonzero(expected_difference):
        time.sleep(0.01)
    time.sleep(0.02)
    after = attached.values()
    return {name: after[name] - before[name] for name in before}


def nonzero(values):
    return {name: value for name, value in values.items() if value}


def without_releases(values):
    return {name: value for name, value in values.items() if name != "exit.task"}


def test_every_hook_is_attached_by_the_method(attached):
    """Where an attach method works for one hook, it works for every hook that can use it."""
    elsewhere = {
        "%s/%s" % (group, name): hook.failed
        for group, hooks in attached.loaded.hooks.items() for name, hook in hooks.items()
        if hook.method != attached.method
    }
    assert elsewhere == {}
    assert attached.loaded.broken == {}


def test_every_dimension_of_the_mode_is_moved_by_a_case(attached):
    methods = attached.methods()
    moved = {name for case in CASES for name in methods if added_by(case, name, methods[name], attached.mode)}
    assert moved == set(attached.values())


def test_every_chart_of_the_mode_is_shown(attached):
    charts = [chart for group in GROUPS_BY_COMM for chart in group.charts if attached.mode in chart.modes]
    expected_charts = [(chart.id, [dim.id for dim in chart.dims]) for chart in charts]
    assert [(chart.id, [dimension.id for dimension in chart.dimensions]) for chart in attached.charts] == expected_charts
