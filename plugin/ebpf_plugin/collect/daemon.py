"""The resident process: reads, derives and writes once a tick, for months.

What started it (arguments, configuration, loading) is done with by then, so the process executes itself anew with nothing
but this, under the same process id and with the descriptors open.
"""
from __future__ import annotations

import gc
import marshal
import os
import _signal as signal
import sys
import time

from . import ticker
from .. import lifecycle, log
from ..kernel import privileges, process
from ..model import declared
from ..outputs import netdata
from .collector import Collector
from .missed_events import MissedEvents, PluginCharts
from .rows import Counters, RowSet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

    from ..outputs import Output
    from .collector import Source

MISSED_TICKS = 60  # between two looks at what programs have missed

START = "import sys; sys.path.insert(0, sys.argv[1]); from ebpf_plugin.collect.daemon import main; main(int(sys.argv[2]))"


def execute(state: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Go on as main(), in this process. `state` is for run(); `descriptors` are kept open. Does not return."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    page = os.memfd_create("state", 0)
    os.write(page, marshal.dumps(state))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    # no signal may come between two programs: the new one lets them through when it can answer
    signal.pthread_sigmask(signal.SIG_BLOCK, lifecycle.SIGNALS)
    # khugepaged(mm/khugepaged.c) would fill what is free of an arena of Python's: 0.5 MB, at some time, where it is aligned
    try:
        process.no_huge_pages()
    except OSError:
        pass  # it is only about memory
    # without the site module: all that is imported from here on is the standard library and ourselves
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", START, package, str(page)])


def main(page: int) -> None:
    """The beginning of the new program; `page` is the descriptor of the state."""
    def collect() -> None:
        process.set_name("ebpf.plugin")
        state = marshal.loads(os.pread(page, os.fstat(page).st_size, 0))
        os.close(page)
        run(state, published(state, netdata.Netdata(state["every"], declared.unpack(state["charts"]))))

    lifecycle.end_with(collect)


def published(state: dict[str, Any], output: Output) -> Output:
    """The output with the metrics before it, if they are served; alone they have no other one."""
    if not state.get("endpoint"):
        return output
    from ..outputs.published import Published
    return Published(state["endpoint"], state["every"], None if state["endpoint"]["alone"] else output)


def run(state: dict[str, Any], output: Output) -> None:
    """Tick until state["ticks"] have been shown (None: for ever). Raises lifecycle.Stop.

    state: {"charts": packed, "maps": {group: (descriptor, number of counters, number of rows)}, "every": seconds,
    "ticks": N or None, "programs", "links" and "events": what MissedEvents wants, "host": number of the host's rows,
    "connections": connections.plan() or None, "apps": what Applications wants and "rows" that have a process already, or
    None, "cgroups": what Cgroups wants, or None, "plugin": what PluginCharts wants, "statistics": what ProgramCharts wants,
    or None, "internals": what Internals wants, or None, "reload": what Reload wants, or None: then SIGHUP raises Stop, too;
    "endpoint": what Published wants and whether it is "alone", or None}
    """
    applications = state["apps"]
    marks = applications["tables"]["apps_rows"] if applications else None
    row_set = RowSet(state["host"], applications["rows"] if applications else (0,), marks)
    whole = RowSet()  # of groups that are not split
    readers = {group: Counters(descriptor, count, rows, row_set if rows > 1 else whole)
               for group, (descriptor, count, rows) in state["maps"].items()}
    sources = _sources(state, {group: readers[group] for group, (_, _, rows) in state["maps"].items() if rows > 1}, row_set)
    missed = MissedEvents(state["programs"], state["links"], state["events"])
    if state.get("plugin"):
        sources += (PluginCharts(state["plugin"], missed),)
    pulse = ticker.Ticker(state["every"], still_here=output.still_here)
    if state.get("internals"):
        from ..internals.source import Internals
        sources = (*sources, Internals(state["internals"], pulse, lambda: missed.found, _connections(sources)))
    privileges.drop(lambda: _try(sources))  # what is mapped takes none
    refresh = _reloading(state["reload"], sources, row_set.refresh) if state["reload"] else row_set.refresh
    collector = Collector(declared.unpack(state["charts"]), readers, state["every"], sources, refresh)
    if state.get("endpoint"):
        output.watch(readers)  # type: ignore[attr-defined]
    gc.freeze()
    with output:
        tick(collector, output, pulse, state["ticks"], missed.tell)


def _connections(sources: tuple[Source, ...]) -> Any:
    """The source that has connections, None if there is none."""
    return next((source for source in sources if hasattr(source, "rows_in_other")), None)


def _reloading(state: dict[str, Any], sources: tuple[Source, ...], refresh: Callable[[], None]) -> Callable[[], None]:
    """`refresh`, and before it what SIGHUP asks for: to read the configuration again."""
    came = lifecycle.hangups()
    running: list[Any] = []

    def refresh_and_reload() -> None:
        if came or running:
            from .. import reload
            try:
                if came and not running:
                    came.clear()
                    running.append(reload.Reload(state))
                found = running[0].answer()
                if found is not None:
                    running.pop().take_over(found, sources)
            except (OSError, reload.Failed) as error:
                running.clear()
                log.write(log.ERROR, "cannot read the configuration again: %s; the previous one holds" % error)
        refresh()

    return refresh_and_reload


def _try(sources: tuple[Source, ...]) -> None:
    for source in sources:
        source.read()


def _sources(state: dict[str, Any], readers: dict[str, Counters], row_set: RowSet) -> tuple[Source, ...]:
    """What has charts that come and go. Each is imported only if it is wanted."""
    sources: list[Source] = []
    if state["apps"]:
        from .applications import Applications
        sources.append(Applications(state["apps"], readers, row_set))
    if state["cgroups"]:
        from .cgroups import Cgroups
        sources.append(Cgroups(state["cgroups"], readers, row_set))
    if state["connections"]:
        from .connections import Connections
        resolver = None
        if state["connections"]["hosts"]:
            from .resolver import of_system
            resolver = of_system(state["connections"]["hostnames"])
        sources.append(Connections(state["connections"], resolver))
    if state.get("statistics"):
        from ..programs.charts import ProgramCharts
        sources.append(ProgramCharts(state["statistics"]))
    return tuple(sources)


def tick(collector: Collector, output: Output, pulse: ticker.Ticker, ticks: int | None,
         now_and_then: Callable[[], None]) -> None:
    """The loop. The first sample is only compared with: an output gets it to know where the counters began."""
    now = time.monotonic()
    output.begin(now, collector.tick(now))
    done = 0
    while ticks is None or done < ticks:
        pulse.wait()
        now = time.monotonic()
        output.show(now, collector.tick(now))
        done += 1
        if done % MISSED_TICKS == 0:
            now_and_then()
