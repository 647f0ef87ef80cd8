"""Which charts are shown: those of the enabled groups whose hooks are attached, with the dimensions that are measured."""
from __future__ import annotations

from .group import hook_of
from .shown import Line, Shown


def lineup(groups, mode, hooks):
    """The charts to declare, as a tuple of Shown. `hooks` is {group: {hook: {"rung": name or None, ...}}}."""
    shown = []
    for group in groups:
        rungs = {name: hook["rung"] for name, hook in hooks.get(group.name, {}).items()}
        for chart in group.charts:
            dims = _measured(group, chart, rungs) if mode in chart.modes else ()
            if dims:
                notes = sorted({note for dim in dims for note in _notes(group, dim, mode, rungs)})
                title = "%s (%s)" % (chart.title, ", ".join(notes)) if notes else chart.title
                lines = tuple(_line(group, dim, rungs) for dim in dims)
                shown.append(Shown(group.name, chart.id, title, chart.units, chart.family, chart.priority, lines))
    return tuple(shown)


def _measured(group, chart, rungs):
    """The dimensions whose hooks are all attached."""
    return [dim for dim in chart.dims if all(_rungs(group, dim, rungs))]


def _rungs(group, dim, rungs):
    return [rungs.get(hook_of(group, counter).name) for counter in dim.plus + dim.minus]


def _line(group, dim, rungs):
    places = [tuple(map(group.counters.index, counters)) for counters in (dim.plus, dim.minus)]
    return Line(dim.id, dim.algorithm, dim.multiplier, *places, tuple(sorted(set(_rungs(group, dim, rungs)))))


def _notes(group, dim, mode, rungs):
    for counter in dim.plus + dim.minus:
        hook = hook_of(group, counter)
        for note in hook.notes:
            if counter in note.counters and mode in note.modes and note.rung == rungs[hook.name]:
                yield note.text
