"""Which charts and dimensions are declared, and what their titles say."""
from fakes import GROUP, attached
import pytest

from ebpf_plugin.model.chart import per_application
from ebpf_plugin.model.group import Note
from ebpf_plugin.model.select import select_application_charts, select_charts


def shape(charts):
    return [(chart.id, [dimension.id for dimension in chart.dimensions]) for chart in charts]


@pytest.mark.parametrize("mode, methods, expected", [
    ("entry", {}, [("flow", ["in", "out"]), ("inside", ["rest"])]),
    ("return", {}, [("flow", ["in", "out"]), ("inside", ["rest"]), ("flow_error", ["in"])]),
    ("return", {"out": None}, [("flow", ["in"]), ("flow_error", ["in"])]),
    ("return", {"in": None}, [("flow", ["out"])]),
    ("return", {"in": None, "out": None}, []),
])
def test_only_what_is_measured(mode, methods, expected):
    assert shape(select_charts((GROUP,), mode, {"toy": attached(GROUP, **methods)})) == expected


def test_a_group_that_is_broken_shows_nothing():
    assert select_charts((GROUP,), "entry", {}) == ()
    other = GROUP._replace(name="other")
    charts = select_charts((GROUP, other), "entry", {"other": attached(other)})
    assert {chart.group for chart in charts} == {"other"}


def test_places_and_methods():
    flow, inside = select_charts((GROUP,), "entry", {"toy": attached(GROUP, out="probe")})
    assert [(dimension.plus, dimension.minus, dimension.methods) for dimension in flow.dimensions] == [
        ((0,), (), ("trampoline",)), ((2,), (), ("probe",))]
    assert [(dimension.plus, dimension.minus, dimension.methods) for dimension in inside.dimensions] == [
        ((0,), (2,), ("probe", "trampoline"))]


ASKED = Note("probe", ("entry",), ("in_calls",), "asked")
LATE = Note("probe", ("entry", "return"), ("out_calls",), "late")


@pytest.mark.parametrize("mode, methods, titles", [
    ("entry", {}, ["In and out", "Not out"]),
    ("entry", {"in": "probe"}, ["In and out (asked)", "Not out (asked)"]),
    ("entry", {"in": "probe", "out": "probe"}, ["In and out (asked, late)", "Not out (asked, late)"]),
    ("entry", {"in": None, "out": "probe"}, ["In and out (late)"]),
    ("return", {"in": "probe"}, ["In and out", "Not out", "In fails"]),
    ("return", {"in": "probe", "out": "probe"}, ["In and out (late)", "Not out (late)", "In fails"]),
])
def test_titles_have_the_notes_of_their_hooks(mode, methods, titles):
    taking, giving = GROUP.hooks
    group = GROUP._replace(hooks=(taking._replace(notes=(ASKED,)), giving._replace(notes=(LATE,))))
    assert [chart.title for chart in select_charts((group,), mode, {"toy": attached(group, **methods)})] == titles


OF_APPS = GROUP._replace(apps=(
    per_application("calls", "Calls", "calls/s", ("in_calls", "out_calls"), "All. Really."),
    per_application("errors", "Fails", "calls/s", ("in_errors",), "Some. Perhaps.", modes=("return",)),
))


@pytest.mark.parametrize("mode, methods, expected", [
    ("entry", {}, {"calls": (0, 2)}),
    ("return", {}, {"calls": (0, 2), "errors": (1,)}),
    # a sum is never a part
    ("return", {"out": None}, {"errors": (1,)}),
    ("return", {"in": None}, {}),
])
def test_charts_of_applications(mode, methods, expected):
    found = select_application_charts((OF_APPS,), mode, {"toy": attached(OF_APPS, **methods)})
    assert {chart.id: [dimension.plus for dimension in chart.dimensions] for chart in found} == {
        name: [places] for name, places in expected.items()}
    assert {(dimension.multiplier, dimension.minus) for chart in found for dimension in chart.dimensions} <= {(1, ())}
    assert {(chart.type, chart.kind, chart.group, chart.by) for chart in found} <= {
        ("apps", "stacked", "toy", "application")}
    assert [chart.full_id for chart in found] == ["apps." + name for name in expected]
    # the host's charts are the same as without
    assert select_charts((OF_APPS,), mode, {"toy": attached(OF_APPS, **methods)}) == \
        select_charts((GROUP,), mode, {"toy": attached(GROUP, **methods)})


def test_groups_without_application_charts_have_none():
    assert select_application_charts((OF_APPS,), "entry", {}) == ()
    assert select_application_charts((GROUP,), "entry", {"toy": attached(GROUP)}) == ()


def test_titles_of_applications_have_the_notes_of_their_hooks():
    taking, giving = OF_APPS.hooks
    group = OF_APPS._replace(hooks=(taking._replace(notes=(ASKED,)), giving))
    found = select_application_charts((group,), "entry", {"toy": attached(group, **{"in": "probe"})})
    assert [each.title for each in found] == ["Calls (asked)"]
