"""Which charts and dimensions are declared, and what their titles say."""
import pytest
from fakes import GROUP, attached

from ebpf_plugin.group import Note
from ebpf_plugin.lineup import lineup


def shape(shown):
    return [(each.id, [line.id for line in each.lines]) for each in shown]


@pytest.mark.parametrize("mode, rungs, expected", [
    ("entry", {}, [("flow", ["in", "out"]), ("inside", ["rest"])]),
    ("return", {}, [("flow", ["in", "out"]), ("inside", ["rest"]), ("flow_error", ["in"])]),
    ("return", {"out": None}, [("flow", ["in"]), ("flow_error", ["in"])]),
    ("return", {"in": None}, [("flow", ["out"])]),
    ("return", {"in": None, "out": None}, []),
])
def test_only_what_is_measured(mode, rungs, expected):
    assert shape(lineup((GROUP,), mode, {"toy": attached(GROUP, **rungs)})) == expected


def test_a_group_that_is_broken_shows_nothing():
    assert lineup((GROUP,), "entry", {}) == ()
    other = GROUP._replace(name="other")
    shown = lineup((GROUP, other), "entry", {"other": attached(other)})
    assert {each.group for each in shown} == {"other"}


def test_places_and_rungs():
    flow, inside = lineup((GROUP,), "entry", {"toy": attached(GROUP, out="probe")})
    assert [(line.plus, line.minus, line.rungs) for line in flow.lines] == [
        ((0,), (), ("trampoline",)), ((2,), (), ("probe",))]
    assert [(line.plus, line.minus, line.rungs) for line in inside.lines] == [((0,), (2,), ("probe", "trampoline"))]


ASKED = Note("probe", ("entry",), ("in_calls",), "asked")
LATE = Note("probe", ("entry", "return"), ("out_calls",), "late")


@pytest.mark.parametrize("mode, rungs, titles", [
    ("entry", {}, ["In and out", "Not out"]),
    ("entry", {"in": "probe"}, ["In and out (asked)", "Not out (asked)"]),
    ("entry", {"in": "probe", "out": "probe"}, ["In and out (asked, late)", "Not out (asked, late)"]),
    ("entry", {"in": None, "out": "probe"}, ["In and out (late)"]),
    ("return", {"in": "probe"}, ["In and out", "Not out", "In fails"]),
    ("return", {"in": "probe", "out": "probe"}, ["In and out (late)", "Not out (late)", "In fails"]),
])
def test_titles_say_what_is_unusual(mode, rungs, titles):
    taking, giving = GROUP.hooks
    group = GROUP._replace(hooks=(taking._replace(notes=(ASKED,)), giving._replace(notes=(LATE,))))
    assert [each.title for each in lineup((group,), mode, {"toy": attached(group, **rungs)})] == titles
