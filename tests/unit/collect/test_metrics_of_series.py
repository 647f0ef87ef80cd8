"""Metrics of what comes and goes: their labels tell every series apart, and their numbers are those of the charts."""
from prometheus_client.parser import text_string_to_metric_families as parse
import pytest
from test_connections import inbound, network, outbound  # noqa: F401  a fixture

from ebpf_plugin.outputs import metrics


def samples(sample):
    """{(name, labels): value}; the same labels twice are a failure."""
    found = {}
    for family in parse("".join(metrics.texts(sample))):
        for each in family.samples:
            place = each.name, frozenset(each.labels.items())
            assert place not in found
            found[place] = each.value
    return found


@pytest.fixture
def scraped(network):  # noqa: F811
    """A tick with one connection by IPv4, one by IPv6, two ports with one name, and an inbound one."""
    connected = network(names={(80, "TCP"): "web", (8080, "TCP"): "web"})
    v6 = outbound("20010db8000000000000000000000001", 53, 17)
    sample = connected.look(outbound("10.0.0.1", 80), outbound("10.0.0.1", 8080), v6, inbound(22))
    return sample, samples(sample)


def test_outbound_connections_are_told_apart_by_all_of_their_labels(scraped):
    _, found = scraped
    for port in ("80", "8080"):
        labels = {"service": "web", "port": port, "protocol": "TCP", "address": "10.0.0.1"}
        for direction, number in (("sent", 1), ("received", 3)):
            place = frozenset({**labels, "direction": direction}.items())
            assert found["ebpf_connection_outbound_bytes_total", place] == number
        assert found["ebpf_connection_outbound_retransmit_packets_total", frozenset(labels.items())] == 5
    v6 = {"service": "53", "port": "53", "protocol": "UDP", "address": "2001:db8::1", "direction": "sent"}
    assert found["ebpf_connection_outbound_calls_total", frozenset(v6.items())] == 2


def test_inbound_connections_have_no_address(scraped):
    _, found = scraped
    labels = {"service": "22", "port": "22", "protocol": "TCP", "direction": "received"}
    assert found["ebpf_connection_inbound_calls_total", frozenset(labels.items())] == 4


def test_the_rest_is_the_service_other(scraped):
    _, found = scraped
    labels = frozenset({"service": "other", "direction": "sent"}.items())
    assert ("ebpf_connection_outbound_bytes_total", labels) in found


def test_the_numbers_are_those_of_the_charts(scraped):
    sample, found = scraped
    assert sorted(found.values()) == sorted(value for _, values in sample for value in values)
