"""The names of metrics: by the rule, and as groups say them."""
import re

from fakes import attached, duplicates
import pytest

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.plugin import PLUGIN
from ebpf_plugin.model.chart import MODES
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.model.metric import family
from ebpf_plugin.model.select import select_application_charts, select_charts

NAME = re.compile(r"ebpf_[a-z][a-z0-9]*(_[a-z0-9]+)*")
LABEL = re.compile(r"[a-z][a-z_]*")
HOOKS = {group.name: attached(group) for group in GROUPS}


def charts(mode):
    of_applications = select_application_charts(GROUPS, mode, HOOKS)
    return [*select_charts(GROUPS, mode, HOOKS), *of_applications,
            *(chart.replaced(by="cgroup") for chart in of_applications),
            *(Chart(group.name, chart.id, chart.title, chart.units, "", 0, (), by="connection", metric=tuple(chart.metric))
              for group in GROUPS for chart in group.connections), *select_charts([PLUGIN], mode, {})]


@pytest.mark.parametrize("mode", MODES)
def test_every_chart_has_a_valid_metric_of_its_own(mode):
    found = charts(mode)
    names = [family(chart).name for chart in found]
    assert [name for name in names if not NAME.fullmatch(name)] == []
    histograms = {family(chart).name for chart in found if family(chart).kind == "histogram"}
    assert duplicates([name for name in names if name not in histograms]) == []
    # the charts of a histogram follow each other: its text is one block
    begun = [name for before, name in zip([None] + names, names) if name in histograms and before != name]
    assert begun == sorted(histograms)


@pytest.mark.parametrize("mode", MODES)
def test_the_dimensions_of_a_metric_have_different_labels(mode):
    seen = {}
    for chart in charts(mode):
        if not chart.by:
            for dimension in chart.dimensions:
                place = family(chart).name, dimension.labels
                assert seen.setdefault(place, (chart.id, dimension.id)) == (chart.id, dimension.id)
                assert all(LABEL.fullmatch(name) and value for name, value in dimension.labels)
    assert len(seen) == sum(len(chart.dimensions) for chart in charts(mode) if not chart.by)


@pytest.mark.parametrize("mode", MODES)
def test_the_sum_of_a_histogram_is_a_dimension_of_a_chart_before_it(mode):
    seen = set()
    for chart in charts(mode):
        if family(chart).kind == "histogram":
            assert chart.metric[3] in seen
        seen.update((chart.id, dimension.id) for dimension in chart.dimensions)


@pytest.mark.parametrize("fields, name", [
    ({}, "ebpf_toy_flow_calls_total"),
    ({"id": "toy_flow"}, "ebpf_toy_flow_calls_total"),
    ({"by": "application"}, "ebpf_application_flow_calls_total"),
    ({"by": "cgroup"}, "ebpf_cgroup_flow_calls_total"),
    ({"id": "flow_call"}, "ebpf_toy_flow_calls_total"),
    ({"id": "flow_calls"}, "ebpf_toy_flow_calls_total"),
    ({"id": "flow_error"}, "ebpf_toy_flow_errors_total"),
    ({"units": "bytes/s"}, "ebpf_toy_flow_bytes_total"),
    ({"units": "milliseconds/s"}, "ebpf_toy_flow_seconds_total"),
    ({"units": "difference", "dimensions": (Dimension("a", "absolute"),)}, "ebpf_toy_flow"),
    ({"metric": ("tide", "", "", ())}, "ebpf_tide_calls_total"),
    ({"metric": ("tide", "", "", ()), "by": "application"}, "ebpf_application_tide_calls_total"),
])
def test_the_rule(fields, name):
    chart = Chart("toy", "flow", "In and out", "calls/s", "Toys", 1, (Dimension("a"),))
    assert family(chart.replaced(**fields)).name == name


def test_a_help_text_of_its_own():
    chart = Chart("toy", "flow", "In and out", "calls/s", "Toys", 1, (Dimension("a"),))
    assert family(chart).help == "In and out"
    assert family(chart.replaced(by="application")).help == "In and out, by application"
    assert family(chart.replaced(metric=("", "", "Out and in", ()))).help == "Out and in"
