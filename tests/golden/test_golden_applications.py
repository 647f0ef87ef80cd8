"""The charts of applications on scripted rows of the groups' counters, from the maps' bytes to those on stdout.

Counter number i of row r grows by (r + 1) * 2**i a tick, half of it on each of two CPUs. At one tick the kernel has placed a
first process in a row, at another the collector has; one tick has a gap in one group.
"""
import ctypes
import struct
from types import SimpleNamespace

from pluginsd import Agent, of_type
import pytest

from ebpf_plugin import log
from ebpf_plugin.collect import daemon
from ebpf_plugin.collect.applications import Applications
from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.collect.rows import Counters, RowSet
from ebpf_plugin.config import apps_groups
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.model import declared
from ebpf_plugin.model.select import select_application_charts, select_charts
from ebpf_plugin.outputs import netdata

RULES = "shells: sh bash\nweb: nginx\n'my app': *payroll*\nnobody: never"
OTHER, SHELLS, WEB, MINE, NOBODY = range(5)
TABLES = {"apps_names": 90, "apps_asked": 91, "applications": 92, "apps_rows": 93, "row_slots": 96}
MEASURED = tuple(group for group in GROUPS if group.apps)
TICKS = 6
PLACED, GAP, ASKED = 2, 3, 4  # the ticks of what the docstring says, the first that is shown being 1
PID = 4242

#        name: (groups, mode, hooks that are not attached)
CASES = {
    "applications-entry": (MEASURED, "entry", ()),
    "applications-return": (MEASURED, "return", ()),
    # a sum is never a part: both of its hooks have to be there
    "applications-return-without": (MEASURED[1:2], "return", ("vfs_readv", "fsync")),
}


ROW_OF = {"other": OTHER, "shells": SHELLS, "web": WEB, "my_app": MINE}


def grown(row, tick):
    """What the first counter of a row says: it grows from the tick on in which the row has its first process."""
    return max(0, tick + 1 - {WEB: PLACED - 1, MINE: ASKED}.get(row, 0)) * (row + 1)


class Kernel:
    """The maps: group number g has descriptor g. Time goes on when step() is called."""

    def __init__(self, groups):
        self._groups, self.tick, self._memory = groups, -1, {}
        self.asked, self.questions, self.names = {}, 0, {}
        self.applications = {PID: (OTHER, 77)}

    def map_memory(self, descriptor, size, *_):
        self._memory[descriptor] = bytearray(size)
        return self._memory[descriptor]

    def step(self):
        self.tick += 1
        self._memory[TABLES["apps_rows"]][SHELLS] = 1
        if self.tick == PLACED:
            self._memory[TABLES["apps_rows"]][WEB] = 1
        if self.tick == ASKED:
            self.asked, self.questions = {PID: b"java"}, 1
        for descriptor, group in enumerate(self._groups):
            count = len(group.counters)
            for row in range(NOBODY):
                sums = [grown(row, self.tick) << place for place in range(count)]
                of_cpus = [amount // 2 for amount in sums] + [amount - amount // 2 for amount in sums]
                struct.pack_into("=%dQ" % len(of_cpus), self._memory[descriptor], 8 * len(of_cpus) * row, *of_cpus)

    def map_lookup(self, descriptor, key, size):
        if descriptor == TABLES["applications"]:
            return struct.pack("=II", *self.applications[struct.unpack("=I", key)[0]])
        assert descriptor == TABLES["apps_asked"]
        return struct.pack("=16sI", self.asked[struct.unpack("=I", key)[0]], 77)

    def map_update(self, descriptor, key, value, flags=bpf.BPF_ANY):
        if descriptor == TABLES["applications"]:
            assert flags == bpf.BPF_EXIST
            self.applications[struct.unpack("=I", key)[0]] = struct.unpack("=II", value)
        else:
            assert descriptor == TABLES["apps_names"]
            self.names[key.rstrip(b"\0")] = value

    def map_delete(self, descriptor, key):
        assert descriptor == TABLES["apps_asked"]
        del self.asked[struct.unpack("=I", key)[0]]

    def bpf(self, command, attributes):
        assert command == bpf.BPF_MAP_LOOKUP_BATCH
        _, _, keys, values, _, descriptor, _, _ = struct.unpack("=QQQQIIQQ", attributes)
        assert descriptor == TABLES["apps_asked"]
        for number, (pid, name) in enumerate(self.asked.items()):
            ctypes.memmove(keys + 4 * number, struct.pack("=I", pid), 4)
            ctypes.memmove(values + 20 * number, struct.pack("=16sI", name, 77), 20)
        struct.pack_into("=I", attributes, 32, len(self.asked))
        raise OSError(2, "No such file or directory")


class Reader(Counters):
    """Counters, of which one group has a gap."""

    kernel = has_gap = None

    def read(self):
        if self.has_gap and self.kernel.tick == GAP:
            raise OSError(5, "Input/output error")
        return super().read()


def run(name, monkeypatch):
    """Let the ticks of a case happen. Returns the kernel and the charts of applications."""
    groups, mode, lacking = CASES[name]
    kernel = Kernel(groups)
    for function in ("bpf", "map_lookup", "map_update", "map_delete", "map_memory"):
        monkeypatch.setattr(bpf, function, getattr(kernel, function))
    monkeypatch.setattr(procfs, "cpu_ids", lambda: 2)
    monkeypatch.setattr(procfs, "command_line", lambda pid: {PID: b"java\0-jar\0payroll.jar"}[pid])
    monkeypatch.setattr(procfs, "comm_of", {PID: b"java"}.get)
    monkeypatch.setattr(log, "_said", set())
    clock = iter(range(1000, 1001 + TICKS))
    monkeypatch.setattr(daemon, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))

    found, messages = apps_groups.parse(RULES)
    assert messages == [] and len(found.ids) == NOBODY + 1
    hooks = {group.name: {hook.name: AttachedHook(None if hook.name in lacking else "trampoline", (), ())
                          for hook in group.hooks if mode in hook.modes} for group in groups}
    row_set = RowSet(len(found.ids), (OTHER,), TABLES["apps_rows"])
    readers = {group.name: Reader(number, len(group.counters), len(found.ids), row_set)
               for number, group in enumerate(groups)}
    for group, reader in readers.items():
        reader.kernel, reader.has_gap = kernel, group == groups[-1].name
    charts, of_host = select_application_charts(groups, mode, hooks), select_charts(groups, mode, hooks)
    source = Applications({"rules": found.rules, "names": found.names, "ids": found.ids, "tables": TABLES, "processes": 64,
                           "charts": declared.pack(charts)}, readers, row_set)
    netdata.declare(of_host, 1)

    def refresh():
        kernel.step()
        row_set.refresh()

    counters = {**readers, "apps": SimpleNamespace(read=lambda: (0, 0, kernel.questions))}
    with netdata.Netdata(1, of_host) as output:
        collector = Collector(of_host, counters, 1, (source,), refresh)
        daemon.tick(collector, output, SimpleNamespace(wait=lambda: None), TICKS, lambda: None)
    return kernel, charts, groups


@pytest.mark.parametrize("name", CASES)
def test_golden(name, golden, monkeypatch, capfd):
    played, _, _ = run(name, monkeypatch)
    printed, said = capfd.readouterr()
    assert len(said.splitlines()) == 1 and "cannot read the counters" in said
    assert played.applications == {PID: (MINE, 77)} and played.asked == {} and list(played.names) == [b"java"]
    golden(name, of_type("apps", printed))  # what is of the host is in the groups' own files


@pytest.mark.parametrize("name", CASES)
def test_the_host_is_the_sum(name, monkeypatch):
    """At every tick, of what each chart of applications says. A row that is new says 0, and a tick later all that it has."""
    texts, agent, came, gaps = [], Agent(), [], 0
    monkeypatch.setattr(netdata, "write", texts.append)
    _, charts, groups = run(name, monkeypatch)
    of = {group.name: group for group in groups}
    agent.take(texts[0])
    for number, text in enumerate(texts[1:], 1):
        before = {chart.full_id: set(agent.charts.get(chart.full_id, ())) for chart in charts}
        agent.take(text)
        for chart in charts:
            if "BEGIN %s" % chart.full_id not in text:
                assert number == GAP and chart.group == groups[-1].name
                gaps += 1
                continue
            dims = {row: last for row, (_, last, _) in agent.charts[chart.full_id].items()}
            # what is there from the beginning is a baseline as it is
            fresh = set(dims) - before[chart.full_id] if number > 1 else set()
            assert all(dims[row] == 0 for row in fresh)
            places = [of[chart.group].counters.index(counter) for counter in counters_of(of[chart.group], chart)]
            host = sum(grown(ROW_OF[row], number) << place for row in dims if row not in fresh for place in places)
            assert sum(dims.values()) == host
            came += fresh if number > 1 else dims
    assert not [fall for fall in agent.falls if fall[0].startswith("apps.")] and gaps
    assert set(came) == set(ROW_OF) and len(came) == 4 * len(charts)
    assert {name.partition(".")[2] for name in agent.charts if name.startswith("apps.")} == {chart.id for chart in charts}
    assert {dims["my_app"][0] for name, dims in agent.charts.items() if name.startswith("apps.")} == {"my app"}


def counters_of(group, chart):
    return next(each for each in group.apps if each.id == chart.id).dims[0].plus
