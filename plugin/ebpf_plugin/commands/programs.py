"""programs: what the BPF programs of this machine cost, like top; and enable-stats, which only lets the kernel count."""
from __future__ import annotations

import argparse
import contextlib
import os
import signal
import time
from typing import Iterator

from .. import lifecycle, log, simple_patterns
from ..kernel import procfs, refusals
from ..outputs import netdata, programs_table
from ..programs import statistics
from ..programs.usage import SORTS, Looker, Usage

# of xterm: another screen, which gives the one before back, without a cursor
BEGIN_SCREEN, END_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def run(args: argparse.Namespace) -> int:
    """Returns the exit status; raises lifecycle.Stop."""
    looker, on_screen = Looker(), os.isatty(1) and not (args.once or args.json)
    try:
        statistics.enable()  # until this process ends
        looker.look()
        with _screen() if on_screen else contextlib.nullcontext():
            due = time.monotonic()
            while True:
                due = max(due + args.interval, time.monotonic())
                time.sleep(due - time.monotonic() if due > time.monotonic() else 0)
                _show(looker.look(), args, on_screen)
                if args.once:
                    return 0
    except statistics.Refused as refused:
        log.write(log.ERROR, str(refused))
    except OSError as error:
        log.write(log.ERROR, "cannot list BPF programs: %s (%s)" % (
            error.strerror, refusals.denied() or "the kernel gives ids to CAP_SYS_ADMIN alone: run as root"))
    return 1


@contextlib.contextmanager
def _screen() -> Iterator[None]:
    netdata.write(BEGIN_SCREEN)
    try:
        yield
    finally:
        netdata.write(END_SCREEN)


def _show(usages: list[Usage], args: argparse.Namespace, on_screen: bool) -> None:
    chosen = sorted(choose(usages, args), key=SORTS[args.sort])
    if args.json:
        netdata.write(programs_table.line_of_json(chosen, procfs.online_cpus()))
        return
    text = programs_table.heading(chosen, len(usages), args.sort)
    if on_screen:
        size = os.get_terminal_size(1)
        netdata.write(programs_table.CLEAR + text[:-1][:size.columns] + "\n" + programs_table.table(chosen, size))
    else:
        netdata.write(text + programs_table.table(chosen) + ("" if args.once else "\n"))


def choose(usages: list[Usage], args: argparse.Namespace) -> list[Usage]:
    """Those that were asked for. Ours, unless all are, or those that are pinned somewhere."""
    if args.pinned:
        directory = os.path.join(os.path.realpath(args.pinned), "")
        usages = [usage for usage in usages if any(pin.startswith(directory) for pin in usage.pins)]
    elif not args.all:
        usages = [usage for usage in usages if usage.is_ours]
    patterns = simple_patterns.parse(args.name or "*")
    return [usage for usage in usages
            if simple_patterns.passes(patterns, usage.name) and args.type in (None, usage.program.type)]


def enable_stats() -> int:
    """Hold statistics switched on until a signal comes. Returns the exit status."""
    # signals wait until they are waited for: one that came just before signal.pause() would not end that
    signal.pthread_sigmask(signal.SIG_BLOCK, lifecycle.SIGNALS)
    try:
        statistics.enable()
    except statistics.Refused as refused:
        log.write(log.ERROR, str(refused))
        return 1
    log.write(log.INFO, "the kernel counts the runs of all BPF programs and takes their time until this ends")
    signal.sigwait(lifecycle.SIGNALS)
    return 0
