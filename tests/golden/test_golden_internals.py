"""The charts of the plugin itself, from what it is told to the bytes on stdout."""
from types import SimpleNamespace

import pytest

from ebpf_plugin.collect import daemon
from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.internals import source
from ebpf_plugin.kernel import procfs
from ebpf_plugin.outputs import netdata

STATE = {"hooks": (5, 3, 2), "refused": (1, 0, 4, 0), "programs": 17, "maps": (7, 8), "loading": 258770,
         "kretprobes": ("p_vfs_read",)}
HASHES = (("flows", 7, 20, 48, 1000), ("services", 8, 4, 4, 64))

# name: (hashes, whether there are connections, how many ticks)
CASES = {"internals": (HASHES, True, 3), "internals-without-connections": ((), False, 1)}


@pytest.mark.parametrize("name", CASES)
def test_golden(name, golden, monkeypatch, capfd):
    hashes, has_connections, ticks = CASES[name]
    pulse = SimpleNamespace(late=0.0, took=0.0)
    clock, used = iter(range(1000, 2000)), iter(range(10 ** 9, 2 * 10 ** 9, 850000))

    def wait():
        pulse.late += 0.000123
        pulse.took += 0.00085

    pulse.wait = wait
    monkeypatch.setattr(daemon, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(source, "time", SimpleNamespace(process_time_ns=lambda: next(used)))
    monkeypatch.setattr(source, "HashMap", lambda *_: SimpleNamespace(count=lambda: 16))
    monkeypatch.setattr(procfs, "locked_memory", lambda _: 6726660)
    monkeypatch.setattr(source.Internals, "_memory", lambda _: (12550144, 5779456))
    connections = SimpleNamespace(rows_in_other=lambda: (11, 0)) if has_connections else None
    missed = {"vfs_read_kprobe": 3, "p_vfs_read": 4}
    found = source.Internals({**STATE, "hashes": hashes}, pulse, lambda: missed, connections)
    with netdata.Netdata() as output:
        daemon.tick(Collector((), {}, 1, (found,)), output, pulse, ticks, lambda: None)
    golden(name, capfd.readouterr().out)
