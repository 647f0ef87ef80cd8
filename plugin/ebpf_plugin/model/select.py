"""Which charts are shown: those of the enabled groups whose hooks are attached, with the dimensions that are measured."""
from __future__ import annotations

from .group import hook_of
from .series import DeclaredChart, Series


def select_charts(groups, mode, hooks):
    """The charts to declare, as a tuple of Shown. `hooks` is {group: {hook: {"method": name or None, ...}}}."""
    return tuple(shown for group in groups for shown in _shown(group, group.charts, mode, hooks))


def select_application_charts(groups, mode, hooks):
    """The same for the charts of applications; the one line of each tells where their values are in the counters."""
    return tuple(shown._replace(kind="stacked", type="apps")
                 for group in groups for shown in _shown(group, group.apps, mode, hooks))


def _shown(group, charts, mode, hooks):
    methods = {name: hook.method for name, hook in hooks.get(group.name, {}).items()}
    for chart in charts:
        dims = _measured(group, chart, methods) if mode in chart.modes else ()
        if dims:
            notes = sorted({note for dim in dims for note in _notes(group, dim, mode, methods)})
            title = "%s (%s)" % (chart.title, ", ".join(notes)) if notes else chart.title
            lines = tuple(_line(group, dim, methods) for dim in dims)
            yield DeclaredChart(group.name, chart.id, title, chart.units, chart.family, chart.priority, lines)


def _measured(group, chart, methods):
    """The dimensions whose hooks are all attached."""
    return [dim for dim in chart.dims if all(_methods(group, dim, methods))]


def _methods(group, dim, methods):
    return [methods.get(hook_of(group, counter).name) for counter in dim.plus + dim.minus]


def _line(group, dim, methods):
    places = [tuple(map(group.counters.index, counters)) for counters in (dim.plus, dim.minus)]
    return Series(dim.id, dim.algorithm, dim.multiplier, *places, tuple(sorted(set(_methods(group, dim, methods)))))


def _notes(group, dim, mode, methods):
    for counter in dim.plus + dim.minus:
        hook = hook_of(group, counter)
        for note in hook.notes:
            if counter in note.counters and mode in note.modes and note.method == methods[hook.name]:
                yield note.text
