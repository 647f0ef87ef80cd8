/* events.c - the events whose cost is measured, with nothing around them: no libc, so that the program is two kilobytes and
 * can go into a virtual machine as an argument. Prints one line for each event: its name and the nanoseconds of one, the
 * least of the blocks, as what disturbs only adds.
 * x86-64: cc -Os -static -nostdlib -fno-stack-protector -fno-builtin -o events events.c */
#define READ 0
#define WRITE 1
#define OPEN 2
#define CLOSE 3
#define SOCKET 41
#define CONNECT 42
#define ACCEPT 43
#define SENDTO 44
#define RECVFROM 45
#define BIND 49
#define LISTEN 50
#define GETSOCKNAME 51
#define FORK 57
#define EXIT 60
#define WAIT4 61
#define CLOCK_GETTIME 228

static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0; /* no address: send(2), recv(2) */
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return result;
}

static char buffer[4096];
static long null_device;

static void open_read_close(void)
{
	long file = call(OPEN, (long)"/dev/zero", 0, 0, 0);

	call(READ, file, (long)buffer, 64, 0);
	call(CLOSE, file, 0, 0, 0);
}

static void write_one_byte(void)
{
	call(WRITE, null_device, (long)buffer, 1, 0);
}

static void fork_exit_wait(void)
{
	if (call(FORK, 0, 0, 0, 0) == 0)
		call(EXIT, 0, 0, 0, 0);
	call(WAIT4, -1, 0, 0, 0);
}

/* two ends of a connection, and two sockets that send to each other, on loopback */
#define AF_INET 2
static struct {
	unsigned short family, port;
	unsigned int address;
	char zero[8];
} name = { AF_INET, 0, 0x0100007f };
static int name_size = sizeof(name);
static long client, server, speaker, hearer;

static void connect_them(void)
{
	long listener = call(SOCKET, AF_INET, 1, 0, 0);

	call(BIND, listener, (long)&name, sizeof(name), 0);
	call(LISTEN, listener, 1, 0, 0);
	call(GETSOCKNAME, listener, (long)&name, (long)&name_size, 0);
	client = call(SOCKET, AF_INET, 1, 0, 0);
	call(CONNECT, client, (long)&name, sizeof(name), 0);
	server = call(ACCEPT, listener, 0, 0, 0);
	name.port = 0;
	hearer = call(SOCKET, AF_INET, 2, 0, 0);
	call(BIND, hearer, (long)&name, sizeof(name), 0);
	call(GETSOCKNAME, hearer, (long)&name, (long)&name_size, 0);
	speaker = call(SOCKET, AF_INET, 2, 0, 0);
	call(CONNECT, speaker, (long)&name, sizeof(name), 0);
}

static void tcp_send_recv(void)
{
	call(SENDTO, client, (long)buffer, 100, 0);
	call(RECVFROM, server, (long)buffer, 100, 0);
}

static void udp_send_recv(void)
{
	call(SENDTO, speaker, (long)buffer, 100, 0);
	call(RECVFROM, hearer, (long)buffer, 100, 0);
}

/* a call of no hook: what the tracepoint method costs calls that it does not count */
static void nothing_of_ours(void)
{
	call(110, 0, 0, 0, 0); /* getppid */
}

static const struct {
	const char *name;
	void (*run)(void);
	long times;
} events[] = {
	{ "open+read+close", open_read_close, 4000 },
	{ "write", write_one_byte, 10000 },
	{ "tcp-send+recv", tcp_send_recv, 4000 },
	{ "udp-send+recv", udp_send_recv, 4000 },
	{ "fork+exit+wait", fork_exit_wait, 100 },
	{ "getppid", nothing_of_ours, 10000 },
};

static long now(void)
{
	long time[2];

	call(CLOCK_GETTIME, 1, (long)time, 0, 0); /* CLOCK_MONOTONIC */
	return time[0] * 1000000000 + time[1];
}

static void print(const char *name, long tenths)
{
	char line[64], digits[24];
	int length = 0, n = 0;

	while (*name)
		line[length++] = *name++;
	line[length++] = ' ';
	for (digits[n++] = '0' + tenths % 10, digits[n++] = '.', tenths /= 10; tenths || n < 3; tenths /= 10)
		digits[n++] = '0' + tenths % 10;
	while (n)
		line[length++] = digits[--n];
	line[length++] = '\n';
	call(WRITE, 1, (long)line, length, 0);
}

__attribute__((force_align_arg_pointer)) void _start(void)
{
	null_device = call(OPEN, (long)"/dev/null", 1, 0, 0);
	connect_them();
	for (int e = 0; e < sizeof(events) / sizeof(events[0]); e++) {
		long least = 1L << 62;

		for (int block = 0; block < 9; block++) {
			long begun = now();

			for (long i = 0; i < events[e].times; i++)
				events[e].run();
			begun = now() - begun;
			if (begun < least)
				least = begun;
		}
		print(events[e].name, least * 10 / events[e].times);
	}
	call(EXIT, 0, 0, 0, 0);
}
