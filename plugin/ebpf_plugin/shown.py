"""What is shown, as flat data that can be handed to another process. No typing here: the steady state does without it."""
from __future__ import annotations

from collections import namedtuple


class Shown(namedtuple("Shown", "group id title units family priority lines")):
    """A chart that is declared. `group` is the group's name, `title` the chart's with what its numbers mean here."""

    __slots__ = ()


class Line(namedtuple("Line", "id algorithm multiplier plus minus rungs")):
    """A dimension that is measured. `plus` and `minus` are places in the group's counters, `rungs` those of its hooks."""

    __slots__ = ()


def pack(charts):
    """Plain tuples, for marshal."""
    return tuple(tuple(chart[:-1]) + (tuple(map(tuple, chart.lines)),) for chart in charts)


def unpack(charts):
    return tuple(Shown(*chart[:-1], tuple(Line(*line) for line in chart[-1])) for chart in charts)
