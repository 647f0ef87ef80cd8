"""What programs are attached to, and who holds them, on a kernel and a /proc that are played."""
import ctypes
import errno
import os
import struct
from types import SimpleNamespace

import pytest

from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.programs import cgroups, links, objects, places

NAMES = SimpleNamespace(of_target=lambda target: {(1, 2000): "vfs_read"}.get(target, ""))
PATHS = SimpleNamespace(path=lambda number: "/system.slice" if number == 42 else "cgroup %d" % number,
                        attached=lambda types: iter(()))


def part(*fields, layout):
    return struct.pack("=" + layout, *fields)


@pytest.fixture
def linked(monkeypatch):
    """linked(type, the part of bpf_link_info behind the program's id, name) -> where a link of program 7 is."""
    def where(kind, data, name=b"", name_at=links.UNION):
        def information(_, buffer):
            at = struct.unpack_from("=QI", buffer, name_at)
            if at[0]:
                ctypes.memmove(at[0], name + b"\0", len(name) + 1)
            struct.pack_into("=III", buffer, 0, kind, 5, 7)
            buffer[links.UNION:links.UNION + len(data)] = data

        monkeypatch.setattr(objects, "ids", lambda command: iter([5]))
        monkeypatch.setattr(objects, "with_descriptor", lambda command, number, use: use(9))
        monkeypatch.setattr(objects, "information", information)
        found, = links.links(NAMES, PATHS)
        assert (found.id, found.program) == (5, 7)
        return found.where
    return where


@pytest.mark.parametrize("kind, data, where", [
    (2, part(25, 1, 2000, layout="III"), "fexit:vfs_read"),
    (2, part(24, 0, 0, layout="III"), "fentry"),  # before 5.13 the kernel does not say which function
    (2, part(27, 1, 9, layout="III"), "lsm"),
    (3, part(42, 6, layout="QI"), "cgroup_device:/system.slice"),
    (3, part(43, 0, layout="QI"), "cgroup_ingress:cgroup 43"),
    (5, part(4026531840, 17, layout="II"), "flow_dissector:netns 4026531840"),
    (6, part(0, layout="I"), "xdp"),
    (6, part(4000000, layout="I"), "xdp:interface 4000000"),
    (6, part(1, layout="I"), "xdp:lo"),
    (7, part(0, layout="I"), "perf_event"),
    (8, part(0, 12, layout="QI"), "kprobe_multi:12 places"),
    (9, part(3, layout="I"), "struct_ops"),
    (10, part(2, 3, layout="II"), "netfilter:family 2 hook 3"),
    (11, part(1, 46, layout="II"), "tcx_ingress:lo"),
    (12, part(0, 0, 0, 0, 9, 3, layout="QQQQII"), "uprobe_multi:3 places"),
    (99, b"", "link type 99"),
    (2, part(999, 0, 0, layout="III"), "attach type 999"),
])
def test_where_a_link_is(linked, kind, data, where):
    assert linked(kind, data) == where


@pytest.mark.parametrize("kind, data, name_at, where", [
    (1, b"", links.UNION, "raw_tracepoint:sched_switch"),
    (4, b"", links.UNION, "iter:sched_switch"),
    (7, part(3, layout="I"), links.UNION + 8, "kprobe:sched_switch"),
    (7, part(5, layout="I"), links.UNION + 8, "tracepoint:sched_switch"),
])
def test_the_name_where_a_link_is(linked, kind, data, name_at, where):
    assert linked(kind, data, b"sched_switch", name_at) == where


def test_before_5_8_there_are_no_links(monkeypatch):
    def unknown(command):
        raise OSError(errno.EINVAL, "Invalid argument")
        yield
    monkeypatch.setattr(objects, "ids", unknown)
    assert links.links(NAMES, PATHS) == []


def test_who_may_not_see_links_is_told(monkeypatch):
    def refused(command):
        raise PermissionError(errno.EPERM, "?")
        yield
    monkeypatch.setattr(objects, "ids", refused)
    with pytest.raises(PermissionError):
        links.links(NAMES, PATHS)


@pytest.fixture
def machine(monkeypatch):
    """Links, {pid: {descriptor: what it is}}, and what the kernel says of events and files."""
    found = SimpleNamespace(links=[], files={}, events={}, info={})
    monkeypatch.setattr(links, "links", lambda names, cgroups: found.links)
    monkeypatch.setattr(places, "Cgroups", lambda: PATHS)
    monkeypatch.setattr(places, "mounts_of", lambda kind: [])
    monkeypatch.setattr(procfs, "comm_of", lambda pid: b"comm \xff")
    monkeypatch.setattr(procfs, "fdinfo", lambda pid, number: found.info.get((pid, number), {}))

    def event_of(pid, number):
        if (pid, number) not in found.events:
            raise OSError(errno.ENOENT, "no program")
        return found.events[pid, number]

    def listdir(path):
        if path == "/proc":
            return ["self", "77", *map(str, found.files)]  # 77 is gone by then
        number = int(path.split("/")[2])
        if number not in found.files:
            raise FileNotFoundError(path)
        return list(found.files[number])

    def readlink(path):
        _, _, pid, _, number = path.split("/")
        if found.files[int(pid)][number] is None:
            raise FileNotFoundError(path)
        return found.files[int(pid)][number]

    monkeypatch.setattr(objects, "event_of", event_of)
    played = SimpleNamespace(listdir=listdir, readlink=readlink, fsdecode=os.fsdecode, walk=os.walk)
    monkeypatch.setattr(places, "os", played)
    return found


def test_who_holds_a_program(machine):
    machine.files = {5: {"3": "anon_inode:bpf-prog", "4": "/dev/null", "5": "anon_inode:bpf_link", "6": None,
                         "7": "anon_inode:[perf_event]", "8": "anon_inode:[perf_event]", "9": "anon_inode:bpf-map"}}
    machine.info = {(5, "3"): {"prog_id": 11}, (5, "5"): {"prog_id": 12, "link_id": 1}, (5, "9"): {"map_id": 3}}
    machine.events = {(5, 7): (13, 1, "sys_enter_read")}
    found = places.find(NAMES)
    assert found.holders == {11: {5: "comm \udcff"}, 12: {5: "comm \udcff"}, 13: {5: "comm \udcff"}}
    assert found.attached == {13: ["tracepoint:sys_enter_read"]}


def test_an_event_is_named_by_who_has_it_before_the_link(machine):
    machine.links = [links.Link(1, 13, "perf_event"), links.Link(2, 14, "perf_event")]
    machine.files, machine.events = {5: {"7": "anon_inode:[perf_event]"}}, {(5, 7): (13, 3, "vfs_read")}
    assert places.find(NAMES).attached == {13: ["kretprobe:vfs_read"], 14: ["perf_event"]}


def test_control_groups_are_asked_for_programs_without_a_link(machine, monkeypatch):
    asked = []

    def attached(types):
        asked.append(set(types))
        yield 22, 6, "/system.slice/a"
        yield 22, 6, "/system.slice/b"

    monkeypatch.setattr(places, "Cgroups", lambda: SimpleNamespace(attached=attached))
    machine.links = [links.Link(1, 21, "xdp:lo")]
    programs = [SimpleNamespace(id=21, type="xdp"), SimpleNamespace(id=22, type="cgroup_device")]
    assert places.find(NAMES, programs).attached == {
        21: ["xdp:lo"], 22: ["cgroup_device:/system.slice/a", "cgroup_device:/system.slice/b"]}
    assert asked == [{"cgroup_device"}]


def test_programs_of_control_groups(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()

    def query(command, attributes):
        directory, attach_type, flags, _, ids, most = struct.unpack("=IIIIQI4x", attributes)
        assert (command, flags, most) == (cgroups.BPF_PROG_QUERY, 0, cgroups.MOST)
        if os.readlink("/proc/self/fd/%d" % directory).endswith("/a b") and attach_type == 1:
            ctypes.memmove(ids, struct.pack("=II", 31, 32), 8)
            struct.pack_into("=I", attributes, 24, 2)
        elif attach_type == 0:
            raise OSError(errno.EINVAL, "?")
        else:
            struct.pack_into("=I", attributes, 24, 0)

    mount = "38 24 0:34 / %s rw - cgroup2 cgroup2 rw\n" % str(tmp_path).replace(" ", "\\040")
    monkeypatch.setattr(procfs, "read", lambda path: mount)
    monkeypatch.setattr(procfs.mount_of_version_2, "__defaults__", (lambda path: 38,))
    monkeypatch.setattr(bpf, "bpf", query)
    found = cgroups.Cgroups()
    assert list(found.attached({"cgroup_skb", "kprobe"})) == [(31, 1, "/a b"), (32, 1, "/a b")]
    assert list(found.attached({"kprobe"})) == []
    assert found.path(os.stat(tmp_path / "a b").st_ino) == "/a b"
    assert found.path(os.stat(tmp_path).st_ino) == "/"
    assert found.path(1 << 60) == "cgroup %d" % (1 << 60)


def test_without_control_groups_of_version_2(monkeypatch):
    monkeypatch.setattr(procfs, "read", lambda path: "proc /proc proc rw 0 0\n")
    found = cgroups.Cgroups()
    assert list(found.attached({"cgroup_skb"})) == [] and found.path(5) == "cgroup 5"


def test_blanks_in_mounts(monkeypatch):
    monkeypatch.setattr(procfs, "read", lambda path: "bpf /sys/fs/bpf bpf rw 0 0\nbpf /caf\u00e9\\040b bpf rw 0 0\nx\n")
    assert cgroups.mounts_of("bpf") == ["/sys/fs/bpf", "/caf\u00e9 b"]
