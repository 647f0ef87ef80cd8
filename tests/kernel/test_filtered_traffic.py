"""What ebpf.conf filters is not counted, in the kernel: traffic between hosts, for lines of ports and ips."""
import ipaddress
import os

from cases.network import WORKS, expected, talk
from harness import network_namespaces
from harness.attached import COMM
import pytest
from test_network_counts import TRIES, Network

from ebpf_plugin.config import ebpf_conf, network_viewer

N = 7
NAMES = ("tcp4-client", "tcp6-client", "tcp4-mapped-client", "tcp4-server", "tcp6-server", "udp4-client", "udp6-client")
SOME = [work for work in WORKS if work.name in NAMES]
PORT = {work.name: work.port for work in SOME}
THERE = {"4": "10.77.0.2", "6": "fd77::2"}


def settled(tmp_path, text):
    path = tmp_path / "ebpf.conf"
    path.write_text("[network viewer]\n" + text)
    wanted, messages = ebpf_conf.load([str(path)])
    found, said = network_viewer.settle(wanted, {}, "")
    assert messages + said == []
    return found


@pytest.mark.parametrize("text, ports, networks", [
    ("ips = *\nports = %d" % PORT["tcp4-client"], {PORT["tcp4-client"]}, ["0.0.0.0/0", "::/0"]),
    ("ips = *\nports = !%d !%d-%d" % (PORT["tcp4-client"], PORT["tcp4-server"], PORT["tcp6-server"]),
     set(PORT.values()) - {PORT["tcp4-client"]} - set(range(PORT["tcp4-server"], PORT["tcp6-server"] + 1)),
     ["0.0.0.0/0", "::/0"]),
    # a service port, not one that a client was given: 1024 and below
    ("ips = *\nports = 1-1024", set(), ["0.0.0.0/0", "::/0"]),
    ("ports = *", set(PORT.values()), ["10.0.0.0/8", "fc00::/7"]),
    ("ips = 10.77.0.0/29", set(PORT.values()), ["10.77.0.0/29"]),
    ("ips = !10.77.0.2 *", set(PORT.values()), ["::/0"]),
    ("ips = fd77::-fd77::2", set(PORT.values()), ["fd77::/16"]),
    ("ips = 10.77.0.3-10.78.0.0 10.0.0.0/10 !10.77.0.0/31", set(PORT.values()), []),
])
def test_filters(pair, tmp_path, text, ports, networks):
    """`ports` and `networks` are those that pass, as people read the line."""
    found = settled(tmp_path, text)
    for _ in range(TRIES):
        network = Network("auto", "entry", pair[0], network_viewer.sizes(found, True),
                          {"ports": found.ports, "networks": found.networks})
        try:
            wanted = traffic(pair, ports, networks)
            counters, rows = network.counts()
            missed = network.missed()
        finally:
            network.close()
        if not missed:
            break
    assert rows == wanted
    for side in ("out", "in"):
        for place, what in enumerate(("sent", "sent_packets", "received", "received_packets")):
            total = counters["tcp_%s_%s" % (side, what)] + counters["udp_%s_%s" % (side, what)]
            assert total == sum(values[place] for row, values in wanted.items() if row[0] == side)
    assert counters["tcp_send_calls"] == 5 * N  # the host's own counters know no filter


def traffic(pair, ports, networks):
    """Talk, and the rows that are to be counted of it."""
    wanted = {}
    for work in SOME:
        outcome = talk(*pair, work, N, COMM)
        rows = expected(work, N, outcome)[1]
        address = ipaddress.ip_address(THERE["6" if "6-" in work.name else "4"])
        if work.port in ports and any(address in ipaddress.ip_network(one) for one in networks):
            wanted.update(rows)
    return wanted


def test_a_server_that_was_there_before_us(pair):
    """Sockets that listened and were connected before the programs came: the socket diagnosis knows the side."""
    here, there = pair
    ready, go = os.pipe(), os.pipe()
    server = here.start(serve, ready[1], go[0])
    os.read(ready[0], 1)
    client = there.start(ask, here.v4, ready[1])
    os.read(ready[0], 1)
    network = Network("auto", "entry", here)
    try:
        os.write(go[1], b".")
        network_namespaces.results(server, client)
        assert network.counts()[1] == {("in", "TCP", OLD_PORT, None): (5 * N, N, 3 * N, N),
                                       ("in", "UDP", OLD_PORT, None): (5, 1, 0, 0)}
    finally:
        network.close()
        for descriptor in (*ready, *go):
            os.close(descriptor)


OLD_PORT = 7999


def serve(ready, go):
    import socket
    with socket.create_server(("", OLD_PORT)) as listener, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("", OLD_PORT))
        os.write(ready, b".")
        wire, address = listener.accept()
        with wire:
            os.read(go, 1)
            datagrams.sendto(b"12345", (address[0], 9))  # it speaks first, but serves
            for _ in range(N):
                wire.sendall(b"12345")
                assert len(wire.recv(3, socket.MSG_WAITALL)) == 3


def ask(address, ready):
    import socket
    with socket.create_connection((address, OLD_PORT)) as wire:
        os.write(ready, b".")
        for _ in range(N):
            assert len(wire.recv(5, socket.MSG_WAITALL)) == 5
            wire.sendall(b"123")
