"""The command: from argv, environment and ebpf.conf to a running collector."""
from __future__ import annotations

import argparse
import os

from . import VERSION, lifecycle, log
from .collect import cgroups, connections, daemon
from .compile import source
from .config import apps_groups, directories, ebpf_conf, network_viewer
from .groups import GROUPS
from .groups.network import NETWORK
from .kernel import bpf, privileges, procfs, tracefs
from .load import handoff, running_processes
from .model import series
from .model.select import select_application_charts, select_charts
from .outputs import netdata, netdata_protocol


def arguments(argv=None):
    parser = argparse.ArgumentParser(prog="ebpf.plugin", allow_abbrev=False, description=(
        "Charts of what the kernel does with files, VFS, processes, TCP and UDP, for the machine and for each application, "
        "for the Netdata agent: its protocol on stdout, a log on stderr. A flag wins over ebpf.conf."))
    add = parser.add_argument
    add("seconds", nargs="?", type=_positive, metavar="SECONDS",
        help="time between two samples; ebpf.conf can make it longer (default 1)")
    add("--debug", action="store_true", help="a live table for people (plain lines where stdout is no terminal)")
    add("--ticks", type=_positive, metavar="N", help="stop after N ticks")
    add("--once", dest="ticks", action="store_const", const=1, help="the same as --ticks 1")
    add("--config", metavar="DIR", help="read ebpf.conf and apps_groups.conf of DIR instead of the user's")
    add("--check", action="store_true",
        help="say what this kernel offers for each hook; exit 0 if every enabled group can run")
    add("--show-bpf", action="store_true", help="print the C text that would be compiled")
    add("-r", "--return", dest="returning", action="store_true", help="load mode return: errors are charted as well")
    add("-p", "--process", action="store_true", help="only files, VFS and processes")
    add("-n", "--net", action="store_true", help="only the network viewer: TCP, UDP, connections")
    add("-g", "--global", dest="no_apps", action="store_true", help="no charts per application")
    add("-a", "--all", action="store_true", help="everything")
    add("-v", "--version", action="version", version="ebpf.plugin " + VERSION)
    return parser.parse_args(argv)


def _positive(text):
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) and len(text) < 9):
        raise argparse.ArgumentTypeError("expected a whole number above 0, not %r" % text)
    return int(text)


def settings(args, environment):
    """The Settings of files and flags; what is wrong in the files is logged."""
    paths = [os.path.join(directory, ebpf_conf.NAME) for directory in directories.configuration(args.config, environment)]
    found, messages = ebpf_conf.load(paths)
    if args.config and not os.path.exists(paths[0]):
        messages.append("%s:1: there is no such file; the stock configuration holds" % paths[0])
    for message in messages:
        log.write(log.ERROR, message)
    if args.returning:
        found = found._replace(mode="return")
    if args.all:
        found = found._replace(connections=True, apps=True)
    if args.no_apps:
        found = found._replace(apps=False)
    if args.process or args.net or args.all:
        process, net = args.process or args.all, args.net or args.all
        found = found._replace(process=process, file=process, vfs=process, network=net)
    return found._replace(every=max(args.seconds or 1, found.every))


def main(argv=None):
    """Returns the exit status for a mistake in the arguments; a plugin that ran ends in life.leave()."""
    args = arguments(argv)
    lifecycle.on_signals()
    try:
        with privileges.unused():
            wanted = settings(args, os.environ)
        status = run(args, wanted)
    except lifecycle.Stop as stop:
        status = stop.status
    lifecycle.exit_now(status)


def run(args, wanted):
    """Load, declare, go on as the steady collector. Returns the exit status; raises life.Stop."""
    network, sizes = network_of(wanted)
    wanted = wanted._replace(network=network is not None)
    applications = apps_of(args, wanted, sizes)
    wanted = wanted._replace(apps=applications is not None)
    control_groups = cgroups_of(wanted, sizes)
    groups = tuple(group for group in GROUPS if group.name in wanted.groups())
    if args.show_bpf:
        return show_bpf(groups, wanted, sizes)
    plan = {
        "groups": [group.name for group in groups], "mode": wanted.mode, "method": wanted.method,
        "bpf": directories.data("bpf"), "sizes": sizes,
        "filters": network and {"ports": network.ports, "networks": network.networks},
        "test": {"comm": os.environ.get("EBPF_PLUGIN_TEST_COMM", ""), "netns": os.environ.get("EBPF_PLUGIN_TEST_NETNS", "")},
    }
    try:
        if not groups:
            raise handoff.LoaderFailed("no group is enabled: see [ebpf programs] of ebpf.conf, and the flags -p and -n")
        loaded = handoff.load(plan)
    except handoff.LoaderFailed as failure:
        return give_up(args, str(failure))
    guard(loaded.events)
    if args.check:
        from .commands import check
        return check.report(groups, wanted, loaded)
    charts = select_charts(groups, wanted.mode, loaded.hooks)
    complain(loaded)
    for warning in loaded.warnings:
        log.write(log.ERROR, warning)
    if not charts:
        return give_up(args, "no hook could be attached; ebpf.plugin --check says more")
    state = {
        "programs": loaded.programs, "events": tuple(loaded.events),
        "shown": series.pack(charts), "ticks": args.ticks,
        # tests tick faster than any agent takes
        "every": float(os.environ.get("EBPF_PLUGIN_TEST_INTERVAL", wanted.every)),
        "connections": None, "apps": None, "cgroups": None,
        "maps": {group.name: (loaded.maps[group.name], len(group.counters))
                 for group in groups if group.name in loaded.maps},
    }
    if wanted.connections and "flows" in loaded.tables:
        state["connections"] = connections.plan(
            NETWORK, wanted.mode, loaded.hooks["network"], network, loaded.tables["flows"], sizes["FLOWS_MAX"])
    if "apps" in loaded.hooks and all(hook["method"] for hook in loaded.hooks["apps"].values()):
        state["apps"] = enter_apps(applications, loaded, groups, wanted)
    if "cgroup_rows" in loaded.tables:
        state["cgroups"] = {**control_groups, "first": sizes["APPS"] if "apps" in loaded.maps else 1,
                            "tables": loaded.tables,
                            "charts": series.pack(select_application_charts(groups, wanted.mode, loaded.hooks))}
    if args.debug:
        from .outputs import terminal
        daemon.run(state, terminal.view(charts, loaded, wanted))
        return 0
    netdata.declare(charts, wanted.every)
    return daemon.execute(state, loaded.descriptors)


def network_of(wanted):
    """(Viewer, sizes of its maps), or (None, {}) if nobody wants it; what is wrong is logged."""
    if not wanted.network:
        return None, {}
    try:
        network, messages = network_viewer.settle(wanted, os.environ)
    except ImportError as error:
        log.write(log.ERROR, "no network viewer: %s (apt-get install python3-netaddr)" % error)
        return None, {}
    for message in messages:
        log.write(log.ERROR, message)
    return network, network_viewer.sizes(network, procfs.possible_cpus(), wanted.connections)


def guard(events):
    """Have kprobe events removed when this process is gone."""
    try:
        if events:
            tracefs.start_guard(events)
    except (OSError, tracefs.NoTracefs) as error:
        log.write(log.ERROR, "kprobe events will stay in tracefs until the next start: %s" % error)


def apps_of(args, wanted, sizes):
    """apps_groups.Groups, or None if nobody wants it; adds the sizes of its maps. What is wrong in the file is logged."""
    if "apps" not in wanted.groups():
        return None
    if not running_processes.are_those_of_the_machine():
        log.write(log.ERROR, "no charts of applications: this is a pid namespace of its own, where processes have other "
                  "numbers than in the kernel (start the container with --pid=host)")
        return None
    if not running_processes.are_visible():
        log.write(log.ERROR, "no charts of applications: /proc hides the processes of others (mount it without hidepid, "
                  "or with gid= of a group that the plugin is in)")
        return None
    places = [*directories.configuration(args.config, os.environ), directories.data("conf.d")]
    with privileges.unused():
        found, _, messages = apps_groups.load([os.path.join(place, apps_groups.NAME) for place in places])
    for message in messages:
        log.write(log.ERROR, message)
    sizes.update(APPS=len(found.ids), APPS_PROCESSES=wanted.processes)
    return found


def enter_apps(found, loaded, groups, wanted):
    """What the steady collector needs for applications; the processes that are there already are placed."""
    rows = running_processes.enter(loaded.tables, found.rules)
    charts = select_application_charts(groups, wanted.mode, loaded.hooks)
    return {"rules": found.rules, "names": found.names, "ids": found.ids, "tables": loaded.tables, "rows": tuple(rows),
            "charts": series.pack(charts), "processes": wanted.processes}


def cgroups_of(wanted, sizes):
    """Where control groups are, or None; adds the sizes of their maps."""
    if not (wanted.cgroups and wanted.groups()):
        return None
    mount = cgroups.mount_of_version_2(procfs.read("/proc/self/mounts"))
    if not mount:
        log.write(log.ERROR, "no charts of control groups: only version 2 is supported, and it is not mounted "
                  "(boot with systemd.unified_cgroup_hierarchy=1)")
        return None
    sizes.update(CGROUPS=cgroups.ROWS, CGROUPS_KNOWN=cgroups.KNOWN)
    return {"mount": mount}


def show_bpf(groups, wanted, sizes):
    from .kernel.btf import BTF, NoBTF
    try:
        btf = BTF()
    except NoBTF as error:
        btf = None
        log.write(log.INFO, str(error))
    for name, value in source.definitions(groups, wanted.mode, bpf.MACHINE, btf, sizes).items():
        netdata.write("#define %s %s\n" % (name, value))
    netdata.write(source.text(groups, directories.data("bpf"), sizes))
    return 0


def give_up(args, reason):
    """A failure that will not heal: one line, and the agent is told not to start us again."""
    log.write(log.ERROR, reason)
    if not (args.debug or args.check):
        netdata.write(netdata_protocol.DISABLE)
    return 1


def complain(loaded):
    """One line for each hook that could not be attached and each group that could not be compiled."""
    for group, why in loaded.broken.items():
        log.write(log.ERROR, "%s: not loaded: %s" % (group, why))
    for group, hooks in loaded.hooks.items():
        missing = {name: "; ".join("%s: %s" % tuple(failed) for failed in hook["failed"])
                   for name, hook in hooks.items() if hook["method"] is None}
        if group == "apps" and missing:
            log.write(log.ERROR, "no charts of applications: %s: %s" % next(iter(missing.items())))
            continue
        for name, why in missing.items():
            log.write(log.ERROR, "%s: %s is not shown: %s" % (group, name, why))


if __name__ == "__main__":
    main()
