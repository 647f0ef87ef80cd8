"""The collector as it runs for months: read, derive, write, once a tick.

What started it (arguments, configuration, the loader's messages) is done with by then, so the process executes itself anew
with nothing but this, under the same process id and with the descriptors open.
"""
from __future__ import annotations

import contextlib
import gc
import marshal
import os
import signal
import sys
import time

from . import ticker
from .. import lifecycle
from ..kernel import privileges, process
from ..model import series
from ..outputs import netdata
from .collector import Collector
from .counters import Counters, Rows
from .missed_events import MissedEvents

NOW_AND_THEN = 60  # ticks

START = "import sys; sys.path.insert(0, sys.argv[1]); from ebpf_plugin.collect.daemon import main; main(int(sys.argv[2]))"


def execute(state, descriptors):
    """Go on as main(), in this process. `state` is for run(); `descriptors` are kept open. Does not return."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    page = os.memfd_create("state", 0)
    os.write(page, marshal.dumps(state))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    # no signal may come between two programs: the new one lets them through when it can answer
    signal.pthread_sigmask(signal.SIG_BLOCK, lifecycle.SIGNALS)
    # khugepaged(mm/khugepaged.c) would fill what is free of an arena of Python's: 0.5 MB, at some time, where it is aligned
    with contextlib.suppress(OSError):  # it is only about memory
        process.no_huge_pages()
    # without the site module: all that is imported from here on is the standard library and ourselves
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", START, package, str(page)])


def main(page):
    """The beginning of the new program."""
    lifecycle.on_signals()
    process.set_name("ebpf.plugin")
    status = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, lifecycle.SIGNALS)
        state = marshal.loads(os.pread(page, os.fstat(page).st_size, 0))
        os.close(page)
        run(state, netdata.Protocol(series.unpack(state["shown"]), state["every"]))
    except lifecycle.Stop as stop:
        status = stop.status
    lifecycle.exit_now(status)


def run(state, view):
    """Tick until state["ticks"] have been shown (None: for ever). Raises life.Stop.

    state: {"shown": packed charts, "maps": {group: (descriptor, number of counters, rows)}, "every": seconds,
     "ticks": N or None,
     "programs": {name: descriptor}, "events": names of kprobe events, "connections": connections.plan() or None,
     "apps": what apps.Apps wants and "rows" that have a process already, or None, "cgroups": what cgroups.Cgroups wants}
    """
    charts = series.unpack(state["shown"])
    readers, changing = _readers(state)
    misses = MissedEvents(state["programs"], state["events"])
    changing += _connections(state["connections"])
    privileges.drop(lambda: [reader.read() for reader in (*readers.values(), *changing)])
    collector = Collector(charts, readers, state["every"])
    gc.freeze()
    with view:
        pulse = ticker.Ticker(state["every"], still_here=view.still_here)
        tick(collector, view, pulse, state["ticks"], misses.tell, changing)


def _readers(state):
    """({group: reader of its counters}, [Apps, if it is wanted])"""
    apps, control_groups = state["apps"], state["cgroups"]
    if not apps and not control_groups:
        return {group: Counters(*of_group[:2]) for group, of_group in state["maps"].items()}, []
    marks, most, known = (apps["tables"]["apps_rows"], len(apps["ids"]), set(apps["rows"])) if apps else (None, 1, {0})
    readers = {group: Rows(*of_group, marks, most, known) if group != "apps" else Counters(*of_group[:2])
               for group, of_group in state["maps"].items()}
    of_rows = {group: reader for group, reader in readers.items() if group != "apps"}
    changing = []
    if apps:
        from .applications import Apps
        changing.append(Apps(apps, of_rows, known))
    if control_groups:
        from .cgroups import Cgroups
        changing.append(Cgroups(control_groups, of_rows, known))
    return readers, changing


def _connections(connected):
    """Connections, if they are wanted; imported only then."""
    if connected:
        from .connections import Connections
        resolver = None
        if connected["hosts"]:
            from .resolver import RES_OPTIONS, Resolver
            os.environ.setdefault("RES_OPTIONS", RES_OPTIONS)
            resolver = Resolver(connected["hostnames"], time.monotonic)
        yield Connections(connected, resolver)


def tick(collector, view, pulse, ticks, now_and_then, changing=()):
    """The loop. The first sample is only compared with: a view gets it to know where the counters began.

    `changing` have a tick() that is told of the samples and gives pairs of Shown and values.
    """
    now = time.monotonic()
    view.begin(now, collector.tick(now))
    for each in changing:  # what they find now is from before the first tick: they are not to begin with it
        each.tick(now, collector.samples)
    done = 0
    while ticks is None or done < ticks:
        pulse.wait()
        now = time.monotonic()
        values = collector.tick(now)
        view.show(now, values, [pair for each in changing for pair in each.tick(now, collector.samples)])
        done += 1
        if done % NOW_AND_THEN == 0:
            now_and_then()
