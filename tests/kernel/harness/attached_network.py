"""The programs of the network group on one host, and what they have counted."""
import collections
import os

from harness.attached import Attached

from ebpf_plugin.collect.connections import KEY, KEY_SIZE, PROTOCOLS, VALUE, text_of
from ebpf_plugin.collect.missed_events import MissedEvents
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.kernel.maps import HashMap

MAX_ROWS = 4096
# Kernels that preempt a program (7.2) do not run it for another task on that CPU meanwhile, and count that
# (missed_events.py).
TRIES = 5
COUNTER = {"tcp_closes": "tcp_close", "tcp_retransmits": "tcp_retransmit", "accepts": "accept_tcp",
           "connects_v4": "connect_v4", "connects_v6": "connect_v6"}  # as cases/network.py has them
COUNTERS = set(COUNTER.values()) | {
    "%s_%s_%s" % (protocol, direction, what)
    for protocol in ("tcp", "udp") for direction in ("send", "recv") for what in ("calls", "errors", "bytes")}
HAS_SOCKET_TRACEPOINTS = os.path.exists("/sys/kernel/tracing/events/sock/sock_send_length")  # 6.3


class AttachedNetwork:
    """The network group, attached by one method in one load mode, for the traffic of one host.

    `filters` is {"ports": ..., "networks": ...} of the network viewer, `methods` {hook: attach method}.
    """

    def __init__(self, method, mode, host, sizes=None, filters=None):
        self.attached = Attached(method, mode, (NETWORK,), {"netns": host.inum}, {
            **(sizes or {}), "CONNECTIONS": 1}, filters)
        self._flows = HashMap(self.attached.loaded.tables["flows"], KEY_SIZE, VALUE, MAX_ROWS)
        self.methods = {hook.name: self.attached.loaded.hooks["network"][hook.name].method for hook in NETWORK.hooks}

    def close(self):
        self.attached.close()

    def counts(self):
        """(counters, rows) in the shape of counting_sockets.Outcome, since the programs were loaded."""
        counters = dict(zip(NETWORK.counters, self.attached.readers["network"].read()))
        rows = {}
        for key, (_, sent, sent_packets, received, received_packets, _) in self._flows.rows():
            address, port, protocol, inbound = KEY.unpack(key)
            row = ("in" if inbound else "out", PROTOCOLS[protocol], port, None if inbound else text_of(address))
            rows[row] = sent, sent_packets, received, received_packets
        return collections.Counter({COUNTER.get(name, name): value for name, value in counters.items()}), rows

    def missed(self):
        """The number of events on which the kernel did not run the programs, on any host."""
        loaded = self.attached.loaded
        return sum(MissedEvents(loaded.programs, loaded.links, loaded.events).counts().values())

    def counts_requested_bytes(self, protocol):
        """Whether bytes sent are those that calls requested, and errors of sending are not known."""
        return self.methods[protocol + "_send"] == "probe" and self.attached.mode == "entry"
