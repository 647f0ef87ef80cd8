"""The whole plugin on scripted counters, from a group's data to the bytes on stdout.

Counter number i grows by 2**i a tick, so that each sum tells which counters are in it. The reader fails at one tick, and
one tick comes late. `--update-golden` writes the files anew; look at the difference.
"""
import os
from types import SimpleNamespace

import pytest
import test_golden_applications
import test_golden_cgroups
import test_golden_connections
import test_golden_internals
import test_golden_programs

from ebpf_plugin import log
from ebpf_plugin.collect import daemon
from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.model import declared
from ebpf_plugin.model.chart import MODES
from ebpf_plugin.model.select import select_charts
from ebpf_plugin.outputs import netdata

HERE = os.path.dirname(os.path.abspath(__file__))

#        first   on time  a gap  after it  late   on time again
TIMES = (1000.0, 1001.0, 1002.0, 1003.0, 1004.75, 1005.75)
GAP = 2

OF = {group.name: group for group in GROUPS}
CASES = {
    "%s-%s" % (group.name, mode): (group, mode, "trampoline", {}) for group in GROUPS for mode in MODES
}
CASES.update({
    # a probe at the call knows only what was asked for
    "vfs-entry-probe": (OF["vfs"], "entry", "probe", {}),
    "vfs-entry-tracepoint": (OF["vfs"], "entry", "tracepoint", {}),
    # a probe at the call knows only what was asked for; tracepoints tell of sockets that are destroyed, not of calls
    "network-entry-probe": (OF["network"], "entry", "probe", {}),
    "network-return-tracepoint": (OF["network"], "return", "tracepoint", {}),
    "network-return-without-tcp": (OF["network"], "return", "trampoline", {
        "tcp_send": None, "tcp_recv": None, "tcp_close": None, "retransmit": None}),
    # what is not measured is not declared: a dimension of two, both of process_status, a chart of its own
    "process-entry-without-release": (OF["process"], "entry", "tracepoint", {"release": None}),
    "vfs-return-without-unlink": (OF["vfs"], "return", "trampoline", {"unlink": None}),
})


class Counters:
    """Stands for what is read from the kernel."""

    def __init__(self, count):
        self._count, self._ticks = count, 0

    def read(self):
        self._ticks += 1
        if self._ticks - 1 == GAP:
            raise OSError(5, "Input/output error")
        return tuple(self._ticks << place for place in range(self._count))


def run(group, mode, method, but, monkeypatch):
    hooks = {hook.name: AttachedHook(but.get(hook.name, method), (), ()) for hook in group.hooks if mode in hook.modes}
    charts = select_charts((group,), mode, {group.name: hooks})
    netdata.declare(charts, 1)
    charts = declared.unpack(declared.pack(charts))
    clock = iter(TIMES)
    monkeypatch.setattr(daemon, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(log, "_said", set())
    with netdata.Netdata(1, charts) as output:
        collector = Collector(charts, {group.name: Counters(len(group.counters))}, 1)
        daemon.tick(collector, output, SimpleNamespace(wait=lambda: None), len(TIMES) - 1, lambda: None)


@pytest.mark.parametrize("name", CASES)
def test_golden(name, golden, monkeypatch, capfd):
    run(*CASES[name], monkeypatch)
    printed, said = capfd.readouterr()
    assert len(said.splitlines()) == 1 and "cannot read the counters" in said
    golden(name, printed)


def test_no_golden_file_is_forgotten():
    names = {name[:-4] for name in os.listdir(HERE) if name.endswith(".txt")}
    assert names == set(CASES) | set(test_golden_applications.CASES) | set(test_golden_cgroups.CASES) | set(
        test_golden_connections.CASES) | set(test_golden_programs.CASES) | set(
            test_golden_internals.CASES)
