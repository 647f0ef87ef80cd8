"""Which charts are shown: those of the enabled groups whose hooks are attached, with the dimensions that are measured."""
from __future__ import annotations

from typing import NamedTuple

from .group import hook_of


class Line(NamedTuple):
    """A dimension that is measured. `plus` and `minus` are places in the group's counters; `rungs` tells the hooks' rungs."""

    dim: object
    plus: tuple
    minus: tuple
    rungs: tuple


class Shown(NamedTuple):
    """A chart that is declared. `group` is the group's name, `title` the chart's with what its numbers mean here."""

    group: str
    chart: object
    title: str
    lines: tuple


def lineup(groups, mode, hooks):
    """The charts to declare, as a tuple of Shown. `hooks` is {group: {hook: {"rung": name or None, ...}}}."""
    shown = []
    for group in groups:
        rungs = {name: hook["rung"] for name, hook in hooks.get(group.name, {}).items()}
        for chart in group.charts:
            lines = tuple(_lines(group, chart, rungs)) if mode in chart.modes else ()
            if lines:
                notes = sorted({note for line in lines for note in _notes(group, line.dim, mode, rungs)})
                title = "%s (%s)" % (chart.title, ", ".join(notes)) if notes else chart.title
                shown.append(Shown(group.name, chart, title, lines))
    return tuple(shown)


def _lines(group, chart, rungs):
    for dim in chart.dims:
        of_dim = [rungs.get(hook_of(group, counter).name) for counter in dim.plus + dim.minus]
        if all(of_dim):
            places = [tuple(map(group.counters.index, counters)) for counters in (dim.plus, dim.minus)]
            yield Line(dim, *places, tuple(sorted(set(of_dim))))


def _notes(group, dim, mode, rungs):
    for counter in dim.plus + dim.minus:
        hook = hook_of(group, counter)
        for note in hook.notes:
            if counter in note.counters and mode in note.modes and note.rung == rungs[hook.name]:
                yield note.text
