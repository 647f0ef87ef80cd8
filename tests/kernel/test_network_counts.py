"""N network events add exactly N to the counters, and to the rows of their addresses: every attach method, both modes."""
import collections
import time

from cases.network import CASES, expected_counts, run_case
from harness import network_namespaces, summary
from harness.attached import COMM, EACH_METHOD_AND_MODE, skip_if_missing, skip_without_method
from harness.attached_network import COUNTERS, HAS_SOCKET_TRACEPOINTS, TRIES, AttachedNetwork
from harness.exact_counts import ROW, assert_counts, by_dimension, of_counters
import pytest

N = 23


@pytest.fixture(scope="module", params=EACH_METHOD_AND_MODE)
def network(request, pair):
    """AttachedNetwork for the first host of the pair."""
    method, mode = request.param.split("-")
    skip_without_method(method)
    found = AttachedNetwork(method, mode, pair[0])
    summary.note_hooks(request.param, found.attached)
    yield found
    found.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_n_network_events_add_exactly_n(network, pair, case):
    skip_if_missing(case.cut and network_namespaces.why_not_cut(*pair, case.cut))
    for _ in range(TRIES):
        missed = network.missed()
        counters, expected, rows, expected_rows = count_events(network, pair, case)
        if network.missed() == missed:
            break
    where = network.attached.method, network.attached.mode
    assert_counts(of_counters(counters), of_counters(expected), *where)
    if expected_rows or not network.counts_requested_bytes("tcp"):
        assert_counts(by_dimension(rows), by_dimension(expected_rows), *where)
    assert_totals_are_sums_of_rows(network)


def count_events(network, pair, case):
    """(what counters have grown by, what is expected, what rows have grown by, what is expected)"""
    retransmissions = pair[0].retransmissions()
    before, rows_before = network.counts()
    outcome = run_case(*pair, case, N, COMM)
    expected, expected_rows = known_to_method(case, network, expected_counts(case, N, outcome))
    names = set(expected) | COUNTERS
    for protocol in ("tcp", "udp"):
        if network.counts_requested_bytes(protocol):
            failed = expected.pop(protocol + "_send_errors", 0)
            if failed or case.from_calls:  # nothing tells then how many bytes were sent
                expected.pop(protocol + "_send_bytes", 0)
                expected_rows = {}
    if network.counts_requested_bytes("tcp"):
        names -= {"tcp_send_errors", "udp_send_errors"}
        if not expected_rows:
            names -= {"tcp_send_bytes", "udp_send_bytes"}
    deadline = time.monotonic() + 15
    while True:
        expected["tcp_retransmit"] = pair[0].retransmissions() - retransmissions
        after, rows_after = network.counts()
        counters = {name: after[name] - before[name] for name in names if after[name] != before[name]}
        if counters == +expected or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    rows = {row: tuple(new - old for new, old in zip(values, rows_before.get(row, (0,) * len(ROW))))
            for row, values in rows_after.items()}
    return counters, +expected, rows, expected_rows


def known_to_method(case, network, expected):
    """`expected` (counters, rows) of functions, as far as the attach method can know it."""
    counters, rows = collections.Counter(expected[0]), dict(expected[1])
    if network.methods["tcp_recv"] == "tracepoint":
        for name, value in case.on_system_calls.items():
            counters[name] = N * value
            if name == "tcp_recv_bytes":
                rows = {row: (values[0], values[1], 0, 0) for row, values in rows.items()}
    if network.methods["udp_send"] == "tracepoint" and "sendto" in case.name:
        rows = {}  # the address is in the message, which the tracepoint does not have
    return counters, rows


def assert_totals_are_sums_of_rows(network):
    """The bytes and packets of a direction are the sum of its rows, but for datagrams whose address is unknown."""
    counters, rows = network.counts()
    totals, sums = {}, {}
    for direction in ("out", "in"):
        for place, what in enumerate(("sent", "sent_packets", "received", "received_packets")):
            for protocol in ("tcp", "udp"):
                name = "%s_%s_%s" % (protocol, direction, what)
                totals[name] = counters[name]
                sums[name] = sum(values[place] for row, values in rows.items() if row[:2] == (direction, protocol.upper()))
                if (direction, protocol) == ("out", "udp") and "tracepoint" in network.methods.values():
                    assert sums[name] <= totals.pop(name), name
                    sums.pop(name)
    assert_counts(of_counters(sums), of_counters(totals), network.attached.method, network.attached.mode)


def test_network_hooks_are_attached_by_the_method(network):
    elsewhere = {name for name, method in network.methods.items() if method != network.attached.method}
    if network.attached.method != "tracepoint":
        assert elsewhere == {"retransmit"}  # there is no function to attach it to
    elif not HAS_SOCKET_TRACEPOINTS:
        assert elsewhere == {"tcp_send", "tcp_recv", "udp_send", "udp_recv"}
    else:
        assert elsewhere == set()
    assert network.attached.loaded.broken == {}
    assert network.attached.loaded.warnings == []
