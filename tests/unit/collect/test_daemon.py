"""The collector as a program of its own: what goes over, and that it is the same process, alive and well."""
import marshal
import os
import select
import signal
import struct
import subprocess
import sys
from types import SimpleNamespace

from fakes import GROUP, PACKAGE, Reader, attached
import pytest

from ebpf_plugin import simple_patterns
from ebpf_plugin.collect import connections, daemon
from ebpf_plugin.config import apps_groups
from ebpf_plugin.config.network_viewer import Viewer
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.model import declared
from ebpf_plugin.model.select import select_charts

CHARTS = select_charts((GROUP,), "entry", {"toy": attached(GROUP)})


def test_charts_go_over_as_they_are():
    packed = marshal.loads(marshal.dumps(declared.pack(CHARTS)))
    assert declared.unpack(packed) == CHARTS
    assert [type(chart) for chart in declared.unpack(packed)] == [declared.Chart] * len(CHARTS)
    assert declared.unpack(packed)[0].dimensions[0].algorithm == "incremental"


def test_descriptions_do_not_go_over():
    state = marshal.dumps((declared.pack(CHARTS), connected(False)))
    texts = [chart.description for chart in GROUP.charts + NETWORK.connections]
    assert all(texts) and not [text for text in texts if text[:10].encode() in state]


@pytest.mark.parametrize("ticks", [0, daemon.MISSED_TICKS - 1, daemon.MISSED_TICKS, 2 * daemon.MISSED_TICKS])
def test_every_tick_is_shown_and_some_work_is_done_now_and_then(ticks):
    calls, waits, works = [], [], []
    collector = SimpleNamespace(tick=lambda now: len(waits))
    output = SimpleNamespace(begin=lambda now, sample: calls.append(("begin", sample)),
                             show=lambda now, sample: calls.append(("show", sample)))
    daemon.tick(collector, output, SimpleNamespace(wait=lambda: waits.append(1)), ticks, lambda: works.append(1))
    assert calls == [("begin", 0)] + [("show", number + 1) for number in range(ticks)]
    assert len(works) == ticks // daemon.MISSED_TICKS


class Table:
    """Stands for the groups of connections; `reads` counts."""

    reads = 0

    def __init__(self, *_):
        pass

    def rows(self):
        Table.reads += 1
        return iter(())


def connected(hosts):
    hooks = {hook.name: AttachedHook("probe", (), ()) for hook in NETWORK.hooks}
    return connections.plan(NETWORK, "entry", hooks, Viewer(None, None, 5, {}, hosts, simple_patterns.parse("*")), 7, 100)


def run_connected(monkeypatch, hosts, drop):
    monkeypatch.setattr(connections, "HashMap", Table)
    monkeypatch.setattr(daemon, "Counters", lambda descriptor, count, rows, row_set: Reader(*[(0,) * count] * 5))
    monkeypatch.setattr(daemon, "privileges", SimpleNamespace(drop=drop))
    monkeypatch.setattr(daemon, "gc", SimpleNamespace(freeze=lambda: None))
    monkeypatch.setattr(daemon.ticker, "Ticker", lambda *_, **__: SimpleNamespace(wait=lambda: None))
    monkeypatch.setitem(os.environ, "RES_OPTIONS", "timeout:1")
    state = {"charts": (), "maps": {"network": (3, len(NETWORK.counters), 1)}, "programs": {}, "links": {}, "events": (),
             "every": 1, "ticks": 2, "host": 1, "apps": None, "cgroups": None, "reload": None,
             "connections": marshal.loads(marshal.dumps(connected(hosts)))}
    shows = []

    class View:
        __enter__ = __exit__ = still_here = lambda self, *_: None

        def begin(self, now, sample):
            pass

        def show(self, now, sample):
            shows.append([chart.id for chart, _ in sample])

    daemon.run(state, View())
    return shows


def test_connections_are_shown_and_read_once_to_try(monkeypatch):
    Table.reads = 0
    shows = run_connected(monkeypatch, False, lambda trial: trial())
    assert shows == [[chart.id for chart in NETWORK.connections]] * 2
    assert Table.reads == 2  # to try, and at the first tick; then no counter of the network has changed


def threads():
    return set(os.listdir("/proc/self/task"))


def test_no_thread_is_there_before_privilege_is_dropped(monkeypatch):
    # capabilities are each thread's own: one that is older than drop() would keep all, and it talks to strangers
    before, at_drop = threads(), []
    run_connected(monkeypatch, True, lambda trial: (trial(), at_drop.append(threads())))
    assert at_drop == [before]
    # what the user has set is left as it is
    assert os.environ["RES_OPTIONS"] == "timeout:1"


EXECUTE = """
import os, sys; sys.path.insert(0, sys.argv[1])
from ebpf_plugin.collect import daemon
held = int(sys.argv[2])
os.set_inheritable(held, False)
state = {"charts": (), "maps": {}, "programs": {}, "links": {}, "events": (), "every": 0.05, "ticks": %s, "host": 1,
         "connections": None, "apps": None, "cgroups": None, "reload": None}
daemon.execute(state, [held])
"""


@pytest.fixture
def start():
    """start(ticks) -> the process, which shows no charts, and our end of a pipe that it holds the other end of."""
    started = []

    def start(ticks):
        reading, writing = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", EXECUTE % ticks, os.path.dirname(PACKAGE), str(writing)], pass_fds=[writing],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        os.close(writing)
        started.append((process, reading))
        return process, reading

    yield start
    for process, reading in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        os.close(reading)


def ended(process):
    """(exit status, what it said), without closing what it listens to"""
    return process.wait(timeout=10), process.stderr.read()


def test_it_ticks_and_ends(start):
    process, _ = start(2)
    assert process.stdout.read() == b"\n\n"
    assert ended(process) == (0, b"")


def test_it_is_the_same_process_with_nothing_but_the_collector(start):
    process, reading = start(None)
    assert process.stdout.read(1) == b"\n"
    with open("/proc/%d/cmdline" % process.pid, "rb") as file:
        assert b"ebpf_plugin.collect.daemon" in file.read()
    assert not select.select([reading], [], [], 0)[0], "a descriptor was closed on the way"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it(start, number):
    process, reading = start(None)
    assert process.stdout.read(1) == b"\n"
    process.send_signal(number)
    assert ended(process) == (0, b"")
    assert os.read(reading, 1) == b""


def test_a_signal_between_two_programs_is_not_lost(start):
    # the first program answers with its own end, the second with a clean one; neither outlives the signal
    process, _ = start(None)
    process.terminate()
    assert ended(process)[0] in (0, -signal.SIGTERM)


def test_the_end_of_stdin_ends_it(start):
    process, _ = start(None)
    process.stdin.close()
    assert ended(process) == (0, b"")


def test_the_end_of_stdout_ends_it(start):
    process, _ = start(None)
    process.stdout.close()
    assert ended(process) == (0, b"")


OF_ROWS = declared.pack((declared.Chart("toy", "calls", "Calls", "calls/s", "Toys", 1, (
    declared.Dimension("application", plus=(0, 1)),), "stacked", "apps"),))
APPS = {"rules": apps_groups.parse("a: x\nb: y")[0].rules, "names": ("other", "a", "b"), "ids": ("other", "a", "b"),
        "processes": 64, "charts": OF_ROWS, "rows": (0, 2),
        "tables": {"apps_names": 90, "apps_asked": 91, "applications": 92, "apps_rows": 93, "row_slots": 94}}


@pytest.mark.parametrize("apps, first", [(None, 1), (None, 3), (APPS, 3)])
def test_what_the_sources_make_of_rows(monkeypatch, tmp_path, apps, first):
    """Two counters on one CPU in rows."""
    memory = {3: bytearray(struct.pack("=8Q", 1, 2, 10, 20, 100, 200, 1000, 2000)).ljust(4096, b"\0"),
              4: bytearray(24), 93: bytearray(b"\0\1").ljust(512, b"\0"), 94: bytearray(8 * 4096)}
    monkeypatch.setattr(procfs, "cpu_ids", lambda: 1)
    monkeypatch.setattr(bpf, "map_memory", lambda descriptor, size, *_: memory[descriptor][:size])
    monkeypatch.setattr(bpf, "map_update", lambda *_: None)

    def nobody_has_asked(command, attributes):
        struct.pack_into("=I", attributes, 32, 0)
        raise OSError(2, "No such file or directory")

    monkeypatch.setattr(bpf, "bpf", nobody_has_asked)
    state = marshal.loads(marshal.dumps({
        "apps": apps, "connections": None, "charts": (), "programs": {}, "links": {}, "events": (), "every": 1, "ticks": 1,
        "reload": None, "host": first if apps else 1, "maps": {"toy": (3, 2, 128), **({"apps": (4, 3, 1)} if apps else {})},
        "cgroups": {"tables": {"cgroup_rows": 98, "cgroups_asked": 99}, "charts": OF_ROWS, "first": first,
                    "for_agent": False, "mount": str(tmp_path)}}))
    monkeypatch.setattr(daemon, "privileges", SimpleNamespace(drop=lambda trial: trial()))
    monkeypatch.setattr(daemon, "gc", SimpleNamespace(freeze=lambda: None))
    monkeypatch.setattr(daemon.ticker, "Ticker", lambda *_, **__: SimpleNamespace(wait=lambda: None))
    samples = []

    class Output:
        __enter__ = __exit__ = still_here = lambda self, *_: None

        def begin(self, now, sample):
            samples.append(sample)

        show = begin

    daemon.run(state, Output())
    shown = {chart.full_id: {dimension.id: value for dimension, value in zip(chart.dimensions, values)}
             for chart, values in samples[-1]}
    assert shown.pop("cgroups.calls") == {"other": {1: 30, 3: 3000}[first]}
    assert shown == ({"apps.calls": {"other": 3, "a": 30, "b": 300}} if apps else {})
