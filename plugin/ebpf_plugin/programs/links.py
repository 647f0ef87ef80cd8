"""What a link attaches a program to, in words: struct bpf_link_info (5.8), include/uapi/linux/bpf.h of 6.18."""
from __future__ import annotations

import os
import struct

from . import objects
from ..kernel.libc import address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cgroups import Cgroups
    from .names import Names

SIZE = 64
UNION = 16  # where the part of the link's type begins
# enum bpf_link_type
RAW_TRACEPOINT, TRACING, CGROUP, ITER, NETNS, XDP, PERF_EVENT = range(1, 8)
KPROBE_MULTI, STRUCT_OPS, NETFILTER, TCX, UPROBE_MULTI, NETKIT, SOCKMAP = range(8, 15)
OTHERS = {STRUCT_OPS: "struct_ops", SOCKMAP: "sockmap"}
# enum bpf_attach_type, as bpftool and libbpf name it
ATTACH_TYPES = (
    "ingress", "egress", "sock_create", "sock_ops", "sk_skb_stream_parser", "sk_skb_stream_verdict", "device",
    "sk_msg_verdict", "bind4", "bind6", "connect4", "connect6", "post_bind4", "post_bind6", "sendmsg4", "sendmsg6",
    "lirc_mode2", "flow_dissector", "sysctl", "recvmsg4", "recvmsg6", "getsockopt", "setsockopt", "raw_tp", "fentry",
    "fexit", "fmod_ret", "lsm", "iter", "getpeername4", "getpeername6", "getsockname4", "getsockname6", "xdp_devmap",
    "sock_release", "xdp_cpumap", "sk_lookup", "xdp", "sk_skb_verdict", "sk_reuseport_select", "sk_reuseport_migrate",
    "perf_event",
    "kprobe_multi", "lsm_cgroup", "struct_ops", "netfilter", "tcx_ingress", "tcx_egress", "uprobe_multi", "connect_unix",
    "sendmsg_unix", "recvmsg_unix", "getpeername_unix", "getsockname_unix", "netkit_primary", "netkit_peer",
    "kprobe_session", "uprobe_session")
# enum bpf_perf_event_type (6.6)
EVENTS = {1: "uprobe", 2: "uretprobe", 3: "kprobe", 4: "kretprobe", 5: "tracepoint"}
# enum bpf_task_fd_type (4.18)
TASK_EVENTS = ("raw_tracepoint", "tracepoint", "kprobe", "kretprobe", "uprobe", "uretprobe")


class Link:
    """A link: its id, that of its program, and where it is attached, for people."""

    __slots__ = ("id", "program", "where")

    def __init__(self, number: int, program: int, where: str):
        self.id, self.program, self.where = number, program, where


def links(names: Names, cgroups: Cgroups) -> list[Link]:
    """Every link; none before 5.8, where the kernel gives no ids. Raises OSError."""
    found = []
    try:
        for number in objects.ids(objects.BPF_LINK_GET_NEXT_ID):
            link = objects.with_descriptor(objects.BPF_LINK_GET_FD_BY_ID, number, lambda it: _link(it, names, cgroups))
            if link is not None:
                found.append(link)
    except OSError as error:
        if error.errno not in objects.UNKNOWN_COMMAND:
            raise
    return found


def event(kind: int, name: str) -> str:
    """Where an event is, by its enum bpf_task_fd_type."""
    return _joined(TASK_EVENTS[kind] if kind < len(TASK_EVENTS) else "event", name)


def at_cgroup(attach_type: int, path: str) -> str:
    """Where a program of a control group is."""
    return _joined("cgroup_" + _attach_type(attach_type), path)


def _joined(kind: str, name: object) -> str:
    return "%s:%s" % (kind, name) if name else kind


def _link(opened: int, names: Names, cgroups: Cgroups) -> Link:
    info = bytearray(SIZE)
    objects.information(opened, info)
    kind, number, program = struct.unpack_from("=III", info)
    return Link(number, program, _where(opened, info, kind, names, cgroups))


def _where(opened: int, info: bytearray, kind: int, names: Names, cgroups: Cgroups) -> str:
    if kind == RAW_TRACEPOINT:
        return _joined("raw_tracepoint", _name(opened, info, UNION))
    if kind == TRACING:
        attach_type, *target = struct.unpack_from("=III", info, UNION)
        return _joined(_attach_type(attach_type), names.of_target((target[0], target[1])))
    if kind == CGROUP:
        cgroup, attach_type = struct.unpack_from("=QI", info, UNION)
        return at_cgroup(attach_type, cgroups.path(cgroup))
    if kind == PERF_EVENT:
        event_type = struct.unpack_from("=I", info, UNION)[0]
        if event_type not in EVENTS:  # 0 before 6.6
            return "perf_event"
        name = _name(opened, info, UNION + 8)
        return _joined(EVENTS[event_type], name)
    if kind == ITER:
        return _joined("iter", _name(opened, info, UNION))
    if kind in (KPROBE_MULTI, UPROBE_MULTI):
        count = struct.unpack_from("=I", info, UNION + (8 if kind == KPROBE_MULTI else 36))[0]
        return "%s%s" % ("kprobe_multi" if kind == KPROBE_MULTI else "uprobe_multi", ":%d places" % count if count else "")
    return _network(info, kind)


def _network(info: bytearray, kind: int) -> str:
    one, two = struct.unpack_from("=II", info, UNION)
    if kind == XDP:
        return _joined("xdp", interface(one))
    if kind in (TCX, NETKIT):
        return _joined(_attach_type(two), interface(one))
    if kind == NETNS:
        return _joined(_attach_type(two), "netns %d" % one)
    if kind == NETFILTER:
        return "netfilter:family %d hook %d" % (one, two)
    return OTHERS.get(kind, "link type %d" % kind)


def _name(opened: int, info: bytearray, at: int) -> str:
    """The text whose address and room the kernel finds at `at`."""
    text = bytearray(256)
    asking = bytearray(SIZE)
    struct.pack_into("=QI", asking, at, address(text), len(text))
    objects.information(opened, asking)
    return os.fsdecode(bytes(text.split(b"\0")[0]))


def _attach_type(number: int) -> str:
    return ATTACH_TYPES[number] if number < len(ATTACH_TYPES) else "attach type %d" % number


def interface(number: int) -> str:
    """The name of a network interface of ours; its number if it is another network namespace's."""
    from socket import if_indextoname
    try:
        return if_indextoname(number) if number else ""
    except OSError:
        return "interface %d" % number
