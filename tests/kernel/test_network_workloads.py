"""The network's workloads do what their cases state: by what calls returned, by the kernel's counters, by the other peer."""
import errno
import glob
import os
import socket

from cases.network import CASES, expected_counts, run_case
from harness import network_namespaces
from harness.attached import COMM, skip_if_missing
from harness.attached_network import COUNTERS
from harness.counting_sockets import V4, V6
from harness.exact_counts import assert_counts, by_dimension, of_counters
import pytest
from workloads.connection_flood import FIRST_PORT, flood

N = 23
BY_WORKLOAD = "nothing: counted by the workload"
BY_KERNEL = "nothing: counted by the kernel"


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case_and_outcome(pair, request):
    case = request.param
    skip_if_missing(case.cut and network_namespaces.why_not_cut(*pair, case.cut))
    return case, run_case(*pair, case, N, COMM)


def test_calls_return_what_the_case_states(case_and_outcome):
    case, outcome = case_and_outcome
    counters, rows = expected_counts(case, N, outcome)
    assert_counts(of_counters(outcome.counters), of_counters(counters), BY_WORKLOAD)
    assert_counts(by_dimension(outcome.rows), by_dimension(rows), BY_WORKLOAD)
    if case.peer_work:
        assert_received(outcome.peer_counters, outcome.counters)
    if case.peer_work and case.name != "udp4-truncated":
        assert_received(outcome.counters, outcome.peer_counters)


def assert_received(received, sent):
    """Every byte that one peer sent has been received by the other."""
    seen, expected = [{protocol + ".bytes": counters.get("%s_%s_bytes" % (protocol, direction), 0)
                       for protocol in ("tcp", "udp")} for counters, direction in ((received, "recv"), (sent, "send"))]
    assert_counts(seen, expected, BY_WORKLOAD)


def test_the_kernel_counts_the_same_as_the_workload(case_and_outcome):
    case, outcome = case_and_outcome
    kernel = {**outcome.kernel, **both_families(outcome.kernel)}
    count = {name: outcome.counters.get(name, 0) for name in COUNTERS}
    expected = {
        "Tcp.ActiveOpens": count["connect_v4"] + count["connect_v6"],
        "Tcp.PassiveOpens": count["accept_tcp"],
        "OutDatagrams": count["udp_send_calls"] - count["udp_send_errors"],
        "InDatagrams": count["udp_recv_calls"] - count["udp_recv_errors"],
        **{name: N * value for name, value in case.kernel.items()},
    }
    if not case.from_calls:
        # Each message is a segment, as each is answered before the next. So is the end of a connection that was established
        # and not reset.
        opened = kernel["Tcp.ActiveOpens"] + kernel["Tcp.PassiveOpens"]
        closed = opened - kernel["Tcp.AttemptFails"] - kernel["Tcp.EstabResets"]
        expected["TcpExt.TCPOrigDataSent"] = closed + sum(
            packets for (_, protocol, *_), (_, packets, _, _) in outcome.rows.items() if protocol == "TCP")
    assert_counts({name: kernel.get(name, 0) for name in expected}, expected, BY_KERNEL)
    assert {name: kernel[name] for name, least in case.kernel_at_least.items() if kernel[name] < N * least} == {}


def both_families(kernel):
    return {name: kernel["Udp." + name] + kernel["Udp6" + name] for name in ("OutDatagrams", "InDatagrams")}


def test_the_kernel_sees_only_the_ip_version_of_the_case_s_name(case_and_outcome):
    case, outcome = case_and_outcome
    other = "Udp6" if "4" in case.name else "Udp."
    assert [outcome.kernel[other + name] for name in ("OutDatagrams", "InDatagrams")] == [0, 0]
    assert ("connect_v6" if "4" in case.name else "connect_v4") not in outcome.counters


def test_every_counter_is_moved_by_a_case():
    moved = {name for case in CASES for name, value in (*case.adds.items(), *case.once.items()) if value}
    if any(case.kernel_at_least.get("Tcp.RetransSegs") and not case.cut for case in CASES):
        moved.add("tcp_retransmit")
    assert moved == COUNTERS


@pytest.mark.parametrize("ip", [V4, V6], ids=["v4", "v6"])
def test_a_flood_opens_each_connection_once(pair, ip):
    outcome = flood(*pair, "tcp", events=230, ports=23, ip=ip, comm=COMM)
    connects = "connect_v6" if ip == V6 else "connect_v4"
    sent = {"tcp_send_calls": 230, "tcp_send_bytes": 230}
    assert_counts(of_counters(outcome.counters), of_counters({connects: 230, **sent, "tcp_close": 230}), BY_WORKLOAD)
    rows = {("out", "TCP", FIRST_PORT + i, ip.address_of(pair[1])): (10, 10, 0, 0) for i in range(23)}
    assert_counts(by_dimension(outcome.rows), by_dimension(rows), BY_WORKLOAD)
    assert outcome.peer_counters["accept_tcp"] == outcome.kernel["Tcp.ActiveOpens"] == 230


def test_a_flood_sends_each_datagram_once(pair):
    outcome = flood(*pair, "udp", events=230, ports=23, comm=COMM)
    assert_counts(of_counters(outcome.counters), of_counters({"udp_send_calls": 230, "udp_send_bytes": 230}), BY_WORKLOAD)
    rows = {("out", "UDP", FIRST_PORT + i, pair[1].v4): (10, 10, 0, 0) for i in range(23)}
    assert_counts(by_dimension(outcome.rows), by_dimension(rows), BY_WORKLOAD)
    assert outcome.kernel["Udp.OutDatagrams"] == 230


def test_hosts_reach_each_other():
    with network_namespaces.network("hub", "one", "two") as (hub, *others):
        for ip in (V4, V6):
            for other in others:
                assert hub.run(connect, ip, ip.address_of(other)) == errno.ECONNREFUSED
                assert other.run(connect, ip, ip.address_of(hub)) == errno.ECONNREFUSED


def connect(ip, address):
    """The errno of a connection to a port without a listener: ECONNREFUSED only if the host answers."""
    with socket.socket(ip.family, socket.SOCK_STREAM) as connecting:
        connecting.settimeout(network_namespaces.PATIENCE / 4)
        return connecting.connect_ex((address, 9))


def test_namespaces_of_hosts_end_with_the_test():
    with network_namespaces.network("one", "two") as pair:
        inside = [host.run(lambda: os.stat("/proc/self/ns/net").st_ino) for host in pair]
        assert inside == [host.inum for host in pair]
        assert os.stat("/proc/self/ns/net").st_ino not in inside
        assert inside[0] != inside[1]
    assert set(inside) & in_use() == set()


def in_use():
    """The inode numbers of the network namespaces that any process is in or has open."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/ns/net") + glob.glob("/proc/[0-9]*/fd/*"):
        try:
            found.add(os.stat(path).st_ino)
        except OSError:  # the process has ended
            pass
    return found


def test_a_process_on_a_host_has_the_name_that_is_counted(pair):
    assert pair[0].run(name_of_process, comm=COMM) == COMM


def name_of_process():
    with open("/proc/self/comm", encoding="ascii") as file:
        return file.read().strip()


def test_a_failing_process_is_reported_and_the_other_killed(pair):
    waiting, failing = pair[1].start(wait_for_ever), pair[0].start(fail)
    with pytest.raises(AssertionError, match="of no use"):
        network_namespaces.results(waiting, failing)
    for child in (waiting, failing):
        with pytest.raises(ProcessLookupError):
            os.kill(child.process, 0)


def wait_for_ever():
    reading, writing = os.pipe()
    os.read(reading, 1)
    return writing


def fail():
    raise ValueError("of no use")


def test_a_missing_program_or_qdisc_is_reported(pair):
    with pytest.raises(network_namespaces.NotAvailable, match="no-such-program"):
        pair[0].configure("", "no-such-program")
    with pytest.raises(network_namespaces.NotAvailable, match="kind is unknown"):
        pair[0].configure("qdisc add dev to-there root nosuchqdisc", "tc")
