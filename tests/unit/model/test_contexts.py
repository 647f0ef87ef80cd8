"""The contexts of charts: those of Netdata's own plugin, by which its dashboards and alarm templates find them."""
from fakes import attached
import pytest

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.model.group import TRACEPOINT
from ebpf_plugin.model.select import select_application_charts, select_cgroup_charts, select_charts
from ebpf_plugin.outputs import netdata_protocol

# What Netdata's own plugin prints (1.37.1, which has no other context than a chart's id; and 2.10.3 for the machine).
NETDATA = set("""
    filesystem.file_descriptor filesystem.file_error
    filesystem.vfs_deleted_objects filesystem.vfs_io filesystem.vfs_io_bytes filesystem.vfs_io_error
    filesystem.vfs_fsync filesystem.vfs_fsync_error filesystem.vfs_open filesystem.vfs_open_error
    filesystem.vfs_create filesystem.vfs_create_error
    system.process_thread system.exit system.process_status system.task_error
    ip.inbound_conn ip.tcp_outbound_conn ip.tcp_functions ip.total_tcp_bandwidth ip.tcp_error ip.tcp_retransmit
    ip.udp_functions ip.total_udp_bandwidth ip.udp_error
    apps.file_open apps.file_open_error apps.file_closed apps.file_close_error
    apps.file_deleted apps.vfs_write_call apps.vfs_write_error apps.vfs_read_call apps.vfs_read_error
    apps.vfs_write_bytes apps.vfs_read_bytes apps.vfs_fsync apps.vfs_fsync_error apps.vfs_open apps.vfs_open_error
    apps.vfs_create apps.vfs_create_error
    apps.process_create apps.thread_create apps.task_exit apps.task_close apps.task_error
    apps.outbound_conn_v4 apps.outbound_conn_v6 apps.total_bandwidth_sent apps.total_bandwidth_recv
    apps.bandwidth_tcp_send apps.bandwidth_tcp_recv apps.bandwidth_tcp_retransmit apps.bandwidth_udp_send
    apps.bandwidth_udp_recv
    ebpf.outbound_bytes ebpf.outbound_packets ebpf.outbound_retransmit ebpf.inbound_bytes ebpf.inbound_packets
""".split())
# Its softirq_latency is in other units, and it has no histogram.
OURS = {"ebpf.softirq_calls", "ebpf.softirq_time", "ebpf.softirq_duration"}

EVERYTHING = {group.name: attached(group, TRACEPOINT) for group in GROUPS}
DECLARED = select_charts(GROUPS, "return", EVERYTHING) + select_application_charts(GROUPS, "return", EVERYTHING)


def context_of(chart):
    """As it stands in the line for the agent."""
    line = next(netdata_protocol.chart(chart, 1))
    return line.split("'")[9]


def contexts():
    found = {}
    for chart in DECLARED:
        found.setdefault(context_of(chart), []).append(chart)
    for group in GROUPS:
        for chart in group.connections:
            found.setdefault(chart.context or "ebpf." + chart.id, []).append(chart)
    return found


def test_every_chart_of_netdata_s_own_plugin_is_found_by_its_context():
    assert set(contexts()) == NETDATA | OURS


@pytest.mark.parametrize("context, charts", contexts().items())
def test_charts_of_one_context_show_the_same_things(context, charts):
    assert len({(chart.units, chart.family) for chart in charts}) == 1
    assert len(charts) == (10 if context == "ebpf.softirq_duration" else 1)


# collectors/ebpf.plugin/*.h of 1.37.1: NETDATA_CGROUP_..._CONTEXT; services.… end alike. Not here: those of what happens in
# no control group (task_close, net_retransmit).
OF_CGROUPS = set("""
    fd_open fd_open_error fd_close fd_close_error
    vfs_unlink vfs_write vfs_write_error vfs_read vfs_read_error vfs_write_bytes vfs_read_bytes vfs_create vfs_create_error
    vfs_open vfs_open_error vfs_fsync vfs_fsync_error
    process_create thread_create task_exit task_error
    net_conn_ipv4 net_conn_ipv6 net_bytes_recv net_bytes_send net_tcp_recv net_tcp_send net_udp_recv net_udp_send
""".split())


def test_contexts_of_control_groups():
    found = [chart.context for chart in select_cgroup_charts(GROUPS, "return", EVERYTHING)]
    assert set(found) == OF_CGROUPS and len(found) == len(OF_CGROUPS)


def test_ids_and_types_are_those_of_always():
    assert {chart.type for chart in DECLARED} == {"ebpf", "apps"}
    assert "ebpf.io_bytes" in {chart.full_id for chart in DECLARED}
