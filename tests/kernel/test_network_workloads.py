"""The network's workloads do what they say: by what their calls returned, by the kernel's counters, by the other end."""
import errno
import glob
import os
import socket

from cases.network import WORKS, expected, talk
from harness import network_namespaces
from harness.attached import COMM, skip_for
from harness.counting_sockets import V4, V6
import pytest
from workloads.connection_flood import FIRST_PORT, storm

N = 23
COUNTERS = {"%s_%s_%s" % (protocol, way, what)
            for protocol in ("tcp", "udp") for way in ("send", "recv") for what in ("calls", "errors", "bytes")}
COUNTERS |= {"tcp_close", "tcp_retransmit", "accept_tcp", "connect_v4", "connect_v6"}


@pytest.fixture(scope="module", params=WORKS, ids=lambda work: work.name)
def told(pair, request):
    """(Work, Heard)"""
    work = request.param
    skip_for(work.cut and network_namespaces.lacks(*pair, work.cut))
    return work, talk(*pair, work, N, COMM)


def test_calls_return_what_the_workload_says(told):
    work, heard = told
    assert (heard.counters, heard.rows) == expected(work, N, heard)
    if work.there:
        assert_received(heard.theirs, heard.counters)
    if work.there and work.name != "udp4-truncated":
        assert_received(heard.counters, heard.theirs)


def assert_received(received, sent):
    """Every byte that one end sent has been received by the other."""
    for protocol in ("tcp", "udp"):
        assert received.get(protocol + "_recv_bytes", 0) == sent.get(protocol + "_send_bytes", 0)


def test_kernel_counts_the_same(told):
    work, heard = told
    kernel = {**heard.kernel, **both_families(heard.kernel)}
    count = {name: heard.counters.get(name, 0) for name in COUNTERS}
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
        wanted["TcpExt.TCPOrigDataSent"] = ends + sum(row[1] for key, row in heard.rows.items() if key[1] == "TCP")
    assert {name: kernel.get(name, 0) for name in wanted} == wanted
    assert {name: kernel[name] for name, each in work.at_least.items() if kernel[name] < N * each} == {}


def both_families(kernel):
    return {name: kernel["Udp." + name] + kernel["Udp6" + name] for name in ("OutDatagrams", "InDatagrams")}


def test_kernel_takes_it_for_the_family_of_its_name(told):
    work, heard = told
    other = "Udp6" if "4" in work.name else "Udp."
    assert [heard.kernel[other + name] for name in ("OutDatagrams", "InDatagrams")] == [0, 0]
    assert ("connect_v6" if "4" in work.name else "connect_v4") not in heard.counters


def test_every_counter_is_moved_by_some_workload():
    moved = {name for work in WORKS for name, value in (*work.adds.items(), *work.once.items()) if value}
    if any(work.at_least.get("Tcp.RetransSegs") and not work.cut for work in WORKS):
        moved.add("tcp_retransmit")
    assert moved == COUNTERS


@pytest.mark.parametrize("way", [V4, V6], ids=["v4", "v6"])
def test_storm_of_connections(pair, way):
    heard = storm(*pair, "tcp", events=230, ports=23, way=way, comm=COMM)
    connects = "connect_v6" if way == V6 else "connect_v4"
    sent = {"tcp_send_calls": 230, "tcp_send_bytes": 230}
    assert heard.counters == {connects: 230, **sent, "tcp_close": 230}
    assert heard.rows == {("out", "TCP", FIRST_PORT + i, way.to(pair[1])): (10, 10, 0, 0) for i in range(23)}
    assert heard.theirs["accept_tcp"] == heard.kernel["Tcp.ActiveOpens"] == 230


def test_storm_of_datagrams(pair):
    heard = storm(*pair, "udp", events=230, ports=23, comm=COMM)
    assert heard.counters == {"udp_send_calls": 230, "udp_send_bytes": 230}
    assert heard.rows == {("out", "UDP", FIRST_PORT + i, pair[1].v4): (10, 10, 0, 0) for i in range(23)}
    assert heard.kernel["Udp.OutDatagrams"] == 230


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
    with pytest.raises(network_namespaces.Missing, match="no-such-program"):
        pair[0].configure("", "no-such-program")
    with pytest.raises(network_namespaces.Missing, match="kind is unknown"):
        pair[0].configure("qdisc add dev to-there root nosuchqdisc", "tc")
