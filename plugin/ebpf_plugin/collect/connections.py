"""Connections: the kernel's rows by remote address and service, as charts whose dimensions come and go.

bpf/network_flows.h is the kernel's side. A row is outbound, by the remote address, the service's port and the protocol, or
inbound, by the local port and the protocol. The kernel counts totals of each direction after the rows, and a tick reads them
before the rows: so what is read of the rows is never less than what the totals say.
"""
from __future__ import annotations

import struct

from .. import log
from ..kernel.maps import HashMap
from ..model.declared import Chart, pack, unpack
from ..series.busiest import SOURCE, Busiest
from ..series.charts import Part, SeriesChart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from ..config.network_viewer import Viewer
    from ..model.group import Group
    from ..model.select import HasMethod
    from ..series.table import Series
    from .collector import Sample, Values
    from .resolver import Resolver

GROUP = "network"
MEASURES = ("sent", "sent_packets", "received", "received_packets", "retransmits")
PROTOCOLS = {6: "TCP", 17: "UDP"}
KEY = struct.Struct("=16sHBB")  # struct flow_key: address, port, protocol, inbound
KEY_SIZE, VALUE = KEY.size, "=6Q"  # struct flow: born, then the MEASURES
INBOUND = {False: "out", True: "in"}
OTHER = (("service", "other"),)  # labels


def plan(group: Group, mode: str, hooks: Mapping[str, HasMethod], viewer: Viewer, descriptor: int,
         entries: int) -> dict[str, Any]:
    """What Connections needs, for marshal. hooks: of the group, by name; descriptor, entries: of the map flows."""
    attached = {name for name, hook in hooks.items() if hook.method}
    measured = {(protocol, way) for protocol in ("TCP", "UDP") for way, hook in (("sent", "send"), ("received", "recv"))
                if "%s_%s" % (protocol.lower(), hook) in attached}
    if "retransmit" in attached:
        measured.add(("TCP", "retransmits"))
    totals = tuple(
        (side, tuple(tuple(group.counters.index(name) for name in _totals(side, measure)) for measure in MEASURES))
        for side in INBOUND.values())
    notes = sorted({note.text for hook in group.hooks for note in hook.notes
                    if "bytes" in note.counters[0] and mode in note.modes and hooks[hook.name].method == note.method})
    note = " (%s)" % ", ".join(notes) if notes else ""
    charts = tuple(_planned(group, chart, note) for chart in group.connections)
    return {"map": descriptor, "entries": entries, "charts": charts, "measured": tuple(measured), "totals": totals,
            "limit": viewer.dimensions,
            "names": tuple(viewer.names.items()), "hosts": viewer.hosts, "hostnames": viewer.hostnames}


def _totals(side: str, measure: str) -> tuple[str, ...]:
    """The counters whose sum is all that was moved."""
    if measure == "retransmits":
        return ("%s_retransmits" % side,)
    return tuple("%s_%s_%s" % (protocol, side, measure) for protocol in ("tcp", "udp"))


def _planned(group: Any, chart: Any, note: str) -> tuple[Any, ...]:
    """(whether it is of inbound connections, the packed chart, its measures with the ends of the dimensions' ids, their
    multipliers and labels). The ids of a chart with one measure have no end."""
    found = {_totals(side, measure): (inbound, measure) for inbound, side in INBOUND.items() for measure in MEASURES}
    measures = tuple((found[dim.plus][1], "_" + dim.id if len(chart.dims) > 1 else "", dim.multiplier, dim.labels)
                     for dim in chart.dims)
    packed, = pack([Chart(group.name, chart.id, chart.title + note, chart.units, chart.family, chart.priority, (), "stacked",
                          by="connection", context=chart.context, metric=tuple(chart.metric))])
    return found[chart.dims[0].plus][0], packed, measures


class Connections:
    """state: plan(); resolver: gives names of addresses, or None."""

    def __init__(self, state: dict[str, Any], resolver: Resolver | None = None):
        self._map = HashMap(state["map"], KEY_SIZE, VALUE, state["entries"])
        self._measured = frozenset(state["measured"])
        self._totals = dict(state["totals"])
        self._services = dict(state["names"])
        self._resolver = resolver
        self._directions = {inbound: Busiest(state["limit"], len(MEASURES), self._describe) for inbound in INBOUND}
        self._charts = [
            (inbound, found) for inbound, packed, measures in state["charts"]
            for found in self._chart(unpack([packed])[0], inbound, measures)]
        self._rows: dict[bool, list[Any]] = {False: [], True: []}
        self._moved: dict[bool, list[int]] = {}  # all that has been moved, by direction
        self._counted: Values | None = None  # when the rows were read last

    def _chart(self, chart: Chart, inbound: bool, measures: Any) -> list[SeriesChart]:
        """The chart, if any protocol has one of its measures."""
        parts = {name: Part((MEASURES.index(name),), suffix, multiplier, labels)
                 for name, suffix, multiplier, labels in measures}
        of_protocol = {number: tuple(part for name, part in parts.items() if self._is_measured(protocol, name))
                       for number, protocol in PROTOCOLS.items()}
        common = tuple(part for part in parts.values() if any(part in found for found in of_protocol.values()))
        other = "other:ALL" if inbound else "other:ALL:other"
        return [SeriesChart(self._directions[inbound].table, SOURCE, chart, common,
                            lambda series: of_protocol[series.key[18]],
                            (other.replace(":", "_"), other, OTHER))] if common else []

    def _is_measured(self, protocol: str, measure: str) -> bool:
        return (protocol, measure.replace("_packets", "")) in self._measured

    def _describe(self, key: bytes) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """The id stays; the name is that of _name(), given when all are known."""
        address, port, number, inbound = KEY.unpack(key)
        protocol = PROTOCOLS[number]
        service = str(self._services.get((port, protocol), port))
        if inbound:
            return "%d_%s" % (port, protocol), "", (("service", service), ("port", "%d" % port), ("protocol", protocol))
        text = text_of(address)
        return ("%d_%s_%s" % (port, protocol, text.replace(":", "-")), "",
                (("service", service), ("port", "%d" % port), ("protocol", protocol), ("address", text)))

    def take_over(self, wanted: dict[str, Any], _changed: set[str], _processes: Any) -> None:
        """Show what the configuration says now (commands/reread.py)."""
        self._services = dict(wanted["names of services"])
        if not wanted["resolve hostnames"]:
            self._resolver = None
        elif self._resolver is None:
            from .resolver import of_system
            self._resolver = of_system(wanted["hostnames"])
        else:
            self._resolver.show(wanted["hostnames"])
        for direction in self._directions.values():
            direction.resize(wanted["maximum dimensions"])
            direction.table.relabel()
            self._name_all(direction)

    def read(self) -> None:
        """Only read, to try whether that is allowed. Raises OSError."""
        for _ in self._map.rows():
            pass

    def tick(self, now: float, counters: dict[str, Values | None]) -> Sample:
        """The charts; none if the counters or the rows could not be read."""
        of_network = counters.get(GROUP)
        if of_network is None:
            return []
        # a row is counted before its total: as long as no counter changes, no row has, but for what comes just now
        if of_network is not self._counted:
            try:
                self._read_rows()
            except OSError as error:
                log.once(log.ERROR, "cannot read the connections: %s; their charts have a gap" % error.strerror)
                return []
            self._counted = of_network
            self._moved = {inbound: [sum([of_network[place] for place in places]) for places in self._totals[side]]
                           for inbound, side in INBOUND.items()}
        renamed = self._resolver is not None and self._resolver.take()
        for inbound, direction in self._directions.items():
            version = direction.table.version
            direction.tick(now, self._rows[inbound], self._moved[inbound], None if inbound else self._exclusion())
            if direction.table.version != version or renamed and not inbound:
                self._name_all(direction)
        return [chart.values(self._directions[inbound].other) for inbound, chart in self._charts]

    def _read_rows(self) -> None:
        """Those of the last tick are let go of first: so there is never room taken for both."""
        self._counted = None
        self._rows = {False: [], True: []}
        for direction in self._directions.values():
            direction.forget_rows()
        for row in self._map.rows():
            self._rows[row[0][-1] == 1].append(row)

    def rows_in_other(self) -> tuple[int | None, ...]:
        """How many of the kernel's rows have no dimension of their own: outbound, inbound. None if that is not known."""
        if self._counted is None:
            return None, None
        return tuple([sum([key not in direction.table.live for key, _ in self._rows[inbound]])
                      for inbound, direction in self._directions.items()])

    def _exclusion(self) -> Callable[[bytes], bool] | None:
        """Whether a key must not be shown, by the name of its address."""
        resolver = self._resolver
        if resolver is None:
            return None
        is_excluded = resolver.is_excluded
        return lambda key: is_excluded(key[:16])

    def _name_all(self, direction: Busiest) -> None:
        """A name that would be there twice gets what tells it apart."""
        taken: set[str] = set()
        names = []
        for series in direction.table.live.values():
            name, apart = self._name(series)
            if name in taken:
                name += " (%s)" % apart
            taken.add(name)
            names.append((series, name))
        direction.table.rename(names)

    def _name(self, series: Series) -> tuple[str, str]:
        """(service:PROTOCOL:host, what tells it apart)."""
        address, port, number, inbound = KEY.unpack(series.key)
        labels = dict(series.labels)
        name, apart = "%s:%s" % (labels["service"], labels["protocol"]), "%d" % port
        if inbound:
            return name, apart
        text = labels["address"]
        host = self._resolver.name_of(address) if self._resolver else None
        return "%s:%s" % (name, host or ("[%s]" % text if ":" in text else text)), "%s %s" % (apart, text)


def text_of(address: bytes) -> str:
    """An address of 16 bytes, IPv4 ones as ::ffff:a.b.c.d, as people write it."""
    from _socket import AF_INET, AF_INET6, inet_ntop  # socket itself costs the collector half a megabyte
    if address[:12] == b"\0" * 10 + b"\xff\xff":
        return inet_ntop(AF_INET, address[12:])
    return inet_ntop(AF_INET6, address)
