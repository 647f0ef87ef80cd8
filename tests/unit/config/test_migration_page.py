"""migration.md: every chart, alert and option of Netdata's own plugin is on it, and what it calls ours is there."""
import os
import re

from fakes import ROOT
import pytest

from ebpf_plugin.config import ebpf_d_conf
from ebpf_plugin.config.options import OPTIONS
from ebpf_plugin.groups import GROUPS

with open(os.path.join(ROOT, "packaging", "docs", "migration.md"), encoding="utf-8") as _file:
    PAGE = _file.read()

# Charts (1.37.1) and contexts (of metadata.yaml, August 2026) of Netdata's own plugin, for the machine.
NETDATAS = """
 filesystem.file_descriptor filesystem.file_error filesystem.vfs_deleted_objects filesystem.vfs_io
filesystem.vfs_io_bytes filesystem.vfs_io_error filesystem.vfs_fsync filesystem.vfs_fsync_error filesystem.vfs_open
filesystem.vfs_open_error filesystem.vfs_create filesystem.vfs_create_error system.process_thread system.exit
system.process_status system.task_error ip.inbound_conn ip.tcp_outbound_conn ip.tcp_functions ip.total_tcp_bandwidth
ip.tcp_error ip.tcp_retransmit ip.udp_functions ip.total_udp_bandwidth ip.udp_error ebpf.outbound_bytes
ebpf.outbound_packets ebpf.outbound_retransmit ebpf.inbound_bytes ebpf.inbound_packets system.softirq_latency
system.hardirq_latency mem.cachestat_ratio mem.cachestat_dirties mem.cachestat_hits mem.cachestat_misses
filesystem.dc_hit_ratio filesystem.dc_reference mem.file_sync mem.memory_map mem.sync mem.file_segment mem.swapcalls
system.swapcalls system.shared_memory_calls mount_points.call mount_points.error filesystem.read_latency
filesystem.open_latency filesystem.sync_latency filesystem.write_latency filesystem.attributte_latency disk.latency_io
mdstat.mdstat_flush apps.oomkills app.oomkill cgroup.oomkills services.oomkills netdata.ebpf_*
""".split()
OF_APPLICATIONS = """
file_open file_open_error file_closed file_close_error file_deleted vfs_write_call vfs_write_error vfs_read_call
vfs_read_error vfs_write_bytes vfs_read_bytes vfs_fsync vfs_fsync_error vfs_open vfs_open_error vfs_create
vfs_create_error process_create thread_create task_exit task_close task_error outbound_conn_v4 outbound_conn_v6
total_bandwidth_sent total_bandwidth_recv bandwidth_tcp_send bandwidth_tcp_recv bandwidth_tcp_retransmit
bandwidth_udp_send bandwidth_udp_recv
""".split()


@pytest.mark.parametrize("chart", NETDATAS)
def test_every_chart_is_on_the_page(chart):
    assert "`%s`" % chart in PAGE


@pytest.mark.parametrize("chart", OF_APPLICATIONS)
def test_every_chart_of_applications_is_on_the_page(chart):
    assert re.search(r"^\| .*`(apps\.)?%s`.* \|$" % chart, PAGE, re.MULTILINE)


def test_the_same_charts_of_applications_are_there():
    ours = {chart.id for group in GROUPS for chart in group.apps}
    same = re.findall(r"^\| (`apps\..*?) \| the same \|$", PAGE, re.MULTILINE)
    assert {name for row in same for name in re.findall(r"`(?:apps\.)?(\w+)`", row)} == ours - {
        "bandwidth_sent", "bandwidth_recv"}


def test_every_chart_of_ours_that_is_named_is_there():
    ours = {chart.id for group in GROUPS for chart in (*group.charts, *group.connections)}
    named = set(re.findall(r"`ebpf\.(\w+)`", PAGE)) - {"plugin", "conf"}
    assert {name for name in named - ours if not name.startswith("plugin_")} == set()
    assert {name for name in ours - named if not name.startswith("softirq_duration_")} == set()


@pytest.mark.parametrize("key", [*ebpf_d_conf.INTERNAL, *ebpf_d_conf.PROGRAMS, *ebpf_d_conf.RENAMED, *(
    option.key for option in OPTIONS if option.section != "ebpf programs")])
def test_every_option_is_on_the_page(key):
    if key != "life time":  # a slip in one of Netdata's own files
        assert re.search(r"`(\[[a-z ]+\] )?%s`" % re.escape(key), PAGE)


def test_every_section_without_a_counterpart_is_on_the_page():
    assert [section for section in ebpf_d_conf.SECTIONS if "`[%s]`" % section not in PAGE] == []


def test_the_alert_is_on_the_page():
    assert "`sync_freq`" in PAGE and "`mem.sync`" in PAGE
