"""What the network programs know before the first event: the filters, and which ports are served already.

Sockets that were there before us did not tell BPF that they listen. The kernel's socket diagnosis (sock_diag(7)) does, for
one network namespace at a time: ours and those of all processes that we may look into, up to NAMESPACES.
"""
from __future__ import annotations

import os
import struct
from typing import Any, Iterator, Mapping

from . import sock_diag
from ..kernel import bpf, process

NAMESPACES = 256
NO_ROW = bytes(4)  # of what serves


def prepare(maps: Mapping[str, int], ports: str | None, networks: list[list[Any]] | None) -> None:
    """Fill the filters' maps, which `maps[table]` gives as descriptors; then enter(). `ports`: hex of 8192 bytes, or None;
    `networks`: [[hex of 16 bytes, prefix length], ...], or None. Raises OSError."""
    if ports is not None:
        for word, value in enumerate(struct.iter_unpack("8s", bytes.fromhex(ports))):
            bpf.map_update(maps["flow_ports"], struct.pack("=I", word), value[0])
    for address, bits in networks or ():
        bpf.map_update(maps["flow_networks"], struct.pack("=I", bits) + bytes.fromhex(address), b"\1")
    enter(maps["services"])


def enter(services: int) -> str:
    """Enter what listens now; returns a warning or "". Called before anything is attached and again after it, so that
    nothing is between."""
    failed: set[str] = set()
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        for number, path in list(_namespaces().items())[:NAMESPACES]:
            if _enter(path):
                for protocol, port in _served(failed):
                    try:
                        bpf.map_update(services, struct.pack("=IHH", number, port, protocol), NO_ROW, bpf.BPF_NOEXIST)
                    except FileExistsError:  # the programs know more
                        continue
    finally:
        _setns(home)
        os.close(home)
    return "; ".join(sorted(failed))


def _namespaces() -> dict[int, str]:
    """{inode number: path} of the network namespaces of processes, ours first."""
    found = {os.stat("/proc/self/ns/net").st_ino: "/proc/self/ns/net"}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        path = "/proc/%s/ns/net" % pid
        try:
            found.setdefault(os.stat(path).st_ino, path)
        except OSError:
            continue
    return found


def _enter(path: str) -> bool:
    if path == "/proc/self/ns/net":
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return _setns(descriptor)
    finally:
        os.close(descriptor)


def _setns(descriptor: int) -> bool:
    """Whether it may be entered."""
    try:
        process.enter_network_namespace(descriptor)
    except OSError:
        return False
    return True


def _served(failed: set[str]) -> Iterator[tuple[int, int]]:
    """Pairs of protocol and port in this namespace; what cannot be asked for is added to `failed`."""
    for name, protocol, state in (("TCP", sock_diag.TCP, sock_diag.LISTEN), ("UDP", sock_diag.UDP, sock_diag.UNCONNECTED)):
        for family in sock_diag.FAMILIES:
            try:
                for port in sock_diag.local_ports(family, protocol, state):
                    yield protocol, port
            except OSError as error:
                failed.add("the kernel's socket diagnosis of %s failed: %s; what servers of before now do may be shown as "
                           "outbound (CONFIG_INET_DIAG, CONFIG_INET_UDP_DIAG)" % (name, error.strerror or error))
