/*
 * The ebpf.plugin that an installed agent starts: it hands a few capabilities to the Python program and becomes it.
 *
 * A script can be neither setuid nor carry file capabilities, so this file does: mode 0750, owner root, group netdata,
 *     setcap cap_bpf,cap_perfmon,cap_dac_read_search,cap_sys_admin,cap_sys_resource=p
 * (permitted, not effective: then what the bounding set of the agent's service takes away is merely missing, and the
 * plugin says so; with =ep the kernel would not even start this file). Where the file system keeps no capabilities,
 * mode 4750 does as well.
 *
 * Whoever may run it can do with it what the plugin does, and nothing else: interpreter and program are compiled in, the
 * interpreter is isolated from the environment and from the user's files (-I), and the environment is made anew.
 */
#define _GNU_SOURCE
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PROGRAM
#error "compile with -DPROGRAM=the absolute path of the Python program, in quotes"
#endif
#define PYTHON "/usr/bin/python3"
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))

/* What the program gets, on which kernels: those that have CAP_BPF (5.8), those that have not, or all. */
enum kernels { NEW, OLD, ALL };
static const struct {
	int capability;
	enum kernels kernels;
} TABLE[] = {
	{ CAP_BPF, NEW },             /* maps, and loading programs */
	{ CAP_PERFMON, NEW },         /* programs that look at the kernel, and attaching them */
	{ CAP_SYS_ADMIN, OLD },       /* the same; elsewhere nobody gets it */
	{ CAP_DAC_READ_SEARCH, ALL }, /* the ids of tracepoints, as tracefs is closed to all but root */
	/* CAP_SYS_RESOURCE is used here, for the limit of locked memory, and not handed on. */
};

/* The environment: what the agent says, what a terminal is and what our own tests ask for are kept. */
static const char *const KEPT[] = { "NETDATA_", "EBPF_PLUGIN_TEST_", "TERM=" };
static char *const FIXED[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8" };

__attribute__((format(printf, 1, 2), noreturn))
static void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("ebpf.plugin ERROR : ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	exit(1);
}

/* All but root and the members of the group that this file belongs to, even if its mode lets others in by mistake. */
static void refuse_strangers(void)
{
	struct stat self;
	gid_t *groups;
	int n;

	if (getuid() == 0)
		return;
	if (stat("/proc/self/exe", &self) < 0)
		fail("cannot look at my own file: %m (is /proc mounted?)");
	if (getgid() == self.st_gid)
		return;
	n = getgroups(0, NULL);
	groups = calloc(n + 1, sizeof(*groups));
	if (!groups || (n = getgroups(n, groups)) < 0)
		fail("cannot get my groups: %m");
	while (n-- > 0)
		if (groups[n] == self.st_gid)
			return;
	fail("only root and members of group %u may start this; what works without is %s --check", self.st_gid, PROGRAM);
}

static uint64_t permitted(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		fail("cannot get capabilities: %m");
	return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

static void set_capabilities(uint64_t set, uint64_t inheritable)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	for (int half = 0; half < 2; half++) {
		data[half].effective = data[half].permitted = set >> 32 * half;
		data[half].inheritable = inheritable >> 32 * half;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		fail("cannot set capabilities: %m");
}

/* Let the next program, and what it starts, have what the table says, as far as it is permitted. */
static void hand_on_capabilities(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	const enum kernels here = prctl(PR_CAPBSET_READ, CAP_BPF, 0, 0, 0) < 0 ? OLD : NEW;
	uint64_t wanted = 0;

	set_capabilities(permitted(), 0);
	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* maps are charged to it before 5.11; the plugin tells if it is too low */
	for (size_t i = 0; i < LENGTH(TABLE); i++)
		if (TABLE[i].kernels == here || TABLE[i].kernels == ALL)
			wanted |= permitted() & 1ULL << TABLE[i].capability;
	/* if setuid: the user again, with what is permitted */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresuid(getuid(), getuid(), getuid()) < 0)
		fail("cannot become the user again: %m");
	set_capabilities(wanted, wanted);
	for (int capability = 0; capability < 64; capability++)
		if (wanted >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
			fail("cannot hand on capability %d: %m", capability);
}

static char **clean_environment(void)
{
	size_t n = 0, kept = 0;
	char **clean;

	while (environ[n])
		n++;
	clean = calloc(n + LENGTH(FIXED) + 1, sizeof(*clean));
	if (!clean)
		fail("no memory");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < LENGTH(KEPT); k++)
			if (strncmp(environ[i], KEPT[k], strlen(KEPT[k])) == 0) {
				clean[kept++] = environ[i];
				break;
			}
	for (size_t i = 0; i < LENGTH(FIXED); i++)
		clean[kept++] = FIXED[i];
	return clean;
}

int main(int argc, char **argv)
{
	char **command = calloc(argc + 4, sizeof(*command));
	sigset_t signals;

	if (!command)
		fail("no memory");
	refuse_strangers();
	if (getuid() != 0) /* root has all it takes */
		hand_on_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("cannot give up new privileges: %m");
	command[0] = PYTHON;
	command[1] = "-I";
	command[2] = PROGRAM;
	for (int i = 1; i < argc; i++)
		command[i + 2] = argv[i];
	/* Python answers a signal that comes while it begins with a traceback. The program lets them through when it can answer. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	execve(PYTHON, command, clean_environment());
	fail("cannot start %s: %m", PYTHON);
}
