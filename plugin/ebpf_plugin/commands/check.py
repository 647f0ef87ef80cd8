"""--check: what this kernel offers for each hook, which options hold, and whether every enabled group can run.

What is known is gathered as plain data first (--json prints it), then told: a summary of at most three lines, the machine,
one line for each distinct reason, the configuration; with -v each hook and each option.
"""
from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from typing import Any, Iterator, Sequence

from . import arguments
from ..collect.rows import Counters, RowSet
from ..config import apps_groups, ebpf_conf
from ..config.options import NO_PROGRAMS, OPTIONS, Text
from ..config.settings import GROUP_NAMES, Settings
from ..groups.network import NETWORK
from ..kernel import privileges, procfs, refusals, tracefs
from ..kernel.btf import BTF_PATH
from ..load.loader import Loaded
from ..load.plan import Plan, application_files
from ..model.group import ATTACH_METHODS, Group
from ..model.select import select_charts
from ..outputs import netdata

# What no kernel could give: the hook has no place of this kind.
BY_DESIGN = ("no function stands for it", "no tracepoint stands for it")
WATCHED = 1  # second for which the bytes are counted that a filter hides


def report(args: argparse.Namespace, plan: Plan, loaded: Loaded | None, why: str) -> int:
    """Print it; the exit status is 0 if every enabled group has a chart to show. If nothing could be loaded, `loaded` is
    None and `why` says why."""
    found = {"runs": False, "why not": why, "mode": plan.settings.mode, "every": plan.settings.every, "machine": _machine(),
             **_hooks(plan.groups, plan.settings, loaded), "configuration": _configuration(args, plan.settings),
             "filter": _hidden(plan, loaded) if loaded else None}
    found["runs"] = bool(loaded) and _is_complete(plan.groups, plan.settings, loaded)
    netdata.write((json.dumps(found, indent=1) if args.json else "\n".join(_text(found, args.verbose))) + "\n")
    return 0 if found["runs"] else 1


def _is_complete(groups: Sequence[Group], wanted: Settings, loaded: Loaded | None) -> bool:
    if loaded is None:
        return False
    alive = {chart.group for chart in select_charts(groups, wanted.mode, loaded.hooks)}
    # what has no charts of its own has to be there as a whole
    alive.update(group.name for group in groups if not group.charts and group.name in loaded.hooks
                 and all(hook.method for hook in loaded.hooks[group.name].values()))
    return alive == {group.name for group in groups}


def _machine() -> dict[str, str]:
    """What takes no privilege to know."""
    try:
        tracing = tracefs.root()
    except tracefs.NoTracefs as error:
        tracing = "no: %s" % error
    return {
        "kernel": "%s on %s" % (os.uname().release, os.uname().machine),
        "BTF": BTF_PATH if os.path.exists(BTF_PATH) else "no (CONFIG_DEBUG_INFO_BTF): no trampolines",
        "kprobes": "yes" if refusals.has_kprobes() else "no (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)",
        "tracefs": tracing,
        "lockdown": procfs.read("/sys/kernel/security/lockdown").strip() or "not in this kernel",
        "denied": refusals.denied() or "nothing known"}


def _hooks(groups: Sequence[Group], wanted: Settings, loaded: Loaded | None) -> dict[str, Any]:
    """{"groups", "not loaded", "incomplete charts", "programs", "map memory"}."""
    if loaded is None:
        return {"groups": {}, "not loaded": {}, "incomplete charts": {}, "programs": "", "map memory": 0}
    shown = {(chart.id, dimension.id) for chart in select_charts(groups, wanted.mode, loaded.hooks)
             for dimension in chart.dimensions}
    incomplete = {chart.id: [dim.id for dim in chart.dims if (chart.id, dim.id) not in shown]
                  for group in groups for chart in group.charts if wanted.mode in chart.modes}
    return {
        "groups": {group.name: {name: {"method": hook.method, "where": list(hook.where), "failed": [
            {"method": method, "why": why} for method, why in hook.failed]}
            for name, hook in loaded.hooks.get(group.name, {}).items()} for group in groups},
        "not loaded": {group.name: loaded.broken[group.name] for group in groups if group.name in loaded.broken},
        "incomplete charts": {chart: missing for chart, missing in incomplete.items() if missing},
        "programs": loaded.origin, "map memory": loaded.memory}


def _configuration(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """{"files": {path: options that it sets}, "applications": {"file", "number"}, "options": {"[section] key": {"value",
    "default": whether it is that}}, "service names": {port: name}}."""
    with privileges.Unused():
        read = arguments.read(args, os.environ)
        groups, path, _ = apps_groups.load(application_files(args.config, os.environ))
    options, by_default = {}, ebpf_conf.load([]).settings.groups
    for option in OPTIONS:
        value = option.field in settings.groups if option.field in GROUP_NAMES else getattr(settings, option.field)
        default = option.field in by_default if option.field in GROUP_NAMES else option.default
        options["[%s] %s" % (option.section, option.key)] = {
            "value": _shown(value), "default": _shown(value) == _shown(default)}
    return {"files": read.files, "applications": {"file": path, "number": len(groups.names) - 1}, "options": options,
            "service names": {str(port): name for port, name in settings.services.items()}}


def _shown(value: Any) -> str:
    value = value.text if isinstance(value, Text) else value
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _hidden(plan: Plan, loaded: Loaded) -> dict[str, Any] | None:
    """{"options": of the filter, "bytes": of TCP and UDP in a second, "hidden": those that it keeps out of the charts of
    connections}. None if there is no filter, or nothing to filter."""
    viewer = plan.viewer
    if viewer is None or not plan.settings.connections or NETWORK.name not in loaded.maps:
        return None
    options = [name for name, value in (("ports", viewer.ports), ("ips", viewer.networks)) if value is not None]
    if not options:
        return None
    host = loaded.values["APP_ROWS"]
    counters = Counters(loaded.maps[NETWORK.name], len(NETWORK.counters), host + loaded.values["CGROUPS"],
                        RowSet(host, range(host)))
    time.sleep(WATCHED)
    totals = dict(zip(NETWORK.counters, counters.read()))
    moved = sum(totals["%s_%s_bytes" % (protocol, way)] for protocol in ("tcp", "udp") for way in ("send", "recv"))
    shown = sum(totals["%s_%s_%s" % (protocol, side, way)]
                for protocol in ("tcp", "udp") for side in ("out", "in") for way in ("sent", "received"))
    return {"options": options, "bytes": moved, "hidden": max(0, moved - shown)}


def _text(found: dict[str, Any], verbose: bool) -> Iterator[str]:
    hooks = [(name, hook) for group in found["groups"].values() for name, hook in group.items()]
    yield from _summary(found, hooks)
    yield ""
    for name, value in found["machine"].items():
        yield "%-9s %s" % (name, value)
    yield from _reasons(found, hooks)
    if verbose:
        yield from _every_hook(found)
    yield ""
    if found["programs"]:
        yield "programs: " + found["programs"]
    if found["map memory"]:
        yield "tables in the kernel: %d kB" % (found["map memory"] // 1024)
    statistics = found["configuration"]["options"]["[global] program statistics"]["value"]
    yield "charts of what BPF programs cost: %s" % (
        "off ([global] program statistics)" if statistics == NO_PROGRAMS else statistics)
    for chart, missing in found["incomplete charts"].items():
        yield "chart %s is shown without %s" % (chart, ", ".join(missing))
    if found["filter"]:
        yield _filter(found["filter"])
    yield from _options(found["configuration"], verbose)


def _summary(found: dict[str, Any], hooks: list[tuple[str, Any]]) -> Iterator[str]:
    missing = [name for name, hook in hooks if not hook["method"]]
    methods = Counter(hook["method"] for _, hook in hooks if hook["method"])
    places = ", ".join("%d on %ss" % (methods[method], method) for method in ATTACH_METHODS if methods[method])
    if found["why not"]:
        yield "nothing can be counted here: %s" % found["why not"]
    elif missing:
        yield "%d of %d hooks: %s; NOT SHOWN: %s" % (
            len(hooks) - len(missing), len(hooks), places or "none", ", ".join(missing))
    else:
        what = "all %d hooks on %ss" % (len(hooks), *methods) if len(methods) == 1 else "%d hooks: %s" % (len(hooks), places)
        yield "%s%s" % (what, "" if found["not loaded"] else "; nothing is missing")
    if found["not loaded"]:
        yield "not loaded: %s" % ", ".join(found["not loaded"])
    files = {path: number for path, number in found["configuration"]["files"].items() if number}
    yield "load mode %s, a sample each %d s; options set: %s" % (
        found["mode"], found["every"], ", ".join("%d in %s" % (number, path) for path, number in files.items()) or "none")


def _reasons(found: dict[str, Any], hooks: list[tuple[str, Any]]) -> Iterator[str]:
    """One line for each group that is not loaded, and for each distinct reason why a method did not take a hook."""
    reasons = Counter((failed["method"], refusals.cause(failed["why"])) for _, hook in hooks for failed in hook["failed"]
                      if failed["why"] not in BY_DESIGN)
    if found["not loaded"] or reasons:
        yield ""
    for group, why in found["not loaded"].items():
        yield "group %s is not loaded: %s" % (group, why)
    for (method, why), number in reasons.items():
        yield "%d %s not on %ss: %s" % (number, "hook" if number == 1 else "hooks", method, why)


def _every_hook(found: dict[str, Any]) -> Iterator[str]:
    for group, hooks in found["groups"].items():
        yield ""
        yield "%s, load mode %s" % (group, found["mode"])
        if group in found["not loaded"]:
            yield "  not loaded: " + found["not loaded"][group]
        for name, hook in hooks.items():
            yield "  %-12s %-11s %s" % (name, hook["method"] or "NOT SHOWN", ", ".join(hook["where"]))
            for failed in hook["failed"]:
                yield "  %-12s   not %s: %s" % ("", failed["method"], failed["why"])


def _filter(hidden: dict[str, Any]) -> str:
    what = "the filter (%s of [network viewer])" % ", ".join(hidden["options"])
    if not hidden["bytes"]:
        return "%s: no bytes were moved in %d s, so its share is unknown" % (what, WATCHED)
    return "%s hides %d %% of the bytes: %d of %d in %d s are in no chart of connections" % (
        what, round(100 * hidden["hidden"] / hidden["bytes"]), hidden["hidden"], hidden["bytes"], WATCHED)


def _options(configuration: dict[str, Any], verbose: bool) -> Iterator[str]:
    """The files, and the options that are not at their defaults (with -v all)."""
    yield ""
    yield "configuration"
    for path, number in configuration["files"].items():
        yield "  %s: %s" % (path, "%d options" % number if number != 1 else "1 option")
    applications = configuration["applications"]
    yield "  %s: %d applications" % (applications["file"] or "no " + apps_groups.NAME, applications["number"])
    for option, holds in configuration["options"].items():
        if verbose or not holds["default"]:
            yield "  %s = %s%s" % (option, holds["value"], " (default)" if holds["default"] else "")
    for port, name in configuration["service names"].items():
        yield "  [service name] %s = %s" % (port, name)
