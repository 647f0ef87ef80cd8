"""Sockets that count their own calls, and two processes that exchange messages through them.

Each method of a CountingSocket is one system call. CallCounts is the sum of what the calls returned: the charts must show
this, not what was requested.
"""
import collections
import ctypes
import errno
import os
import select
import socket
import struct
import time
from typing import NamedTuple

from harness import network_namespaces
from harness.exact_counts import ROW

_libc = ctypes.CDLL(None, use_errno=True)
BUFFER = bytearray(65536)  # what is received is never read from it


class IPVersion(NamedTuple):
    """How to reach a host: address family, address to listen on, whether sockets are IPv6 only, prefix of IPv4 addresses."""
    family: int
    any: str
    v6_only: bool = True
    prefix: str = ""

    def address_of(self, host):
        return self.prefix + host.v4 if self.family == socket.AF_INET or self.prefix else host.v6


V4 = IPVersion(socket.AF_INET, "0.0.0.0")
V6 = IPVersion(socket.AF_INET6, "::")
MAPPED = IPVersion(socket.AF_INET6, "::", False, "::ffff:")  # IPv4 on an IPv6 socket; a server takes both


class CallCounts:
    """counters: {"tcp_send_calls": sum}, rows: {(direction, protocol, service port, remote address or None): [as in ROW]}"""

    def __init__(self):
        self.counters, self.rows = collections.Counter(), {}

    def count_call(self, name, row, function, *arguments):
        """The bytes that a call moved, or its negative errno. EAGAIN is no error. `name` is "tcp_send", "udp_recv", ..."""
        self.counters[name + "_calls"] += 1
        try:
            result = function(*arguments)
        except OSError as error:
            self.counters[name + "_errors"] += error.errno != errno.EAGAIN
            return -error.errno
        return self.count_bytes(name, row, result)

    def count_bytes(self, name, row, size):
        if size:
            self.counters[name + "_bytes"] += size
            where = 0 if name.endswith("send") else 2
            self.rows.setdefault(row, [0] * len(ROW))
            self.rows[row][where] += size
            self.rows[row][where + 1] += 1
        return size


class CountingSocket:
    """A socket. `row` is the key in CallCounts.rows that its bytes belong to, None until it is known."""

    def __init__(self, counts, found, row=None):
        self.socket, self.row, self._counts = found, row, counts
        self.protocol = "tcp" if found.type == socket.SOCK_STREAM else "udp"

    def _send(self, function, *arguments):
        return self._counts.count_call(self.protocol + "_send", self.row, function, *arguments)

    def _recv(self, function, *arguments):
        return self._counts.count_call(self.protocol + "_recv", self.row, function, *arguments)

    def _out(self, address, port):
        remote = address[len(MAPPED.prefix):] if address.startswith(MAPPED.prefix) else address
        return "out", self.protocol.upper(), port, remote

    # begin and end

    def connect(self, address, port):
        """0 or errno."""
        self.row = self._out(address, port)
        if self.protocol == "tcp":
            self._counts.counters["connect_v6" if ":" in self.row[-1] else "connect_v4"] += 1
        return self.socket.connect_ex((address, port))

    def serve(self, ip, port):
        if ip.family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, ip.v6_only)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((ip.any, port))
        self.row = "in", self.protocol.upper(), port, None
        if self.protocol == "tcp":
            self.socket.listen(4096)
        return self

    def accept(self):
        """A CountingSocket."""
        accepted, _ = self.socket.accept()
        self._counts.counters["accept_tcp"] += 1
        return CountingSocket(self._counts, accepted, self.row)

    def close(self):
        self._counts.counters["tcp_close"] += self.protocol == "tcp"
        self.socket.close()

    def reset(self):
        """Close with a reset (RST): the other side gets an error, and no port stays in TIME_WAIT here."""
        self.set(socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def set(self, option, value):
        self.socket.setsockopt(socket.SOL_SOCKET, option, value)

    def await_event(self, event=0):
        """Wait for an event of poll(2), an error or the end of the connection."""
        poll = select.poll()
        poll.register(self.socket, event)
        poll.poll()

    # send `size` zero bytes

    def send(self, size, flags=0):
        return self._send(self.socket.send, bytes(size), flags)

    def write(self, size):
        return self._send(os.write, self.socket.fileno(), bytes(size))

    def sendmsg(self, *sizes):
        return self._send(self.socket.sendmsg, [bytes(size) for size in sizes])

    def sendto(self, size, address):
        if self.row is None or self.row[0] == "out":
            self.row = self._out(*address[:2])
        return self._send(self.socket.sendto, bytes(size), address)

    def sendfile(self, file, size):
        return self._send(os.sendfile, self.socket.fileno(), file, 0, size)

    def sendmmsg(self, *sizes):
        return self._many("send", _libc.sendmmsg, sizes, 0)

    # receive

    def recv(self, size, flags=0):
        return self._recv(self.socket.recv_into, BUFFER, size, flags)

    def recv_all(self, size):
        return self.recv(size, socket.MSG_WAITALL)

    def peek(self, size):
        """As recv_all() with MSG_PEEK: the bytes stay in the socket, so the count is 0."""
        return self._recv(self._peek, size)

    def _peek(self, size):
        found = self.socket.recv_into(BUFFER, size, socket.MSG_PEEK | socket.MSG_WAITALL)
        assert found == size, found
        return 0

    def read(self, size):
        return self._recv(lambda: len(os.read(self.socket.fileno(), size)))

    def recvmsg(self, *sizes):
        parts = [bytearray(size) for size in sizes]
        return self._recv(lambda: self.socket.recvmsg_into(parts, 0, socket.MSG_WAITALL)[0])

    def recvfrom(self, size):
        """(size or negative errno, address)"""
        found = []
        result = self._recv(lambda: found.append(self.socket.recvfrom_into(BUFFER, size)) or found[0][0])
        return result, found and found[0][1]

    def splice(self, pipe, size):
        """splice(2) from the socket into a pipe."""
        return self._recv(lambda: network_namespaces.checked(_libc.splice(self.socket.fileno(), None, pipe, None, size, 0)))

    def recvmmsg(self, *sizes):
        return self._many("recv", _libc.recvmmsg, sizes, 0, None)

    def _many(self, direction, function, sizes, *arguments):
        """The sizes of the messages that sendmmsg(2) or recvmmsg(2) moved. Each message counts as a call."""
        # struct mmsghdr: name, its length, iovec, their number, control, its length, flags; then what was moved
        buffers = [ctypes.create_string_buffer(size) for size in sizes]
        vectors = [ctypes.create_string_buffer(struct.pack("PN", ctypes.addressof(b), len(b))) for b in buffers]
        messages = ctypes.create_string_buffer(b"".join(
            struct.pack("PIPNPNi4xI4x", 0, 0, ctypes.addressof(vector), 1, 0, 0, 0, 0) for vector in vectors))
        moved = network_namespaces.checked(function(self.socket.fileno(), messages, len(sizes), *arguments))
        found = [struct.unpack_from("56xI", messages, 64 * i)[0] for i in range(moved)]
        name = "%s_%s" % (self.protocol, direction)
        self._counts.counters[name + "_calls"] += moved
        return [self._counts.count_bytes(name, self.row, size) for size in found]


class Peer:
    """One of two processes: its host, the other's host, the port of the service, and pipes to wait for each other."""

    def __init__(self, host, other, port, reading, writing):
        self.host, self.other, self.port, self.reading, self._writing = host, other, port, reading, writing
        self.counts = CallCounts()

    def tcp(self, ip):
        return CountingSocket(self.counts, socket.socket(ip.family, socket.SOCK_STREAM))

    def udp(self, ip):
        return CountingSocket(self.counts, socket.socket(ip.family, socket.SOCK_DGRAM))

    def signal(self):
        os.write(self._writing, b".")

    def wait(self):
        """Wait for the other peer's signal()."""
        assert os.read(self.reading, 1), "the other peer has ended"


class Outcome(NamedTuple):
    """What a pair has done: `counters` and `rows` of the measured peer, as in CallCounts without zeros; the counters of the
    other peer; what the kernel's counters of the measured host have grown by; the seconds that the measured peer took."""
    counters: dict
    rows: dict
    peer_counters: dict
    kernel: dict
    seconds: float


def run_pair(here, there, port, functions, comm=None):
    """Outcome of functions[0](peer) on the host `here`, in a process named `comm`, and functions[1](peer) on `there`."""
    pipes = [os.pipe(), os.pipe()]
    peers = Peer(here, there, port, pipes[0][0], pipes[1][1]), Peer(there, here, port, pipes[1][0], pipes[0][1])
    before = here.counters()
    try:
        processes = [here.start(_run_and_count, peers[0], functions[0], comm=comm),
                     there.start(_run_and_count, peers[1], functions[1])]
        (counters, rows, seconds), (peer_counters, _, _) = network_namespaces.results(*processes)
    finally:
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])
    grown = {name: value - before.get(name, 0) for name, value in here.counters().items()}
    return Outcome(counters, rows, peer_counters, grown, seconds)


def _run_and_count(peer, function):
    begun = time.monotonic()
    function(peer)
    seconds = time.monotonic() - begun
    return dict(+peer.counts.counters), {row: tuple(values) for row, values in peer.counts.rows.items()}, seconds
