"""What is shown, as flat data that can be handed to another process. No typing here: the steady state does without it."""
from __future__ import annotations

from collections import namedtuple


class DeclaredChart(namedtuple(
        "DeclaredChart", "group id title units family priority lines kind type", defaults=("line", "ebpf"))):
    """A chart that is declared. `group` is the group's name, `title` the chart's with what its numbers mean here; `kind` is
    line or stacked, `type` what stands before the id."""

    __slots__ = ()

    @property
    def full_id(self):
        return "%s.%s" % (self.type, self.id)


class Series(namedtuple("Series", "id algorithm multiplier plus minus methods name", defaults=("",))):
    """A dimension that is measured. `plus` and `minus` are places in the group's counters, `methods` those of its hooks.
    `name` is for people, if it is not the id."""

    __slots__ = ()


def pack(charts):
    """Plain tuples, for marshal."""
    return tuple(tuple(chart._replace(lines=tuple(map(tuple, chart.lines)))) for chart in charts)


def unpack(charts):
    charts = (DeclaredChart(*chart) for chart in charts)
    return tuple(chart._replace(lines=tuple(Series(*line) for line in chart.lines)) for chart in charts)
