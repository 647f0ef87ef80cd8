"""BPF programs of a test's own: a socket filter, which runs once for each datagram that a socket gets."""
import ctypes
import os
import socket
import struct

from ebpf_plugin.kernel import bpf
from ebpf_plugin.kernel import procfs

BPF_OBJ_PIN, BPF_PROG_ATTACH = 6, 8
SOCKET_FILTER, CGROUP_SKB, RAW_TRACEPOINT = 1, 8, 17
INGRESS = 0  # of a control group
SO_ATTACH_BPF = 50  # include/uapi/asm-generic/socket.h
TAKE_ALL = bytes.fromhex("b7000000ffff0000" "9500000000000000")  # r0 = 65535; exit

PASS = bytes.fromhex("b700000001000000" "9500000000000000")  # r0 = 1; exit


class Filtered:
    """A pair of sockets with a socket filter at one end. `id` is the filter's."""

    def __init__(self, name="own_filter"):
        self.descriptor = bpf.prog_load(SOCKET_FILTER, name, TAKE_ALL)
        self.id = procfs.fdinfo("self", self.descriptor)["prog_id"]
        self._from, self._to = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._to.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, self.descriptor)

    def run(self, n):
        """Let the program run n times."""
        for _ in range(n):
            self._from.send(b"x")
            assert self._to.recv(2) == b"x"

    def close(self):
        self._from.close()
        self._to.close()
        os.close(self.descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def pin(descriptor, path):
    text = ctypes.create_string_buffer(os.fsencode(path))
    bpf.bpf(BPF_OBJ_PIN, bytearray(struct.pack("=QII", ctypes.addressof(text), descriptor, 0)))


def attach_to_cgroup(directory, descriptor, attach_type):
    """As systemd does it; `directory` is a descriptor of the control group's."""
    bpf.bpf(BPF_PROG_ATTACH, bytearray(struct.pack("=IIII", directory, descriptor, attach_type, 0)))
