"""TCP and UDP. Pairs with bpf/network.c and the headers that it includes."""
from __future__ import annotations

from ..model.chart import ENTRY, MODES, RETURN, Chart, Dimension, per_application
from ..model.group import (
    AT_CALL, PROBE, TRACEPOINT, TRAMPOLINE, WITH_ARGUMENT, Field, Function, Group, Hook, Note, ProgramTypes, Switch,
    Tracepoint
)
from ..model.table import ARRAY, BPF_F_NO_PREALLOC, LPM_TRIE, LRU_HASH, Table

# The size that is asked for is known at the call, what was sent at the return.
SENDING = ProgramTypes(trampoline_entry=("fexit",), probe_return=("kretprobe", "kprobe"))
AT_RETURN = ProgramTypes(("fexit",), ("fexit",), ("kretprobe",), ("kretprobe",))
IPV6 = "/proc/net/if_inet6"


def moving(name: str, functions: tuple[Function, ...], tracepoint: str) -> Hook:
    """The hook of the functions that send or receive with one protocol: `name` is <protocol>_send or <protocol>_recv."""
    protocol, _, way = name.partition("_")
    passed = "sent" if way == "send" else "received"
    totals = tuple("%s_%s_%s%s" % (protocol, side, passed, unit) for side in ("out", "in") for unit in ("", "_packets"))
    counted = (name + "_calls", name + "_errors", name + "_bytes")
    return Hook(
        name=name,
        counters=counted + totals,
        functions=functions,
        tracepoints=(Tracepoint(name + "_raw", (tracepoint,), raw=True),),
        notes=(Note(PROBE, (ENTRY,), counted[2:], "requested"),) if way == "send" else (),
    )


def pair(chart: str, title: str, units: str, priority: int, protocol: str, counter: str, modes: tuple[str, ...] = MODES,
         more: tuple[Dimension, ...] = ()) -> Chart:
    """A chart of what was sent and received; bytes that were sent are below zero."""
    return Chart(
        id="%s_%s" % (protocol, chart), title=title, units=units, family="Socket", priority=priority, modes=modes,
        dims=(Dimension("sent", ("%s_send_%s" % (protocol, counter),), multiplier=-1 if counter == "bytes" else 1),
              Dimension("received", ("%s_recv_%s" % (protocol, counter),))) + more)


def of_apps(chart: str, title: str, units: str, priority: int, *counters: str) -> Chart:
    """A chart of applications, in the family of the network."""
    return per_application(chart, title, units, priority, counters, family="ebpf net")


NETWORK = Group(
    name="network",
    switch=Switch("network viewer", flag="net"),
    needed=True,
    fields=(
        Field("SKC_NET", (("sock_common", "skc_net"),)),
        Field("NET_INUM", (("net", "ns"), ("ns_common", "inum"))),
        Field("SKC_FAMILY", (("sock_common", "skc_family"),)),
        Field("SKC_NUM", (("sock_common", "skc_num"),)),
        Field("SKC_DPORT", (("sock_common", "skc_dport"),)),
        Field("SKC_DADDR", (("sock_common", "skc_daddr"),)),
        Field("SKC_V6_DADDR", (("sock_common", "skc_v6_daddr"),)),
        Field("SK_PROTOCOL", (("sock", "sk_protocol"),)),
        Field("SK_TYPE", (("sock", "sk_type"),)),
        Field("SK_USERLOCKS_BIT", (("sock", "sk_userlocks"),), bits=True),
        Field("SOCKET_SK", (("socket", "sk"),)),
        Field("MSG_NAME", (("msghdr", "msg_name"),)),
    ),
    # Of LRU maps each CPU keeps 128 free entries to itself (LOCAL_FREE_TARGET in kernel/bpf/bpf_lru_list.c).
    tables=(
        Table("flows", LRU_HASH, "=16sHBB", "=6Q", 4096, per_cpu=128, switch="CONNECTIONS"),
        Table("services", LRU_HASH, "=IHH", "=I", 8192),
        Table("socket_rows", LRU_HASH, "=Q", "=I", 8192, switch="APPS"),
        Table("udp_sides", LRU_HASH, "=Q", "=I", 8192, switch="CONNECTIONS"),
        Table("flow_ports", ARRAY, "=I", "=Q", 1024, switch="FILTER_PORTS"),
        Table("flow_networks", LPM_TRIE, "=I16s", "=B", "FILTER_ADDRESSES", switch="FILTER_ADDRESSES",
              flags=BPF_F_NO_PREALLOC),
        Table("network_calls", LRU_HASH, "=Q", "=3Q", 8192, per_cpu=128),
    ),
    counters=(
        "tcp_send_calls", "tcp_send_errors", "tcp_send_bytes",
        "tcp_recv_calls", "tcp_recv_errors", "tcp_recv_bytes",
        "udp_send_calls", "udp_send_errors", "udp_send_bytes",
        "udp_recv_calls", "udp_recv_errors", "udp_recv_bytes",
        "tcp_closes", "tcp_retransmits", "accepts", "connects_v4", "connects_v6",
        "tcp_out_sent", "tcp_out_sent_packets", "tcp_out_received", "tcp_out_received_packets",
        "tcp_in_sent", "tcp_in_sent_packets", "tcp_in_received", "tcp_in_received_packets",
        "udp_out_sent", "udp_out_sent_packets", "udp_out_received", "udp_out_received_packets",
        "udp_in_sent", "udp_in_sent_packets", "udp_in_received", "udp_in_received_packets",
        "out_retransmits", "in_retransmits",
    ),
    hooks=(
        moving("tcp_send", (
            Function("tcp_sendmsg", ("tcp_sendmsg",), SENDING),
            # sendfile(2) up to 6.4
            Function("tcp_sendpage", ("tcp_sendpage",), SENDING, required=False),
        ), "sock_send_length"),
        moving("tcp_recv", (
            Function("tcp_recvmsg", ("tcp_recvmsg",), WITH_ARGUMENT),
            Function("tcp_splice_read", ("tcp_splice_read",), WITH_ARGUMENT),
        ), "sock_recv_length"),
        moving("udp_send", (
            Function("udp_sendmsg", ("udp_sendmsg",), SENDING),
            Function("udpv6_sendmsg", ("udpv6_sendmsg",), SENDING, only_with=IPV6),
        ), "sock_send_length"),
        moving("udp_recv", (
            Function("udp_recvmsg", ("udp_recvmsg",), WITH_ARGUMENT),
            Function("udpv6_recvmsg", ("udpv6_recvmsg",), WITH_ARGUMENT, only_with=IPV6),
        ), "sock_recv_length"),
        Hook(
            name="tcp_close",
            counters=("tcp_closes",),
            functions=(Function("tcp_close", ("tcp_close",), AT_CALL),),
            tracepoints=(Tracepoint("tcp_destroy_sock_raw", ("tcp_destroy_sock",), raw=True),),
            notes=(Note(TRACEPOINT, MODES, ("tcp_closes",), "close: sockets destroyed"),),
        ),
        Hook(
            name="retransmit",
            counters=("tcp_retransmits", "out_retransmits", "in_retransmits"),
            # no function: bpf/network.c
            tracepoints=(Tracepoint("tcp_retransmit_skb_raw", ("tcp_retransmit_skb",), raw=True),
                         Tracepoint("tcp_retransmit_synack_raw", ("tcp_retransmit_synack",), raw=True)),
        ),
        Hook(
            name="connections",
            counters=("accepts", "connects_v4", "connects_v6"),
            functions=(
                Function("inet_csk_accept", ("inet_csk_accept",), AT_RETURN),
                Function("tcp_v4_connect", ("tcp_v4_connect",), WITH_ARGUMENT),
                Function("tcp_v6_connect", ("tcp_v6_connect",), WITH_ARGUMENT, only_with=IPV6),
            ),
            tracepoints=(Tracepoint("inet_sock_set_state_raw", ("inet_sock_set_state",), raw=True),),
            # First, because it alone tells of sockets that begin to listen, and is reached once for each connection.
            first=TRACEPOINT,
            notes=tuple(Note(method, MODES, ("accepts",), "accepted") for method in (TRAMPOLINE, PROBE)),
        ),
    ),
    charts=(
        pair("functions", "Calls to internal functions", "calls/s", 21070, "tcp", "calls",
             more=(Dimension("close", ("tcp_closes",)),)),
        pair("bandwidth", "TCP bandwidth", "bytes/s", 21071, "tcp", "bytes"),
        pair("error", "TCP errors", "calls/s", 21072, "tcp", "errors", (RETURN,)),
        Chart(
            id="tcp_retransmit",
            title="Packages retransmitted",
            units="calls/s",
            family="Socket",
            priority=21073,
            dims=(Dimension("retransmitted", ("tcp_retransmits",)),),
        ),
        pair("functions", "UDP calls", "calls/s", 21074, "udp", "calls"),
        pair("bandwidth", "UDP bandwidth", "bytes/s", 21075, "udp", "bytes"),
        pair("error", "UDP errors", "calls/s", 21076, "udp", "errors", (RETURN,)),
        Chart(
            id="inbound_conn",
            title="Inbound connections",
            units="connections/s",
            family="Socket",
            priority=21077,
            dims=(Dimension("connected_tcp", ("accepts",)),),
        ),
        Chart(
            id="tcp_outbound_conn",
            title="TCP outbound connections",
            units="connections/s",
            family="Socket",
            priority=21078,
            dims=(Dimension("connected_v4", ("connects_v4",)), Dimension("connected_v6", ("connects_v6",))),
        ),
    ),
    apps=(
        of_apps("bandwidth_sent", "Bytes sent", "bytes/s", 20080, "tcp_send_bytes", "udp_send_bytes"),
        of_apps("bandwidth_recv", "Bytes received", "bytes/s", 20081, "tcp_recv_bytes", "udp_recv_bytes"),
        of_apps("bandwidth_tcp_send", "Calls for tcp_sendmsg", "calls/s", 20082, "tcp_send_calls"),
        of_apps("bandwidth_tcp_recv", "Calls for tcp_recvmsg", "calls/s", 20083, "tcp_recv_calls"),
        of_apps("bandwidth_tcp_retransmit", "Packages retransmitted", "calls/s", 20084, "tcp_retransmits"),
        of_apps("bandwidth_udp_send", "Calls for udp_sendmsg", "calls/s", 20085, "udp_send_calls"),
        of_apps("bandwidth_udp_recv", "Calls for udp_recvmsg", "calls/s", 20086, "udp_recv_calls"),
        of_apps("outbound_conn_v4", "TCP outbound connections, IPv4", "connections/s", 20087, "connects_v4"),
        of_apps("outbound_conn_v6", "TCP outbound connections, IPv6", "connections/s", 20088, "connects_v6"),
    ),
)
