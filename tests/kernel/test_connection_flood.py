"""More connections than the map holds: nothing is lost, and the collector does not grow."""
from harness import network_namespaces
from harness.attached import STOCK_KERNEL
from harness.exact_counts import assert_counts
from harness.plugin_process import Plugin
import pytest
from workloads.connection_flood import flood

PORTS = 12503
# an emulated machine is slow: its eighth of the connections is more than the map holds, too
OTHERS, EVENTS = (("a", "b", "c"), 6257) if STOCK_KERNEL else (("a", "b", "c", "d"), 50021)
UNFILTERED = "[network viewer]\nips = *\nmaximum dimensions = 50\n"


@pytest.fixture
def network():
    try:
        with network_namespaces.network("here", *OTHERS) as found:
            yield found
    except network_namespaces.NotAvailable as error:
        if STOCK_KERNEL:
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_flood_loses_no_byte_and_no_memory(network, tmp_path, protocol):
    here, *others = network
    (tmp_path / "ebpf.conf").write_text(UNFILTERED)
    with Plugin("1", "-n", "-g", "--config", str(tmp_path), environment={
            "EBPF_PLUGIN_TEST_NETNS": str(here.inum), "EBPF_PLUGIN_TEST_COMM": ""}) as plugin:
        plugin.block = "BEGIN ebpf.inbound_packets"
        plugin.read_ticks(2)
        sent = 0
        for number, other in enumerate(others):
            if number == 2:  # the map has been full, with addresses that are gone since
                early = plugin.resident_kb()
            sent += flood(here, other, protocol, EVENTS, PORTS).counters[protocol + "_send_bytes"]
            plugin.read_ticks(8)  # some addresses replace others on the charts now
        late, last = plugin.resident_kb(), plugin.last_values()
        seen = {"outbound_bytes.sent": chart_sum(last, "outbound_bytes.", "_sent"),
                protocol + "_bandwidth.sent": last[protocol + "_bandwidth.sent"],
                "outbound_packets.sent": chart_sum(last, "outbound_packets.", "_sent")}
        expected = {"outbound_bytes.sent": sent, protocol + "_bandwidth.sent": sent,
                    "outbound_packets.sent": len(others) * EVENTS}
        dimensions = assert_no_counter_decreases(plugin.lines)
        if protocol == "tcp":  # hooks on tracepoints do not see the address of a datagram
            assert dimensions > 50
            seen["tcp_outbound_conn.connected_v4"] = last["tcp_outbound_conn.connected_v4"]
            expected["tcp_outbound_conn.connected_v4"] = len(others) * EVENTS
        assert_counts(seen, expected, "auto", "entry")
        assert late <= early + 600  # kB, for the addresses of the last charts


def chart_sum(last, chart, end):
    return sum(value for name, value in last.items() if name.startswith(chart) and name.endswith(end))


def assert_no_counter_decreases(lines):
    """The number of counters (dimensions whose algorithm is incremental) that were sent."""
    last, chart, counters = {}, None, set()
    for line in lines:
        words = line.split() or [""]
        if words[0] in ("CHART", "BEGIN"):
            chart = words[1]
        elif words[0] == "DIMENSION" and words[-3] == "incremental":
            counters.add((chart, words[1]))
        elif words[0] == "SET" and (chart, words[1]) in counters:
            assert int(words[3]) >= last.get((chart, words[1]), 0)
            last[chart, words[1]] = int(words[3])
    return len(last)
