"""Programs that are attached to control groups of version 2: by links, or by BPF_PROG_ATTACH, as systemd does.

The kernel says of a control group which programs it has, not the other way round.
"""
from __future__ import annotations

import os
import struct

from ..kernel import bpf, procfs
from ..kernel.libc import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator

BPF_PROG_QUERY = 16
MOST = 64  # programs of one type at one control group (BPF_CGROUP_MAX_PROGS, include/linux/bpf-cgroup-defs.h)
# the enum bpf_attach_type of each type of program that control groups take
ATTACH_TYPES = {
    "cgroup_skb": (0, 1), "cgroup_sock": (2, 12, 13, 34), "sock_ops": (3,), "cgroup_device": (6,), "cgroup_sysctl": (18,),
    "cgroup_sock_addr": (8, 9, 10, 11, 14, 15, 19, 20, 29, 30, 31, 32, 49, 50, 51, 52, 53), "cgroup_sockopt": (21, 22)}


class Cgroups:
    """Paths of control groups from the root of their hierarchy, as they are when they are first asked for."""

    def __init__(self) -> None:
        self._mount = procfs.mount_of_version_2(procfs.read("/proc/self/mountinfo"))[0]
        self._paths: dict[int, str] | None = None  # by the number of the directory's inode, which is its id

    def path(self, number: int) -> str:
        """By the id; the id if there is no such control group."""
        if self._paths is None:
            self._paths = dict(self._all())
        return self._paths.get(number, "cgroup %d" % number)

    def _all(self) -> Iterator[tuple[int, str]]:
        for path, _, _ in os.walk(self._mount) if self._mount else ():
            try:
                yield os.stat(path).st_ino, path[len(self._mount):] or "/"
            except OSError:
                continue  # gone meanwhile

    def attached(self, types: Iterable[str]) -> Iterator[tuple[int, int, str]]:
        """(id of a program, its enum bpf_attach_type, path) for programs of these types. What a control group inherits is
        its parent's."""
        wanted = sorted({number for kind in types for number in ATTACH_TYPES.get(kind, ())})
        for _, path in self._all() if wanted else ():
            try:
                directory = os.open(self._mount + path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                for number in wanted:
                    for program in _programs(directory, number):
                        yield program, number, path
            finally:
                os.close(directory)


def _programs(directory: int, attach_type: int) -> list[int]:
    """Ids of the programs of a control group; none where the kernel does not know the type or does not tell us."""
    ids = bytearray(4 * MOST)
    # target_fd, attach_type, query_flags, attach_flags, prog_ids, prog_cnt
    attributes = bytearray(struct.pack("=IIIIQI4x", directory, attach_type, 0, 0, address(ids), MOST))
    try:
        bpf.bpf(BPF_PROG_QUERY, attributes)
    except OSError:
        return []
    count, = struct.unpack_from("=I", attributes, 24)
    return list(struct.unpack_from("=%dI" % count, ids))


def mounts_of(kind: str) -> list[str]:
    """The directories where a kind of file system is mounted."""
    fields = [line.split() for line in procfs.read("/proc/self/mounts").splitlines()]
    return [procfs.mount_path(field[1]) for field in fields if len(field) > 2 and field[2] == kind]
