"""Which chart has which metric, with everything attached: for the documents and the dashboard."""
from types import SimpleNamespace

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.plugin import PLUGIN
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.model.metric import family
from ebpf_plugin.model.select import select_application_charts, select_cgroup_charts, select_charts

ATTACHED = SimpleNamespace(method="probe")
HOOKS = {group.name: dict.fromkeys([hook.name for hook in group.hooks], ATTACHED) for group in GROUPS}


def charts_of_metrics():
    """[(declared.Chart, Family, names of labels)] of all charts of load mode return, without the notes in titles."""
    titles = {chart.id: chart.title for group in GROUPS for chart in group.charts}
    machine = [chart.replaced(title=titles[chart.id]) for chart in select_charts(GROUPS, "return", HOOKS)]
    titles = {chart.id: chart.title for group in GROUPS for chart in group.apps}
    of_applications = [chart.replaced(title=titles[chart.id])
                       for chart in select_application_charts(GROUPS, "return", HOOKS)]
    of_cgroups = [chart.replaced(type="cgroups", by="cgroup", title=titles[chart.id])
                  for chart in select_cgroup_charts(GROUPS, "return", HOOKS)]
    machine += select_charts([PLUGIN], "return", {})
    found = [(chart, family(chart), _labels(chart)) for chart in machine + list(_of_connections())]
    return found + [(chart, family(chart), [chart.by]) for chart in of_applications + of_cgroups]


def _of_connections():
    for group in GROUPS:
        for chart in group.connections:
            names = ("service", "port", "protocol") + (("address",) if chart.id.startswith("outbound") else ())
            dimensions = tuple(Dimension("0", labels=tuple((name, "") for name in names) + dim.labels) for dim in chart.dims)
            yield Chart(group.name, chart.id, chart.title, chart.units, "", 0, dimensions, by="connection",
                        metric=tuple(chart.metric))


def _labels(chart):
    return list(dict.fromkeys(name for dimension in chart.dimensions for name, _ in dimension.labels))
