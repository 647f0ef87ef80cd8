"""The loader without a kernel: BCC, BTF and attaching are fakes. What it hands over, and that a group fails alone."""
import errno
import os
from types import SimpleNamespace

from fakes import ROOT
import pytest

from ebpf_plugin.compile import source
from ebpf_plugin.config import ebpf_conf
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.load import handoff, loader
from ebpf_plugin.load.attach import Attached

SIZES = {"FLOWS_MAX": 4352, "CONNECTIONS": 1, "APPS": 70, "APPS_PROCESSES": 64}
WITH_CGROUPS = {**SIZES, "CGROUPS": 128, "CGROUPS_KNOWN": 4096}
OF = {group.name: group for group in GROUPS}


class BTF:
    """Of a kernel that has everything, or lacks a structure."""

    def __init__(self, lacks=()):
        self._lacks = lacks

    @staticmethod
    def function(symbol):
        return 1, 3

    def bit_offset(self, struct_name, member):
        return None if struct_name in self._lacks else 64

    @staticmethod
    def raw_tracepoint_arguments(name):
        return 3


class Machine:
    """Stands for BCC and for the kernel's maps and programs, whose descriptors are numbers from 100 on: what was compiled,
    what was attached, what was said to the collector."""

    def __init__(self):
        self.texts, self.said, self.prepared, self.handed, self.trouble = [], [], [], None, lambda text: None
        self.refused, self.warning, self._names = set(), "", []
        self.lib = SimpleNamespace(
            bpf_table_fd=lambda module, name: self.descriptor(module, name.decode()), bpf_num_tables=lambda module: 2,
            bpf_table_fd_id=lambda module, number: 9, bpf_function_size=lambda module, name: 0)
        self.Quiet = self.compile

    def compile(self, text, cflags):
        wrong = self.trouble(text)
        if wrong:
            raise RuntimeError(wrong)
        self.texts.append((text, cflags))
        return SimpleNamespace(module=len(self.texts))

    def descriptor(self, module, name):
        assert name.partition("_")[0] in self.texts[module - 1][0], "of another text"
        self._names.append("%d:%s" % (module, name))
        return 99 + len(self._names)

    def name_of(self, descriptor):
        return self._names[descriptor - 100]

    def ladder(self, programs, mode, choice, btf, no_btf):
        assert (mode, choice) == ("entry", "auto") and (btf is None) == bool(no_btf)
        return self

    def attach(self, hook):
        if hook.name in self.refused:
            return None, None, [("probe", "not today")]
        held = Attached()
        held.programs = {hook.name + "_program": self.named("program " + hook.name)}
        held.descriptors, held.events, held.where = [self.named("link " + hook.name)], ["event_" + hook.name], ["here"]
        return "probe", held, [("trampoline", "no")]

    def named(self, name):
        self._names.append(name)
        return 99 + len(self._names)


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """serve(groups, btf, trouble) -> (Machine, manifest, names of the descriptors in order)"""
    machine = Machine()

    def give(sock, manifest, descriptors):
        machine.handed = manifest, [machine.name_of(descriptor) for descriptor in descriptors]

    def no_btf():
        raise loader.NoBTF("no BTF: not here")

    def run(groups=tuple(OF), btf=BTF(), trouble=None, sizes=None):
        machine.trouble = trouble or machine.trouble
        monkeypatch.setattr(loader, "BTF", (lambda: btf) if btf else no_btf)
        plan = {"groups": list(groups), "mode": "entry", "method": "auto", "bpf": os.path.join(ROOT, "bpf"),
                "sizes": SIZES if sizes is None else sizes,
                "filters": {"ports": None, "networks": None}, "test": {}}
        loader._serve(None, plan)
        return machine, *machine.handed

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BCC_KERNEL_SOURCE", "")
    monkeypatch.setattr(loader, "_programs", [])
    monkeypatch.setattr(loader, "_try_the_least", lambda: None)
    monkeypatch.setattr(loader, "_import_bcc", lambda: machine)
    monkeypatch.setattr(loader, "Attacher", machine.ladder)
    monkeypatch.setattr(loader, "tracefs", SimpleNamespace(remove=lambda names: None, stale=lambda: []))
    monkeypatch.setattr(loader, "listening_sockets", SimpleNamespace(
        prepare=lambda table, filters: machine.prepared.append((machine.name_of(table(b"services")), filters)),
        seen=lambda descriptor: machine.warning))
    texts = {"/proc/self/fdinfo/9": "pos:\t0\nmap_type:\t6\nmemlock:\t4096\n"}
    monkeypatch.setattr(loader.procfs, "read", lambda path: texts.get(path, ""))
    monkeypatch.setattr(handoff, "tell", lambda sock, **message: machine.said.append(message))
    monkeypatch.setattr(handoff, "hand_over", give)
    return run


def macros(cflags):
    return dict(flag[2:].split("=", 1) for flag in cflags if flag.startswith("-D"))


def test_everything_is_one_text(serve):
    machine, manifest, descriptors = serve()
    (text, cflags), = machine.texts
    assert text == source.text(GROUPS, os.path.join(ROOT, "bpf"))
    assert macros(cflags)["APPS"] == "70" and macros(cflags)["FLOWS_MAX"] == "4352"
    assert manifest["broken"] == {} and manifest["warnings"] == []
    assert {group: descriptors[place] for group, place in manifest["maps"].items()} == {
        name: "1:%s_counters" % name for name in OF}
    assert {table: descriptors[place] for table, place in manifest["tables"].items()} == {
        table: "1:" + table for group in GROUPS for table in group.tables}
    hooks = {group.name: [hook.name for hook in group.hooks if "entry" in hook.modes] for group in GROUPS}
    assert {group: list(found) for group, found in manifest["hooks"].items()} == hooks
    everything = [name for names in hooks.values() for name in names]
    assert {name: descriptors[place] for name, place in manifest["programs"].items()} == {
        name + "_program": "program " + name for name in everything}
    assert sorted(manifest["events"]) == sorted("event_" + name for name in everything)
    # what holds a hook in the kernel goes over, too
    assert {"link " + name for name in everything} <= set(descriptors)
    assert [message["stage"] for message in machine.said] == ["import", "compile"] + ["attach " + name for name in OF]


def test_memory_is_that_of_each_text_once(serve):
    assert serve()[1]["memory"] == 2 * 4096


def test_the_filters_are_there_before_the_programs(serve):
    machine, _, _ = serve()
    assert machine.prepared == [("1:services", {"ports": None, "networks": None})]
    order = machine._names
    assert order.index("1:services") < order.index("program tcp_send")


def test_what_is_served_cannot_be_known(serve):
    serve()[0].warning = "no socket diagnosis"
    assert serve()[1]["warnings"] == ["no socket diagnosis"]


def test_a_hook_that_no_method_takes(serve):
    serve()[0].refused = {"unlink"}
    manifest, descriptors = serve()[1:]
    assert manifest["hooks"]["vfs"]["unlink"] == {"method": None, "where": [], "failed": [("probe", "not today")]}
    assert "unlink_program" not in manifest["programs"] and "event_unlink" not in manifest["events"]
    assert manifest["hooks"]["vfs"]["fsync"]["method"] == "probe"
    assert len(descriptors) == len(set(descriptors))


@pytest.mark.parametrize("btf, broken", [
    (None, {"network": "no BTF: not here", "apps": "no BTF: not here"}),
    (BTF(lacks={"msghdr"}), {"network": "the kernel has no msghdr.msg_name"}),
    (BTF(lacks={"task_struct"}), {"apps": "the kernel has no task_struct.pid, task_struct.tgid"}),
])
def test_what_a_group_cannot_do_without(serve, btf, broken):
    machine, manifest, descriptors = serve(btf=btf)
    assert manifest["broken"] == broken
    (text, cflags), = machine.texts
    alive = [group for group in GROUPS if group.name not in broken]
    assert text == source.text(alive, os.path.join(ROOT, "bpf"))
    assert set(manifest["maps"]) == set(manifest["hooks"]) == {group.name for group in alive}
    # rows for applications are counted in only together with who places them
    assert ("APPS" in macros(cflags)) == ("apps" not in broken) == ("applications" in manifest["tables"])
    assert ("flows" in manifest["tables"]) == ("network" not in broken) == bool(machine.prepared)


def test_lockdown_takes_applications_alone(serve, monkeypatch):
    monkeypatch.setattr(loader.procfs, "locked_down", lambda: True)
    machine, manifest, _ = serve()
    assert set(manifest["broken"]) == {"apps"} and "lockdown" in manifest["broken"]["apps"]
    assert "APPS" not in macros(machine.texts[0][1])


@pytest.mark.parametrize("culprit", ["file", "vfs", "process", "network"])
def test_a_group_fails_alone(serve, culprit):
    machine, manifest, descriptors = serve(trouble=lambda text: "mistake" if '#line 1 "%s.c"' % culprit in text else "")
    assert set(manifest["broken"]) == {culprit, "apps"} and manifest["broken"][culprit] == "mistake"
    assert len(machine.texts) == 3 and manifest["memory"] == 3 * 2 * 4096
    for text, cflags in machine.texts:
        assert "APPS" not in macros(cflags) and '#line 1 "rows.c"' not in text and '#line 1 "apps.c"' not in text
    for number, name in enumerate(name for name in OF if name in manifest["maps"]):
        assert descriptors[manifest["maps"][name]] == "%d:%s_counters" % (number + 1, name)
    assert "apps_rows" not in manifest["tables"]


def test_nothing_can_be_compiled(serve):
    machine, manifest, descriptors = serve(trouble=lambda text: "mistake")
    assert set(manifest["broken"]) == set(OF) and machine.texts == [] == descriptors
    assert manifest["maps"] == manifest["hooks"] == {} and manifest["memory"] == 0


def test_one_group_is_tried_once(serve):
    tried = []
    _, manifest, _ = serve(["file"], trouble=lambda text: tried.append(text) or "mistake")
    assert manifest["broken"] == {"file": "mistake"} and len(tried) == 1


def test_groups_that_nobody_wants(serve):
    machine, manifest, _ = serve(["vfs", "apps"])
    assert set(manifest["maps"]) == {"vfs", "apps"} and machine.prepared == []
    assert '#line 1 "rows.c"' in machine.texts[0][0] and "network" not in manifest["hooks"]


def test_every_group_of_the_configuration_is_one_of_the_registry():
    assert set(ebpf_conf.load([])[0].groups) == set(OF)


@pytest.mark.parametrize("groups", [tuple(OF), ("vfs", "process"), ("process",), ("network", "apps")])
def test_control_groups(serve, groups):
    sizes = WITH_CGROUPS if "apps" in groups else {name: size for name, size in WITH_CGROUPS.items() if "APPS" not in name}
    machine, manifest, descriptors = serve(groups, sizes=sizes)
    (text, cflags), = machine.texts
    assert text == source.text([OF[name] for name in groups], os.path.join(ROOT, "bpf"), {"CGROUPS": 128})
    assert macros(cflags)["CGROUPS"] == "128" and macros(cflags)["CGROUPS_KNOWN"] == "4096"
    tables = {table: descriptors[place] for table, place in manifest["tables"].items()}
    assert {table: tables.pop(table) for table in loader.CGROUP_TABLES} == {
        table: "1:" + table for table in ("cgroup_rows", "cgroups_asked")}
    assert tables == {table: "1:" + table for name in groups for table in OF[name].tables}
    assert len(descriptors) == len(set(descriptors))


def test_control_groups_that_nobody_wants(serve):
    machine, manifest, _ = serve()
    assert "CGROUPS" not in macros(machine.texts[0][1]) and not set(loader.CGROUP_TABLES) & set(manifest["tables"])


def test_control_groups_stay_without_applications(serve):
    machine, manifest, descriptors = serve(btf=BTF(lacks={"task_struct"}), sizes=WITH_CGROUPS)
    assert set(manifest["broken"]) == {"apps"} and "APPS" not in macros(machine.texts[0][1])
    assert macros(machine.texts[0][1])["CGROUPS"] == "128"
    assert descriptors[manifest["tables"]["cgroup_rows"]] == "1:cgroup_rows"


@pytest.mark.parametrize("culprit", ["file", "vfs", "process", "network"])
def test_control_groups_take_all_groups_in_one_text(serve, culprit):
    """Each text has tables of its own, and the collector answers one: in the others everybody would stay in `other`."""
    machine, manifest, _ = serve(trouble=lambda text: "mistake" if '#line 1 "%s.c"' % culprit in text else "",
                                 sizes=WITH_CGROUPS)
    assert len(machine.texts) == 3 and not set(loader.CGROUP_TABLES) & set(manifest["tables"])


def test_rows_of_control_groups_that_nobody_reads(serve):
    machine, _, _ = serve(trouble=lambda text: "mistake" if '#line 1 "file.c"' in text else "", sizes=WITH_CGROUPS)
    assert not any("CGROUPS" in macros(cflags) for _, cflags in machine.texts)


def refused(monkeypatch, error, limit, size, denied=""):
    """What is said where maps of more than `size` rows cannot be made."""
    def map_create(kind, key, value, rows):
        if rows > size:
            raise OSError(error, os.strerror(error))
        return os.open("/", os.O_PATH)

    monkeypatch.setattr(loader.bpf, "map_create", map_create)
    monkeypatch.setattr(loader.procfs, "read", lambda path: "0\n")
    monkeypatch.setattr(loader.refusals, "denied", lambda: denied)
    monkeypatch.setattr(loader.resource, "setrlimit", lambda which, limits: None)
    monkeypatch.setattr(loader.resource, "getrlimit", lambda which: (limit, limit))
    with pytest.raises(loader.Refused) as found:
        loader._try_the_least()
    return str(found.value)


@pytest.mark.parametrize("size", [0, 1])
def test_locked_memory_that_is_used_up(monkeypatch, size):
    """All processes of the user share it, so that not even the smallest map may have room."""
    said = refused(monkeypatch, errno.EPERM, 65536, size)
    assert "cannot create BPF maps: Operation not permitted (locked memory is limited to 64 kB" in said


@pytest.mark.parametrize("error, limit, denied, cause", [
    (errno.EPERM, 65536, "missing capability CAP_BPF", "(missing capability CAP_BPF)"),
    (errno.EPERM, loader.resource.RLIM_INFINITY, "", "a security module forbids it)"),
    (errno.EACCES, 65536, "", "a security module forbids it)"),
    (errno.ENOSYS, 65536, "", "(the kernel may lack CONFIG_BPF_SYSCALL"),
])
def test_no_map_at_all(monkeypatch, error, limit, denied, cause):
    said = refused(monkeypatch, error, limit, 0, denied)
    assert cause in said and "locked memory" not in said


def test_a_machine_without_sys(monkeypatch):
    monkeypatch.setattr(loader.procfs, "read", lambda path: "")
    with pytest.raises(loader.Refused, match="/sys is not mounted"):
        loader._try_the_least()
