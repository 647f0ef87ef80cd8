"""The metrics of tfo-agent under their own names, as far as our charts have them.

That agent declares 21 (tfo_ebpf_..., each by process). Here they are by application where a chart is, else for the machine.
Their counters have no `_total`, which OpenMetrics would add: so the text is always that of 0.0.4.
"""
from __future__ import annotations

from ..model.metric import Family
from . import metrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, Optional

    from ..model.declared import Chart

    Values = tuple[Optional[int], ...]
    Source = tuple[str, str, str]  # the chart's whole id, its dimension ("" for those of all applications), `operation`

# name without prefix: help, sources by application, sources of the machine. Values of equal labels are added.
METRICS: dict[str, tuple[str, tuple[Source, ...], tuple[Source, ...]]] = {
    "tcp_connections": (
        "TCP connections that were opened from here",
        (("apps.outbound_conn_v4", "", ""), ("apps.outbound_conn_v6", "", "")),
        (("ebpf.tcp_outbound_conn", "connected_v4", ""), ("ebpf.tcp_outbound_conn", "connected_v6", ""))),
    "tcp_bytes_sent": ("Bytes sent by TCP", (), (("ebpf.tcp_bandwidth", "sent", ""),)),
    "tcp_bytes_recv": ("Bytes received by TCP", (), (("ebpf.tcp_bandwidth", "received", ""),)),
    "tcp_retransmits": (
        "Segments that TCP sent again",
        (("apps.bandwidth_tcp_retransmit", "", ""),), (("ebpf.tcp_retransmit", "retransmitted", ""),)),
    "udp_packets_sent": (
        "Datagrams sent by UDP", (("apps.bandwidth_udp_send", "", ""),), (("ebpf.udp_functions", "sent", ""),)),
    "udp_packets_recv": (
        "Datagrams received by UDP", (("apps.bandwidth_udp_recv", "", ""),), (("ebpf.udp_functions", "received", ""),)),
    "fileio_operations": (
        "Reads, writes and opens of files",
        (("apps.vfs_read_call", "", "read"), ("apps.vfs_write_call", "", "write"), ("apps.vfs_open", "", "open")),
        (("ebpf.io", "read", "read"), ("ebpf.io", "write", "write"), ("ebpf.vfs_open", "open", "open"))),
    "fileio_bytes": (
        "Bytes read from and written to files",
        (("apps.vfs_read_bytes", "", "read"), ("apps.vfs_write_bytes", "", "write")),
        (("ebpf.io_bytes", "read", "read"), ("ebpf.io_bytes", "write", "write"))),
}
WANTED = {chart for _, *both in METRICS.values() for sources in both for chart, _, _ in sources}


def texts(sample: Iterable[tuple[Chart, Values]]) -> Iterator[str]:
    """The text of a sample in parts, one for each metric."""
    found = {chart.full_id: (chart, values) for chart, values in sample if chart.full_id in WANTED}
    for name, (help, of_applications, of_machine) in METRICS.items():
        by_application = of_applications and all(chart in found for chart, _, _ in of_applications)
        numbers = _numbers(of_applications if by_application else of_machine, found)
        if numbers:
            family = Family("tfo_ebpf_" + name, "counter", "", 1, help)
            yield metrics.header(family) + "".join(
                [metrics.line(family.name, labels, "%d" % number) for labels, number in numbers.items()])


def _numbers(sources: tuple[Source, ...], found: dict[str, tuple[Chart, Values]]) -> dict[metrics.Labels, int]:
    """{labels: value}; without what a source does not know."""
    numbers: dict[metrics.Labels, int] = {}
    unknown = set()
    for source, wanted, operation in sources:
        chart, values = found.get(source, (None, ()))
        for dimension, value in zip(chart.dimensions if chart else (), values):
            if wanted in ("", dimension.id):
                labels = (() if wanted else dimension.labels) + ((("operation", operation),) if operation else ())
                if value is None:
                    unknown.add(labels)
                else:
                    numbers[labels] = numbers.get(labels, 0) + value
    return {labels: number for labels, number in numbers.items() if labels not in unknown}
