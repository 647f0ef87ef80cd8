"""A sample as Prometheus reads it: its text format 0.0.4, and OpenMetrics 1.0. Pure functions.

The formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and
https://github.com/OpenObservability/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
"""
from __future__ import annotations

from ..model import metric
from ..model.metric import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, Optional

    from ..collect.collector import Sample
    from ..model.declared import Chart, Dimension

    Labels = tuple[tuple[str, str], ...]
    Values = tuple[Optional[int], ...]

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
END = "# EOF\n"  # of OpenMetrics


def texts(sample: Sample | Iterable[tuple[Chart, Values]], openmetrics: bool = False) -> Iterator[str]:
    """The text of a sample in parts, one or more for each chart. What is unknown has no line.

    Charts of one metric have to follow each other. In OpenMetrics, END comes behind all there is.
    """
    last = ""
    sums: dict[tuple[str, ...], str] = {}  # (chart, dimension) of the machine: its number
    for chart, values in sample:
        family = metric.family(chart)
        numbers = [_number(dimension, value, family) for dimension, value in zip(chart.dimensions, values)]
        if not chart.by:
            sums.update({(chart.id, dimension.id): number
                         for dimension, number in zip(chart.dimensions, numbers) if number is not None})
        if family.kind == "histogram":
            lines = _histogram(chart, values, family, sums)
        else:
            lines = _simple(chart, numbers, family)
        if lines:
            if family.name != last:
                yield header(family, openmetrics)
                last = family.name
            yield lines


def header(family: Family, openmetrics: bool = False) -> str:
    """The lines before the samples of a metric."""
    name, help = family.name, escaped(family.help, openmetrics)
    if not openmetrics:
        return "# HELP %s %s\n# TYPE %s %s\n" % (name, help, name, family.kind)
    if family.kind == "counter":
        name = name[:-len("_total")]
    unit = "# UNIT %s %s\n" % (name, family.unit) if family.unit else ""
    return "# TYPE %s %s\n%s# HELP %s %s\n" % (name, family.kind, unit, name, help)


def line(name: str, labels: Labels, number: str) -> str:
    """A sample's line."""
    return "%s%s %s\n" % (name, labelled(labels), number)


def labelled(labels: Labels) -> str:
    """Labels in braces, with the values escaped; nothing if there are none."""
    if not labels:
        return ""
    return "{%s}" % ",".join(['%s="%s"' % (name, escaped(value, True)) for name, value in labels])


def escaped(text: str, quotes: bool) -> str:
    """Text for a label's value, where quotes are escaped, or for a HELP line, where 0.0.4 wants them as they are."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(dimension: Dimension, value: int | None, family: Family) -> str | None:
    """The value in the metric's base unit. Counters count up, whichever side of a chart they are drawn on."""
    if value is None:
        return None
    multiplier = dimension.multiplier if family.kind == "gauge" else abs(dimension.multiplier)
    divisor = dimension.divisor * family.divisor
    return "%d" % (value * multiplier) if divisor == 1 else repr(value * multiplier / divisor)


def _simple(chart: Chart, numbers: list[str | None], family: Family) -> str:
    if chart.by and len({dimension.labels for dimension in chart.dimensions}) < len(chart.dimensions):
        return _summed(chart, numbers, family)
    return "".join([line(family.name, dimension.labels, number)
                    for dimension, number in zip(chart.dimensions, numbers) if number is not None])


def _summed(chart: Chart, numbers: list[str | None], family: Family) -> str:
    """A sample for each set of labels: of two control groups with one name, the sum. Twice the same would not be a text."""
    found: dict[Labels, int] = {}
    for dimension, number in zip(chart.dimensions, numbers):
        if number is not None:
            found[dimension.labels] = found.get(dimension.labels, 0) + int(number)
    return "".join([line(family.name, labels, "%d" % number) for labels, number in found.items()])


def _histogram(chart: Chart, values: Values, family: Family, sums: dict[tuple[str, ...], str]) -> str:
    """A chart's dimensions are slots, from the smallest values to the largest; buckets hold all up to theirs."""
    lines, total = [], 0
    common: Labels = ()
    for dimension, value in zip(chart.dimensions, values):
        if value is None:
            return ""
        total += value
        common = tuple([label for label in dimension.labels if label[0] != "le"])
        lines.append(line(family.name + "_bucket", dimension.labels, "%d" % total))
    found = sums.get(chart.metric[3])
    if found is not None:
        lines.append(line(family.name + "_sum", common, found))
    lines.append(line(family.name + "_count", common, "%d" % total))
    return "".join(lines)
