"""The charts of connections on scripted rows of the kernel's map, from the rows to the bytes on stdout.

In each tick some groups move something; the map and the totals beside it are played. One tick has a gap.
"""
from types import SimpleNamespace

from pluginsd import Agent
import pytest

from ebpf_plugin import log, simple_patterns
from ebpf_plugin.collect import connections, daemon
from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.collect.connections import KEY, MEASURES
from ebpf_plugin.config.network_viewer import Viewer
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.outputs import netdata
from ebpf_plugin.series.busiest import IDLE

V4 = bytes(10) + b"\xff\xff"
V6 = bytes.fromhex("20010db8000000000000000000000001")
TCP, UDP = 6, 17


def outbound(last, port=443, protocol=TCP):
    return KEY.pack(V4 + bytes([10, 0, 0, last]), port, protocol, 0)


WEB, DATABASE, DNS = outbound(1), outbound(2, 5432), outbound(3, 53, UDP)
WEB6 = KEY.pack(V6, 443, TCP, 0)
SSH, SYSLOG = KEY.pack(bytes(16), 22, TCP, 1), KEY.pack(bytes(16), 514, UDP, 1)
GAP = None  # the map cannot be read

# sent, sent packets, received, received packets, retransmits
SMALL, LARGE, LOST = (10, 1, 100, 2, 0), (1000, 10, 100000, 20, 0), (0, 0, 0, 0, 3)


class Names:
    """A resolver that has the name of 10.0.0.1 in the second tick, and one that is hidden in the third."""

    def __init__(self):
        self._ticks = 0

    def take(self):
        self._ticks += 1
        return self._ticks in (2, 3)

    def name_of(self, address):
        return "www.example.com" if self._ticks > 1 and address[-1] == 1 and address != V6 else None

    def is_excluded(self, address):
        return self._ticks > 2 and address[-1] == 2


#        name: (attached hooks or None for all, most, resolver, [(seconds, {group: amounts}, groups that the map loses)])
CASES = {
    "connections": (None, 500, None, (
        (1, {WEB: LARGE, SSH: SMALL}, ()),
        (1, {WEB: LARGE, WEB6: SMALL, DNS: SMALL, SYSLOG: SMALL}, ()),
        (1, {WEB: LOST, WEB6: LARGE, SSH: SMALL}, ()),
        (1, GAP, ()),
        (1, {WEB: SMALL}, (WEB,)),
        (1, {}, ()))),
    "connections-other": (None, 1, None, (
        (1, {WEB: LARGE, DNS: SMALL, SSH: SMALL, SYSLOG: LARGE}, ()),
        (1, {WEB: LARGE, DNS: SMALL, SSH: SMALL, SYSLOG: LARGE}, ()),
        (1, {DATABASE: LOST}, ()))),
    "connections-leave": (None, 500, None, (
        (1, {WEB: LARGE, DATABASE: SMALL, SSH: SMALL}, ()),
        (1, {}, (DATABASE, SSH)),
        (IDLE, {WEB: SMALL}, ()),
        (1, {}, ()),
        (1, {DATABASE: SMALL}, ()),
        (1, {}, ()))),
    "connections-names": (None, 500, Names, (
        (1, {WEB: SMALL, DATABASE: SMALL}, ()),
        (1, {WEB: SMALL, DATABASE: SMALL}, ()),
        (1, {WEB: SMALL, DATABASE: SMALL}, ()),
        (1, {WEB: SMALL, DATABASE: SMALL}, ()))),
    "connections-none": (None, 0, None, (
        (1, {WEB: LARGE, SSH: LARGE}, ()),
        (1, {WEB: LARGE, SSH: LARGE}, ()))),
    # what is not measured is not declared
    "connections-udp-send": (("udp_send",), 500, None, (
        (1, {DNS: SMALL, SYSLOG: SMALL}, ()),
        (1, {DNS: SMALL}, ()))),
}


class Kernel:
    """Stands for the map and the counters."""

    def __init__(self, script):
        self._script, self._rows, self._born = iter(script), {}, 0
        self.seconds, self.counters, self._gap = 0, [0] * len(NETWORK.counters), False

    def step(self):
        """The next tick, as far as the counters go; how many seconds later it is."""
        seconds, moved, lost = next(self._script)
        self._gap = moved is GAP
        for name in lost:
            del self._rows[name]
        for name, amounts in (moved or {}).items():
            self._born += 1
            born, *sums = self._rows.get(name, (self._born,) + (0,) * len(MEASURES))
            self._rows[name] = (born, *(a + b for a, b in zip(sums, amounts)))
            _, _, protocol, inbound = KEY.unpack(name)
            side = "in" if inbound else "out"
            for measure, amount in zip(MEASURES, amounts):
                total = "%s_%s_%s" % ("tcp" if protocol == TCP else "udp", side, measure)
                if measure == "retransmits":
                    total = side + "_retransmits"
                self.counters[NETWORK.counters.index(total)] += amount
        return seconds

    def total(self, inbound, measure):
        """What both protocols have moved."""
        side = "in" if inbound else "out"
        names = ["%s_%s_%s" % (protocol, side, measure) for protocol in ("tcp", "udp")] + ["%s_%s" % (side, measure)]
        return sum(self.counters[NETWORK.counters.index(name)] for name in names if name in NETWORK.counters)

    def rows(self):
        if self._gap:
            raise OSError(5, "Input/output error")
        return list(self._rows.items())


class Clock:
    """Each tick is a step of the script."""

    def __init__(self, kernel):
        self._kernel, self._now, self._begun = kernel, 1000.0, False

    def monotonic(self):
        if self._begun:
            self._now += self._kernel.step()
        self._begun = True
        return self._now


def run(name, monkeypatch):
    """Let the ticks of a case happen. Returns the kernel before the first one, and a function for that."""
    attached, most, resolver, script = CASES[name]
    hooks = {hook.name: AttachedHook("trampoline" if attached is None or hook.name in attached else None, (), ())
             for hook in NETWORK.hooks}
    names = {(443, "TCP"): "https", (53, "UDP"): "domain", (22, "TCP"): "ssh", (514, "UDP"): "syslog"}
    viewer = Viewer(None, None, most, names, resolver is not None, simple_patterns.parse("*"))
    kernel = Kernel(script)
    monkeypatch.setattr(connections, "HashMap", lambda *_: kernel)
    monkeypatch.setattr(daemon, "time", Clock(kernel))
    monkeypatch.setattr(log, "_said", set())
    source = connections.Connections(connections.plan(NETWORK, "entry", hooks, viewer, 7, 100), resolver and resolver())

    def ticks():
        readers = {"network": SimpleNamespace(read=lambda: tuple(kernel.counters))}
        with netdata.Netdata() as output:
            collector = Collector((), readers, 1, (source,))
            daemon.tick(collector, output, SimpleNamespace(wait=lambda: None), len(script), lambda: None)

    return kernel, ticks


@pytest.mark.parametrize("name", CASES)
def test_golden(name, golden, monkeypatch, capfd):
    run(name, monkeypatch)[1]()
    printed, said = capfd.readouterr()
    gaps = sum(moved is GAP for _, moved, _ in CASES[name][3])
    assert len(said.splitlines()) == gaps and said.count("cannot read the connections") == gaps
    golden(name, printed)


@pytest.mark.parametrize("name", CASES)
def test_shown_and_other_are_the_total(name, monkeypatch):
    """What the agent has drawn in all, at each tick. It only remembers first values: what comes now is drawn a tick later;
    what was there at the first tick and is not shown is in the first value of `other`."""
    kernel, ticks = run(name, monkeypatch)
    agent, first, before, ends = Agent(), {}, {}, []

    def take(text):
        agent.take(text)
        came = "DIMENSION" in text and not text.count("DIMENSION") == text.count("'obsolete'")
        for chart, places in PLACES.items():
            for end, measure in places:
                dims = [dim for dim in agent.charts.get("ebpf." + chart, ()) if dim.endswith(end)]
                if not dims:
                    continue
                total = kernel.total(chart.startswith("in"), measure)
                first.setdefault((chart, end), agent.charts["ebpf." + chart][other_of(chart) + end][1])
                drawn = sum(agent.sums.get(("ebpf." + chart, dim), 0) for dim in dims) + first[chart, end]
                assert before.get((chart, end), 0) <= drawn <= total
                assert came or text == "\n" or drawn == total, (chart, end, drawn, total)
                before[chart, end] = total
                ends.append(drawn == total)

    monkeypatch.setattr(netdata, "write", take)
    ticks()
    assert agent.falls == [] and ends[-1]


def other_of(chart):
    return "other_ALL" if chart.startswith("in") else "other_ALL_other"


PLACES = {chart.id: [(end, measure) for measure, end, *_ in connections._planned(NETWORK, chart, "")[2]]
          for chart in NETWORK.connections}
