"""The network's workloads do what they say: by what their calls returned, by the kernel's counters, by the other end."""
import errno
import glob
import os
import socket

from cases.network import WORKS, expected, talk
from harness import network_namespaces
from harness.attached import COMM, skip_if_missing
from harness.counting_sockets import V4, V6
import pytest
from workloads.connection_flood import FIRST_PORT, flood

N = 23
COUNTERS = {"%s_%s_%s" % (protocol, way, what)
            for protocol in ("tcp", "udp") for way in ("send", "recv") for what in ("calls", "errors", "bytes")}
COUNTERS |= {"tcp_close", "tcp_retransmit", "accept_tcp", "connect_v4", "connect_v6"}


@pytest.fixture(scope="module", params=WORKS, ids=lambda work: work.name)
def told(pair, request):
    """(Work, Outcome)"""
    work = request.param
    skip_if_missing(work.cut and network_namespaces.why_not_cut(*pair, work.cut))
    return work, talk(*pair, work, N, COMM)


def test_calls_return_what_the_workload_says(told):
    work, outcome = told
    assert (outcome.counters, outcome.rows) == expected(work, N, outcome)
    if work.there:
        assert_received(outcome.peer_counters, outcome.counters)
    if work.there and work.name != "udp4-truncated":
        assert_received(outcome.counters, outcome.peer_counters)


def assert_received(received, sent):
    """Every byte that one end sent has been received by the other."""
    for protocol in ("tcp", "udp"):
        assert received.get(protocol + "_recv_bytes", 0) == sent.get(protocol + "_send_bytes", 0)


def test_kernel_counts_the_same(told):
    work, outcome = told
    kernel = {**outcome.kernel, **both_families(outcome.kernel)}
    count = {name: outcome.counters.get(name, 0) for name in COUNTERS}
    wanted = {
        "Tcp.ActiveOpens": count["connect_v4"] + count["connect_v6"],
        "Tcp.PassiveOpens": count["accept_tcp"],
        "OutDatagrams": count["udp_send_calls"] - count["udp_send_errors"],
        "InDatagrams": count["udp_recv_calls"] - count["udp_recv_errors"],
        **{name: N * each for name, each in work.kernel.items()},
    }
    if not work.measured:
        # in lock-step a message is a segment, and so is the end of a connection that came about and was not reset
        begun = kernel["Tcp.ActiveOpens"] + kernel["Tcp.PassiveOpens"]
        ends = begun - kernel["Tcp.AttemptFails"] - kernel["Tcp.EstabResets"]
        wanted["TcpExt.TCPOrigDataSent"] = ends + sum(row[1] for key, row in outcome.rows.items() if key[1] == "TCP")
    assert {name: kernel.get(name, 0) for name in wanted} == wanted
    assert {name: kernel[name] for name, each in work.at_least.items() if kernel[name] < N * each} == {}


def both_families(kernel):
    return {name: kernel["Udp." + name] + kernel["Udp6" + name] for name in ("OutDatagrams", "InDatagrams")}


def test_kernel_takes_it_for_the_family_of_its_name(told):
    work, outcome = told
    other = "Udp6" if "4" in work.name else "Udp."
    assert [outcome.kernel[other + name] for name in ("OutDatagrams", "InDatagrams")] == [0, 0]
    assert ("connect_v6" if "4" in work.name else "connect_v4") not in outcome.counters


def test_every_counter_is_moved_by_some_workload():
    moved = {name for work in WORKS for name, value in (*work.adds.items(), *work.once.items()) if value}
    if any(work.at_least.get("Tcp.RetransSegs") and not work.cut for work in WORKS):
        moved.add("tcp_retransmit")
    assert moved == COUNTERS


@pytest.mark.parametrize("way", [V4, V6], ids=["v4", "v6"])
def test_storm_of_connections(pair, way):
    outcome = flood(*pair, "tcp", events=230, ports=23, way=way, comm=COMM)
    connects = "connect_v6" if way == V6 else "connect_v4"
    sent = {"tcp_send_calls": 230, "tcp_send_bytes": 230}
    assert outcome.counters == {connects: 230, **sent, "tcp_close": 230}
    assert outcome.rows == {("out", "TCP", FIRST_PORT + i, way.to(pair[1])): (10, 10, 0, 0) for i in range(23)}
    assert outcome.peer_counters["accept_tcp"] == outcome.kernel["Tcp.ActiveOpens"] == 230


def test_storm_of_datagrams(pair):
    outcome = flood(*pair, "udp", events=230, ports=23, comm=COMM)
    assert outcome.counters == {"udp_send_calls": 230, "udp_send_bytes": 230}
    assert outcome.rows == {("out", "UDP", FIRST_PORT + i, pair[1].v4): (10, 10, 0, 0) for i in range(23)}
    assert outcome.kernel["Udp.OutDatagrams"] == 230


def test_hosts_reach_each_other_at_once():
    with network_namespaces.network("hub", "one", "two") as (hub, *others):
        for way in (V4, V6):
            for other in others:
                assert hub.run(connect, way, way.to(other)) == errno.ECONNREFUSED
                assert other.run(connect, way, way.to(hub)) == errno.ECONNREFUSED


def connect(way, address):
    """The errno of a connection to a port that nobody listens on: the answer of who is there."""
    with socket.socket(way.family, socket.SOCK_STREAM) as connecting:
        connecting.settimeout(network_namespaces.PATIENCE / 4)
        return connecting.connect_ex((address, 9))


def test_hosts_are_namespaces_that_end():
    with network_namespaces.network("one", "two") as pair:
        inside = [host.run(lambda: os.stat("/proc/self/ns/net").st_ino) for host in pair]
        assert inside == [host.inum for host in pair]
        assert len({*inside, os.stat("/proc/self/ns/net").st_ino}) == 3
    assert not set(inside) & in_use()


def in_use():
    """The inode numbers of the network namespaces that a process is in or has open."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/ns/net") + glob.glob("/proc/[0-9]*/fd/*"):
        try:
            found.add(os.stat(path).st_ino)
        except OSError:  # it has ended
            pass
    return found


def test_process_has_the_name_that_counts(pair):
    assert pair[0].run(name_of_process, comm=COMM) == COMM


def name_of_process():
    with open("/proc/self/comm", encoding="ascii") as file:
        return file.read().strip()


def test_failure_is_told_and_ends_the_other_end(pair):
    waits, fails = pair[1].start(wait_for_ever), pair[0].start(fail)
    with pytest.raises(AssertionError, match="of no use"):
        network_namespaces.results(waits, fails)
    for child in (waits, fails):
        with pytest.raises(ProcessLookupError):
            os.kill(child.process, 0)


def wait_for_ever():
    reading, writing = os.pipe()
    os.read(reading, 1)
    return writing


def fail():
    raise ValueError("of no use")


def test_program_that_is_not_installed_and_qdisc_that_does_not_exist_are_told(pair):
    with pytest.raises(network_namespaces.NotAvailable, match="no-such-program"):
        pair[0].configure("", "no-such-program")
    with pytest.raises(network_namespaces.NotAvailable, match="kind is unknown"):
        pair[0].configure("qdisc add dev to-there root nosuchqdisc", "tc")
