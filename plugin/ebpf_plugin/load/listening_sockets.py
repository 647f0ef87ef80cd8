"""What the network programs know before the first event: the filters, and which ports are served already. Loader only.

Sockets that were there before us did not tell BPF that they listen. The kernel's socket diagnosis (sock_diag(7)) does, for
one network namespace at a time: ours and those of all processes that we may look into, up to NAMESPACES.
"""
from __future__ import annotations

import os
import socket
import struct

from ..kernel import bpf, process

NAMESPACES = 256
NOBODY = bytes(4)  # the row of who serves
LISTEN, UNCONNECTED = 10, 7  # TCP_LISTEN; TCP_CLOSE, which is what UDP without a peer is in


def prepare(maps, ports, networks):
    """Fill the filters' maps, which `maps[table]` gives as descriptors; then enter(). `ports`: hex of 8192 bytes, or None;
    `networks`: [[hex of 16 bytes, prefix length], ...], or None. Raises OSError."""
    if ports is not None:
        for word, value in enumerate(struct.iter_unpack("8s", bytes.fromhex(ports))):
            bpf.map_update(maps["flow_ports"], struct.pack("=I", word), value[0])
    for address, bits in networks or ():
        bpf.map_update(maps["flow_networks"], struct.pack("=I", bits) + bytes.fromhex(address), b"\1")
    enter(maps["services"])


def enter(services):
    """Enter what listens now; returns a warning or "". Called before anything is attached and again after it, so that
    nothing is between."""
    try:
        from pyroute2 import DiagSocket
    except ImportError as error:
        return ("cannot import pyroute2: %s; connections that servers have accepted before now may be shown as outbound "
                "(apt-get install python3-pyroute2)" % error)
    failed = set()
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        for number, path in list(_namespaces().items())[:NAMESPACES]:
            if _enter(path):
                for protocol, port in _served(DiagSocket, failed):
                    try:
                        bpf.map_update(services, struct.pack("=IHH", number, port, protocol), NOBODY, bpf.BPF_NOEXIST)
                    except FileExistsError:  # the programs know more
                        continue
    finally:
        _setns(home)
        os.close(home)
    return "; ".join(sorted(failed))


def _namespaces():
    """{inode number: path} of the network namespaces of processes, ours first."""
    found = {os.stat("/proc/self/ns/net").st_ino: "/proc/self/ns/net"}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        path = "/proc/%s/ns/net" % pid
        try:
            found.setdefault(os.stat(path).st_ino, path)
        except OSError:
            continue
    return found


def _enter(path):
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


def _setns(descriptor):
    """Whether it may be entered."""
    try:
        process.enter_network_namespace(descriptor)
    except OSError:
        return False
    return True


def _served(diag_socket, failed):
    """Pairs of protocol and port in this namespace; what cannot be asked for is added to `failed`."""
    for name, protocol, state in (("TCP", socket.IPPROTO_TCP, LISTEN), ("UDP", socket.IPPROTO_UDP, UNCONNECTED)):
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                with diag_socket() as diag:
                    diag.bind()
                    found = list(diag.get_sock_stats(family=family, states=1 << state, protocol=protocol))
            except Exception as error:  # pylint: disable=broad-except  # OSError, and NetlinkError, which is none
                failed.add("the kernel's socket diagnosis of %s failed: %s; what servers of before now do may be shown as "
                           "outbound (CONFIG_INET_DIAG, CONFIG_INET_UDP_DIAG)" % (name, error))
                continue
            for each in found:
                yield protocol, each["idiag_sport"]
