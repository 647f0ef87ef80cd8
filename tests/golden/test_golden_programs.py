"""The charts of what BPF programs cost, on scripted counts of the kernel's, from the counts to the bytes on stdout."""
from types import SimpleNamespace

import pytest

from ebpf_plugin import log
from ebpf_plugin.collect import daemon
from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.outputs import netdata
from ebpf_plugin.programs import charts, objects

GAP = None  # the kernel does not tell
READ, WRITE, DEVICES, UNNAMED = (1, "vfs_read_fexit", "tracing"), (2, "vfs_write_fexit", "tracing"), \
    (3, "sd_devices", "cgroup_device"), (4, "", "cgroup_skb")

# name: (whether all programs, how many are shown, [{program: (runs, time) in a tick}])
CASES = {
    "programs-ours": (False, 100, (
        {READ: (1000, 123456)},
        {READ: (23, 4601), WRITE: (7, 700)},
        {READ: (1, 150)},
        GAP,
        {WRITE: (3, 999)},
        {})),
    "programs-all": (True, 2, (
        {},
        {READ: (23, 4601), DEVICES: (2, 120), UNNAMED: (1, 99)},
        {DEVICES: (4, 300), UNNAMED: (1, 99)},
        {})),
}


class Kernel:
    """Programs as the script has moved them so far."""

    def __init__(self, script):
        self._script, self._sums, self._gap = iter(script), {program: (0, 0) for program in (READ, WRITE)}, False

    def step(self):
        moved = next(self._script)
        self._gap = moved is GAP
        for program, amounts in (moved or {}).items():
            self._sums[program] = tuple(map(sum, zip(self._sums.get(program, (0, 0)), amounts)))

    def program(self, descriptor):
        return next(program for program in self.programs() if program.id == descriptor)

    def programs(self):
        if self._gap:
            raise OSError(5, "Input/output error")
        for (number, name, kind), (runs, time) in sorted(self._sums.items()):
            yield SimpleNamespace(id=number, type=kind, name=name[:15], runs=runs, run_time=time, btf_id=0)


@pytest.mark.parametrize("name", CASES)
def test_golden(name, golden, monkeypatch, capfd):
    is_all, shown, script = CASES[name]
    kernel, clock = Kernel(script), iter(range(1000, 2000))

    def monotonic():
        kernel.step()
        return next(clock)

    monkeypatch.setattr(charts, "SHOWN", shown)
    monkeypatch.setattr(objects, "program", kernel.program)
    monkeypatch.setattr(objects, "programs", kernel.programs)
    monkeypatch.setattr(objects, "with_descriptor", lambda *_: ((), 0))
    monkeypatch.setattr(daemon, "time", SimpleNamespace(monotonic=monotonic))
    monkeypatch.setattr(log, "_said", set())
    source = charts.ProgramCharts({"programs": {"vfs_read_fexit": 1, "vfs_write_fexit": 2}, "all": is_all})
    with netdata.Netdata() as output:
        daemon.tick(Collector((), {}, 1, (source,)), output, SimpleNamespace(wait=lambda: None), len(script) - 1,
                    lambda: None)
    printed, said = capfd.readouterr()
    assert len(said.splitlines()) == sum(step is GAP for step in script)
    golden(name, printed)
