"""TCP and UDP. Pairs with bpf/network.c and the headers that it includes."""
from __future__ import annotations

from ..model.chart import ENTRY, MODES, RETURN, Chart, Dimension, Metric, per_application, placed
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


# charts of both protocols, and those of applications and connections: their metrics
METRICS = {"functions": "%s_call", "bandwidth": "%s_bytes", "error": "%s_error",
           "bandwidth_sent": "network_sent", "bandwidth_recv": "network_received", "bandwidth_tcp_send": "tcp_send",
           "bandwidth_tcp_recv": "tcp_receive", "bandwidth_tcp_retransmit": "tcp_retransmit",
           "bandwidth_udp_send": "udp_send", "bandwidth_udp_recv": "udp_receive",
           "outbound_conn_v4": "tcp_outbound_v4", "outbound_conn_v6": "tcp_outbound_v6",
           "outbound_packets": "outbound", "inbound_packets": "inbound"}


def pair(chart: str, title: str, units: str, protocol: str, counter: str, description: str, modes: tuple[str, ...] = MODES,
         more: tuple[Dimension, ...] = ()) -> Chart:
    """A chart of what was sent and received; bytes that were sent are below zero."""
    name = "%s_%s" % (protocol, chart)
    return Chart(
        id=name, title=title, units=units, family="Socket", modes=modes, description=description,
        context="ip." + ("total_" if chart == "bandwidth" else "") + name,
        metric=Metric(METRICS[chart] % protocol, "operation" if more else "direction"),
        dims=(Dimension("sent", ("%s_send_%s" % (protocol, counter),), multiplier=-1 if counter == "bytes" else 1),
              Dimension("received", ("%s_recv_%s" % (protocol, counter),))) + more)


def of_apps(chart: str, title: str, units: str, counters: tuple[str, ...], description: str, context: str = "",
            cgroup: str = "") -> Chart:
    """A chart of applications, in the family of the network."""
    return per_application(chart, title, units, counters, description, family="ebpf net", context=context, cgroup=cgroup,
                           metric=METRICS.get(chart, ""))


def of_connections(chart: str, title: str, units: str, unit: str, description: str) -> Chart:
    """A chart of what each connection of one direction has sent and received."""
    side = "out" if chart.startswith("outbound") else "in"
    sent, received = (tuple("%s_%s_%s%s" % (protocol, side, way, unit) for protocol in ("tcp", "udp"))
                      for way in ("sent", "received"))
    return Chart(
        id=chart, title=title, units=units, family="Network connections", description=description,
        metric=Metric(METRICS.get(chart, "")),
        dims=(Dimension("sent", sent, multiplier=-1, labels=(("direction", "sent"),)),
              Dimension("recv", received, labels=(("direction", "received"),))))


BUSIEST = "The busiest connections have dimensions of their own, `other` has the rest. "
OUTBOUND = "by remote service, protocol and remote address. " + BUSIEST
INBOUND = "by local service and protocol, whoever the clients are. " + BUSIEST
FILTERED = "What the options ports and ips leave out (by default public addresses and loopback) is not counted."
NOT_YET = "EAGAIN says \"not yet\" and is not counted. "

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
        Field("SKC_RCV_SADDR", (("sock_common", "skc_rcv_saddr"),)),
        Field("SKC_V6_RCV_SADDR", (("sock_common", "skc_v6_rcv_saddr"),)),
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
    charts=placed(
        21070,
        pair("functions", "TCP calls", "calls/s", "tcp", "calls",
             "Calls of tcp_sendmsg, of tcp_recvmsg and of tcp_close, for all sockets of TCP and in all containers. A call "
             "is not a packet: one may move no byte, or a megabyte. MPTCP and the kernel's own TLS are not counted. A rise "
             "of calls without a rise of bytes is a program that sends in small pieces.",
             more=(Dimension("close", ("tcp_closes",)),)),
        pair("bandwidth", "TCP bytes sent and received", "bytes/s", "tcp", "bytes",
             "Bytes that programs gave to TCP (below zero) and took from it, loopback included. Headers, retransmissions "
             "and what has arrived but was not read yet are not counted, so a network card shows more. sendfile is counted, "
             "MPTCP is not."),
        pair("error", "TCP calls that failed", "calls/s", "tcp", "errors",
             "Calls of tcp_sendmsg and tcp_recvmsg that returned an error. " + NOT_YET + "A rise means connections that "
             "were reset (ECONNRESET, EPIPE) or that timed out: look at the service on the other side.", (RETURN,)),
        Chart(
            id="tcp_retransmit",
            metric=Metric("tcp_retransmit"),
            context="ip.tcp_retransmit",
            title="TCP packets retransmitted",
            units="packets/s",
            family="Socket",
            dims=(Dimension("retransmitted", ("tcp_retransmits",)),),
            description=(
                "Packets that TCP sent again because no acknowledgement came, the answers to connection requests included. "
                "A buffer of several segments counts once. A few are normal. A rise means packets that are lost: a link or "
                "a firewall that drops them, or a peer that is down."),
        ),
        pair("functions", "UDP calls", "calls/s", "udp", "calls",
             "Calls of udp_sendmsg and udp_recvmsg, and of their variants for IPv6, in all containers. One call is one "
             "datagram at most, unless the kernel splits it (UDP_SEGMENT). Datagrams that arrive and that no program reads "
             "are not counted."),
        pair("bandwidth", "UDP bytes sent and received", "bytes/s", "udp", "bytes",
             "Bytes that programs gave to UDP (below zero) and took from it, loopback included. Headers, and datagrams that "
             "were dropped before a program read them, are not counted."),
        pair("error", "UDP calls that failed", "calls/s", "udp", "errors",
             "Calls of udp_sendmsg and udp_recvmsg that returned an error. " + NOT_YET + "A rise of sent means datagrams "
             "that are too large, or peers that nobody can reach; one of received, that a peer said that nobody listens "
             "(ECONNREFUSED).",
             (RETURN,)),
        Chart(
            id="inbound_conn",
            metric=Metric("tcp_inbound_connections"),
            context="ip.inbound_conn",
            title="Inbound TCP connections",
            units="connections/s",
            family="Socket",
            dims=(Dimension("connected_tcp", ("accepts",)),),
            description=(
                "Connections of clients that were established, accepted by a program or not; by trampolines and probes, "
                "those that a program accepted. UDP has no connections to accept. If it falls to zero while clients try, "
                "the service cannot be reached; a rise without a reason may be a scan, or clients that connect for each "
                "request."),
        ),
        Chart(
            id="tcp_outbound_conn",
            metric=Metric("tcp_outbound_connections"),
            context="ip.tcp_outbound_conn",
            title="Outbound TCP connections begun",
            units="connections/s",
            family="Socket",
            dims=(Dimension("connected_v4", ("connects_v4",), labels=(("family", "ipv4"),)),
                  Dimension("connected_v6", ("connects_v6",), labels=(("family", "ipv6"),))),
            description=(
                "Calls of connect that sent a connection request, by the version of IP. Whether the peer answers is not "
                "known then. A connection to an IPv4 address by a socket of IPv6 counts as IPv4. A rise without more work "
                "often is a program that connects for each request, or that tries again and again."),
        ),
    ),
    connections=placed(
        21080,
        of_connections(
            "outbound_bytes", "Outbound connections: bytes", "bytes/s", "",
            "Bytes that programs sent (below zero) and received over connections that this machine began, " +
            OUTBOUND + FILTERED),
        of_connections(
            "outbound_packets", "Outbound connections: calls that moved bytes", "calls/s", "_packets",
            "Calls that moved bytes over connections that this machine began, sent ones below zero, " + OUTBOUND +
            "One call can be many packets on the wire. " + FILTERED),
        Chart(
            id="outbound_retransmit",
            title="Outbound connections: TCP packets retransmitted",
            units="packets/s",
            family="Network connections",
            dims=(Dimension("retransmitted", ("out_retransmits",)),),
            description=(
                "Packets that TCP sent again over connections that this machine began, " + OUTBOUND + "A rise of one "
                "dimension is one peer, or the way to it; a rise of all is this machine's own network. " + FILTERED),
        ),
        of_connections(
            "inbound_bytes", "Inbound connections: bytes", "bytes/s", "",
            "Bytes that services of this machine sent (below zero) and received, " + INBOUND + FILTERED),
        of_connections(
            "inbound_packets", "Inbound connections: calls that moved bytes", "calls/s", "_packets",
            "Calls by which services of this machine moved bytes, sent ones below zero, " + INBOUND +
            "One call can be many packets on the wire. " + FILTERED),
    ),
    apps=placed(
        20083,
        of_apps("bandwidth_sent", "Bytes sent by TCP and UDP", "bytes/s", ("tcp_send_bytes", "udp_send_bytes"),
                "Bytes that the application's processes gave to TCP and UDP, loopback included. Headers, retransmissions "
                "and other protocols are not counted.", "apps.total_bandwidth_sent", cgroup="net_bytes_send"),
        of_apps("bandwidth_recv", "Bytes received by TCP and UDP", "bytes/s", ("tcp_recv_bytes", "udp_recv_bytes"),
                "Bytes that the application's processes took from TCP and UDP, loopback included. What has arrived and was "
                "not read, headers and other protocols are not counted.", "apps.total_bandwidth_recv",
                cgroup="net_bytes_recv"),
        of_apps("bandwidth_tcp_send", "TCP calls that send", "calls/s", ("tcp_send_calls",),
                "Calls of tcp_sendmsg of the application's processes, failed ones included. A call is not a packet. A rise "
                "of calls without a rise of bytes is a program that sends in small pieces.", cgroup="net_tcp_send"),
        of_apps("bandwidth_tcp_recv", "TCP calls that receive", "calls/s", ("tcp_recv_calls",),
                "Calls of tcp_recvmsg of the application's processes, failed ones included. Those that found nothing to "
                "read (EAGAIN) are among them. A rise of calls without a rise of bytes is a program that asks too often.",
                cgroup="net_tcp_recv"),
        of_apps("bandwidth_tcp_retransmit", "TCP packets retransmitted", "packets/s", ("tcp_retransmits",),
                "Packets that TCP sent again, in the application whose socket it is. Connections that were accepted by a "
                "listener which existed before the plugin started are in `other`. A rise means packets that are lost on the "
                "way to this application's peers."),
        of_apps("bandwidth_udp_send", "UDP calls that send", "calls/s", ("udp_send_calls",),
                "Calls of udp_sendmsg of the application's processes, failed ones included. For a program that resolves "
                "names, a rise often means that its answers do not come.", cgroup="net_udp_send"),
        of_apps("bandwidth_udp_recv", "UDP calls that receive", "calls/s", ("udp_recv_calls",),
                "Calls of udp_recvmsg of the application's processes, failed ones included. Datagrams that arrive and are "
                "not read are not counted.", cgroup="net_udp_recv"),
        of_apps("outbound_conn_v4", "Outbound TCP connections begun, IPv4", "connections/s", ("connects_v4",),
                "Calls of connect that sent a connection request to an IPv4 address. Whether the peer answers is not known "
                "then. A rise without more work often is a program that connects for each request.", cgroup="net_conn_ipv4"),
        of_apps("outbound_conn_v6", "Outbound TCP connections begun, IPv6", "connections/s", ("connects_v6",),
                "Calls of connect that sent a connection request to an IPv6 address. Whether the peer answers is not known "
                "then. A rise without more work often is a program that connects for each request.", cgroup="net_conn_ipv6"),
    ),
)
