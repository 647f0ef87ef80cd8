"""The command line, laid over ebpf.conf."""
from __future__ import annotations

import argparse
import os
from typing import Mapping, Sequence

from .. import VERSION, log
from ..config import directories, ebpf_conf, options
from ..config.settings import GROUP_NAMES, Settings


COMMANDS = ("charts",)


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; ends the process with status 2 and a line on stderr if they are wrong."""
    parser = argparse.ArgumentParser(prog="ebpf.plugin", allow_abbrev=False, description=(
        "Charts of what the kernel does with files, VFS, processes, TCP and UDP, for the machine and for each application, "
        "for the Netdata agent: its protocol on stdout, a log on stderr. A flag wins over ebpf.conf."))
    add = parser.add_argument
    add("seconds", nargs="?", type=_seconds_or_command, metavar="SECONDS|charts",
        help="time between two samples; ebpf.conf can make it longer (default 1). charts: only say what each chart shows")
    add("--debug", action="store_true", help="a live table for people (plain lines where stdout is no terminal)")
    add("--ticks", type=_positive, metavar="N", help="stop after N ticks")
    add("--once", dest="ticks", action="store_const", const=1, help="the same as --ticks 1")
    add("--config", metavar="DIR", help="read ebpf.conf and apps_groups.conf of DIR instead of the user's")
    add("--listen", type=_address, metavar="[ADDRESS:]PORT", help="serve the numbers to Prometheus over HTTP; also "
        "unix:/PATH and fd://N. Without SECONDS and outside of the agent, nothing is printed on stdout then")
    add("--web-config", metavar="FILE", help="TLS and passwords for it, as the exporters of Prometheus take them")
    add("--metrics-names", choices=("ebpf", "tfo"), default="ebpf",
        help="ebpf: names by this plugin (default); tfo: those of tfo-agent, as far as they are measured")
    add("--check", action="store_true",
        help="say what this kernel offers for each hook; exit 0 if every enabled group can run")
    add("--show-bpf", action="store_true", help="print the C text that would be compiled")
    add("-r", "--return", dest="returning", action="store_true", help="load mode return: errors are charted as well")
    add("-p", "--process", action="store_true", help="only files, VFS and processes")
    add("-n", "--net", action="store_true", help="only the network viewer: TCP, UDP, connections")
    add("-g", "--global", dest="no_apps", action="store_true", help="no charts per application")
    add("-a", "--all", action="store_true", help="everything")
    add("-v", "--version", action="version", version="ebpf.plugin " + VERSION)
    args = parser.parse_args(argv)
    args.command = args.seconds if args.seconds in COMMANDS else ""
    return args


def _seconds_or_command(text: str) -> int | str:
    return text if text in COMMANDS else _positive(text)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) and len(text) < 9):
        raise argparse.ArgumentTypeError("expected a whole number above 0, not %r" % text)
    return int(text)


def _address(text: str) -> str:
    try:
        return options.listen(text or "-")
    except options.Invalid as error:
        raise argparse.ArgumentTypeError("%s, not %r" % (error, text)) from None


def settings(args: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
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
        found = found.with_groups(set(GROUP_NAMES))._replace(connections=True)
    flags = {flag for flag in ("process", "net") if getattr(args, flag)}
    if flags and not args.all:
        found = found.only_flagged(flags)
    if args.no_apps:
        found = found.with_groups(set(found.groups) - {"apps"})
    return found._replace(
        every=max(args.seconds or 1, found.every), listen=args.listen or found.listen,
        web_config=os.path.abspath(args.web_config) if args.web_config else found.web_config)
