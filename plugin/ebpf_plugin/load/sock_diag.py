"""The kernel's socket diagnosis, sock_diag(7), of the network namespace that the thread is in.

pyroute2 has the same, and importing it takes as long as all the rest of a start (97 of 200 ms) and 16 MB. Tests compare with
it.
"""
from __future__ import annotations

from _socket import AF_INET, AF_INET6, SOCK_RAW, socket  # the module socket is a tenth of a start
import os
import struct
from typing import Iterator

NETLINK, SOCK_DIAG = 16, 4  # AF_NETLINK, NETLINK_SOCK_DIAG
TCP, UDP = 6, 17
LISTEN, UNCONNECTED = 10, 7  # TCP_LISTEN; TCP_CLOSE, which is what UDP without a peer is in
FAMILIES = (AF_INET, AF_INET6)

BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, include/uapi/linux/sock_diag.h
REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
ERROR, DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port id
# struct inet_diag_req_v2: family, protocol, extensions, padding, states, and a struct inet_diag_sockid that says nothing
REQUEST = struct.Struct("=BBBxI48x")
LOCAL_PORT = struct.Struct(">H")  # of a struct inet_diag_msg, behind family, state, timer and retransmissions
RESULT = struct.Struct("=i")  # a negative errno, or 0
LONGEST = 1 << 16


def local_ports(family: int, protocol: int, state: int) -> Iterator[int]:
    """The local port of each socket of this family and protocol that is in this state. Raises OSError."""
    diag = socket(NETLINK, SOCK_RAW, SOCK_DIAG)
    try:
        diag.settimeout(10)
        request = REQUEST.pack(family, protocol, 0, 1 << state)
        diag.send(HEADER.pack(HEADER.size + len(request), BY_FAMILY, REQUEST_DUMP, 1, 0) + request)
        while True:
            data = diag.recv(LONGEST)
            at = 0
            while at < len(data):
                length, kind, _, _, _ = HEADER.unpack_from(data, at)
                if kind in (ERROR, DONE):  # a dump that fails ends with its error (netlink_dump_done, 4.13)
                    number = RESULT.unpack_from(data, at + HEADER.size)[0] if length >= HEADER.size + RESULT.size else 0
                    if number < 0:
                        raise OSError(-number, os.strerror(-number))
                    return
                yield LOCAL_PORT.unpack_from(data, at + HEADER.size + 4)[0]
                at += (length + 3) & ~3
    finally:
        diag.close()
