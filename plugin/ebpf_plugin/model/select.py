"""Which charts are declared: those of the enabled groups whose hooks are attached, with the dimensions that are measured."""
from __future__ import annotations

from typing import Iterable, Iterator, Mapping, Protocol

from . import declared, metric
from .chart import Chart, Dimension
from .group import Group, hook_of


class HasMethod(Protocol):
    """A hook that was tried."""

    @property
    def method(self) -> str | None:
        """The attach method that took it, None if none did."""


Hooks = Mapping[str, Mapping[str, HasMethod]]  # {group: {hook: ...}}


def select_charts(groups: Iterable[Group], mode: str, hooks: Hooks) -> tuple[declared.Chart, ...]:
    """The charts of the machine in ENTRY or RETURN mode."""
    return tuple(chart for group in groups for chart in _selected(group, group.charts, mode, hooks))


def select_application_charts(groups: Iterable[Group], mode: str, hooks: Hooks) -> tuple[declared.Chart, ...]:
    """Those of applications; the one dimension of each tells where the values of all are in the counters."""
    return tuple(chart.replaced(kind="stacked", type="apps", by="application")
                 for group in groups for chart in _selected(group, group.apps, mode, hooks))


def select_cgroup_charts(groups: Iterable[Group], mode: str, hooks: Hooks) -> tuple[declared.Chart, ...]:
    """Those of applications that control groups have as well; the context is what theirs end in."""
    ends = {(group.name, chart.id): chart.cgroup for group in groups for chart in group.apps if chart.cgroup}
    return tuple(chart.replaced(context=ends[chart.group, chart.id])
                 for chart in select_application_charts(groups, mode, hooks) if (chart.group, chart.id) in ends)


def _selected(group: Group, charts: Iterable[Chart], mode: str, hooks: Hooks) -> Iterator[declared.Chart]:
    methods = {name: hook.method for name, hook in hooks.get(group.name, {}).items()}
    for chart in charts:
        dims = [dim for dim in chart.dims if all(_methods(group, dim, methods))] if mode in chart.modes else []
        if dims:
            notes = sorted({note for dim in dims for note in _notes(group, dim, mode, methods)})
            title = "%s (%s)" % (chart.title, ", ".join(notes)) if notes else chart.title
            yield declared.Chart(group.name, chart.id, title, chart.units, chart.family, chart.priority,
                                 tuple(_declared(group, chart, dim, methods) for dim in dims), context=chart.context,
                                 metric=tuple(chart.metric))


def _methods(group: Group, dim: Dimension, methods: Mapping[str, str | None]) -> list[str | None]:
    """The attach methods of the hooks that write the dimension's counters; None for one that is not attached."""
    return [methods.get(hook_of(group, counter).name) for counter in dim.plus + dim.minus]


def _declared(group: Group, chart: Chart, dim: Dimension, methods: Mapping[str, str | None]) -> declared.Dimension:
    plus, minus = (tuple(map(group.counters.index, counters)) for counters in (dim.plus, dim.minus))
    used = sorted({method for method in _methods(group, dim, methods) if method})
    return declared.Dimension(dim.id, dim.algorithm, dim.multiplier, plus, minus, tuple(used), divisor=dim.divisor,
                              labels=dim.labels or metric.default_labels(chart, dim.id))


def _notes(group: Group, dim: Dimension, mode: str, methods: Mapping[str, str | None]) -> Iterator[str]:
    for counter in dim.plus + dim.minus:
        hook = hook_of(group, counter)
        for note in hook.notes:
            if counter in note.counters and mode in note.modes and note.method == methods[hook.name]:
                yield note.text
