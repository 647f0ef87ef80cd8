"""The charts of control groups on scripted rows of the groups' counters, from the maps' bytes to those on stdout.

At every tick what runs in each control group of LIVE does as much as its number says: counter number i of its row grows by
number * 2**i, half of it on each of two CPUs; row 0, of the host, by as much as all of them. A control group that the kernel
does not know yet counts in the first row behind the applications' and is asked about. One tick has a gap in one group.
"""
import ctypes
import os
import struct
from types import SimpleNamespace

from pluginsd import Agent, of_type
import pytest

from ebpf_plugin import log
from ebpf_plugin.collect import cgroups, daemon
from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.collect.rows import Counters, RowSet
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.model import declared
from ebpf_plugin.model.select import select_cgroup_charts, select_charts
from ebpf_plugin.outputs import netdata

MEASURED = tuple(group for group in GROUPS if group.apps)
TABLES = {"cgroup_rows": 94, "cgroups_asked": 95}
FIRST = 1
GAP, TICKS = 4, 8
RESCAN_TICKS = 6  # that it is looked for those that have gone at the tick before the last but one
CONTAINER = "0123456789ab" + "cd" * 26

#       path: (ticks in which it lives, number); the last is of the root, whose directory is not below it
LIVE = {
    "/init.scope": (range(0, TICKS + 1), 1),
    "/system.slice/nginx.service": (range(0, TICKS + 1), 2),
    "/system.slice/nginx.service/worker": (range(2, TICKS + 1), 3),
    "/system.slice/docker-%s.scope" % CONTAINER: (range(2, TICKS + 1), 5),
    "/user.slice/user-1000.slice/user@1000.service/app.slice/pipe-wire@1.service": (range(0, 3), 7),
    "/lxc.payload.web/system.slice": (range(6, TICKS + 1), 11),
    "": (range(0, TICKS + 1), 13),
}
OF_CONTAINERS = ("cgroup_0123456789ab", "cgroup_web")
NAMES = {"other", "init", "nginx", "docker_0123456789ab", "pipe-wire_1", "web"}

#        name: (groups, mode, hooks that are not attached)
CASES = {
    "cgroups-entry": (MEASURED[0:3:2], "entry", ()),
    "cgroups-return-without": (MEASURED[1:2], "return", ("vfs_readv", "fsync")),
}


class Kernel:
    """The maps: group number g has descriptor g. Time goes on when step() is called."""

    def __init__(self, groups, mount):
        self._groups, self._mount, self.tick, self._numbers, self._memory = groups, str(mount), -1, {}, {}
        self.placed, self.asked = {}, []
        self.rows = {0: 0, FIRST: 0}
        os.mkdir(self._mount)
        os.mkdir(self._mount + "-gone")

    def map_memory(self, descriptor, size):
        self._memory[descriptor] = bytearray(size)
        return self._memory[descriptor]

    def step(self):
        self.tick += 1
        for path, (ticks, number) in LIVE.items():
            if self.tick in ticks:
                os.makedirs(self._mount + path, exist_ok=True)
                key = self._numbers.setdefault(path, struct.pack("=Q", os.stat(self._mount + path).st_ino if path else 1))
                row = FIRST + self.placed.get(key, 0)
                if key not in self.placed and key not in self.asked:
                    self.asked.append(key)
                self.rows[row] = self.rows.get(row, 0) + number
                self.rows[0] += number
            elif self.tick - 1 in ticks:
                os.rename(self._mount + path, "%s-gone/%d" % (self._mount, number))
        for descriptor, group in enumerate(self._groups):
            for row, amount in self.rows.items():
                sums = [amount << place for place in range(len(group.counters))]
                of_cpus = [amount // 2 for amount in sums] + [amount - amount // 2 for amount in sums]
                struct.pack_into("=%dQ" % len(of_cpus), self._memory[descriptor], 8 * len(of_cpus) * row, *of_cpus)

    def map_update(self, descriptor, key, value, flags=bpf.BPF_ANY):
        assert descriptor == TABLES["cgroup_rows"]
        self.placed[key] = struct.unpack("=I", value)[0]

    def map_delete(self, descriptor, key):
        if descriptor == TABLES["cgroup_rows"]:
            self.placed.pop(key, None)
        else:
            self.asked.remove(key)

    def bpf(self, command, attributes):
        assert command == bpf.BPF_MAP_LOOKUP_BATCH
        _, _, keys, _, _, descriptor, _, _ = struct.unpack("=QQQQIIQQ", attributes)
        assert descriptor == TABLES["cgroups_asked"]
        ctypes.memmove(keys, b"".join(self.asked), 8 * len(self.asked))
        struct.pack_into("=I", attributes, 32, len(self.asked))
        raise OSError(2, "No such file or directory")


def run(name, monkeypatch, directory):
    """Let the ticks of a case happen. Returns the kernel, the charts of control groups and the groups."""
    groups, mode, lacking = CASES[name]
    kernel = Kernel(groups, directory / "cgroup")
    for function in ("bpf", "map_update", "map_delete", "map_memory"):
        monkeypatch.setattr(bpf, function, getattr(kernel, function))
    monkeypatch.setattr(procfs, "cpu_ids", lambda: 2)
    monkeypatch.setattr(cgroups, "RESCAN_TICKS", RESCAN_TICKS)
    monkeypatch.setattr(log, "_said", set())
    clock = iter(range(1000, 1001 + TICKS))
    monkeypatch.setattr(daemon, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    hooks = {group.name: {hook.name: AttachedHook(None if hook.name in lacking else "trampoline", (), ())
                          for hook in group.hooks if mode in hook.modes} for group in groups}
    charts, of_host = select_cgroup_charts(groups, mode, hooks), select_charts(groups, mode, hooks)
    row_set = RowSet(FIRST)
    readers = {group.name: Reader(number, len(group.counters), FIRST + cgroups.ROWS, row_set)
               for number, group in enumerate(groups)}
    for group, reader in readers.items():
        reader.kernel, reader.has_gap = kernel, group == groups[-1].name
    source = cgroups.Cgroups({"tables": TABLES, "charts": declared.pack(charts), "first": FIRST,
                              "mount": str(directory / "cgroup"), "for_agent": True}, readers, row_set)
    netdata.declare(of_host, 1)

    def refresh():
        kernel.step()
        row_set.refresh()

    with netdata.Netdata(1, of_host) as output:
        collector = Collector(of_host, readers, 1, (source,), refresh)
        daemon.tick(collector, output, SimpleNamespace(wait=lambda: None), TICKS, lambda: None)
    return kernel, charts, groups


class Reader(Counters):
    """Counters, of which one group has a gap."""

    kernel = has_gap = None

    def read(self):
        if self.has_gap and self.kernel.tick == GAP:
            raise OSError(5, "Input/output error")
        return super().read()


@pytest.mark.parametrize("name", CASES)
def test_golden(name, golden, monkeypatch, capfd, tmp_path):
    played, _, _ = run(name, monkeypatch, tmp_path)
    printed, said = capfd.readouterr()
    assert len(said.splitlines()) == 1 and "cannot read the counters" in said
    assert played.asked == [] and len(played.placed) == len(LIVE) - 1
    # what is of the host is in the groups' own files
    golden(name, "".join(of_type(type, printed) for type in ("cgroups", "services", *OF_CONTAINERS)))


@pytest.mark.parametrize("name", CASES)
def test_the_host_is_the_sum(name, monkeypatch, tmp_path):
    """At every tick, of what each chart of control groups has drawn. A name that is new says 0."""
    texts, agent = [], Agent()
    monkeypatch.setattr(netdata, "write", texts.append)
    _, charts, groups = run(name, monkeypatch, tmp_path)
    of = {group.name: group for group in groups}
    assert len(texts) == TICKS + 1
    agent.take(texts[0])
    host, begun, gaps = 0, {}, 0
    for tick, text in enumerate(texts[1:], 1):
        before = {chart.full_id: set(agent.charts.get("cgroups." + chart.id, ())) for chart in charts}
        agent.take(text)
        host = sum(number * sum(at <= tick for at in ticks) for ticks, number in LIVE.values())
        for chart in charts:
            if "BEGIN cgroups.%s " % chart.id not in text + " " and "BEGIN cgroups.%s\n" % chart.id not in text:
                assert tick == GAP and chart.group == groups[-1].name
                gaps += 1
                continue
            dims = agent.charts["cgroups." + chart.id]
            counted = next(each for each in of[chart.group].apps if each.id == chart.id).dims[0].plus
            places = [of[chart.group].counters.index(counter) for counter in counted]
            drawn = sum(amount for (each, _), amount in agent.sums.items() if each == "cgroups." + chart.id)
            begun.setdefault(chart.id, sum(last for _, last, _ in dims.values()))
            assert drawn + begun[chart.id] == sum(host << place for place in places)
            if tick > 1:
                assert all(dims[new][1] == 0 for new in set(dims) - before[chart.full_id])
            before[chart.full_id] = set(dims)
    assert gaps and not [fall for fall in agent.falls if fall[0].startswith("cgroups.")]
    for chart in charts:
        dims = agent.charts["cgroups." + chart.id]
        assert set(dims) == NAMES and [name for name, (_, _, gone) in dims.items() if gone] == ["pipe-wire_1"]
        assert dims["pipe-wire_1"][0] == "pipe-wire@1"
