"""The command line, laid over ebpf.conf."""
from __future__ import annotations

import argparse
import os
import sys
from typing import Mapping, Sequence

from .. import VERSION, log
from ..config import directories, ebpf_conf, options
from ..config.settings import GROUP_NAMES, Settings


CHARTS, PROGRAMS, ENABLE_STATS = COMMANDS = "charts", "programs", "enable-stats"
ALIASES = {"progs": PROGRAMS}
# programs.SORTS has what they mean; a test compares. Whoever only runs the plugin does without that module.
SORTS = ("overhead", "rate", "average", "total", "time", "memory", "id", "type", "name")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; ends the process with status 2 and a line on stderr if they are wrong.

    `command` is the first word if that is one of COMMANDS, else "", and then the arguments are those of the plugin.
    """
    argv = sys.argv[1:] if argv is None else argv
    command = ALIASES.get(argv[0], argv[0]) if argv else ""
    if command == PROGRAMS:
        args = _programs().parse_args(argv[1:])
    elif command == ENABLE_STATS:
        args = _parser(ENABLE_STATS, (
            "Let the kernel count the runs of all BPF programs, and take their time, until this ends (Ctrl-C). It is off "
            "otherwise, because every run then reads the clock twice.")).parse_args(argv[1:])
    elif command == CHARTS:
        args = _parser(CHARTS, "Say what each chart shows, and what a rise of it means.").parse_args(argv[1:])
    else:
        command, args = "", _of_plugin(argv)
    args.command = command
    return args


def _parser(command: str, description: str, epilog: str | None = None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=("ebpf.plugin " + command).strip(), allow_abbrev=False, description=description, epilog=epilog)


def _programs() -> argparse.ArgumentParser:
    parser = _parser(PROGRAMS, (
        "What the BPF programs of this machine cost, like top. The kernel counts their runs and takes their time as long as "
        "this runs."))
    add = parser.add_argument
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("-a", "--all", action="store_true", help="the programs of every process, not only ours")
    shown.add_argument("--pinned", metavar="DIR", help="only those that are pinned in DIR, or whose links are, at any depth")
    add("--name", metavar="PATTERNS", help="only programs whose names these simple patterns match: 'vfs_* !*_read*'")
    add("--type", metavar="TYPE", help="only programs of this type, as bpftool names it: kprobe, tracing, cgroup_device ...")
    add("--sort", choices=SORTS, default="overhead", help="what the rows are sorted by (default overhead)")
    add("--interval", type=_positive, default=1, metavar="SECONDS", help="time between two looks (default 1)")
    add("--once", action="store_true", help="show one interval, and end")
    add("--json", action="store_true", help="a line of JSON for each look; sizes are bytes, times are nanoseconds")
    return parser


def _plugin() -> argparse.ArgumentParser:
    parser = _parser("", (
        "Charts of what the kernel does with files, VFS, processes, TCP and UDP, for the machine and for each application, "
        "for the Netdata agent: its protocol on stdout, a log on stderr. A flag wins over ebpf.conf."),
        epilog="Other commands, each with its own --help: 'ebpf.plugin charts' says what each chart shows; "
        "'ebpf.plugin programs' (or progs) shows what BPF programs cost; 'ebpf.plugin enable-stats' lets the kernel count "
        "that.")
    add = parser.add_argument
    add("seconds", nargs="?", type=_positive, metavar="SECONDS",
        help="time between two samples (default 1); ebpf.conf can make it longer")
    add("--debug", action="store_true", help="a live table for people (plain lines where stdout is no terminal)")
    add("--ticks", type=_positive, metavar="N", help="stop after N ticks")
    add("--once", dest="ticks", action="store_const", const=1, help="the same as --ticks 1")
    add("--config", metavar="DIR", help="read ebpf.conf and apps_groups.conf of DIR instead of the user's")
    add("--listen", type=_address, metavar="[ADDRESS:]PORT", help="serve the numbers to Prometheus over HTTP; also "
        "unix:/PATH and fd://N. Then stdout is empty, unless SECONDS is given or the agent starts the plugin")
    add("--web-config", metavar="FILE", help="TLS and passwords for --listen, in the format of Prometheus's exporters")
    add("--metrics-names", choices=("ebpf", "tfo"), default="ebpf",
        help="ebpf: this plugin's names (default); tfo: those of tfo-agent, as far as they are measured")
    add("--check", action="store_true",
        help="say what this kernel offers and which options are set (-v: of each hook); exit 0 if every enabled group runs")
    add("--json", action="store_true", help="with --check: the same as JSON")
    add("--show-bpf", action="store_true", help="print the C text of each group, and the values that are filled into it")
    add("-r", "--return", dest="returning", action="store_true", help="load mode return: also count calls that failed")
    add("-p", "--process", action="store_true", help="only files, VFS and processes")
    add("-n", "--net", action="store_true", help="only the network viewer: TCP, UDP, connections")
    add("-g", "--global", dest="no_apps", action="store_true", help="no charts per application")
    add("-a", "--all", action="store_true", help="everything")
    add("-v", dest="verbose", action="store_true", help="with --check: every detail; otherwise the same as --version")
    add("--version", action="version", version="ebpf.plugin " + VERSION)
    return parser


def _of_plugin(argv: Sequence[str]) -> argparse.Namespace:
    parser = _plugin()
    args = parser.parse_args(argv)
    if args.json and not args.check:
        parser.error("--json goes with --check")
    if args.verbose and not args.check:
        parser.parse_args(["--version"])
    return args


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) and len(text) < 9):
        raise argparse.ArgumentTypeError("expected a whole number above 0, not %r" % text)
    return int(text)


def read(args: argparse.Namespace, environment: Mapping[str, str]) -> ebpf_conf.Found:
    """What the files say."""
    paths = [os.path.join(directory, ebpf_conf.NAME) for directory in directories.configuration(args.config, environment)]
    found = ebpf_conf.load(paths, os.path.dirname(paths[0]))
    if args.config and paths[0] not in found.files and not os.path.exists(paths[0]):
        found.messages.append("%s:1: there is no such file; the stock configuration holds" % paths[0])
    return found


def _address(text: str) -> str:
    try:
        return options.listen(text or "-")
    except options.Invalid as error:
        raise argparse.ArgumentTypeError("%s, not %r" % (error, text)) from None


def settings(args: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """The Settings of files and flags; what is wrong in the files is logged."""
    found, messages, notice, _ = read(args, environment)
    for message in messages:
        log.write(log.WARNING, message)
    if notice:
        log.write(log.NOTICE, notice)
    if args.returning:
        found = found._replace(mode="return")
    if args.all:
        found = found.with_groups(set(GROUP_NAMES))._replace(connections=True)
    flags = {flag for flag in ("process", "net") if getattr(args, flag)}
    if flags and not args.all:
        found = found.only_flagged(flags)
    if args.no_apps:
        found = found.with_groups(set(found.groups) - {"apps"})
    return found._replace(
        every=max(args.seconds or 1, found.every), listen=args.listen or found.listen,
        web_config=os.path.abspath(args.web_config) if args.web_config else found.web_config)
