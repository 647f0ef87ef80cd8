"""The collector as a program of its own: what goes over, and that it is the same process, alive and well."""
import ctypes
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
from ebpf_plugin.collect import connections, counters, daemon
from ebpf_plugin.config import apps_groups
from ebpf_plugin.config.network_viewer import Viewer
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.model import series
from ebpf_plugin.model.select import select_charts

SHOWN = select_charts((GROUP,), "entry", {"toy": attached(GROUP)})


def test_charts_go_over_as_they_are():
    packed = marshal.loads(marshal.dumps(series.pack(SHOWN)))
    assert series.unpack(packed) == SHOWN
    assert [type(chart) for chart in series.unpack(packed)] == [series.DeclaredChart] * len(SHOWN)
    assert series.unpack(packed)[0].lines[0].algorithm == "incremental"


@pytest.mark.parametrize("ticks", [0, daemon.NOW_AND_THEN - 1, daemon.NOW_AND_THEN, 2 * daemon.NOW_AND_THEN])
def test_every_tick_is_shown_and_some_work_is_done_now_and_then(ticks):
    shown_at, waits, works = [], [], []
    collector = SimpleNamespace(tick=lambda now: len(waits), samples={})
    view = SimpleNamespace(begin=lambda now, values: shown_at.append(("begin", values)),
                           show=lambda now, values, more: shown_at.append(("show", values)))
    daemon.tick(collector, view, SimpleNamespace(wait=lambda: waits.append(1)), ticks, lambda: works.append(1))
    assert shown_at == [("begin", 0)] + [("show", number + 1) for number in range(ticks)]
    assert len(works) == ticks // daemon.NOW_AND_THEN


def test_what_changes_is_told_of_the_samples_and_shown_behind_the_rest():
    class Changing:
        def __init__(self, *pairs):
            self.pairs, self.told = pairs, []

        def tick(self, now, samples):
            self.told.append((now, samples))
            return list(self.pairs)

    calls, one, other = [], Changing("a", "b"), Changing("c")
    collector = SimpleNamespace(samples={})

    def sample(now):
        collector.samples = {"toy": now}
        return [(now,)]

    collector.tick = sample
    begun = []
    view = SimpleNamespace(begin=lambda now, values: begun.append(now), show=lambda *series: calls.append(series))
    daemon.tick(collector, view, SimpleNamespace(wait=lambda: None), 3, lambda: None, [one, other])
    assert [more for _, _, more in calls] == [["a", "b", "c"]] * 3
    for each in (one, other):
        # what they find before the first tick is not shown, so that it is not drawn as if it had happened in it
        assert each.told == [(now, {"toy": now}) for now in (*begun, *(now for now, _, _ in calls))]
        assert [values for _, values, _ in calls] == [[(now,)] for now, _ in each.told[1:]]


class Table:
    """Stands for the groups of connections; `reads` counts."""

    reads = 0

    def __init__(self, *_):
        pass

    def rows(self):
        Table.reads += 1
        return iter(())


def connected(hosts):
    hooks = {hook.name: {"method": "probe"} for hook in NETWORK.hooks}
    return connections.plan(NETWORK, "entry", hooks, Viewer(None, None, 5, {}, hosts, simple_patterns.parse("*")), 7, 100)


def run_connected(monkeypatch, hosts, drop):
    monkeypatch.setattr(connections, "HashMap", Table)
    monkeypatch.setattr(daemon, "Counters", lambda descriptor, count: Reader(*[(0,) * count] * 5))
    monkeypatch.setattr(daemon, "privileges", SimpleNamespace(drop=drop))
    monkeypatch.setattr(daemon, "gc", SimpleNamespace(freeze=lambda: None))
    monkeypatch.setattr(daemon.ticker, "Ticker", lambda *_, **__: SimpleNamespace(wait=lambda: None))
    monkeypatch.setitem(os.environ, "RES_OPTIONS", "timeout:1")
    state = {"shown": (), "maps": {"network": (3, len(NETWORK.counters))}, "programs": {}, "events": (), "every": 1,
             "ticks": 2, "apps": None, "cgroups": None, "connections": marshal.loads(marshal.dumps(connected(hosts)))}
    shows = []

    class View:
        __enter__ = __exit__ = still_here = lambda self, *_: None

        def begin(self, now, values):
            pass

        def show(self, now, values, more):
            shows.append([each.id for each, _ in more])

    daemon.run(state, View())
    return shows


def test_connections_are_shown_and_read_once_to_try(monkeypatch):
    Table.reads = 0
    shows = run_connected(monkeypatch, False, lambda trial: trial())
    assert shows == [[chart[0] for chart in connections.CHARTS]] * 2
    assert Table.reads == 4  # to try, and before the first tick that is shown


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
state = {"shown": (), "maps": {}, "programs": {}, "events": (), "every": 0.05, "ticks": %s, "connections": None,
         "apps": None, "cgroups": None}
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


class Kernel:
    """Two counters on one CPU in rows; `marks` of applications, which are three; nobody has asked about anything."""

    def __init__(self, monkeypatch, rows, marks):
        self.rows, self.marks, self.updated = rows, marks, []
        monkeypatch.setattr(procfs, "possible_cpus", lambda: 1)
        monkeypatch.setattr(bpf, "bpf", self._bpf)
        monkeypatch.setattr(bpf, "map_lookup", lambda _, key, size: bytes(row in marks for row in range(size)))
        monkeypatch.setattr(bpf, "map_update", lambda descriptor, *_: self.updated.append(descriptor))

    def _bpf(self, command, attributes):
        if command == bpf.BPF_MAP_LOOKUP_BATCH:
            struct.pack_into("=I", attributes, 32, 0)
            raise OSError(2, "No such file or directory")
        descriptor, _, key, value, _ = struct.unpack("=IIQQQ", attributes)
        assert descriptor in (3, 4)
        ctypes.memmove(value, struct.pack("=2Q", *self.rows.get(ctypes.c_uint32.from_address(key).value, (0, 0))), 16)


OF_ROWS = series.pack((series.DeclaredChart("toy", "calls", "Calls", "calls/s", "Toys", 1, (
    series.Series("application", "incremental", 1, (0, 1), (), ()),), "stacked", "apps"),))
APPS = {"rules": apps_groups.parse("a: x\nb: y")[0].rules, "names": ("other", "a", "b"), "ids": ("other", "a", "b"),
        "processes": 64, "charts": OF_ROWS, "rows": (0, 2),
        "tables": {"apps_names": 90, "apps_asked": 91, "applications": 92, "apps_rows": 93}}


@pytest.mark.parametrize("apps, first, read", [
    (None, 1, {0, 1}), (None, 3, {0, 3}), (APPS, 3, {0, 1, 2, 3}),
])
def test_who_reads_rows(monkeypatch, tmp_path, apps, first, read):
    played = Kernel(monkeypatch, {0: (1, 2), 1: (10, 20), 2: (100, 200), 3: (1000, 2000)}, {1})
    control_groups = {"tables": {"cgroup_rows": 98, "cgroups_asked": 99}, "charts": OF_ROWS, "first": first,
                      "mount": str(tmp_path)}
    maps = {"toy": (3, 2), "apps": (4, 2)} if apps else {"toy": (3, 2)}
    state = {"apps": apps, "cgroups": control_groups, "maps": maps}
    readers, changing = daemon._readers(marshal.loads(marshal.dumps(state)))
    assert [type(each).__name__ for each in changing] == (["Apps"] if apps else []) + ["Cgroups"]
    assert set(readers) == set(maps) and (not apps or type(readers["apps"]) is counters.Counters)
    for each in (*readers.values(), *changing):
        each.read()
    assert 98 in played.updated
    # the host's is without control groups
    assert readers["toy"].read() == ((111, 222) if apps else (1, 2)) and set(readers["toy"].rows) == read
    pairs = [pair for each in changing for pair in each.tick(0, {"toy": (1, 2)})]
    pairs = {chart.full_id: {line.id: value for line, value in zip(chart.lines, values)} for chart, values in pairs}
    assert pairs.pop("cgroups.calls") == {"other": sum(played.rows[first])}
    assert pairs == ({"apps.calls": {"other": 3, "a": 30, "b": 300}} if apps else {})


def test_nobody_wants_rows(monkeypatch):
    monkeypatch.setattr(procfs, "possible_cpus", lambda: 1)
    readers, changing = daemon._readers({"apps": None, "cgroups": None, "maps": {"toy": (3, 2)}})
    assert type(readers["toy"]) is counters.Counters and changing == []
