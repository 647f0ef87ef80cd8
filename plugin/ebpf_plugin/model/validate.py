"""The rules that the data of groups has to keep. Checked when the registry is imported."""
from __future__ import annotations

from typing import Iterable, Iterator

from .chart import MODES, Chart
from .group import ATTACH_METHODS, Group, Hook


def validate(groups: tuple[Group, ...]) -> None:
    """Raise ValueError, naming group and part, for data that the engine or the agent could not take."""
    for kind, charts in (("charts", [chart for group in groups for chart in group.charts + group.connections]),
                         ("charts of applications", [chart for group in groups for chart in group.apps])):
        _demand_no_twins(kind, (chart.id for chart in charts))
    _demand_no_twins("groups", (group.name for group in groups))
    _demand_no_twins("options", ("%s/%s" % group.switch[:2][::-1] for group in groups))
    names = {group.name: group for group in groups}
    for group in groups:
        leader = names.get(group.switch.follows)
        _demand(not group.switch.follows or leader is not None and not leader.switch.follows,
                "%s: follows %r, which is no group with an option of its own" % (group.name, group.switch.follows))
        _validate_counters(group)
        _demand_no_twins("%s: hooks" % group.name, (hook.name for hook in group.hooks))
        for hook in group.hooks:
            _validate_hook("%s/%s" % (group.name, hook.name), hook)
        for chart in group.charts + group.apps + group.connections:
            _validate_chart("%s/%s" % (group.name, chart.id), chart, group)


def _validate_counters(group: Group) -> None:
    written = [counter for hook in group.hooks for counter in hook.counters]
    _demand_no_twins("%s: counters that hooks write" % group.name, written)
    _demand_no_twins("%s: counters" % group.name, group.counters)
    _demand_empty("%s: no hook writes" % group.name, set(group.counters) - set(written))
    _demand_empty("%s: a hook writes unknown counters" % group.name, set(written) - set(group.counters))


def _validate_hook(where: str, hook: Hook) -> None:
    _demand(hook.first in ("",) + ATTACH_METHODS, "%s: unknown attach method %r" % (where, hook.first))
    _demand_empty(where + ": unknown modes", set(hook.modes) - set(MODES))
    for note in hook.notes:
        _demand_empty(where + ": a note on another hook's counters", set(note.counters) - set(hook.counters))
    _demand(bool(hook.functions or hook.tracepoints), where + ": nothing to attach")


def _validate_chart(where: str, chart: Chart, group: Group) -> None:
    for field in ("title", "units", "family", "description"):
        _demand(bool(getattr(chart, field)), "%s: an empty %s" % (where, field))
    for name in (chart.id, *(dim.id for dim in chart.dims)):
        _demand(_plain(name), "%s: an id that the protocol cannot carry: %r" % (where, name))
    _demand(bool(chart.dims), where + ": no dimensions")
    _demand_no_twins(where + ": dimensions", (dim.id for dim in chart.dims))
    for dim in chart.dims:
        _demand(bool(dim.plus), "%s: dimension %s has no counters" % (where, dim.id))
        _demand_empty("%s: dimension %s has unknown counters" % (where, dim.id),
                      set(dim.plus + dim.minus) - set(group.counters))
        _demand(dim.algorithm in ("incremental", "absolute"), "%s: unknown algorithm %r" % (where, dim.algorithm))


def _plain(text: str) -> bool:
    return text.isascii() and text.replace("_", "").isalnum()


def _twins(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def _demand_no_twins(what: str, names: Iterable[str]) -> None:
    twins = sorted(set(_twins(names)))
    _demand(not twins, "%s: the same name twice: %s" % (what, ", ".join(twins)))


def _demand_empty(what: str, extra: set[str]) -> None:
    _demand(not extra, "%s: %s" % (what, ", ".join(sorted(extra))))


def _demand(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
