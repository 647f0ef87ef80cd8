"""The charts of connections: what flows.py chooses, with names, as charts whose dimensions come and go."""
from __future__ import annotations

from .. import log
from ..kernel.maps import HashMap
from ..model.series import DeclaredChart, Series
from .flows import KEY, KEY_SIZE, MEASURES, PROTOCOLS, VALUE, Direction, text_of

INBOUND = {False: "out", True: "in"}
# id, title, units, priority, inbound, the measures with the ends of the dimensions' ids and their multipliers
CHARTS = (
    ("outbound_bytes", "Outbound connections (bytes)", "bytes/s", 21080, False,
     (("sent", "_sent", -1), ("received", "_recv", 1))),
    ("outbound_packets", "Outbound connections (packets)", "packets/s", 21082, False,
     (("sent_packets", "_sent", -1), ("received_packets", "_recv", 1))),
    ("outbound_retransmit", "Retransmitted packets", "calls/s", 21083, False, (("retransmits", "", 1),)),
    ("inbound_bytes", "Inbound connections (bytes)", "bytes/s", 21084, True,
     (("sent", "_sent", -1), ("received", "_recv", 1))),
    ("inbound_packets", "Inbound connections (packets)", "packets/s", 21085, True,
     (("sent_packets", "_sent", -1), ("received_packets", "_recv", 1))),
)
MODULE = "network"


def plan(group, mode, hooks, viewer, descriptor, room):
    """What Connections needs, for marshal. `hooks` is {hook: {"method": name or None}}, `room` the rows of the map."""
    attached = {name for name, hook in hooks.items() if hook.method}
    measured = {(protocol, way) for protocol in ("TCP", "UDP") for way, hook in (("sent", "send"), ("received", "recv"))
                if "%s_%s" % (protocol.lower(), hook) in attached}
    if "retransmit" in attached:
        measured.add(("TCP", "retransmits"))
    totals = tuple(
        (side, tuple(tuple(group.counters.index(name) for name in _totals(side, measure)) for measure in MEASURES))
        for side in INBOUND.values())
    requested = sorted({note.text for hook in group.hooks for note in hook.notes
                        if "bytes" in note.counters[0] and mode in note.modes and hooks[hook.name].method == note.method})
    return {"map": descriptor, "room": room, "notes": tuple(requested), "measured": tuple(measured), "totals": totals,
            "most": viewer.dimensions,
            "names": tuple(viewer.names.items()), "hosts": viewer.hosts, "hostnames": viewer.hostnames}


def _totals(side, measure):
    if measure == "retransmits":
        return ("%s_retransmits" % side,)
    return tuple("%s_%s_%s" % (protocol, side, measure) for protocol in ("tcp", "udp"))


class Connections:
    """`plan` from plan(); `resolver` gives names of addresses (names.Resolver), or is None."""

    def __init__(self, wanted, resolver=None):
        self._map = HashMap(wanted["map"], KEY_SIZE, VALUE, wanted["room"])
        self._measured = frozenset(wanted["measured"])
        self._totals = dict(wanted["totals"])
        self._notes = " (%s)" % ", ".join(wanted["notes"]) if wanted["notes"] else ""
        self._services = dict(wanted["names"])
        self._resolver = resolver
        self._is_hidden = resolver and (lambda key: resolver.is_hidden(key[:16]))
        self._directions = {inbound: Direction(wanted["most"]) for inbound in INBOUND}
        self._charts = {}

    def read(self):
        """Only read, to try whether that is allowed. Raises OSError."""
        for _ in self._map.rows():
            pass

    def tick(self, now, samples):
        """[(Shown, values), ...]; nothing if the counters or the groups could not be read. `samples`: {group: counters}."""
        counters = samples.get(MODULE)
        if counters is None:
            return []
        try:
            rows = {False: [], True: []}
            for row in self._map.rows():
                rows[row[0][-1] == 1].append(row)
        except OSError as error:
            log.once(log.ERROR, "cannot read the groups of connections: %s; their charts have a gap" % error.strerror)
            return []
        renamed = bool(self._resolver) and self._resolver.take()
        changed = {}
        for inbound, direction in self._directions.items():
            totals = [sum(counters[place] for place in places) for places in self._totals[INBOUND[inbound]]]
            changed[inbound] = direction.tick(now, rows[inbound], totals, None if inbound else self._is_hidden)
            changed[inbound] = changed[inbound] or not self._charts or renamed and not inbound
        for chart in CHARTS:
            if changed[chart[4]]:
                self._charts[chart[0]] = self._chart(*chart)
        return [pair for chart in CHARTS for pair in self._values(chart)]

    def _chart(self, chart, title, units, priority, inbound, measures):
        """(Shown, the flows in the order of its lines)."""
        names = set()
        lines, flows = [], []
        for flow in self._directions[inbound].shown.values():
            of_flow = [line for line in measures if self._is_measured(flow.protocol(), line[0])]
            if of_flow:
                name = self._name(flow, names)
                flows.append((flow, tuple(MEASURES.index(line[0]) for line in of_flow)))
                lines += [_line(flow.id() + end, name + end, multiplier) for _, end, multiplier in of_flow]
        of_other = [line for line in measures if any(self._is_measured(p, line[0]) for p in PROTOCOLS.values())]
        other = "other:ALL" if inbound else "other:ALL:other"
        lines += [_line(other.replace(":", "_") + end, other + end, multiplier) for _, end, multiplier in of_other]
        shown = DeclaredChart(
            MODULE, chart, title + self._notes, units, "Network connections", priority, tuple(lines), "stacked")
        return shown, flows, tuple(MEASURES.index(line[0]) for line in of_other)

    def _is_measured(self, protocol, measure):
        return (protocol, measure.replace("_packets", "")) in self._measured

    def _name(self, flow, names):
        """service:PROTOCOL:host, as people know them; what tells them apart is added to what would be there twice."""
        address, port, protocol, inbound = KEY.unpack(flow.key)
        name = "%s:%s" % (self._services.get((port, PROTOCOLS[protocol]), port), PROTOCOLS[protocol])
        apart = "%d" % port
        if not inbound:
            text = text_of(address)
            host = self._resolver.name_of(address) if self._resolver else None
            name += ":" + (host or ("[%s]" % text if ":" in text else text))
            apart += " %s" % text
        if name in names:
            name += " (%s)" % apart
        names.add(name)
        return name

    def _values(self, chart):
        shown, flows, of_other = self._charts[chart[0]]
        if not shown.lines:
            return
        values = [flow.sums[place] for flow, places in flows for place in places]
        other = self._directions[chart[4]].other
        yield shown, values + [other[place] for place in of_other]


def _line(identity, name, multiplier):
    return Series(identity, "incremental", multiplier, (), (), (), name)
