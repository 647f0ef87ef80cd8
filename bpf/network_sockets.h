/* network_sockets.h - the two ends of a connection, as a socket or a message has them.
 *
 * The fields are at offsets from the running kernel's BTF (plugin/ebpf_plugin/groups/network.py); without it none of these
 * programs can be loaded. A trampoline's pointers are known to the verifier, which lets it read them like its own memory
 * (READ_DIRECT); everything else goes through a helper.
 */

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

/* What is known of a socket: its ports in host order, the remote address as IPv6 (IPv4 as ::ffff:a.b.c.d), in network order. */
struct peer {
	u32 netns;
	u16 family, local_port, remote_port;
	u8 bound; /* to a port that the program chose itself */
	u8 known; /* the remote end is */
	u32 address[4];
};

#define READ_DIRECT 1
#define READ_BY_HELPER 0

#define FIELD(type, base, offset) (*(type *)((base) + (offset)))
#define SWAP16(value) __builtin_bswap16(value)
#define SOCK_BINDPORT_LOCK 8
#define SOCK_COMMON_PART (SKC_V6_DADDR + 16) /* all of struct sock_common that is read here lies before its end */
#define SOCK_COMMON_MAX 128 /* it is 72 in 5.10 to 7.2; where it is more, the verifier refuses the program */

inline_int is_mapped(u32 *address) { return !address[0] && !address[1] && address[2] == 0xFFFF0000; }
inline_int map_v4(u32 *address, u32 v4)
{
	address[0] = address[1] = 0;
	address[2] = 0xFFFF0000; /* ::ffff:0:0, little-endian as all machines in hooks.h */
	address[3] = v4;
	return 0;
}

/* Fills `peer`; with `least` without the network namespace and the port of a socket that is not bound, and without an address
 * that is not known. Each direct load costs about ten instructions on x86: the kernel checks the address first (BPF_PROBE_MEM). */
inline_int look_at(int direct, u64 sk, struct peer *peer, int least)
{
	u64 copy[SOCK_COMMON_MAX / 8] = {}, common, net;
	u8 locks = 0;

	if (direct) {
		common = sk;
		locks = FIELD(u8, sk, SK_USERLOCKS_BIT / 8);
	} else {
		bpf_probe_read_kernel(copy, SOCK_COMMON_PART, (void *)sk);
		common = (u64)copy;
		net = FIELD(u64, common, SKC_NET);
		bpf_probe_read_kernel(&peer->netns, sizeof(u32), (void *)(net + NET_INUM));
		bpf_probe_read_kernel(&locks, sizeof(locks), (void *)(sk + SK_USERLOCKS_BIT / 8));
	}
	peer->bound = (locks >> SK_USERLOCKS_BIT % 8 & SOCK_BINDPORT_LOCK) != 0;
	if (peer->bound || !least) {
		peer->local_port = FIELD(u16, common, SKC_NUM);
		if (direct)
			peer->netns = FIELD(u32, FIELD(u64, sk, SKC_NET), NET_INUM);
	}
	peer->family = FIELD(u16, common, SKC_FAMILY);
	peer->remote_port = SWAP16(FIELD(u16, common, SKC_DPORT));
	peer->known = peer->remote_port != 0;
	if (least && !peer->known)
		return 0;
	if (peer->family == AF_INET6) {
		peer->address[0] = FIELD(u32, common, SKC_V6_DADDR);
		peer->address[1] = FIELD(u32, common, SKC_V6_DADDR + 4);
		peer->address[2] = FIELD(u32, common, SKC_V6_DADDR + 8);
		peer->address[3] = FIELD(u32, common, SKC_V6_DADDR + 12);
	} else {
		map_v4(peer->address, FIELD(u32, common, SKC_DADDR));
	}
	return 0;
}

inline_int look(int direct, u64 sk, struct peer *peer) { return look_at(direct, sk, peer, 0); }

/* The address in a message: where a datagram goes to, or came from. struct sockaddr_in and sockaddr_in6 are UAPI. */
inline_int look_at_message(int direct, u64 message, struct peer *peer)
{
	u32 name[7];
	u64 where = 0;
	u16 of_family, port;

	if (direct)
		where = FIELD(u64, message, MSG_NAME);
	else
		bpf_probe_read_kernel(&where, sizeof(where), (void *)(message + MSG_NAME));
	if (!where)
		return 0;
	bpf_probe_read_kernel(name, sizeof(name), (void *)where);
	of_family = name[0] & 0xFFFF;
	port = SWAP16(name[0] >> 16);
	if (of_family == AF_INET) {
		map_v4(peer->address, name[1]);
	} else if (of_family == AF_INET6) {
		peer->address[0] = name[2];
		peer->address[1] = name[3];
		peer->address[2] = name[4];
		peer->address[3] = name[5];
	} else {
		return 0;
	}
	peer->remote_port = port;
	peer->known = 1;
	return 0;
}

inline_int family_of(int direct, u64 sk)
{
	u16 family = 0;

	if (direct)
		return FIELD(u16, sk, SKC_FAMILY);
	bpf_probe_read_kernel(&family, sizeof(family), (void *)(sk + SKC_FAMILY));
	return family;
}

/* The tracepoints of socket calls (6.3) tell of every socket: also of raw ones that send TCP or UDP by hand. */
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
inline_int is_socket(u64 sk, u16 protocol, u16 type)
{
	u16 of = 0, family = family_of(READ_BY_HELPER, sk);

	if (family != AF_INET && family != AF_INET6)
		return 0;
	bpf_probe_read_kernel(&of, sizeof(of), (void *)(sk + SK_PROTOCOL));
	if (of != protocol)
		return 0;
	bpf_probe_read_kernel(&of, sizeof(of), (void *)(sk + SK_TYPE));
	return of == type;
}
