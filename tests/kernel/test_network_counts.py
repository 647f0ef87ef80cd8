"""Exactly N events of the network, exactly N on the charts, and for whom: every attach method, both modes."""
import collections
import os
import time

from cases.network import WORKS, expected, talk
from conftest import note_hooks
from harness import network_namespaces
from harness.attached import COMM, EACH_METHOD_AND_MODE, Attached, skip_if_missing, skip_without_method
import pytest

from ebpf_plugin.collect.connections import KEY, KEY_SIZE, PROTOCOLS, VALUE, text_of
from ebpf_plugin.collect.missed_events import MissedEvents
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.kernel.maps import HashMap

N = 23
# Kernels that preempt a program (7.2) do not run it for another task on that CPU meanwhile, and count that (missed.py).
TRIES = 5
ROOM = 4096
COUNTER = {"tcp_closes": "tcp_close", "tcp_retransmits": "tcp_retransmit", "accepts": "accept_tcp",
           "connects_v4": "connect_v4", "connects_v6": "connect_v6"}  # as cases/network.py has them
HAS_SOCKET_TRACEPOINTS = os.path.exists("/sys/kernel/tracing/events/sock/sock_send_length")  # 6.3


@pytest.fixture(scope="module", params=EACH_METHOD_AND_MODE)
def networked(request, pair):
    """Network, which sees the first host of the pair only."""
    method, mode = request.param.split("-")
    skip_without_method(method)
    found = Network(method, mode, pair[0])
    note_hooks(request.param, found.attached)
    yield found
    found.close()


class Network:
    """The network group's programs on one attach method, and what they have counted."""

    def __init__(self, method, mode, host, sizes=None, filters=None):
        self.attached = Attached(method, mode, (NETWORK,), {"netns": host.inum}, {
            **(sizes or {}), "CONNECTIONS": 1}, filters)
        self._flows = HashMap(self.attached.loaded.tables["flows"], KEY_SIZE, VALUE, ROOM)
        self.methods = {hook.name: self.attached.loaded.hooks["network"][hook.name].method for hook in NETWORK.hooks}

    def close(self):
        self.attached.close()

    def counts(self):
        """(counters, rows) in the shape of Outcome: what is zero is not named."""
        counters = dict(zip(NETWORK.counters, self.attached.readers["network"].read()))
        rows = {}
        for key, (_, sent, sent_packets, received, received_packets, _) in self._flows.rows():
            address, port, protocol, inbound = KEY.unpack(key)
            row = ("in" if inbound else "out", PROTOCOLS[protocol], port, None if inbound else text_of(address))
            rows[row] = sent, sent_packets, received, received_packets
        return collections.Counter({COUNTER.get(name, name): value for name, value in counters.items()}), rows

    def missed(self):
        """Events that the kernel says that it has not told the programs of, here or there."""
        return sum(MissedEvents(self.attached.loaded.programs, self.attached.loaded.events).counts().values())

    def only_requested(self, protocol):
        """Whether what is said to be sent is what was asked for."""
        return self.methods[protocol + "_send"] == "probe" and self.attached.mode == "entry"


def adjusted(work, network, wanted):
    """`wanted` (counters, rows) of functions as the attach method can know them."""
    counters, rows = collections.Counter(wanted[0]), dict(wanted[1])
    if network.methods["tcp_recv"] == "tracepoint":
        for name, each in work.system_call.items():
            counters[name] = N * each
            if name == "tcp_recv_bytes":
                rows = {row: (values[0], values[1], 0, 0) for row, values in rows.items()}
    if network.methods["udp_send"] == "tracepoint" and "sendto" in work.name:
        rows = {}  # the address is in the message, which the tracepoint does not have
    return counters, rows


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_network(networked, pair, work):
    skip_if_missing(work.cut and network_namespaces.why_not_cut(*pair, work.cut))
    for _ in range(TRIES):
        missed = networked.missed()
        grown, wanted, rows, wanted_rows = measured(networked, pair, work)
        if networked.missed() == missed:
            break
    assert grown == wanted
    if wanted_rows or not networked.only_requested("tcp"):
        assert rows == wanted_rows
    totals_are_the_rows(networked, *networked.counts())


def measured(network, pair, work):
    """(growth of counters, what is wanted; of rows, what is wanted)"""
    again = pair[0].retransmissions()
    before, rows_before = network.counts()
    outcome = talk(*pair, work, N, COMM)
    wanted, wanted_rows = adjusted(work, network, expected(work, N, outcome))
    for protocol in ("tcp", "udp"):
        if network.only_requested(protocol):
            failed = wanted.pop(protocol + "_send_errors", 0)
            if failed or work.measured:  # nobody knows then what was sent
                wanted.pop(protocol + "_send_bytes", 0)
                wanted_rows = {}
    names = set(wanted) | set(COUNTER.values()) | {"%s_%s_%s" % (protocol, way, what) for protocol in ("tcp", "udp")
                                                   for way in ("send", "recv") for what in ("calls", "errors", "bytes")}
    if network.only_requested("tcp"):
        names -= {"tcp_send_errors", "udp_send_errors"}
        if not wanted_rows:
            names -= {"tcp_send_bytes", "udp_send_bytes"}
    deadline = time.monotonic() + 15
    while True:
        wanted["tcp_retransmit"] = pair[0].retransmissions() - again
        after, rows_after = network.counts()
        grown = {name: after[name] - before[name] for name in names if after[name] != before[name]}
        if grown == +wanted or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    rows = {row: tuple(a - b for a, b in zip(values, rows_before.get(row, (0,) * 4))) for row, values in rows_after.items()}
    return grown, +wanted, {row: values for row, values in rows.items() if any(values)}, wanted_rows


def totals_are_the_rows(network, counters, rows):
    """What a direction moved is what its rows moved, but for what had no address."""
    for side in ("out", "in"):
        for place, what in enumerate(("sent", "sent_packets", "received", "received_packets")):
            for protocol in ("tcp", "udp"):
                of_rows = sum(values[place] for row, values in rows.items() if row[:2] == (side, protocol.upper()))
                total = counters["%s_%s_%s" % (protocol, side, what)]
                assert of_rows == total or (
                    of_rows < total and (side, protocol) == ("out", "udp") and "tracepoint" in network.methods.values())


def test_every_hook_is_on_the_method_that_was_asked_for(networked):
    elsewhere = {name for name, method in networked.methods.items() if method != networked.attached.method}
    if networked.attached.method != "tracepoint":
        assert elsewhere == {"retransmit"}  # no function stands for it
    elif not HAS_SOCKET_TRACEPOINTS:
        assert elsewhere == {"tcp_send", "tcp_recv", "udp_send", "udp_recv"}
    else:
        assert elsewhere == set()
    assert networked.attached.loaded.broken == {} and networked.attached.loaded.warnings == []
