"""The command: from argv, environment and ebpf.conf to a running collector."""
from __future__ import annotations

import argparse
import os

from . import VERSION, config, directories, handoff, kernel, life, log, output, protocol, shown, source, steady, tracefs
from .groups import GROUPS
from .lineup import lineup


def arguments(argv=None):
    parser = argparse.ArgumentParser(prog="ebpf.plugin", allow_abbrev=False, description=(
        "Charts of what the kernel does with files, VFS and processes, for the Netdata agent: its protocol on stdout, "
        "a log on stderr. A flag wins over ebpf.conf."))
    add = parser.add_argument
    add("seconds", nargs="?", type=_positive, metavar="SECONDS",
        help="time between two samples; ebpf.conf can make it longer (default 1)")
    add("--debug", action="store_true", help="a live table for people (plain lines where stdout is no terminal)")
    add("--ticks", type=_positive, metavar="N", help="stop after N ticks")
    add("--once", dest="ticks", action="store_const", const=1, help="the same as --ticks 1")
    add("--config", metavar="DIR", help="read DIR/ebpf.conf instead of the user's")
    add("--check", action="store_true",
        help="say what this kernel offers for each hook; exit 0 if every enabled group can run")
    add("--show-bpf", action="store_true", help="print the C text that would be compiled")
    add("-r", "--return", dest="returning", action="store_true", help="load mode return: errors are charted as well")
    add("-p", "--process", action="store_true", help="only file, VFS and process")
    add("-n", "--net", action="store_true", help="only the network viewer")
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
    paths = [os.path.join(directory, config.NAME) for directory in directories.configuration(args.config, environment)]
    found, messages = config.load(paths)
    if args.config and not os.path.exists(paths[0]):
        messages.append("%s:1: there is no such file; the stock configuration holds" % paths[0])
    for message in messages:
        log.write(log.ERROR, message)
    if args.returning:
        found = found._replace(mode="return")
    if args.no_apps:
        found = found._replace(apps=False)
    if args.process or args.net or args.all:
        process, net = args.process or args.all, args.net or args.all
        found = found._replace(process=process, file=process, vfs=process, network=net)
    return found._replace(every=max(args.seconds or 1, found.every))


def main(argv=None):
    """Returns the exit status for a mistake in the arguments; a plugin that ran ends in life.leave()."""
    args = arguments(argv)
    life.on_signals()
    try:
        status = run(args, settings(args, os.environ))
    except life.Stop as stop:
        status = stop.status
    life.leave(status)


def run(args, wanted):
    """Load, declare, go on as the steady collector. Returns the exit status; raises life.Stop."""
    groups = tuple(group for group in GROUPS if group.name in wanted.groups())
    if args.show_bpf:
        return show_bpf(groups, wanted)
    plan = {
        "groups": [group.name for group in groups], "mode": wanted.mode, "rung": wanted.rung,
        "bpf": directories.data("bpf"), "test_comm": os.environ.get("EBPF_PLUGIN_TEST_COMM", ""),
    }
    try:
        if not groups:
            raise handoff.LoaderFailed("no group is enabled: see [ebpf programs] of ebpf.conf, and the flags -p and -n")
        loaded = handoff.load(plan)
    except handoff.LoaderFailed as failure:
        return give_up(args, str(failure))
    if loaded.events:
        tracefs.start_guard(loaded.events)
    if args.check:
        from . import check
        return check.report(groups, wanted, loaded)
    charts = lineup(groups, wanted.mode, loaded.hooks)
    complain(loaded)
    if not charts:
        return give_up(args, "no hook could be attached; ebpf.plugin --check says more")
    state = {
        "programs": loaded.programs, "events": tuple(loaded.events),
        "shown": shown.pack(charts), "ticks": args.ticks,
        # tests tick faster than any agent takes
        "every": float(os.environ.get("EBPF_PLUGIN_TEST_INTERVAL", wanted.every)),
        "maps": {group.name: (loaded.maps[group.name], len(group.counters))
                 for group in groups if group.name in loaded.maps},
    }
    if args.debug:
        from . import table
        steady.run(state, table.view(charts, loaded, wanted))
        return 0
    output.declare(charts, wanted.every)
    return steady.become(state, loaded.descriptors)


def show_bpf(groups, wanted):
    from .btf import BTF, NoBTF
    try:
        btf = BTF()
    except NoBTF as error:
        btf = None
        log.write(log.INFO, str(error))
    for name, value in source.definitions(groups, wanted.mode, kernel.MACHINE, btf).items():
        output.write("#define %s %s\n" % (name, value))
    output.write(source.text(groups, directories.data("bpf")))
    return 0


def give_up(args, reason):
    """A failure that will not heal: one line, and the agent is told not to start us again."""
    log.write(log.ERROR, reason)
    if not (args.debug or args.check):
        output.write(protocol.DISABLE)
    return 1


def complain(loaded):
    """One line for each hook that could not be attached and each group that could not be compiled."""
    for group, why in loaded.broken.items():
        log.write(log.ERROR, "%s: not loaded: %s" % (group, why))
    for group, hooks in loaded.hooks.items():
        for name, hook in hooks.items():
            if hook["rung"] is None:
                reasons = "; ".join("%s: %s" % (rung, why) for rung, why in hook["failed"])
                log.write(log.ERROR, "%s: %s is not shown: %s" % (group, name, reasons))


if __name__ == "__main__":
    main()
