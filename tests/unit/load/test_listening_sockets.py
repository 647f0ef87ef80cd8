"""What is served already: the maps' bytes, on a kernel that is played."""
import errno
import os
import socket
import struct

import pytest

from ebpf_plugin.kernel import bpf
from ebpf_plugin.load import listening_sockets, sock_diag

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
    monkeypatch.setattr(sock_diag, "local_ports", lambda *asked: iter(HELD.get(asked, ())))
    monkeypatch.setattr(listening_sockets, "_namespaces", lambda: {4026531840: "/proc/self/ns/net"})
    return found


def served(updates):
    return {struct.unpack("=IHH", key) for _, key, _ in updates}


HOME = {(4026531840, port, 6) for port in (22, 443)} | {(4026531840, port, 17) for port in (53, 5353)}


def test_listeners_and_sockets_without_a_peer(updates):
    assert listening_sockets.enter(7) == ""
    assert {(descriptor, value) for descriptor, _, value in updates} == {(7, listening_sockets.NO_ROW)}
    assert served(updates) == HOME


def test_what_the_programs_know_stays(updates):
    mine = 7, struct.pack("=IHH", 4026531840, 443, TCP), struct.pack("=I", 5)
    updates.append(mine)
    assert listening_sockets.enter(7) == "" == listening_sockets.enter(7)
    assert updates[0] is mine and len(updates) == len(served(updates)) and served(updates) == HOME


@pytest.mark.parametrize("failing, error", [
    (UDP, OSError(errno.ENOENT, "No such file or directory")),  # without CONFIG_INET_UDP_DIAG
    (TCP, OSError(errno.ENOENT, "No such file or directory")),
    (TCP, OSError(errno.EPERM, "Operation not permitted")),
    (UDP, TimeoutError("timed out")),
])
def test_a_kernel_without_socket_diagnosis_is_one_warning(updates, monkeypatch, failing, error):
    def local_ports(family, protocol, state):
        if protocol == failing:
            raise error
        yield from HELD.get((family, protocol, state), ())

    monkeypatch.setattr(sock_diag, "local_ports", local_ports)
    warning = listening_sockets.enter(7)
    assert len(warning.splitlines()) == 1
    assert warning.count("socket diagnosis of %s failed: %s;" % (
        "UDP" if failing == UDP else "TCP", error.strerror or error)) == 1
    # what can be asked for is asked for
    assert served(updates) == {entry for entry in HOME if entry[2] != failing}


def test_all_namespaces_that_may_be_entered(updates, monkeypatch):
    entered = []

    def setns(descriptor):
        entered.append(os.readlink("/proc/self/fd/%d" % descriptor))
        return "/zero" not in entered[-1]

    monkeypatch.setattr(listening_sockets, "_setns", setns)
    monkeypatch.setattr(listening_sockets, "_namespaces", lambda: {
        1: "/proc/self/ns/net", 2: "/dev/null", 3: "/dev/zero", 4: "/nowhere"})
    before = os.listdir("/proc/self/fd")
    assert listening_sockets.enter(7) == ""
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
        listening_sockets.enter(7)
    except OSError:
        pass
    assert entered and entered[-1].startswith("net:[")


def test_not_more_than_so_many_namespaces(updates, monkeypatch):
    entered = []
    monkeypatch.setattr(listening_sockets, "_enter", lambda path: entered.append(path) or False)
    monkeypatch.setattr(listening_sockets, "_namespaces", lambda: dict(enumerate(map(str, range(10 ** 4)))))
    listening_sockets.enter(7)
    assert len(entered) == listening_sockets.NAMESPACES


def test_namespaces_of_this_machine():
    found = listening_sockets._namespaces()
    here = os.stat("/proc/self/ns/net").st_ino
    assert list(found.items())[0] == (here, "/proc/self/ns/net")
    assert all(os.path.dirname(path).endswith("/ns") for path in found.values())


class Names:
    """Maps whose descriptors are their names."""

    def __getitem__(self, name):
        return name


def test_the_filters_maps(updates):
    ports = bytearray(8192)
    ports[80 // 8] |= 1 << 80 % 8
    ports[65535 // 8] |= 1 << 65535 % 8
    networks = [["0" * 20 + "ffff" + "0a000000", 104], ["fc" + "0" * 30, 7]]
    listening_sockets.prepare(Names(), bytes(ports).hex(), networks)
    words = {struct.unpack("=I", key)[0]: struct.unpack("=Q", value)[0]
             for table, key, value in updates if table == "flow_ports"}
    assert len(words) == 1024
    assert {number: word for number, word in words.items() if word} == {1: 1 << 16, 1023: 1 << 63}
    found = [(key, value) for table, key, value in updates if table == "flow_networks"]
    assert [(struct.unpack("=I", key[:4])[0], key[4:], value) for key, value in found] == [
        (104, bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 0]), b"\1"), (7, b"\xfc" + bytes(15), b"\1")]
    assert served([update for update in updates if update[0] == "services"]) == HOME


@pytest.mark.parametrize("networks", [None, []])
def test_no_filters(updates, networks):
    listening_sockets.prepare(Names(), None, networks)
    assert {table for table, _, _ in updates} == {"services"}


def test_the_kernel_says_the_same_to_pyroute2():
    pyroute2 = pytest.importorskip("pyroute2")
    with socket.socket() as tcp, socket.socket(V6, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("::1", 0))
        failed = set()
        found = sorted(listening_sockets._served(failed))
        if failed:
            pytest.skip("this kernel has no socket diagnosis: %s" % failed)
        assert (TCP, tcp.getsockname()[1]) in found
        assert (UDP, udp.getsockname()[1]) in found
        theirs = []
        for protocol, state in ((TCP, LISTEN), (UDP, CLOSE)):
            for family in (V4, V6):
                with pyroute2.DiagSocket() as diag:
                    diag.bind()
                    theirs += [(protocol, row["idiag_sport"])
                               for row in diag.get_sock_stats(family=family, states=1 << state, protocol=protocol)]
        assert found == sorted(theirs)


def test_what_the_kernel_refuses_is_an_error_with_its_number():
    with pytest.raises(OSError) as failed:
        list(sock_diag.local_ports(V4, 253, LISTEN))  # for experiments (RFC 3692); 255 has the module raw_diag
    assert failed.value.errno == errno.ENOENT
