"""Rules that hold for every group: its data, its C file and the files that stand beside it agree."""
import os
import re

from fakes import GROUP, ROOT, duplicates
import pytest

from ebpf_plugin.collect import connections
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.groups.plugin import PLUGIN
from ebpf_plugin.groups.rows import TABLES
from ebpf_plugin.model.chart import ENTRY, MODES
from ebpf_plugin.model.group import ATTACH_METHODS, hook_of
from ebpf_plugin.model.registry import FIRST, ROOM, with_priorities
from ebpf_plugin.model.validate import validate

every_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


@every_group
def test_fields_have_unique_macros_and_paths_of_structure_and_member(group):
    assert duplicates([field.macro for field in group.fields]) == []
    assert [(field.macro, step) for field in group.fields for step in field.path if len(step) != 2] == []


def test_names_of_tables_are_unique_over_all_groups():
    names = [table.name for table in TABLES] + [
        table.name for group in GROUPS for table in (*group.tables, group.counters_table())]
    assert duplicates(names) == []


@every_group
def test_each_counter_is_shown(group):
    shown = {counter for chart in group.charts for dim in chart.dims for counter in dim.plus + dim.minus}
    if group is NETWORK:
        totals = {counter for side in connections.INBOUND.values() for measure in connections.MEASURES
                  for counter in connections._totals(side, measure)}
        assert shown & totals == set()
        shown |= totals
    if group.charts:
        assert shown == set(group.counters)


@every_group
def test_charts_of_a_mode_have_hooks_in_that_mode(group):
    for chart in group.charts:
        for dim in chart.dims:
            for counter in dim.plus + dim.minus:
                assert set(chart.modes) <= set(hook_of(group, counter).modes), (chart.id, counter)


@every_group
def test_entry_mode_has_no_errors(group):
    for chart in group.charts:
        if ENTRY in chart.modes:
            counters = [counter for dim in chart.dims for counter in dim.plus + dim.minus]
            assert [counter for counter in counters if "error" in counter] == [], chart.id


@every_group
def test_units_are_per_second_where_the_agent_divides(group):
    for chart in group.charts:
        assert {dim.algorithm == "incremental" for dim in chart.dims} == {chart.units.endswith("/s")}


def all_charts(group):
    return group.charts + group.apps + group.connections


def sentences(text):
    return re.split(r"(?<=\.) ", text)


@pytest.mark.parametrize("group", (*GROUPS, PLUGIN), ids=lambda group: group.name)
def test_descriptions_are_a_few_short_sentences(group):
    for chart in all_charts(group):
        parts = sentences(chart.description)
        assert 2 <= len(parts) <= 4, "%s: %d sentences in its description" % (chart.id, len(parts))
        assert all(part.endswith(".") and len(part) <= 210 for part in parts), (chart.id, parts)
        assert chart.description == " ".join(chart.description.split()), chart.id


@pytest.mark.parametrize("group", (*GROUPS, PLUGIN), ids=lambda group: group.name)
def test_titles_and_units_say_what_is_counted(group):
    """VFS is not the disk, a package is no packet, and nothing is only a difference."""
    for chart in all_charts(group):
        assert not re.search(r"(?i)disk|packages?\b|internal|difference", chart.title + " " + chart.units), chart.id
        assert not re.search(r"[.]$|^[a-z]", chart.title), chart.id


@every_group
def test_hooks_have_unique_names_and_known_methods_modes_and_counters(group):
    assert duplicates([hook.name for hook in group.hooks]) == []
    for hook in group.hooks:
        assert hook.first in ATTACH_METHODS + ("",), hook.name
        assert hook.modes, hook.name
        assert set(hook.modes) - set(MODES) == set(), hook.name
        for tracepoint in hook.tracepoints:
            assert tracepoint.events, tracepoint.program
            assert set(tracepoint.modes) - set(MODES) == set(), tracepoint.program
            assert [event for event in tracepoint.events if (":" in event) == tracepoint.raw] == [], tracepoint.program
        for note in hook.notes:
            assert note.method in ATTACH_METHODS, hook.name
            assert set(note.modes) - set(MODES) == set(), hook.name
            assert set(note.counters) - set(hook.counters) == set(), hook.name


@every_group
def test_each_group_has_its_c_file_its_module_and_golden_files(group):
    for path in ("bpf/%s.c", "plugin/ebpf_plugin/groups/%s.py", "tests/golden/%s-entry.txt", "tests/golden/%s-return.txt"):
        assert os.path.isfile(os.path.join(ROOT, path % group.name)), path % group.name


def test_every_c_file_and_module_of_a_group_is_in_the_registry():
    folder = os.path.join("plugin", "ebpf_plugin", "groups")
    for where, ending in (("bpf", ".c"), (folder, ".py")):
        names = {name[:-len(ending)] for name in os.listdir(os.path.join(ROOT, where)) if name.endswith(ending)}
        assert names - {"__init__", "rows", "plugin"} == {group.name for group in GROUPS}


def test_priorities_are_unique_and_follow_the_order_of_the_registry():
    machine = [chart.priority for group in (*GROUPS, PLUGIN) for chart in group.charts + group.connections]
    applications = [chart.priority for group in GROUPS for chart in group.apps]
    for places in (machine, applications):
        assert places == sorted(set(places)) and places[0] > 0
    assert applications[-1] < machine[0]


def test_families_stand_together():
    families = [chart.family for group in GROUPS for chart in group.charts + group.connections]
    assert duplicates([family for place, family in enumerate(families) if family != families[place - 1]]) == []


def test_a_chart_of_calls_comes_before_the_one_of_those_that_failed():
    for group in GROUPS:
        for charts in (group.charts, group.apps):
            ids = [chart.id for chart in charts]
            for name in ids:
                calls = name[:-len("_error")]
                if name.endswith("_error") and calls in ids:
                    between = ids[ids.index(calls):ids.index(name)]
                    assert between and all(other.startswith(calls) for other in between), name


def test_charts_without_a_priority_come_behind_the_others_in_the_order_of_the_registry():
    first = GROUP._replace(charts=tuple(chart._replace(priority=0) for chart in GROUP.charts))
    second = first._replace(name="second")
    numbered = with_priorities((GROUP, first, second))
    assert numbered[0] == GROUP
    assert [chart.priority for group in numbered[1:] for chart in group.charts] == [21250, 21251, 21252, 21300, 21301, 21302]
    for place, group in enumerate(GROUPS):
        for number, chart in enumerate(group.charts):
            assert chart.priority < FIRST or chart.priority == FIRST + ROOM * place + number, chart.id


CHART, DIM, HOOK = GROUP.charts[0], GROUP.charts[0].dims[0], GROUP.hooks[0]


def with_chart(**change):
    return GROUP._replace(charts=(CHART._replace(**change),))


def with_dim(**change):
    return with_chart(dims=(DIM._replace(**change),))


def test_valid_data_is_accepted():
    validate((GROUP,))
    validate(GROUPS)


@pytest.mark.parametrize("groups", [
    (GROUP, GROUP._replace(name="other")),
    (GROUP._replace(charts=GROUP.charts + (CHART,)),),
    (GROUP._replace(hooks=GROUP.hooks[1:]),),
    (GROUP._replace(hooks=GROUP.hooks + (HOOK._replace(name="again"),)),),
    (GROUP._replace(counters=GROUP.counters + ("idle",)),),
    (GROUP._replace(counters=GROUP.counters[1:]),),
    (GROUP._replace(hooks=(HOOK._replace(functions=()),) + GROUP.hooks[1:]),),
    (with_chart(title=""),),
    (with_chart(units=""),),
    (with_chart(family=""),),
    (with_chart(description=""),),
    (with_chart(id=""),),
    (with_chart(id="a.b"),),
    (with_chart(id="a b"),),
    (with_chart(id="a\n"),),
    (with_chart(id="\u00e9"),),
    (with_chart(dims=()),),
    (with_chart(dims=(DIM, DIM)),),
    (with_dim(id=""),),
    (with_dim(id="a=b"),),
    (with_dim(id="it's"),),
    (with_dim(plus=()),),
    (with_dim(plus=("unheard",)),),
    (with_dim(minus=("unheard",)),),
    (with_dim(algorithm="percentage"),),
], ids=[
    "chart id in two groups", "chart id twice", "counter without hook", "counter of two hooks", "counter not written",
    "counter not listed", "nothing to attach", "title", "units", "family", "description", "empty id", "dot", "blank",
    "newline", "not ascii", "no dimensions", "dimension twice", "empty dimension", "equals sign", "quote", "no counters",
    "unknown plus", "unknown minus", "algorithm",
])
def test_invalid_data_is_rejected(groups):
    with pytest.raises(ValueError):
        validate(groups)
