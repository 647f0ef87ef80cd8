"""`ebpf.plugin charts`: what every chart shows, for people. Asks neither the kernel nor the configuration."""
from __future__ import annotations

import os.path
import shutil
import textwrap
from typing import Iterator, NamedTuple

from ..groups import GROUPS
from ..groups.plugin import PLUGIN
from ..model.chart import MODES, Chart
from ..model.group import Group
from ..outputs import netdata

MACHINE, CONNECTION, APPLICATION = SCOPES = ("machine", "connection", "application")
INDENT = "    "
OF_CGROUPS = (
    "With `cgroups = yes`, what the charts apps.… show of an application is shown of control groups as well (but not "
    "task_close and bandwidth_tcp_retransmit): cgroups.… have a dimension for each unit and container, services.… (contexts "
    "services.…) one for each service of the system, and cgroup_NAME.… (contexts cgroup.…) are the charts of one container.")


class Listed(NamedTuple):
    """A chart, or several of one context that differ in a VECTOR. full_id: with the type; scope: what the dimensions are
    told apart by; dimensions: (id, multiplier) of each, with capitals for what only the running plugin knows."""

    group: Group
    chart: Chart
    scope: str
    full_id: str
    context: str
    dimensions: tuple[tuple[str, int], ...]


def listed() -> Iterator[Listed]:
    """Every chart that there can be, in the order of the dashboard."""
    for group in GROUPS:
        yield from (_of_machine(group, chart) for chart in _once_for_each_context(group.charts))
        for chart in group.connections:
            dims = tuple(("CONNECTION_" + dim.id if len(chart.dims) > 1 else "CONNECTION", dim.multiplier)
                         for dim in chart.dims)
            yield _of_machine(group, chart)._replace(scope=CONNECTION, dimensions=dims)
    for group in GROUPS:
        for chart in group.apps:
            full_id = "apps." + chart.id
            yield Listed(group, chart, APPLICATION, full_id, chart.context or full_id, (("APPLICATION", 1),))
    yield from (_of_machine(PLUGIN, chart) for chart in PLUGIN.charts)


def _of_machine(group: Group, chart: Chart) -> Listed:
    full_id = "ebpf." + chart.id
    dims = tuple((dim.id, dim.multiplier) for dim in chart.dims)
    return Listed(group, chart, MACHINE, full_id, chart.context or full_id, dims)


def _once_for_each_context(charts: tuple[Chart, ...]) -> Iterator[Chart]:
    """Those whose context no other has; of others the first, with VECTOR for what differs."""
    for place, chart in enumerate(charts):
        ids = [other.id for other in charts if chart.context and other.context == chart.context]
        if len(ids) < 2:
            yield chart
        elif chart.id == ids[0]:
            common = os.path.commonprefix(ids)
            vector = chart.id[len(common):].upper()
            yield chart._replace(id=common + "VECTOR", title=chart.title.replace(vector, "VECTOR"),
                                 description=chart.description.replace(vector, "VECTOR"))


def show() -> int:
    """Print them; returns the exit status."""
    width = max(60, min(shutil.get_terminal_size((120, 0)).columns, 160))
    netdata.write("".join(line + "\n" for line in _lines(list(listed()), width)))
    return 0


def _lines(charts: list[Listed], width: int) -> Iterator[str]:
    columns = [max(len(cell) for cell in column) for column in zip(*map(_cells, charts))]
    yield _row(("CHART", "UNITS", "CONTEXT", "DIMENSIONS"), columns, width)
    for chart in charts:
        yield ""
        yield _row(_cells(chart), columns, width)
        text = "%s. %s" % (chart.chart.title, chart.chart.description)
        yield from textwrap.wrap(text + _when(chart), width, initial_indent=INDENT, subsequent_indent=INDENT,
                                 break_on_hyphens=False, break_long_words=False)
    yield ""
    yield from textwrap.wrap(OF_CGROUPS, width, break_on_hyphens=False)


def _cells(chart: Listed) -> tuple[str, ...]:
    return chart.full_id, chart.chart.units, chart.context, ", ".join(name for name, _ in chart.dimensions)


def _row(cells: tuple[str, ...], columns: list[int], width: int) -> str:
    """A line of the table; dimensions that do not fit in it come below."""
    *first, last = cells
    head = "  ".join(cell.ljust(column) for cell, column in zip(first, columns))
    if len(head) + 2 + len(last) <= width:
        return head + "  " + last
    return "\n".join([head.rstrip(), *textwrap.wrap(last, width, initial_indent=INDENT, subsequent_indent=INDENT)])


def _when(chart: Listed) -> str:
    """When the chart is not there by default."""
    conditions = []
    if not chart.group.switch.default:
        conditions.append("%s = yes" % chart.group.switch.key)
    if set(chart.chart.modes) != set(MODES):
        conditions.append("ebpf load mode = %s" % chart.chart.modes[0])
    return " Only with %s." % " and ".join("`%s`" % each for each in conditions) if conditions else ""
