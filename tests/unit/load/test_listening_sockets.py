"""What is served already: the maps' bytes, on a kernel that is played."""
import errno
import os
import socket
import struct
import sys
from types import SimpleNamespace

import pytest

from ebpf_plugin.kernel import bpf
from ebpf_plugin.load import listening_sockets


class Sockets:
    """Stands for pyroute2.DiagSocket: {(family, protocol, state): ports}."""

    held, entered, failing = {}, [], None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def bind(self):
        """Before anything is asked for."""

    def get_sock_stats(self, family, states, protocol):
        if self.failing and self.failing[0] == protocol:
            raise self.failing[1]
        for state in range(13):
            if states >> state & 1:
                for port in self.held.get((family, protocol, state), ()):
                    yield {"idiag_sport": port, "idiag_state": state}


V4, V6, TCP, UDP = socket.AF_INET, socket.AF_INET6, socket.IPPROTO_TCP, socket.IPPROTO_UDP
LISTEN, ESTABLISHED, CLOSE = 10, 1, 7
HELD = {
    (V4, TCP, LISTEN): [22, 443], (V6, TCP, LISTEN): [22], (V4, TCP, ESTABLISHED): [50000], (V4, TCP, CLOSE): [1],
    (V4, UDP, CLOSE): [53], (V6, UDP, CLOSE): [5353], (V4, UDP, ESTABLISHED): [50001],
}


@pytest.fixture
def updates(monkeypatch):
    """What is put into maps: [(map, key, value)]; sockets are played and there is one network namespace."""
    found = []

    def map_update(table, key, value, flags=bpf.BPF_ANY):
        if flags == bpf.BPF_NOEXIST and (table, key) in [entry[:2] for entry in found]:
            raise FileExistsError(errno.EEXIST, "File exists")
        found.append((table, key, value))

    monkeypatch.setattr(bpf, "map_update", map_update)
    monkeypatch.setattr(Sockets, "held", HELD)
    monkeypatch.setitem(sys.modules, "pyroute2", SimpleNamespace(DiagSocket=Sockets))
    monkeypatch.setattr(listening_sockets, "_namespaces", lambda: {4026531840: "/proc/self/ns/net"})
    return found


def served(updates):
    return {struct.unpack("=IHH", key) for _, key, _ in updates}


HOME = {(4026531840, port, 6) for port in (22, 443)} | {(4026531840, port, 17) for port in (53, 5353)}


def test_listeners_and_sockets_without_a_peer(updates):
    assert listening_sockets.seen(7) == ""
    assert {(descriptor, value) for descriptor, _, value in updates} == {(7, listening_sockets.NOBODY)}
    assert served(updates) == HOME


def test_what_the_programs_know_stays(updates):
    mine = 7, struct.pack("=IHH", 4026531840, 443, TCP), struct.pack("=I", 5)
    updates.append(mine)
    assert listening_sockets.seen(7) == "" == listening_sockets.seen(7)
    assert updates[0] is mine and len(updates) == len(served(updates)) and served(updates) == HOME


def test_no_pyroute2(updates, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyroute2", None)
    warning = listening_sockets.seen(7)
    assert "cannot import pyroute2" in warning and "python3-pyroute2" in warning and updates == []


class NetlinkError(Exception):
    """As pyroute2's: no OSError."""


class Failing:
    """A DiagSocket that fails on its way to the first question."""

    def __init__(self, way):
        self._way = way
        if way == "made":
            raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def bind(self):
        if self._way == "bound":
            raise OSError(errno.EPERM, "Operation not permitted")

    def get_sock_stats(self, **_):
        raise TypeError("not the pyroute2 that we know")


@pytest.mark.parametrize("way", ["made", "bound", "asked"])
def test_each_failure_is_one_warning_of_one_line(updates, monkeypatch, way):
    monkeypatch.setitem(sys.modules, "pyroute2", SimpleNamespace(DiagSocket=lambda: Failing(way)))
    warning = listening_sockets.seen(7)
    assert updates == [] and len(warning.splitlines()) == 1
    assert warning.count("socket diagnosis of TCP failed") == warning.count("socket diagnosis of UDP failed") == 1


@pytest.mark.parametrize("failing", [
    (UDP, NetlinkError(errno.ENOENT, "No such file or directory")),  # without CONFIG_INET_UDP_DIAG
    (TCP, NetlinkError(errno.ENOENT, "No such file or directory")),
    (TCP, OSError(errno.EPERM, "Operation not permitted")),
])
def test_a_kernel_without_socket_diagnosis_is_a_warning(updates, monkeypatch, failing):
    monkeypatch.setattr(Sockets, "failing", failing)
    warning = listening_sockets.seen(7)
    assert "socket diagnosis of %s failed: %s" % ("UDP" if failing[0] == UDP else "TCP", failing[1]) in warning
    # what can be asked for is asked for
    assert served(updates) == {entry for entry in HOME if entry[2] != failing[0]}


def test_all_namespaces_that_may_be_entered(updates, monkeypatch):
    entered = []

    def setns(descriptor):
        entered.append(os.readlink("/proc/self/fd/%d" % descriptor))
        return "/zero" not in entered[-1]

    monkeypatch.setattr(listening_sockets, "_setns", setns)
    monkeypatch.setattr(listening_sockets, "_namespaces", lambda: {
        1: "/proc/self/ns/net", 2: "/dev/null", 3: "/dev/zero", 4: "/nowhere"})
    before = os.listdir("/proc/self/fd")
    assert listening_sockets.seen(7) == ""
    assert {number for number, _, _ in served(updates)} == {1, 2}
    assert entered[:2] == ["/dev/null", "/dev/zero"] and entered[2].startswith("net:[") and len(entered) == 3
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_home_is_entered_again_after_a_failure(updates, monkeypatch):
    entered = []
    monkeypatch.setattr(listening_sockets, "_setns", lambda descriptor: entered.append(
        os.readlink("/proc/self/fd/%d" % descriptor)) is None)

    def fail(*_):
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(bpf, "map_update", fail)
    try:
        listening_sockets.seen(7)
    except OSError:
        pass
    assert entered and entered[-1].startswith("net:[")


def test_not_more_than_so_many_namespaces(updates, monkeypatch):
    entered = []
    monkeypatch.setattr(listening_sockets, "_enter", lambda path: entered.append(path) or False)
    monkeypatch.setattr(listening_sockets, "_namespaces", lambda: dict(enumerate(map(str, range(10 ** 4)))))
    listening_sockets.seen(7)
    assert len(entered) == listening_sockets.NAMESPACES


def test_namespaces_of_this_machine():
    found = listening_sockets._namespaces()
    here = os.stat("/proc/self/ns/net").st_ino
    assert list(found.items())[0] == (here, "/proc/self/ns/net")
    assert all(os.path.dirname(path).endswith("/ns") for path in found.values())


def test_the_filters_maps(updates):
    ports = bytearray(8192)
    ports[80 // 8] |= 1 << 80 % 8
    ports[65535 // 8] |= 1 << 65535 % 8
    networks = [["0" * 20 + "ffff" + "0a000000", 104], ["fc" + "0" * 30, 7]]
    listening_sockets.prepare(lambda name: name, {"ports": bytes(ports).hex(), "networks": networks})
    words = {struct.unpack("=I", key)[0]: struct.unpack("=Q", value)[0]
             for table, key, value in updates if table == b"flow_ports"}
    assert len(words) == 1024
    assert {number: word for number, word in words.items() if word} == {1: 1 << 16, 1023: 1 << 63}
    found = [(key, value) for table, key, value in updates if table == b"flow_networks"]
    assert [(struct.unpack("=I", key[:4])[0], key[4:], value) for key, value in found] == [
        (104, bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 0]), b"\1"), (7, b"\xfc" + bytes(15), b"\1")]
    assert served([update for update in updates if update[0] == b"services"]) == HOME


@pytest.mark.parametrize("networks", [None, []])
def test_no_filters(updates, networks):
    listening_sockets.prepare(lambda name: name, {"ports": None, "networks": networks})
    assert {table for table, _, _ in updates} == {b"services"}


def test_the_real_pyroute2_finds_a_listener():
    pyroute2 = pytest.importorskip("pyroute2")
    with socket.socket() as tcp, socket.socket(V6, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("::1", 0))
        failed = set()
        found = set(listening_sockets._served(pyroute2.DiagSocket, failed))
        if failed:
            pytest.skip("this kernel has no socket diagnosis: %s" % failed)
        assert (6, tcp.getsockname()[1]) in found and (17, udp.getsockname()[1]) in found
