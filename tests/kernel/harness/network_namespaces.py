"""Several hosts on one machine: network namespaces with links between them, and processes in them.

Every call and segment in the namespace of a measured host is of a workload. The namespaces have no names: they end with the
last process or descriptor that holds them, however a test ends. Needs root and iproute2.
"""
import contextlib
import ctypes
import os
import pickle
import select
import signal
import subprocess
import traceback

from harness.plugin_process import PATIENCE

V4, V6 = "10.77.0.%d", "fd77::%d"  # of the first host, the second, ...
CLONE_NEWNET = 0x40000000
NETWORK = "/proc/thread-self/ns/net"
UNUSED_MAC = "02:00:00:00:77:ff"
# How to lose what a host sends to another, {0}: {name: (program, commands to cut, commands to restore)}. sch_blackhole is in
# every kernel with queueing disciplines and reports success. A wrong neighbour needs no module: no card takes its frames.
CUTS = {
    "qdisc": ("tc", "qdisc add dev to-{0.name} root blackhole", "qdisc del dev to-{0.name} root"),
    "neighbour": ("ip", "neigh replace {0.v4} lladdr %s dev to-{0.name} nud permanent\n"
                        "neigh replace {0.v6} lladdr %s dev to-{0.name} nud permanent" % (UNUSED_MAC, UNUSED_MAC),
                  "neigh replace {0.v4} lladdr {0.mac} dev to-{0.name} nud permanent\n"
                  "neigh replace {0.v6} lladdr {0.mac} dev to-{0.name} nud permanent"),
}

_libc = ctypes.CDLL(None, use_errno=True)


class NotAvailable(Exception):
    """The kernel or the machine does not have something; the text says what."""


class Host:
    """A network namespace. `v4` and `v6` are its addresses, the same on each of its links; `inum` is its inode number."""

    def __init__(self, name, number):
        self.name = name
        self.v4, self.v6 = V4 % number, V6 % number
        self.mac = "02:00:00:00:77:%02x" % number
        self.namespace = new_namespace()
        self.inum = os.fstat(self.namespace).st_ino

    def close(self):
        os.close(self.namespace)

    def enter(self):
        """Move this process into the namespace."""
        checked(_libc.setns(self.namespace, CLONE_NEWNET))

    def start(self, function, *arguments, comm=None):
        """A Child that calls function(*arguments) on this host, as a process of the name `comm`."""
        return Child(self, function, arguments, comm)

    def run(self, function, *arguments, comm=None):
        """What function(*arguments) returns on this host."""
        return results(self.start(function, *arguments, comm=comm))[0]

    def configure(self, commands, program="ip"):
        """Lines of commands for `ip` or `tc`, on this host."""
        try:
            done = subprocess.run([program, "-batch", "-"], input=commands.encode(), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, preexec_fn=self.enter, check=False)
        except FileNotFoundError:
            raise NotAvailable("%s (iproute2)" % program) from None
        if done.returncode:
            raise NotAvailable("%s %s: %s" % (program, commands, done.stderr.decode().strip()))

    def setting(self, name, value):
        """Set a sysctl of this host: setting("ipv4/tcp_early_retrans", 0)."""
        self.run(_write, "/proc/sys/net/" + name, str(value))

    def counters(self):
        """{"Tcp.ActiveOpens": value, "Udp6InDatagrams": value, ...}: the kernel's counters of this host."""
        return self.run(_read_counters)

    def retransmissions(self):
        """Segments sent again so far, SYN-ACKs among them. A slow machine sends some again even after the workload has
        ended."""
        return self.counters()["Tcp.RetransSegs"]

    @contextlib.contextmanager
    def cut(self, other, how):
        """Meanwhile nothing sent from here arrives at the other host, and no call here fails. `how` is a key of CUTS."""
        program, cut, restore = CUTS[how]
        self.configure(cut.format(other), program)
        try:
            yield
        finally:
            self.configure(restore.format(other), program)


def why_not_cut(host, other, how):
    """Why Host.cut() does not work in this way; "" if it does."""
    try:
        with host.cut(other, how):
            return ""
    except NotAvailable as error:
        return "kernel that cannot drop packets by %s: %s" % (how, error)


@contextlib.contextmanager
def network(*names):
    """[Host] of these names. The first has a link to each of the others; IPv4 and IPv6 work at once."""
    found = []
    try:
        for number, name in enumerate(names, 1):
            found.append(Host(name, number))
            found[-1].configure("link set lo up")
            # send an ICMP error for every refused datagram: no type is rate limited, or only one (0) that does not exist
            found[-1].setting("ipv4/icmp_ratemask", 0)
            found[-1].setting("ipv6/icmp/ratemask", 0)
        for other in found[1:]:
            link(found[0], other)
        yield found
    finally:
        for host in found:
            host.close()


def link(one, other):
    """A pair of network cards, to-OTHER on one host and to-ONE on the other, with fixed neighbours: no ARP, no discovery."""
    one.configure("link add to-%s address %s type veth peer name to-%s address %s netns /proc/%d/fd/%d"
                  % (other.name, one.mac, one.name, other.mac, os.getpid(), other.namespace))
    for host, peer in (one, other), (other, one):
        host.configure("link set to-%s up" % peer.name)
    for host, peer in (one, other), (other, one):
        host.configure("""\
address add {0.v4}/32 dev to-{1.name}
address add {0.v6}/128 dev to-{1.name} nodad
route add {1.v4}/32 dev to-{1.name} src {0.v4}
route add {1.v6}/128 dev to-{1.name} src {0.v6}
""".format(host, peer) + CUTS["neighbour"][2].format(peer))


def new_namespace():
    """A descriptor of a new network namespace, which exists as long as a process or a descriptor holds it."""
    own = os.open(NETWORK, os.O_RDONLY)
    try:
        checked(_libc.unshare(CLONE_NEWNET))
        return os.open(NETWORK, os.O_RDONLY)
    except OSError as error:
        raise NotAvailable("network namespaces: %s" % error) from None
    finally:
        checked(_libc.setns(own, CLONE_NEWNET))
        os.close(own)


class Child:
    """A process on a host. What its function returns, or how it fails, comes back through a pipe."""

    def __init__(self, host, function, arguments, comm):
        self._pipe, writing = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            try:
                _libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # it ends with this process
                if comm:
                    _libc.prctl(15, comm.encode(), 0, 0, 0)
                _run_child(host, function, arguments, writing)
            finally:
                os._exit(1)
        os.close(writing)

    def fileno(self):
        return self._pipe

    def result(self):
        """(what the function returned, "" or how it failed)"""
        with os.fdopen(self._pipe, "rb", closefd=False) as pipe:
            data = pipe.read()
        return pickle.loads(data) if data else (None, "it was killed")

    def kill(self):
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._pipe)


def _run_child(host, function, arguments, writing):
    try:
        host.enter()
        result = function(*arguments), ""
    except BaseException:  # pylint: disable=broad-except
        result = None, traceback.format_exc()
    with os.fdopen(writing, "wb") as pipe:
        pickle.dump(result, pipe)


def results(*children):
    """What the children returned. If one fails, the others are killed a second later: they may wait for it for ever. The
    error has the texts of all that have failed by then."""
    found = {}
    try:
        while len(found) < len(children):
            failed = any(failure for _, failure in found.values())
            waiting = [child for child in children if child not in found]
            ready, _, _ = select.select(waiting, [], [], 1 if failed else PATIENCE)
            if failed and not ready:
                break
            assert ready, "no end after %d seconds" % PATIENCE
            found.update({child: child.result() for child in ready})
    finally:
        for child in children:
            child.kill()
    failures = [failure for _, failure in found.values() if failure]
    if failures:
        raise AssertionError("\n".join(failures))
    return [found[child][0] for child in children]


def checked(result):
    """A result of libc; its errno raised if it failed."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _read_counters():
    found = {}
    for name in ("snmp", "netstat"):
        with open("/proc/thread-self/net/" + name, encoding="ascii") as file:
            lines = [line.split() for line in file]
        for names, values in zip(lines[::2], lines[1::2]):
            found.update({names[0][:-1] + "." + each: int(value) for each, value in zip(names[1:], values[1:])})
    with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:
        found.update({name: int(value) for name, value in map(str.split, file)})
    return found
