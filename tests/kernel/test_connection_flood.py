"""More connections than there is room for: nothing is lost, and the collector stays as small as it was."""
from harness import network_namespaces
from harness.attached import STOCK_KERNEL
from harness.plugin_process import Plugin
import pytest
from workloads.connection_flood import flood

PORTS = 12503
# groups of connections: four times the ports; an emulated machine is slow, and an eighth is more than the map holds, too
OTHERS, EVENTS = (("a", "b", "c"), 6257) if STOCK_KERNEL else (("a", "b", "c", "d"), 50021)
EVERYTHING = "[network viewer]\nips = *\nmaximum dimensions = 50\n"


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
def test_a_flood(network, tmp_path, protocol):
    here, *others = network
    (tmp_path / "ebpf.conf").write_text(EVERYTHING)
    with Plugin("1", "-n", "-g", "--config", str(tmp_path), environment={
            "EBPF_PLUGIN_TEST_NETNS": str(here.inum), "EBPF_PLUGIN_TEST_COMM": ""}) as plugin:
        plugin.block = "BEGIN ebpf.inbound_packets"
        plugin.ticks(2)
        sent = 0
        for number, other in enumerate(others):
            if number == 2:  # the map has been full, and was full of others
                early = plugin.resident()
            sent += flood(here, other, protocol, EVENTS, PORTS).counters[protocol + "_send_bytes"]
            plugin.ticks(8)  # some groups change places now
        late, last = plugin.resident(), plugin.last()
        assert of(last, "outbound_bytes.", "_sent") == last[protocol + "_bandwidth.sent"] == sent
        assert of(last, "outbound_packets.", "_sent") == len(others) * EVENTS
        dimensions = never_back(plugin.lines)
        if protocol == "tcp":  # of a datagram the tracepoint attach method does not see the address
            assert dimensions > 50
            assert last["tcp_outbound_conn.connected_v4"] == len(others) * EVENTS
        assert late <= early + 600  # kB; groups that have left are remembered, as many as are shown


def of(last, chart, end):
    return sum(value for name, value in last.items() if name.startswith(chart) and name.endswith(end))


def never_back(lines):
    """The number of dimensions that were sent; none of them was ever less than before."""
    last, chart = {}, None
    for line in lines:
        if line.startswith("BEGIN "):
            chart = line.split()[1]
        elif line.startswith("SET "):
            _, name, _, value = line.split()
            assert int(value) >= last.get((chart, name), 0)
            last[chart, name] = int(value)
    return len(last)
