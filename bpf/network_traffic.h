/* network_traffic.h - what a call that sends or receives adds to the counters, which groups/network.py names. */

inline_int network_add(u32 row, int counter)
{
	struct counters *c = counters_of(row);

	if (c)
		__sync_fetch_and_add(&c->n[counter], 1);
	return 0;
}

/* Of tests: the only network namespace whose traffic counts; 0 in earnest. */
#define IS_OTHERS(peer) (TEST_NETNS && (peer)->netns != TEST_NETNS)
#define LOOK_FIRST (TEST_NETNS != 0)

#define EAGAIN 11
#define MSG_PEEK 2
#define MSG_ERRQUEUE 0x2000

/* EAGAIN says "not yet", it is no error. */
inline_int traffic_add(u32 cpu, u32 row, int calls, s64 result, u64 bytes)
{
	struct counters *c = counters_on(cpu, row);

	if (!c)
		return 0;
	__sync_fetch_and_add(&c->n[calls], 1);
	if (result < 0 && result != -EAGAIN)
		__sync_fetch_and_add(&c->n[calls + 1], 1);
	__sync_fetch_and_add(&c->n[calls + 2], bytes);
	return 0;
}
inline_int flow_total(u32 cpu, int counter, u64 bytes)
{
	struct counters *c = counters_on(cpu, NO_ROW);

	if (!c)
		return 0;
	__sync_fetch_and_add(&c->n[counter], bytes);
	__sync_fetch_and_add(&c->n[counter + 1], 1);
	return 0;
}

/* One call that sends or receives. Only bytes that leave or enter the queue count: a look at them (MSG_PEEK) does not.
 * `message` is 0 where the attach method has none. Of UDP only sockets of `family` count: udpv6_sendmsg() calls udp_sendmsg()
 * for IPv4-mapped addresses, and a socket of IPv6 is counted there alone. */
#define EACH_FAMILY 0
inline_int moved(int direct, u64 sk, int protocol, int family, int way, u64 message, s64 result, u64 flags)
{
	int calls = protocol == IPPROTO_TCP ? TCP_SEND_CALLS : UDP_SEND_CALLS, total, serves;
	struct peer peer = {};
	u32 cpu = bpf_get_smp_processor_id();
	u64 bytes = result > 0 && !(way == RECEIVED && flags & (MSG_PEEK | MSG_ERRQUEUE)) ? result : 0;

	if (protocol == IPPROTO_UDP)
		look_at(direct, sk, &peer, !LOOK_FIRST);
	else if (LOOK_FIRST)
		look(direct, sk, &peer);
	if (family != EACH_FAMILY && peer.family != family)
		return 0;
	if (IS_OTHERS(&peer))
		return 0;
	if (way == RECEIVED)
		calls += 3;
	FOR_EACH_ROW(traffic_add(cpu, row, calls, result, bytes))
	if (!bytes || !CONNECTIONS)
		return 0;

	if (!LOOK_FIRST && protocol == IPPROTO_TCP)
		look(direct, sk, &peer);
	if (protocol == IPPROTO_TCP && !peer.known) /* asked for by who is not connected, and refused */
		return 0;
	serves = protocol == IPPROTO_TCP ? is_service(&peer, IPPROTO_TCP) : udp_serves(sk, &peer, way);
	if (protocol == IPPROTO_UDP && message)
		look_at_message(direct, message, &peer);
	if (!passes_address(&peer) || !passes_port(serves ? peer.local_port : peer.remote_port))
		return 0;
	add_to_flow(&peer, protocol, serves, way, bytes);
	total = protocol == IPPROTO_TCP ? TCP_OUT_SENT : UDP_OUT_SENT;
	if (way == RECEIVED)
		total += 2;
	return serves ? flow_total(cpu, total + 4, bytes) : flow_total(cpu, total, bytes);
}

#define TCP_SENT(direct, sk, result) moved(direct, sk, IPPROTO_TCP, EACH_FAMILY, SENT, 0, result, 0)
#define TCP_RECEIVED(direct, sk, result, flags) moved(direct, sk, IPPROTO_TCP, EACH_FAMILY, RECEIVED, 0, result, flags)

/* Probes: the arguments are saved at the call, for at the return their registers hold anything. By thread and function. A call
 * whose return is never told (all instances of the kretprobe in use) makes room (LRU). */
struct call {
	u64 sk, message, flags;
};
TABLE(network_calls, u64, struct call);
enum { IN_TCP_SENDMSG = 1, IN_TCP_SENDPAGE, IN_TCP_RECVMSG, IN_TCP_SPLICE, IN_UDP_SENDMSG, IN_UDPV6_SENDMSG, IN_UDP_RECVMSG,
	IN_UDPV6_RECVMSG, IN_CONNECT_V4, IN_CONNECT_V6 };
/* thread ids have 22 bits (PID_MAX_LIMIT), so the uppermost are free */
inline_u64 call_key(u64 function) { return bpf_get_current_pid_tgid() | function << 56; }
inline_int save(u64 function, u64 sk, u64 message, u64 flags)
{
	u64 key = call_key(function);
	struct call call = {.sk = sk, .message = message, .flags = flags};

	update(network_calls, &key, &call);
	return 0;
}
inline_int saved(u64 function, struct call *call)
{
	u64 key = call_key(function);
	struct call *found = lookup(network_calls, &key);

	if (!found)
		return 0;
	*call = *found;
	delete(network_calls, &key);
	return 1;
}
inline_int tcp_returned(u64 function, int way, s64 result)
{
	struct call call = {};

	return saved(function, &call) ? moved(READ_BY_HELPER, call.sk, IPPROTO_TCP, EACH_FAMILY, way, 0, result, call.flags) : 0;
}
inline_int udp_returned(u64 function, int family, int way, s64 result)
{
	struct call call = {};

	return saved(function, &call) ?
		moved(READ_BY_HELPER, call.sk, IPPROTO_UDP, family, way, call.message, result, call.flags) : 0;
}
