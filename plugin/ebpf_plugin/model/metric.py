"""How charts are called where names follow Prometheus: derived from id, units and group, as far as Metric does not say it.

`ebpf_` + who is told apart (application_, cgroup_, connection_; nothing for the machine) + what + unit + `_total`, by
https://prometheus.io/docs/practices/naming/. The machine and applications have different names, as a sum over one name must
not count an event twice.
"""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import chart, declared

PREFIX = "ebpf_"
# what a chart's units say: the base unit, how many of the chart's make one of it
UNITS = {"milliseconds": ("seconds", 1000), "microseconds": ("seconds", 10 ** 6), "nanoseconds": ("seconds", 10 ** 9),
         "difference": ("", 1), "percentage": ("ratio", 100)}
BASE_UNITS = ("seconds", "bytes", "ratio")
DEFAULT_LABEL = "dimension"


class Family:
    """A metric. name: with all it is called, but `_bucket` and so on of histograms; kind: counter, gauge or histogram;
    unit: the base unit, "" if it has none; divisor: how many of the chart's units make one of it; help: for people."""

    __slots__ = ("name", "kind", "unit", "divisor", "help")

    def __init__(self, name: str, kind: str, unit: str, divisor: int, help: str):
        self.name, self.kind, self.unit, self.divisor, self.help = name, kind, unit, divisor, help


def default_labels(chart: chart.Chart, dimension: str) -> tuple[tuple[str, str], ...]:
    """The labels of a dimension that has none of its own; one that is alone takes none."""
    return ((chart.metric.label or DEFAULT_LABEL, dimension),) if len(chart.dims) > 1 else ()


def family(chart: declared.Chart) -> Family:
    """The metric of a chart."""
    name, _, help, _ = chart.metric or ("", "", "", ())
    unit = chart.units.partition("/")[0]
    unit, divisor = UNITS.get(unit, (unit, 1))
    kind = kind_of(chart)
    if kind == "histogram":
        unit, divisor = "seconds", 1
    words = (name or _of_group(chart)).split("_")
    if words[-1] == "error":
        words[-1] = "errors"
    elif unit:
        if words[-1] in (unit, unit[:-1]):
            del words[-1]
        words.append(unit)
    if kind == "counter":
        words.append("total")
    prefix = PREFIX + (chart.by + "_" if chart.by else "")
    help = (help or chart.title) + (", by " + chart.by if chart.by else "")
    return Family(prefix + "_".join(words), kind, unit if unit in BASE_UNITS else "", divisor, help)


def kind_of(chart: declared.Chart) -> str:
    """counter, gauge or histogram."""
    dimensions: Any = chart.dimensions
    if dimensions and dimensions[0].algorithm != "incremental":
        return "gauge"
    return "histogram" if dimensions and any(name == "le" for name, _ in dimensions[0].labels) else "counter"


def _of_group(chart: declared.Chart) -> str:
    """The chart's id, behind the group's name if nobody but the machine is told apart and it is not there already."""
    return chart.id if chart.by or chart.id.startswith(chart.group) else "%s_%s" % (chart.group, chart.id)
