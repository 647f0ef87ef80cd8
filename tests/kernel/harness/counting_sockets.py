"""Sockets that keep account of their own calls, and two processes that talk through them.

A Wire's methods are one system call each. What the calls returned is summed in a Tally: this, not what was asked for, is
what the charts must show.
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

_libc = ctypes.CDLL(None, use_errno=True)
ROW = ("sent_bytes", "sent_packets", "recv_bytes", "recv_packets")
BUFFER = bytearray(65536)  # nobody looks at what is received


class Way(NamedTuple):
    """How to reach a host: family, the address to listen on, whether sockets are for IPv6 only, prefix of IPv4 addresses."""
    family: int
    any: str
    v6_only: bool = True
    prefix: str = ""

    def to(self, host):
        return self.prefix + host.v4 if self.family == socket.AF_INET or self.prefix else host.v6


V4 = Way(socket.AF_INET, "0.0.0.0")
V6 = Way(socket.AF_INET6, "::")
MAPPED = Way(socket.AF_INET6, "::", False, "::ffff:")  # IPv4 on a socket for IPv6; as a server for both


class Tally:
    """counters: {"tcp_send_calls": sum}, rows: {(direction, protocol, service port, remote address or None): [as in ROW]}"""

    def __init__(self):
        self.counters, self.rows = collections.Counter(), {}

    def call(self, name, row, function, *arguments):
        """The bytes that a call moved, or its negative errno. EAGAIN is no error. `name` is "tcp_send", "udp_recv", ..."""
        self.counters[name + "_calls"] += 1
        try:
            result = function(*arguments)
        except OSError as error:
            self.counters[name + "_errors"] += error.errno != errno.EAGAIN
            return -error.errno
        return self.moved(name, row, result)

    def moved(self, name, row, size):
        if size:
            self.counters[name + "_bytes"] += size
            where = 0 if name.endswith("send") else 2
            self.rows.setdefault(row, [0] * len(ROW))
            self.rows[row][where] += size
            self.rows[row][where + 1] += 1
        return size


class Wire:
    """A socket. `row` is the group that its bytes belong to, as soon as that is known."""

    def __init__(self, tally, found, row=None):
        self.socket, self.row, self._tally = found, row, tally
        self.protocol = "tcp" if found.type == socket.SOCK_STREAM else "udp"

    def _send(self, function, *arguments):
        return self._tally.call(self.protocol + "_send", self.row, function, *arguments)

    def _recv(self, function, *arguments):
        return self._tally.call(self.protocol + "_recv", self.row, function, *arguments)

    def _out(self, address, port):
        remote = address[len(MAPPED.prefix):] if address.startswith(MAPPED.prefix) else address
        return "out", self.protocol.upper(), port, remote

    # beginning and end

    def connect(self, address, port):
        """0 or errno."""
        self.row = self._out(address, port)
        if self.protocol == "tcp":
            self._tally.counters["connect_v6" if ":" in self.row[-1] else "connect_v4"] += 1
        return self.socket.connect_ex((address, port))

    def serve(self, way, port):
        if way.family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, way.v6_only)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((way.any, port))
        self.row = "in", self.protocol.upper(), port, None
        if self.protocol == "tcp":
            self.socket.listen(4096)
        return self

    def accept(self):
        """A Wire."""
        accepted, _ = self.socket.accept()
        self._tally.counters["accept_tcp"] += 1
        return Wire(self._tally, accepted, self.row)

    def close(self):
        self._tally.counters["tcp_close"] += self.protocol == "tcp"
        self.socket.close()

    def reset(self):
        """Close such that the other side is told of an error, and nothing is left here."""
        self.set(socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def set(self, option, value):
        self.socket.setsockopt(socket.SOL_SOCKET, option, value)

    def await_event(self, event=0):
        """Wait for an event of poll(2), or for an error or the end of the connection."""
        poll = select.poll()
        poll.register(self.socket, event)
        poll.poll()

    # messages out: `size` bytes of no meaning

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

    # messages in

    def recv(self, size, flags=0):
        return self._recv(self.socket.recv_into, BUFFER, size, flags)

    def recv_all(self, size):
        return self.recv(size, socket.MSG_WAITALL)

    def peek(self, size):
        """As recv_all(), of bytes that stay where they are."""
        return self._recv(self._stay, size)

    def _stay(self, size):
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
        """From the socket into a pipe."""
        return self._recv(lambda: network_namespaces.checked(_libc.splice(self.socket.fileno(), None, pipe, None, size, 0)))

    def recvmmsg(self, *sizes):
        return self._many("recv", _libc.recvmmsg, sizes, 0, None)

    def _many(self, direction, function, sizes, *arguments):
        """The sizes of the messages that sendmmsg(2) or recvmmsg(2) moved; each counts as a call."""
        # struct mmsghdr: name, its length, iovec, their number, control, its length, flags; then what was moved
        buffers = [ctypes.create_string_buffer(size) for size in sizes]
        vectors = [ctypes.create_string_buffer(struct.pack("PN", ctypes.addressof(b), len(b))) for b in buffers]
        messages = ctypes.create_string_buffer(b"".join(
            struct.pack("PIPNPNi4xI4x", 0, 0, ctypes.addressof(vector), 1, 0, 0, 0, 0) for vector in vectors))
        moved = network_namespaces.checked(function(self.socket.fileno(), messages, len(sizes), *arguments))
        found = [struct.unpack_from("56xI", messages, 64 * i)[0] for i in range(moved)]
        name = "%s_%s" % (self.protocol, direction)
        self._tally.counters[name + "_calls"] += moved
        return [self._tally.moved(name, self.row, size) for size in found]


class End:
    """One of two processes that talk: its host, that of the other, the port of the service; and pipes between them."""

    def __init__(self, host, other, port, hears, says):
        self.host, self.other, self.port, self.hears, self._says = host, other, port, hears, says
        self.tally = Tally()

    def tcp(self, way):
        return Wire(self.tally, socket.socket(way.family, socket.SOCK_STREAM))

    def udp(self, way):
        return Wire(self.tally, socket.socket(way.family, socket.SOCK_DGRAM))

    def say(self):
        os.write(self._says, b".")

    def hear(self):
        """Wait until the other end has said something."""
        assert os.read(self.hears, 1), "nobody to hear"


class Heard(NamedTuple):
    """What the calls of the measured end returned, as in a Tally without zeros; the counters of the other end; how much the
    kernel's counters of the measured host have grown; how long its end took."""
    counters: dict
    rows: dict
    theirs: dict
    kernel: dict
    seconds: float


def converse(here, there, port, functions, comm=None):
    """Heard, when functions[0](end) has run on the host `here`, by the name `comm`, and functions[1](end) on `there`."""
    pipes = [os.pipe(), os.pipe()]
    ends = End(here, there, port, pipes[0][0], pipes[1][1]), End(there, here, port, pipes[1][0], pipes[0][1])
    before = here.counters()
    try:
        mine = here.start(_tell, ends[0], functions[0], comm=comm)
        (counters, rows, seconds), theirs = network_namespaces.results(mine, there.start(_tell, ends[1], functions[1]))
    finally:
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])
    grown = {name: value - before.get(name, 0) for name, value in here.counters().items()}
    return Heard(counters, rows, theirs[0], grown, seconds)


def _tell(end, function):
    begun = time.monotonic()
    function(end)
    seconds = time.monotonic() - begun
    return dict(+end.tally.counters), {row: tuple(values) for row, values in end.tally.rows.items()}, seconds
