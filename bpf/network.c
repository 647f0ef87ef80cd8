/* network.c - TCP and UDP: calls, bytes, errors, retransmissions, connections.
 * Pairs with plugin/ebpf_plugin/groups/network.py, which names the counters. */
#include "network_sockets.h"
#include "network_flows.h"
#include "network_traffic.h"

inline_int tcp_socket(u64 sk, int way, int result, u64 flags)
{
	return is_socket(sk, IPPROTO_TCP, SOCK_STREAM) ? moved(READ_BY_HELPER, sk, IPPROTO_TCP, EACH_FAMILY, way, 0, result, flags) : 0;
}
inline_int udp_socket(u64 sk, int way, int result, u64 flags)
{
	return is_socket(sk, IPPROTO_UDP, SOCK_DGRAM) ?
		moved(READ_BY_HELPER, sk, IPPROTO_UDP, EACH_FAMILY, way, 0, result, flags) : 0;
}

/* tcp_sendmsg(sk, msg, size), tcp_sendpage(sk, page, offset, size, flags): a probe knows at the call what was asked for. */
#define AT_SEND(function, sk, message, size, count) (RETURN_MODE ? save(function, sk, message, 0) : count)
ON_FEXIT(tcp_sendmsg, int, TCP_SENT(READ_DIRECT, arg0, result))
ON_KPROBE(tcp_sendmsg, AT_SEND(IN_TCP_SENDMSG, arg0, 0, arg2, TCP_SENT(READ_BY_HELPER, arg0, (s64)arg2)))
ON_KRETPROBE(tcp_sendmsg, int, tcp_returned(IN_TCP_SENDMSG, SENT, result))
ON_FEXIT(tcp_sendpage, int, TCP_SENT(READ_DIRECT, arg0, result))
ON_KPROBE(tcp_sendpage, AT_SEND(IN_TCP_SENDPAGE, arg0, 0, arg3, TCP_SENT(READ_BY_HELPER, arg0, (s64)arg3)))
ON_KRETPROBE(tcp_sendpage, int, tcp_returned(IN_TCP_SENDPAGE, SENT, result))
ON_RAW(tcp_send, tcp_socket(arg0, SENT, arg1, 0))

/* Not tcp_cleanup_rbuf(): it is told of bytes that were only looked at, and of the same bytes again while MSG_WAITALL waits.
 * tcp_recvmsg(sk, msg, len, flags, addr_len) had a `nonblock` before the flags up to 5.18. */
#define RECV_FLAGS (NARGS_tcp_recvmsg == 6 ? arg4 : arg3)
ON_FEXIT(tcp_recvmsg, int, TCP_RECEIVED(READ_DIRECT, arg0, result, RECV_FLAGS))
ON_KPROBE(tcp_recvmsg, save(IN_TCP_RECVMSG, arg0, 0, RECV_FLAGS))
ON_KRETPROBE(tcp_recvmsg, int, tcp_returned(IN_TCP_RECVMSG, RECEIVED, result))
/* tcp_splice_read(socket, offset, pipe, len, flags) */
ON_FEXIT(tcp_splice_read, s64, TCP_RECEIVED(READ_DIRECT, FIELD(u64, arg0, SOCKET_SK), result, 0))
ON_KPROBE(tcp_splice_read, save(IN_TCP_SPLICE, kernel_u64(arg0 + SOCKET_SK), 0, 0))
ON_KRETPROBE(tcp_splice_read, s64, tcp_returned(IN_TCP_SPLICE, RECEIVED, result))
ON_RAW(tcp_recv, tcp_socket(arg0, RECEIVED, arg1, arg2))

#define UDP_MOVED(family, way, flags) moved(READ_DIRECT, arg0, IPPROTO_UDP, family, way, arg1, result, flags)
#define UDP_ASKED(family) moved(READ_BY_HELPER, arg0, IPPROTO_UDP, family, SENT, arg1, (s64)arg2, 0)
ON_FEXIT(udp_sendmsg, int, UDP_MOVED(AF_INET, SENT, 0))
ON_KPROBE(udp_sendmsg, AT_SEND(IN_UDP_SENDMSG, arg0, arg1, arg2, UDP_ASKED(AF_INET)))
ON_KRETPROBE(udp_sendmsg, int, udp_returned(IN_UDP_SENDMSG, AF_INET, SENT, result))
ON_FEXIT(udpv6_sendmsg, int, UDP_MOVED(AF_INET6, SENT, 0))
ON_KPROBE(udpv6_sendmsg, AT_SEND(IN_UDPV6_SENDMSG, arg0, arg1, arg2, UDP_ASKED(AF_INET6)))
ON_KRETPROBE(udpv6_sendmsg, int, udp_returned(IN_UDPV6_SENDMSG, AF_INET6, SENT, result))
ON_RAW(udp_send, udp_socket(arg0, SENT, arg1, 0))

ON_FEXIT(udp_recvmsg, int, UDP_MOVED(AF_INET, RECEIVED, RECV_FLAGS))
ON_KPROBE(udp_recvmsg, save(IN_UDP_RECVMSG, arg0, arg1, RECV_FLAGS))
ON_KRETPROBE(udp_recvmsg, int, udp_returned(IN_UDP_RECVMSG, AF_INET, RECEIVED, result))
ON_FEXIT(udpv6_recvmsg, int, UDP_MOVED(AF_INET6, RECEIVED, RECV_FLAGS))
ON_KPROBE(udpv6_recvmsg, save(IN_UDPV6_RECVMSG, arg0, arg1, RECV_FLAGS))
ON_KRETPROBE(udpv6_recvmsg, int, udp_returned(IN_UDPV6_RECVMSG, AF_INET6, RECEIVED, result))
ON_RAW(udp_recv, udp_socket(arg0, RECEIVED, arg1, arg2))

inline_int closed(int direct, u64 sk)
{
	struct peer peer = {};

	if (LOOK_FIRST)
		look(direct, sk, &peer);
	return IS_OTHERS(&peer) ? 0 : network_add(NO_ROW, TCP_CLOSES);
}
ON_FENTRY(tcp_close, closed(READ_DIRECT, arg0))
ON_KPROBE(tcp_close, closed(READ_BY_HELPER, arg0))
ON_RAW(tcp_destroy_sock, closed(READ_BY_HELPER, arg0))

/* tcp_retransmit_skb(sk, skb). No function stands for it: __tcp_retransmit_skb() is where all come together, and is inlined
 * into one of its callers (Debian 6.1), as a probe on it shows. */
inline_int retransmitted(u64 sk, int failed, int inbound)
{
	struct peer peer = {};
	int serves;

	if (failed)
		return 0;
	look(READ_BY_HELPER, sk, &peer);
	if (IS_OTHERS(&peer))
		return 0;
	network_add(row_of_socket(sk, &peer), TCP_RETRANSMITS);
	if (!CONNECTIONS)
		return 0;
	serves = inbound || is_service(&peer, IPPROTO_TCP);
	if (!passes_address(&peer) || !passes_port(serves ? peer.local_port : peer.remote_port))
		return 0;
	add_to_flow(&peer, IPPROTO_TCP, serves, RETRANSMITTED, 0);
	return network_add(NO_ROW, serves ? IN_RETRANSMITS : OUT_RETRANSMITS);
}
/* the tracepoint has the error since 6.15, before that it told of successes only */
ON_RAW(tcp_retransmit_skb, retransmitted(arg0, NARGS_TRACE_tcp_retransmit_skb > 2 ? (int)ctx[2] : 0, 0))
/* tcp_retransmit_synack(sk, req): the answer to a request for a connection goes another way (tcp_rtx_synack), and there is no
 * socket yet. A struct request_sock begins as a socket does. */
ON_RAW(tcp_retransmit_synack, retransmitted(arg1, 0, 1))

inline_int connecting(u64 sk, struct peer *peer)
{
	int mapped = peer->family == AF_INET || is_mapped(peer->address);

	own(sk);
	if (IS_OTHERS(peer))
		return 0;
	FOR_EACH_ROW(network_add(row, mapped ? CONNECTS_V4 : CONNECTS_V6))
	return 0;
}
inline_int accepted(struct peer *peer, u32 row)
{
	if (!is_service(peer, IPPROTO_TCP))
		serve(peer, IPPROTO_TCP, row);
	return IS_OTHERS(peer) ? 0 : network_add(NO_ROW, ACCEPTS);
}

/* Of a socket that is connected to itself both ends are the same. It opens simultaneously (RFC 9293, 3.5), so it goes through
 * SYN_RECV as well, but nobody accepts it. */
inline_int is_its_own_peer(u64 sk, struct peer *peer)
{
	u32 own[4] = {}, v4 = 0;

	if (peer->local_port != peer->remote_port)
		return 0;
	if (peer->family == AF_INET6) {
		bpf_probe_read_kernel(own, sizeof(own), (void *)(sk + SKC_V6_RCV_SADDR));
	} else {
		bpf_probe_read_kernel(&v4, sizeof(v4), (void *)(sk + SKC_RCV_SADDR));
		map_v4(own, v4);
	}
	return own[0] == peer->address[0] && own[1] == peer->address[1] && own[2] == peer->address[2] &&
	       own[3] == peer->address[3];
}

/* inet_sock_set_state(sk, oldstate, newstate), since 4.16; states as in include/net/tcp_states.h */
enum { ESTABLISHED = 1, SYN_SENT = 2, SYN_RECV = 3, LISTEN = 10 };
inline_int changed_state(u64 sk, int old, int new)
{
	struct peer peer = {};

	if (new != ESTABLISHED && new != SYN_SENT && new != LISTEN)
		return 0;
	if (!is_socket(sk, IPPROTO_TCP, SOCK_STREAM))
		return 0;
	look(READ_BY_HELPER, sk, &peer);
	if (new == SYN_SENT)
		return connecting(sk, &peer);
	if (new == LISTEN)
		return serve(&peer, IPPROTO_TCP, ROW_OF_CURRENT);
	return old == SYN_RECV && !is_its_own_peer(sk, &peer) ? accepted(&peer, NO_ROW) : opened_by_us(&peer);
}
ON_RAW(inet_sock_set_state, changed_state(arg0, arg1, arg2))

/* inet_csk_accept() returns the new socket */
inline_int accept_returned(int direct, u64 sk)
{
	struct peer peer = {};

	if (!sk)
		return 0;
	look(direct, sk, &peer);
	return accepted(&peer, ROW_OF_CURRENT);
}
ON_FEXIT(inet_csk_accept, u64, accept_returned(READ_DIRECT, result))
ON_KRETPROBE(inet_csk_accept, u64, accept_returned(READ_BY_HELPER, result))

/* tcp_v6_connect() calls tcp_v4_connect() for IPv4-mapped addresses: a socket of IPv6 is counted there alone */
inline_int connect_returned(int direct, u64 sk, int family, int failed)
{
	struct peer peer = {};

	if (failed)
		return 0;
	look(direct, sk, &peer);
	if (peer.family != family)
		return 0;
	opened_by_us(&peer);
	return connecting(sk, &peer);
}
inline_int saved_connect(u64 function, int family, int failed)
{
	struct call call = {};

	return saved(function, &call) ? connect_returned(READ_BY_HELPER, call.sk, family, failed) : 0;
}
ON_FEXIT(tcp_v4_connect, int, connect_returned(READ_DIRECT, arg0, AF_INET, result))
ON_KPROBE(tcp_v4_connect, save(IN_CONNECT_V4, arg0, 0, 0))
ON_KRETPROBE(tcp_v4_connect, int, saved_connect(IN_CONNECT_V4, AF_INET, result))
ON_FEXIT(tcp_v6_connect, int, connect_returned(READ_DIRECT, arg0, AF_INET6, result))
ON_KPROBE(tcp_v6_connect, save(IN_CONNECT_V6, arg0, 0, 0))
ON_KRETPROBE(tcp_v6_connect, int, saved_connect(IN_CONNECT_V6, AF_INET6, result))
