"""Load, declare the charts, and go on as the collector: what the agent starts, and --debug."""
from __future__ import annotations

import argparse
import os
import time
from typing import Any, Sequence

from . import reread
from .. import log
from ..collect import connections, daemon
from ..config import listen_address
from ..config.options import ALL_PROGRAMS, NO_PROGRAMS
from ..config.settings import Settings
from ..groups.apps import APPS
from ..groups.network import NETWORK
from ..groups.plugin import FULL, PLUGIN
from ..kernel import privileges, procfs
from ..load import loader, running_processes
from ..load.loader import Loaded
from ..load.plan import Plan
from ..model import declared
from ..model.select import select_application_charts, select_cgroup_charts, select_charts
from ..outputs import netdata, netdata_protocol


def run(args: argparse.Namespace, plan: Plan) -> int:
    """Returns the exit status; raises lifecycle.Stop."""
    begun = time.monotonic()
    endpoint = None
    try:
        if not plan.groups:
            raise loader.LoadFailed(
                "no group is enabled: see [ebpf programs] of ebpf.conf, or of ebpf.d.conf, and the flags -p and -n")
        test = {name: os.environ.get("EBPF_PLUGIN_TEST_" + name.upper(), "") for name in ("comm", "netns")}
        if plan.settings.listen and not args.check:
            endpoint = _endpoint(args, plan)
        loaded = loader.load(plan, test)
    except loader.LoadFailed as failure:
        if args.check:
            from . import check
            return check.report(args, plan, None, str(failure))
        return _fail(args, plan.settings, str(failure))
    if args.check:
        from . import check
        return check.report(args, plan, loaded, "")
    charts = select_charts(plan.groups, plan.settings.mode, loaded.hooks)
    _log_failures(loaded)
    if not charts:
        return _fail(args, plan.settings, "no hook could be attached; ebpf.plugin --check says more")
    state = _state(args, plan, loaded, charts)
    # as Netdata's own plugins take it
    if not args.debug and os.environ.get("NETDATA_INTERNALS_MONITORING") != "NO":
        from . import internals
        state["internals"] = internals.plan(plan.groups, plan.settings.mode, loaded, time.monotonic() - begun)
    descriptors = list(loaded.descriptors)
    if endpoint:
        state["endpoint"] = {
            **endpoint,
            "counters": {group.name: group.counters for group in plan.groups if args.debug and group.name in loaded.maps},
            "hooks": tuple((group, name, hook.method or "")
                           for group, hooks in loaded.hooks.items() for name, hook in hooks.items())}
        descriptors += (endpoint["page"], endpoint["alive"])
    if args.debug:
        from ..outputs import terminal
        view = terminal.view(charts, loaded, plan.settings)
        if args.ticks is None and not os.isatty(1):
            log.write(log.INFO, "stdout is no terminal: plain lines at each tick until Ctrl-C; --once prints one tick")
        daemon.run(state, daemon.published(state, view))
        return 0
    if is_for_agent(args, plan.settings):
        netdata.declare(charts, plan.settings.every)
    else:
        log.write(log.INFO, "metrics are served on %s" % plan.settings.listen)
    return daemon.execute(state, descriptors)


def is_for_agent(args: argparse.Namespace, settings: Settings) -> bool:
    """Whether stdout is the agent's: always, unless metrics are served and nobody asks for the protocol by an interval or by
    what the agent has in the environment of its plugins."""
    return bool(not settings.listen or args.seconds or any(name.startswith("NETDATA_") for name in os.environ))


def _endpoint(args: argparse.Namespace, plan: Plan) -> dict[str, Any] | None:
    """Start the process that serves metrics. Without it there are still charts; if there are none, raises LoadFailed."""
    from ..endpoint import start, web_config
    address = listen_address.parse(plan.settings.listen)
    alone = not args.debug and not is_for_agent(args, plan.settings)
    try:
        with privileges.Unused():
            web = web_config.read(plan.settings.web_config) if plan.settings.web_config else {}
        options = {"web": web, "names": args.metrics_names}
        return {**start.start(address, options, os.environ), "alone": alone}
    except (start.CannotListen, web_config.Invalid) as error:
        if alone:
            raise loader.LoadFailed(str(error)) from error
        log.write(log.ERROR, str(error))
        return None


def _state(args: argparse.Namespace, plan: Plan, loaded: Loaded, charts: Sequence[declared.Chart]) -> dict[str, Any]:
    """What the collector needs, for marshal: see daemon.run()."""
    settings = plan.settings
    rows = loaded.values["APP_ROWS"] + loaded.values["CGROUPS"]
    state = {
        "programs": loaded.programs, "links": loaded.links, "events": tuple(loaded.events),
        "charts": declared.pack(charts), "ticks": args.ticks, "host": loaded.values["APP_ROWS"],
        # tests tick faster than any agent takes
        "every": float(os.environ.get("EBPF_PLUGIN_TEST_INTERVAL", settings.every)),
        "connections": None, "apps": None, "cgroups": None, "statistics": None, "internals": None, "reload": None,
        "endpoint": None,
        "maps": {group.name: (loaded.maps[group.name], len(group.counters), rows if group.split else 1)
                 for group in plan.groups if group.name in loaded.maps},
    }
    if plan.viewer and settings.connections and "flows" in loaded.tables:
        state["connections"] = connections.plan(
            NETWORK, settings.mode, loaded.hooks["network"], plan.viewer, loaded.tables["flows"], _entries_of_flows(loaded))
    if settings.program_statistics != NO_PROGRAMS:
        from ..programs import statistics
        state["statistics"], held = statistics.for_charts(settings.program_statistics == ALL_PROGRAMS, loaded.programs)
        loaded.descriptors.extend(held)
    of_applications = declared.pack(select_application_charts(plan.groups, settings.mode, loaded.hooks))
    hooks = loaded.hooks.get(APPS.name)
    if plan.applications and hooks and all(hook.method for hook in hooks.values()):
        known = running_processes.enter(loaded.tables, plan.applications.rules)
        state["apps"] = {**plan.applications._asdict(), "tables": loaded.tables, "rows": tuple(known),
                         "charts": of_applications, "processes": settings.processes}
    if plan.cgroup_mount and "cgroup_rows" in loaded.tables:
        state["cgroups"] = {"mount": plan.cgroup_mount, "first": loaded.values["APP_ROWS"],
                            "tables": loaded.tables, "for_agent": not args.debug,
                            "charts": declared.pack(select_cgroup_charts(plan.groups, settings.mode, loaded.hooks))}
    state["plugin"] = _of_plugin(plan, loaded, state["apps"] is not None)
    # a terminal that is closed sends SIGHUP as well; who writes to it cannot go on then, but who only serves metrics could
    if not args.debug and (is_for_agent(args, settings) or not os.isatty(0)):
        state["reload"] = reread.for_collector(plan, loaded.tables)
    return state


def _of_plugin(plan: Plan, loaded: Loaded, has_applications: bool) -> dict[str, Any]:
    """What PluginCharts needs: how many hooks of the enabled groups are attached and missing, and what its charts are."""
    hooks = [bool(loaded.hooks.get(group.name) and loaded.hooks[group.name][hook.name].method)
             for group in plan.groups for hook in group.hooks if plan.settings.mode in hook.modes]
    charts = [declared.Chart(PLUGIN.name, chart.id, chart.title, chart.units, chart.family, chart.priority,
                             tuple(declared.Dimension(dim.id, dim.algorithm) for dim in chart.dims))
              for chart in PLUGIN.charts if has_applications or chart.id != FULL]
    return {"charts": declared.pack(charts), "hooks": (sum(hooks), len(hooks) - sum(hooks)),
            "full": APPS.counters.index("apps_full")}


def _entries_of_flows(loaded: Loaded) -> int:
    flows = next(table for table in NETWORK.tables if table.name == "flows")
    return flows.entries_with(loaded.values, procfs.possible_cpus())


def _fail(args: argparse.Namespace, settings: Settings, reason: str) -> int:
    """A failure that trying again will not change: one line, and the agent is told not to start us again."""
    log.write(log.ERROR, reason)
    if not args.debug and is_for_agent(args, settings):
        netdata.write(netdata_protocol.DISABLE)
    return 1


def _log_failures(loaded: Loaded) -> None:
    """One line for each group that could not be loaded, each hook that could not be attached, each warning."""
    for group, why in loaded.broken.items():
        log.write(log.ERROR, "%s: not loaded: %s" % (group, why))
    for group, hooks in loaded.hooks.items():
        missing = {name: "; ".join("%s: %s" % failed for failed in hook.failed)
                   for name, hook in hooks.items() if hook.method is None}
        if group == APPS.name and missing:
            log.write(log.WARNING, "no charts of applications: %s: %s" % next(iter(missing.items())))
            continue
        for name, why in missing.items():
            log.write(log.WARNING, "%s: %s is not shown: %s" % (group, name, why))
    for warning in loaded.warnings:
        log.write(log.WARNING, warning)
