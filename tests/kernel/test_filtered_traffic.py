"""The kernel counts no connections that `ports` and `ips` of ebpf.conf exclude."""
import ipaddress
import os

from cases.network import CASES, PEER4, PEER6, expected_counts, run_case
from harness import network_namespaces
from harness.attached import COMM
from harness.attached_network import TRIES, AttachedNetwork
from harness.exact_counts import assert_counts, by_dimension, of_counters
import pytest

from ebpf_plugin.config import ebpf_conf, network_viewer

N = 7
NAMES = ("tcp4-client", "tcp6-client", "tcp4-mapped-client", "tcp4-server", "tcp6-server", "udp4-client", "udp6-client")
SOME = [case for case in CASES if case.name in NAMES]
PORT = {case.name: case.port for case in SOME}


def viewer_of(tmp_path, text):
    """The network viewer's settings of these lines of ebpf.conf."""
    path = tmp_path / "ebpf.conf"
    path.write_text("[network viewer]\n" + text)
    settings, messages = ebpf_conf.load([str(path)])[:2]
    viewer, more_messages = network_viewer.settle(settings, {}, "")
    assert messages + more_messages == []
    return viewer


@pytest.mark.parametrize("text, ports, networks", [
    ("ips = *\nports = %d" % PORT["tcp4-client"], {PORT["tcp4-client"]}, ["0.0.0.0/0", "::/0"]),
    ("ips = *\nports = !%d !%d-%d" % (PORT["tcp4-client"], PORT["tcp4-server"], PORT["tcp6-server"]),
     set(PORT.values()) - {PORT["tcp4-client"]} - set(range(PORT["tcp4-server"], PORT["tcp6-server"] + 1)),
     ["0.0.0.0/0", "::/0"]),
    # the service's port counts, not the client's
    ("ips = *\nports = 1-1024", set(), ["0.0.0.0/0", "::/0"]),
    ("ports = *", set(PORT.values()), ["10.0.0.0/8", "fc00::/7"]),
    ("ips = 10.77.0.0/29", set(PORT.values()), ["10.77.0.0/29"]),
    ("ips = !10.77.0.2 *", set(PORT.values()), ["::/0"]),
    ("ips = fd77::-fd77::2", set(PORT.values()), ["fd77::/16"]),
    ("ips = 10.77.0.3-10.78.0.0 10.0.0.0/10 !10.77.0.0/31", set(PORT.values()), []),
])
def test_only_traffic_that_passes_the_filters_is_in_rows(pair, tmp_path, text, ports, networks):
    """`ports` and `networks` are those that pass."""
    viewer = viewer_of(tmp_path, text)
    for _ in range(TRIES):
        network = AttachedNetwork("auto", "entry", pair[0], network_viewer.sizes(viewer, True),
                                  {"ports": viewer.ports, "networks": viewer.networks})
        try:
            expected = run_cases(pair, ports, networks)
            counters, rows = network.counts()
            missed = network.missed()
        finally:
            network.close()
        if not missed:
            break
    assert_counts(by_dimension(rows), by_dimension(expected), "auto", "entry")
    assert set(rows) == set(expected)
    totals, sums = {"tcp_send_calls": counters["tcp_send_calls"]}, {"tcp_send_calls": 5 * N}  # filters do not hold for calls
    for direction in ("out", "in"):
        for place, what in enumerate(("sent", "sent_packets", "received", "received_packets")):
            name = "%s_%s" % (direction, what)
            totals[name] = counters["tcp_" + name] + counters["udp_" + name]
            sums[name] = sum(values[place] for row, values in expected.items() if row[0] == direction)
    assert_counts(of_counters(totals), of_counters(sums), "auto", "entry")


def run_cases(pair, ports, networks):
    """Run all cases. The rows of those whose port and address pass."""
    found = {}
    for case in SOME:
        _, rows = expected_counts(case, N, run_case(*pair, case, N, COMM))
        address = ipaddress.ip_address(PEER6 if "6-" in case.name else PEER4)
        if case.port in ports and any(address in ipaddress.ip_network(network) for network in networks):
            found.update(rows)
    return found


def test_sockets_that_are_older_than_the_programs_count_as_inbound(pair):
    """They listened and were connected before the programs were attached: socket diagnosis tells which side serves."""
    here, there = pair
    ready, go = os.pipe(), os.pipe()
    server = here.start(serve, ready[1], go[0])
    os.read(ready[0], 1)
    client = there.start(connect, here.v4, ready[1])
    os.read(ready[0], 1)
    network = AttachedNetwork("auto", "entry", here)
    try:
        os.write(go[1], b".")
        network_namespaces.results(server, client)
        _, rows = network.counts()
        expected = {("in", "TCP", OLD_PORT, None): (5 * N, N, 3 * N, N), ("in", "UDP", OLD_PORT, None): (5, 1, 0, 0)}
        assert_counts(by_dimension(rows), by_dimension(expected), "auto", "entry")
        assert set(rows) == set(expected)
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
        connection, address = listener.accept()
        with connection:
            os.read(go, 1)
            datagrams.sendto(b"12345", (address[0], 9))  # the server sends the first datagram
            for _ in range(N):
                connection.sendall(b"12345")
                assert len(connection.recv(3, socket.MSG_WAITALL)) == 3


def connect(address, ready):
    import socket
    with socket.create_connection((address, OLD_PORT)) as connection:
        os.write(ready, b".")
        for _ in range(N):
            assert len(connection.recv(5, socket.MSG_WAITALL)) == 5
            connection.sendall(b"123")
