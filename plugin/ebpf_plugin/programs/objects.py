"""Programs, links and maps by their ids: bpf(2) on objects of every process. Each function raises OSError.

The kernel gives ids and descriptors of others' objects to CAP_SYS_ADMIN alone (kernel/bpf/syscall.c, up to 6.18). An object
that is gone by the time it is asked for raises FileNotFoundError.
"""
from __future__ import annotations

import errno
import os
import struct
import time

from ..kernel import bpf, procfs
from ..kernel.libc import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

BPF_OBJ_GET, BPF_TASK_FD_QUERY, BPF_ENABLE_STATS = 7, 20, 32
BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_BTF_GET_FD_BY_ID = 11, 13, 14, 19
BPF_BTF_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID, BPF_LINK_GET_NEXT_ID = 23, 30, 31
BPF_STATS_RUN_TIME = 0
UNKNOWN_COMMAND = (errno.EINVAL,)  # what bpf(2) says to a command that it does not know

# enum bpf_prog_type, include/uapi/linux/bpf.h of 6.18; the names are those of bpftool
TYPES = ("unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb",
         "cgroup_sock", "lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint",
         "cgroup_sock_addr", "lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector", "cgroup_sysctl",
         "raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm", "sk_lookup", "syscall",
         "netfilter")

# struct bpf_prog_info up to `attach_btf_id` (6.0). A kernel that knows less leaves the end 0.
INFO = struct.Struct("=II8sII QQ QIIQ 16sIIQQ IIQQ IIQIIQQIIIIQ QQQ III4x")
FIELDS = {name: place for place, name in enumerate((
    "type", "id", "tag", "jited_length", "translated_length", "jited", "translated", "load_time", "uid", "map_count", "maps",
    "name", "ifindex", "flags", "netns_device", "netns_inode", "symbol_count", "length_count", "symbols", "lengths",
    "btf_id", "function_size", "functions", "function_count", "line_count", "lines", "jited_lines", "jited_line_count",
    "line_size", "jited_line_size", "tag_count", "tags", "run_time_ns", "run_cnt", "recursion_misses", "verified",
    "attach_btf_object", "attach_btf_id"))}
# where the kernel finds what it is asked for: `map_count` and `maps`; `function_size`, `functions` and `function_count`
MAPS_AT, FUNCTIONS_AT = 52, 132
FUNCTION_SIZE = 8  # struct bpf_func_info: offset of the instruction, id of its type


class Program:
    """A program as the kernel describes it.

    name: as loaded, at most 15 bytes; runs, run_time (ns): while statistics were on; missed: runs that the kernel left out
    because the program was running on that CPU already (5.12; before that, 0); at: when that was so, in ns of the monotonic
    clock; loaded: ns since boot; target: (id of a BTF object, id in it) of what it was loaded for, zeros if nothing.
    """

    __slots__ = ("id", "type", "name", "uid", "loaded", "runs", "run_time", "missed", "at", "map_count", "function_count",
                 "btf_id", "target")

    def __init__(self, fields: tuple[Any, ...], at: int):
        number: int = fields[FIELDS["type"]]
        self.type = TYPES[number] if number < len(TYPES) else "type_%d" % number
        self.name: str = fields[FIELDS["name"]].split(b"\0")[0].decode("ascii", "backslashreplace")
        self.id: int = fields[FIELDS["id"]]
        self.uid: int = fields[FIELDS["uid"]]
        self.loaded: int = fields[FIELDS["load_time"]]
        self.runs: int = fields[FIELDS["run_cnt"]]
        self.run_time: int = fields[FIELDS["run_time_ns"]]
        self.missed: int = fields[FIELDS["recursion_misses"]]
        self.at = at
        self.map_count: int = fields[FIELDS["map_count"]]
        self.function_count: int = fields[FIELDS["function_count"]]
        self.btf_id: int = fields[FIELDS["btf_id"]]
        self.target: tuple[int, int] = fields[FIELDS["attach_btf_object"]], fields[FIELDS["attach_btf_id"]]


def ids(command: int) -> Iterator[int]:
    """All ids of a kind, by its BPF_..._GET_NEXT_ID."""
    last = 0
    while True:
        attributes = bytearray(struct.pack("=III", last, 0, 0))
        try:
            bpf.bpf(command, attributes)
        except FileNotFoundError:
            return
        last = struct.unpack_from("=I", attributes, 4)[0]
        yield last


def descriptor(command: int, number: int) -> int:
    """A new descriptor of an object, by its BPF_..._GET_FD_BY_ID. The object lives as long as it is open."""
    return bpf.bpf(command, bytearray(struct.pack("=III", number, 0, 0)))


def with_descriptor(command: int, number: int, use: Callable[[int], Any]) -> Any:
    """What `use` gives for a descriptor of an object; None if the object is gone."""
    try:
        opened = descriptor(command, number)
    except FileNotFoundError:
        return None
    try:
        return use(opened)
    finally:
        os.close(opened)


def information(opened: int, buffer: bytearray) -> None:
    """BPF_OBJ_GET_INFO_BY_FD into a buffer, which may hold what the kernel is asked for."""
    bpf.bpf(bpf.BPF_OBJ_GET_INFO_BY_FD, bytearray(struct.pack("=IIQ", opened, len(buffer), address(buffer))))


def program(opened: int) -> Program:
    """What the kernel says of the program with this descriptor."""
    buffer = bytearray(INFO.size)
    information(opened, buffer)
    return Program(INFO.unpack(buffer), time.monotonic_ns())


def programs() -> Iterator[Program]:
    """Every program; one that vanishes meanwhile is left out."""
    for number in ids(BPF_PROG_GET_NEXT_ID):
        found = with_descriptor(BPF_PROG_GET_FD_BY_ID, number, program)
        if found is not None:
            yield found


def maps_and_function(opened: int, known: Program) -> tuple[tuple[int, ...], int]:
    """(ids of the maps of a program, the id of its function in its own BTF or 0)."""
    buffer = bytearray(INFO.size)
    map_ids = bytearray(4 * max(1, known.map_count))
    functions = bytearray(FUNCTION_SIZE)
    struct.pack_into("=IQ", buffer, MAPS_AT, known.map_count, address(map_ids))
    if known.function_count:
        struct.pack_into("=IQI", buffer, FUNCTIONS_AT, FUNCTION_SIZE, address(functions), 1)
    information(opened, buffer)
    return struct.unpack_from("=%dI" % known.map_count, map_ids), struct.unpack_from("=II", functions)[1]


def map_memory(number: int) -> int:
    """Bytes that a map takes in the kernel, 0 if it is gone."""
    return with_descriptor(BPF_MAP_GET_FD_BY_ID, number, lambda opened: procfs.fdinfo("self", opened).get("memlock", 0)) or 0


def btf(number: int, with_data: bool = True) -> tuple[str, bytes]:
    """(name, content) of a BTF object, empty if it is gone. The kernel's own have names, "vmlinux" and those of modules
    (5.11); what programs were loaded with has none."""
    return with_descriptor(BPF_BTF_GET_FD_BY_ID, number, lambda opened: _btf(opened, with_data)) or ("", b"")


def _btf(opened: int, with_data: bool) -> tuple[str, bytes]:
    # struct bpf_btf_info: btf, btf_size, id, name, name_len, kernel_btf
    buffer, name = bytearray(32), bytearray(64)
    struct.pack_into("=QI", buffer, 16, address(name), len(name))
    try:
        information(opened, buffer)
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        buffer = bytearray(16)  # before 5.11 there is no name
        information(opened, buffer)
    if not with_data:
        return name.split(b"\0")[0].decode("ascii", "replace"), b""
    data = bytearray(struct.unpack_from("=I", buffer, 8)[0])
    buffer = bytearray(struct.pack("=QII", address(data), len(data), 0))
    information(opened, buffer)
    return name.split(b"\0")[0].decode("ascii", "replace"), bytes(data)


def pinned(path: str) -> int:
    """A descriptor of the object that is pinned at a path of a bpffs."""
    text = bytearray(os.fsencode(path) + b"\0")
    return bpf.bpf(BPF_OBJ_GET, bytearray(struct.pack("=QII", address(text), 0, 0)))


def event_of(pid: int, number: int) -> tuple[int, int, str]:
    """(id of the program, enum bpf_task_fd_type, name of the event) of a perf event of a process, by its descriptor's number
    there. Raises OSError also for one without a program."""
    name = bytearray(256)
    # pid, fd, flags, buf_len, buf, prog_id, fd_type, probe_offset, probe_addr
    attributes = bytearray(struct.pack("=IIIIQIIQQ", pid, number, 0, len(name), address(name), 0, 0, 0, 0))
    bpf.bpf(BPF_TASK_FD_QUERY, attributes)
    found, kind = struct.unpack_from("=II", attributes, 24)
    return found, kind, name.split(b"\0")[0].decode("ascii", "backslashreplace")
