"""What ebpf.conf says of the network viewer, made ready: filters for the kernel, names and limits for the collector."""
from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from . import network_filters
from .. import simple_patterns
from ..kernel import procfs
from .settings import Settings


ROOM = 512  # networks of a filter that the kernel has room for at least


class Viewer(NamedTuple):
    """`ports`: 8192 bytes as hex, or None for all. `networks`: [[16 bytes as hex, prefix length], ...] or None for all.

    `names` is {(port, "TCP" or "UDP"): name of the service}; `hosts` whether addresses are resolved, and `hostnames` which
    of the names are shown (for simple_patterns.passes()). `dimensions` is the most of a chart.
    """

    ports: str | None
    networks: list[list[Any]] | None
    dimensions: int
    names: dict[tuple[int, str], str]
    hosts: bool
    hostnames: simple_patterns.Patterns


def settle(wanted: Settings, environment: Mapping[str, str], services_text: str | None = None) -> tuple[Viewer, list[str]]:
    """(Viewer, messages) of Settings. `services_text` is that of /etc/services, which is read if it is None."""
    text = procfs.read("/etc/services") if services_text is None else services_text
    by_name, by_port = network_filters.read_services(text)
    own = dict(wanted.services)
    agent = environment.get("NETDATA_LISTEN_PORT", "")
    try:
        own.setdefault(network_filters.parse_service(agent), "Netdata")
    except network_filters.Invalid:
        pass
    for port, name in own.items():
        by_name.setdefault(name, set()).add(port)
    ports, of_ports = network_filters.parse_ports(wanted.ports.text, by_name)
    addresses, of_addresses = network_filters.parse_addresses(wanted.ips.text)
    hostnames, of_hostnames = network_filters.parse_hostnames(wanted.hostnames.text)
    located = ((wanted.ports, of_ports), (wanted.ips, of_addresses), (wanted.hostnames, of_hostnames))
    messages = ["%s: %s" % (value.where, said) for value, all_said in located for said in all_said]
    names = {(port, protocol.upper()): name for (port, protocol), name in by_port.items()} if wanted.resolve_services else {}
    names.update({(port, protocol): name for port, name in own.items() for protocol in ("TCP", "UDP")})
    return Viewer(
        ports=ports and ports.bitmap().hex(), networks=addresses and [list(block) for block in addresses.blocks],
        dimensions=wanted.dimensions, names=names, hosts=wanted.resolve_hosts, hostnames=hostnames), messages


def sizes(viewer: Viewer, connections: bool) -> dict[str, int]:
    """{hole or size of a map: value}; `connections` is whether they are to be grouped at all."""
    found = {"CONNECTIONS": int(connections)}
    if viewer.ports is not None:
        found["FILTER_PORTS"] = 1
    if viewer.networks is not None:
        # room for another filter at SIGHUP, beside the one that it takes the place of: empty places take no memory
        found["FILTER_ADDRESSES"] = max(ROOM, 2 * len(viewer.networks))
    return found
