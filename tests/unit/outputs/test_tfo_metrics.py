"""The metrics of tfo-agent: their names, from the numbers of our charts."""
from fakes import attached
from prometheus_client.parser import text_string_to_metric_families as parse
import pytest

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.model.declared import Dimension
from ebpf_plugin.model.select import select_application_charts, select_charts
from ebpf_plugin.outputs import tfo_metrics

HOOKS = {group.name: attached(group) for group in GROUPS}
MACHINE = {chart.full_id: chart for chart in select_charts(GROUPS, "entry", HOOKS)}
APPLICATIONS = {
    chart.full_id: chart.replaced(dimensions=tuple(Dimension(name, labels=(("application", name),)) for name in ("a", "b")))
    for chart in select_application_charts(GROUPS, "entry", HOOKS)}


def samples(charts, numbers):
    """{(name, labels): value}; `numbers` has those of some charts, the others have zeros.

    The parser adds `_total` to the names of counters.
    """
    sample = [(chart, numbers.get(name, (0,) * len(chart.dimensions))) for name, chart in charts.items()]
    return {(each.name[:-len("_total")], tuple(sorted(each.labels.items()))): each.value
            for family in parse("".join(tfo_metrics.texts(sample))) for each in family.samples}


def test_every_source_is_a_chart_with_that_dimension():
    for _, of_applications, of_machine in tfo_metrics.METRICS.values():
        assert {chart for chart, _, _ in of_applications} <= set(APPLICATIONS)
        for chart, dimension, _ in of_machine:
            assert dimension in [each.id for each in MACHINE[chart].dimensions]


def test_by_application():
    found = samples({**MACHINE, **APPLICATIONS}, {
        "apps.outbound_conn_v4": (1, 2), "apps.outbound_conn_v6": (30, 40), "apps.vfs_read_bytes": (5, 6),
        "ebpf.tcp_bandwidth": (7, 8)})
    assert found["tfo_ebpf_tcp_connections", (("application", "a"),)] == 31
    assert found["tfo_ebpf_tcp_connections", (("application", "b"),)] == 42
    assert found["tfo_ebpf_fileio_bytes", (("application", "b"), ("operation", "read"))] == 6
    assert found["tfo_ebpf_tcp_bytes_sent", ()] == 7
    assert found["tfo_ebpf_tcp_bytes_recv", ()] == 8
    assert {name for name, _ in found} == {"tfo_ebpf_" + name for name in tfo_metrics.METRICS}


def test_without_applications_for_the_machine():
    found = samples(MACHINE, {"ebpf.io": (3, 4), "ebpf.tcp_outbound_conn": (1, 20), "ebpf.udp_functions": (5, 6)})
    assert found["tfo_ebpf_fileio_operations", (("operation", "write"),)] == 4
    assert found["tfo_ebpf_tcp_connections", ()] == 21
    assert found["tfo_ebpf_udp_packets_recv", ()] == 6


@pytest.mark.parametrize("chart, numbers, gone", [
    ("ebpf.tcp_outbound_conn", (1, None), ("tfo_ebpf_tcp_connections", ())),
    ("ebpf.io", (None, 4), ("tfo_ebpf_fileio_operations", (("operation", "read"),))),
])
def test_what_is_unknown_has_no_sample(chart, numbers, gone):
    assert gone not in samples(MACHINE, {chart: numbers}) and gone in samples(MACHINE, {})


def test_without_a_group_its_metrics_are_not_there():
    no_network = {name: chart for name, chart in MACHINE.items() if chart.group != "network"}
    assert {name for name, _ in samples(no_network, {})} == {"tfo_ebpf_fileio_operations", "tfo_ebpf_fileio_bytes"}
