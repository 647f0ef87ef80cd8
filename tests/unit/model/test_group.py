"""Rules that hold for every group: its data, its C file and the files that stand beside it agree."""
import os
import re

from fakes import GROUP, ROOT
import pytest

from ebpf_plugin.collect import connections, flows
from ebpf_plugin.compile import source
from ebpf_plugin.config import network_viewer
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.model.chart import ENTRY, MODES
from ebpf_plugin.model.group import ATTACH_METHODS, hook_of
from ebpf_plugin.model.registry import with_priorities
from ebpf_plugin.model.validate import validate


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def joined(text):
    """C text without comments, each macro and each use of one on a line of its own."""
    return re.sub(r"(?s)/\*.*?\*/", "", text).replace("\\\n", " ")


# name, parameters and text of what hooks.h makes programs with
MACROS = {
    name: (parameters.split(", "), body)
    for name, parameters, body in re.findall(r"(?m)^#define (ON_\w+)\(([^)]*)\)(.*)$", joined(read("bpf", "hooks.h")))
}


def expanded(text):
    """C text with the macros of hooks.h written out."""
    def expand(use):
        parameters, body = MACROS[use.group(1)]
        arguments = use.group(2).split(", ", len(parameters) - 1)
        assert len(arguments) == len(parameters), use.group(0)
        for parameter, argument in zip(parameters, arguments):
            body = re.sub(r"(?:##)?\b%s\b(?:##)?" % parameter, lambda _: argument, body)
        return body

    return re.sub(r"(?m)^(ON_\w+)\((.*)\)", expand, joined(text))


def programs_in(text):
    """The names of the functions that take a context."""
    return re.findall(r"\bint (\w+)\([^()]* \*ctx\)", text)


def text_of(group):
    """Its parts and its own file, with one of two alternatives only (#else)."""
    text = "\n".join(joined(read("bpf", name + ".c")) for name in group.parts + (group.name,))
    return re.sub(r"(?ms)^#else.*?^#endif$", "", text)


def read_all(group):
    return "\n".join(read("bpf", name + ".c") for name in group.base + group.parts + (group.name,))


def programs_of(group):
    names = programs_in(expanded(text_of(group)))
    assert len(names) == len(set(names))
    return set(names)


def asked_for(group):
    """The programs that some attach method in some mode wants."""
    for hook in group.hooks:
        for mode in hook.modes:
            for function in hook.functions:
                for method in ("trampoline", "probe"):
                    yield from (function.program + "_" + way for way in function.program_types.of(method, mode))
            yield from (tracepoint.program for tracepoint in hook.tracepoints if mode in tracepoint.modes)


every_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


def test_the_expansion_of_this_test():
    text = expanded(
        "ON_FENTRY(f, g(h(arg0), 2))\nON_FEXIT(f, s64, result < 0 ? \\\n g(1, 2) : 0)\n/* ON_RAW(no, 0) */")
    assert programs_in(text) == ["f_fentry", "f_fexit"]
    assert "return g(h(arg0), 2);" in text and "return result < 0 ?   g(1, 2) : 0;" in text
    assert "s64 result = ctx[NARGS_f];" in text


def test_a_macro_makes_one_program():
    # BCC 0.18 (Debian 11) finds the first only
    assert MACROS and all(len(programs_in(body.replace("##", ""))) == 1 for _, body in MACROS.values())


@every_group
def test_the_enum_is_the_counters(group):
    names = re.search(r"(?s)enum %s_counter \{(.*?)\}" % group.name, text_of(group)).group(1)
    *counters, last = re.findall(r"\w+", names)
    assert tuple(counter.lower() for counter in counters) == group.counters
    assert last == group.name.upper() + "_COUNTERS"


@every_group
def test_programs_asked_for_are_those_that_there_are(group):
    assert set(asked_for(group)) == programs_of(group)


def test_all_groups_fit_into_one_text():
    names = [name for group in GROUPS for name in programs_of(group)]
    assert len(names) == len(set(names))


@every_group
def test_numbers_of_arguments_are_defined(group):
    used = set(re.findall(r"\bNARGS_\w+", expanded(joined(read_all(group)))))
    assert used <= set(source.definitions((group,), ENTRY, "x86_64"))


class Everything:
    """A BTF that has all that it is asked for."""

    @staticmethod
    def function(symbol):
        return 1, 3

    @staticmethod
    def bit_offset(struct_name, member):
        return 64

    @staticmethod
    def raw_tracepoint_arguments(name):
        return 3


@every_group
def test_fields_are_defined_and_used(group):
    given = source.definitions((group,), ENTRY, "x86_64", Everything)
    assert {field.macro for field in group.fields} <= set(given)
    assert not [field.macro for field in group.fields if not re.search(r"\b%s\b" % field.macro, joined(read_all(group)))]
    assert source.missing(group, Everything) == []


def test_sizes_are_used():
    sizes = network_viewer.sizes(network_viewer.Viewer("", [], 500, {}, False, ()), 2, True)
    assert not [name for name in sizes if not re.search(r"\b%s\b" % name, joined(read_all(NETWORK)))]


@every_group
def test_fields_are_told_apart(group):
    macros = [field.macro for field in group.fields]
    assert len(macros) == len(set(macros)) and all(len(step) == 2 for field in group.fields for step in field.path)


@every_group
def test_tables_are_in_the_text(group):
    assert all(re.search(r"BPF_\w+\([^;]*\b%s\b" % table, read_all(group)) for table in group.tables)


@every_group
def test_each_counter_is_shown(group):
    shown = {counter for chart in group.charts for dim in chart.dims for counter in dim.plus + dim.minus}
    if group is NETWORK:
        totals = {counter for side in connections.INBOUND.values() for measure in flows.MEASURES
                  for counter in connections._totals(side, measure)}
        assert not shown & totals
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
def test_entry_mode_knows_no_errors(group):
    for chart in group.charts:
        if ENTRY in chart.modes:
            assert not [counter for dim in chart.dims for counter in dim.plus + dim.minus if "error" in counter]


@every_group
def test_units_are_per_second_where_the_agent_divides(group):
    for chart in group.charts:
        assert {dim.algorithm == "incremental" for dim in chart.dims} == {chart.units.endswith("/s")}


@every_group
def test_hooks_are_told_apart_and_name_what_there_is(group):
    names = [hook.name for hook in group.hooks]
    assert len(names) == len(set(names))
    for hook in group.hooks:
        assert hook.first in ATTACH_METHODS + ("",) and hook.modes and set(hook.modes) <= set(MODES)
        for tracepoint in hook.tracepoints:
            assert tracepoint.events and set(tracepoint.modes) <= set(MODES)
            assert all((":" in event) != tracepoint.raw for event in tracepoint.events)
        for note in hook.notes:
            assert note.method in ATTACH_METHODS
            assert set(note.modes) <= set(MODES)
            assert set(note.counters) <= set(hook.counters)


@every_group
def test_one_name_one_of_each(group):
    for path in ("bpf/%s.c", "plugin/ebpf_plugin/groups/%s.py", "tests/golden/%s-entry.txt", "tests/golden/%s-return.txt"):
        assert os.path.isfile(os.path.join(ROOT, path % group.name)), path % group.name


def test_no_group_is_left_out():
    folder = os.path.join("plugin", "ebpf_plugin", "groups")
    for where, ending in (("bpf", ".c"), (folder, ".py")):
        names = {name[:-len(ending)] for name in os.listdir(os.path.join(ROOT, where)) if name.endswith(ending)}
        parts = {"__init__"}
        if where == "bpf":
            parts = {part for group in GROUPS for part in group.base + group.parts} | {"cgroup_rows"}
        assert parts <= names and names - parts == {group.name for group in GROUPS}


def test_charts_of_one_priority_are_of_one_group_and_family():
    places = {}
    for group in GROUPS:
        for chart in group.charts:
            places.setdefault(chart.priority, set()).add((group.name, chart.family))
    for chart in connections.CHARTS:
        places.setdefault(chart[3], set()).add(("network", "Network connections"))
    assert {priority: found for priority, found in places.items() if len(found) > 1} == {}
    assert 0 not in places


def test_charts_without_a_priority_come_behind_the_others_in_the_order_of_the_registry():
    first = GROUP._replace(charts=tuple(chart._replace(priority=0) for chart in GROUP.charts))
    second = first._replace(name="second")
    numbered = with_priorities((GROUP, first, second))
    assert numbered[0] == GROUP
    assert [chart.priority for group in numbered[1:] for chart in group.charts] == [21250, 21251, 21252, 21300, 21301, 21302]
    assert max(chart.priority for group in GROUPS for chart in group.charts) < 21200


CHART, DIM, HOOK = GROUP.charts[0], GROUP.charts[0].dims[0], GROUP.hooks[0]


def with_chart(**change):
    return GROUP._replace(charts=(CHART._replace(**change),))


def with_dim(**change):
    return with_chart(dims=(DIM._replace(**change),))


def test_good_data_is_taken():
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
    "counter not listed", "nothing to attach", "title", "units", "family", "empty id", "dot", "blank", "newline",
    "not ascii", "no dimensions", "dimension twice", "empty dimension", "equals sign", "quote", "no counters",
    "unknown plus", "unknown minus", "algorithm",
])
def test_broken_data_is_refused(groups):
    with pytest.raises(ValueError):
        validate(groups)
