/* network_flows.h - connections: which side of a socket serves, which traffic ebpf.conf asks for, and its groups.
 * Pairs with plugin/ebpf_plugin/collect/connections.py.
 *
 * A group is what a dimension shows: outbound the service's port, the protocol and the remote address; inbound the local port
 * and the protocol. Groups leave the map when it is full (LRU), so the totals per direction are in the counters: what no
 * dimension shows is total less shown. A group is counted before the total is, and totals are read before groups: so
 * what is read of the groups is never less than what the totals say.
 */

enum way { SENT, RECEIVED, RETRANSMITTED };

struct flow_key {
	u32 address[4]; /* zero if inbound */
	u16 port;
	u8 protocol, inbound;
};
struct flow {
	u64 born; /* ns; a group that comes back after it left begins at zero and has another one */
	u64 sent_bytes, sent_packets, received_bytes, received_packets, retransmits;
};
TABLE(flows, struct flow_key, struct flow);

/* Ports that are served. Filled at start from the kernel's socket diagnosis, then by what sockets do. */
struct service {
	u32 netns;
	u16 port, protocol;
};
TABLE(services, struct service, u32); /* the row of who serves, 0 if it is not known */

inline_int is_service(struct peer *peer, u16 protocol)
{
	struct service service = {.netns = peer->netns, .port = peer->local_port, .protocol = protocol};

	return lookup(services, &service) != 0;
}

inline_int serve(struct peer *peer, u16 protocol, u32 row)
{
	struct service service = {.netns = peer->netns, .port = peer->local_port, .protocol = protocol};

	update(services, &service, &row);
	return 1;
}

/* The kernel gives no client a port that a socket is bound to, be it a listener or what it has accepted (inet_csk_get_port,
 * __inet_hash_connect): a port that it has chosen for a client is not served any more. */
inline_int opened_by_us(struct peer *peer)
{
	struct service service = {.netns = peer->netns, .port = peer->local_port, .protocol = IPPROTO_TCP};

	if (!peer->bound)
		delete(services, &service);
	return 0;
}

/* Whose a socket is when its timer runs, which is in nobody's name: who connected it, or who listens on its port. */
TABLE(socket_rows, u64, u32);
inline_int own(u64 sk)
{
	u32 row = ROW_OF_CURRENT;

	if (!APPS)
		return 0;
	update(socket_rows, &sk, &row);
	return 0;
}
inline_u64 row_of_socket(u64 sk, struct peer *peer)
{
	struct service service = {.netns = peer->netns, .port = peer->local_port, .protocol = IPPROTO_TCP};
	u32 *row;

	if (!APPS)
		return NO_ROW;
	row = lookup(services, &service);
	if (!row)
		row = lookup(socket_rows, &sk);
	return row ? *row : NO_ROW;
}

/* A UDP socket that is bound to a port of its own and has no peer serves if it has heard somebody before it spoke; resolvers
 * that choose their ports themselves speak first. By socket, with its port, as an address is used again. */
TABLE(udp_sides, u64, u32);

inline_int udp_serves(u64 sk, struct peer *peer, int way)
{
	u32 *known, side;

	if (!peer->bound)
		return 0;
	if (peer->remote_port)
		return is_service(peer, IPPROTO_UDP);
	known = lookup(udp_sides, &sk);
	if (known && *known >> 1 == peer->local_port)
		return *known & 1;
	side = way == RECEIVED || is_service(peer, IPPROTO_UDP);
	if (side)
		serve(peer, IPPROTO_UDP, NO_ROW);
	side |= (u32)peer->local_port << 1;
	update(udp_sides, &sk, &side);
	return side & 1;
}

/* 1024 words of 64 bits, one for each port */
TABLE(flow_ports, u32, u64);
inline_int passes_port(u16 port)
{
	if (FILTER_PORTS) {
		u32 word = port >> 6;
		u64 *ports = lookup(flow_ports, &word);

		return ports && *ports >> (port & 63) & 1;
	}
	return 1;
}

/* the networks that pass */
struct network {
	u32 bits;
	u32 address[4];
};
TABLE(flow_networks, struct network, u8);
inline_int passes_address(struct peer *peer)
{
	if (FILTER_ADDRESSES) {
		struct network network = {.bits = 128};

		if (!peer->known)
			return 0;
		__builtin_memcpy(network.address, peer->address, sizeof(network.address));
		return lookup(flow_networks, &network) != 0;
	}
	return 1;
}

/* Adds to the group of `peer`, if there is room for it. */
inline_int add_to_flow(struct peer *peer, u8 protocol, u8 inbound, int way, u64 bytes)
{
	struct flow_key key = {.protocol = protocol, .inbound = inbound};
	struct flow *flow;

	if (inbound) {
		key.port = peer->local_port;
	} else {
		if (!peer->known)
			return 0;
		key.port = peer->remote_port;
		__builtin_memcpy(key.address, peer->address, sizeof(key.address));
	}
	flow = lookup(flows, &key);
	if (!flow) {
		struct flow new = {.born = bpf_ktime_get_ns()};

		insert(flows, &key, &new);
		flow = lookup(flows, &key);
		if (!flow)
			return 0;
	}
	if (way == RETRANSMITTED) {
		__sync_fetch_and_add(&flow->retransmits, 1);
	} else if (way == SENT) {
		__sync_fetch_and_add(&flow->sent_bytes, bytes);
		__sync_fetch_and_add(&flow->sent_packets, 1);
	} else {
		__sync_fetch_and_add(&flow->received_bytes, bytes);
		__sync_fetch_and_add(&flow->received_packets, 1);
	}
	return 0;
}
