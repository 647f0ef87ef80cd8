"""The loader without a kernel: maps, BTF and attaching are fakes. What is loaded, and that a group fails alone."""
import errno
import os

import pytest

from ebpf_plugin import log
from ebpf_plugin.compile import bytecode, child, source
from ebpf_plugin.compile.bytecode import Bytecode, GroupCode
from ebpf_plugin.config import directories, ebpf_conf
from ebpf_plugin.config.network_viewer import Viewer
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.kernel import bpf
from ebpf_plugin.load import loader
from ebpf_plugin.load.attach import Attached
from ebpf_plugin.load.plan import Plan

SIZES = {"CONNECTIONS": 1, "APPS": 70, "APPS_PROCESSES": 64}
OF = {group.name: group for group in GROUPS}
VIEWER = Viewer(None, None, 500, {}, False, ())
SETTINGS = ebpf_conf.load([])[0]


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
    """Stands for the kernel's maps and for attaching. Descriptors are real ones, of nothing."""

    def __init__(self):
        self.made, self.refused, self.order, self.closed = {}, set(), [], []
        self.no_map = set()

    def map_create(self, kind, key_size, value_size, entries, flags=0, name=""):
        if name in self.no_map:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        self.order.append(name)
        self.made[name] = os.open("/", os.O_PATH)
        return self.made[name]

    def attacher(self, programs, mode, method, btf, no_btf, shared):
        assert (btf is None) == bool(no_btf)
        assert "vfs_open" in shared
        machine = self

        class Attacher:
            def attach(self, hook):
                if hook.name in machine.refused:
                    return None, None, [("probe", "not today")]
                held = Attached()
                held.programs = {hook.name + "_program": os.open("/", os.O_PATH)}
                held.links = {hook.name + "_program": 1}
                held.descriptors, held.events, held.where = [os.open("/", os.O_PATH)], ["event_" + hook.name], ["here"]
                machine.order.append("program " + hook.name)
                return "probe", held, [("trampoline", "no")]

            def close_unused(self, attached):
                machine.closed.append(len(list(attached)))

        programs.tables = lambda program: {"tcp_send_program": ("flows", "services"), "read_program": ("vfs_begun",)}.get(
            program, ())
        return Attacher()


CODE = Bytecode("x86_64", "", {name: GroupCode({"p": bytes(8)}, (), ()) for name in OF})


@pytest.fixture
def load(monkeypatch):
    """load(groups, btf, code, sizes) -> Loaded; load.machine is the Machine, load.listening what was entered."""
    machine, loaded = Machine(), []

    def no_btf():
        raise loader.NoBTF("no BTF: not here")

    def run(groups=tuple(OF), btf=BTF(), code=CODE, sizes=None):
        monkeypatch.setattr(loader, "BTF", (lambda: btf) if btf else no_btf)
        monkeypatch.setattr(loader, "instructions", lambda: (code, "a test"))
        settings = SETTINGS._replace(groups=tuple(groups))
        plan = Plan(settings, tuple(OF[name] for name in groups), SIZES if sizes is None else sizes, VIEWER, None, "")
        loaded.append(loader.load(plan, {}))
        return loaded[-1]

    run.machine, run.listening = machine, []
    monkeypatch.setattr(loader, "_try_the_least", lambda: None)
    monkeypatch.setattr(loader.tracefs, "stale", lambda: [])
    monkeypatch.setattr(loader, "Attacher", machine.attacher)
    monkeypatch.setattr(bpf, "map_create", machine.map_create)
    monkeypatch.setattr(loader.listening_sockets, "prepare", lambda maps, ports, networks: run.listening.append(
        (maps["services"], ports, networks)))
    monkeypatch.setattr(loader.listening_sockets, "enter", lambda services: "no socket diagnosis" if run.listening else "")
    monkeypatch.setattr(loader.procfs, "locked_down", lambda: False)
    yield run
    for found in loaded:
        for descriptor in set(found.descriptors):
            os.close(descriptor)


def test_every_group_is_loaded(load):
    loaded = load()
    assert loaded.broken == {}
    assert loaded.maps == {name: load.machine.made[name + "_counters"] for name in OF}
    hooks = {group.name: [hook.name for hook in group.hooks if "entry" in hook.modes] for group in GROUPS}
    assert {group: list(found) for group, found in loaded.hooks.items()} == hooks
    everything = [name for names in hooks.values() for name in names]
    assert set(loaded.programs) == {name + "_program" for name in everything}
    assert sorted(loaded.events) == sorted("event_" + name for name in everything)
    assert set(loaded.links) == set(loaded.programs)
    assert loaded.origin == "a test"


def test_what_is_in_use_stays_open_and_the_rest_is_closed(load):
    loaded = load()
    assert set(loaded.tables) == {"flows", "services", "vfs_begun"}
    held = set(loaded.descriptors)
    assert {*loaded.maps.values(), *loaded.tables.values(), *loaded.programs.values()} <= held
    for descriptor in held:
        os.fstat(descriptor)
    assert len(load.machine.closed) == len(GROUPS)


def test_filters_and_listening_sockets_are_there_before_the_programs(load):
    loaded = load()
    assert load.listening == [(load.machine.made["services"], None, None)]
    assert load.machine.order.index("services") < load.machine.order.index("program tcp_send")
    assert loaded.warnings == ["no socket diagnosis"]


def test_a_hook_that_no_method_takes(load):
    load.machine.refused = {"unlink"}
    loaded = load()
    assert loaded.hooks["vfs"]["unlink"] == loader.AttachedHook(None, (), (("probe", "not today"),))
    assert "unlink_program" not in loaded.programs
    assert "event_unlink" not in loaded.events
    assert loaded.hooks["vfs"]["fsync"] == loader.AttachedHook("probe", ("here",), (("trampoline", "no"),))


@pytest.mark.parametrize("btf, broken", [
    (None, {"network": "no BTF: not here", "apps": "no BTF: not here"}),
    (BTF(lacks={"msghdr"}), {"network": "the kernel has no msghdr.msg_name"}),
    (BTF(lacks={"task_struct"}), {"apps": "the kernel has no task_struct.pid, task_struct.tgid"}),
])
def test_what_a_group_cannot_do_without(load, btf, broken):
    loaded = load(btf=btf)
    alive = {name for name in OF if name not in broken}
    assert loaded.broken == broken
    assert set(loaded.maps) == set(loaded.hooks) == alive
    # rows of applications are counted in only together with what places processes
    assert loaded.values["APPS"] == (0 if "apps" in broken else 70)
    assert bool(load.listening) == ("network" in alive)


def test_lockdown_takes_applications_alone(load, monkeypatch):
    monkeypatch.setattr(loader.procfs, "locked_down", lambda: True)
    loaded = load()
    assert set(loaded.broken) == {"apps"}
    assert "lockdown" in loaded.broken["apps"]
    assert loaded.values["APPS"] == 0


@pytest.mark.parametrize("culprit", OF)
def test_a_group_that_could_not_be_compiled_fails_alone_with_the_compilers_message(load, culprit):
    code = CODE._replace(groups={**CODE.groups, culprit: GroupCode({}, (), (), "%s.c:7: error: a mistake" % culprit)})
    loaded = load(code=code)
    assert loaded.broken == {culprit: "%s.c:7: error: a mistake" % culprit}
    assert set(loaded.hooks) == set(OF) - {culprit}
    assert loaded.values["APPS"] == (0 if culprit == "apps" else 70)


@pytest.mark.parametrize("culprit", OF)
def test_a_group_whose_counters_have_no_memory_fails_alone(load, culprit):
    load.machine.no_map = {culprit + "_counters"}
    loaded = load()
    assert set(loaded.broken) == {culprit}
    assert "cannot make the maps of %s: ENOMEM" % culprit in loaded.broken[culprit]
    assert set(loaded.hooks) == set(OF) - {culprit}


def test_groups_that_are_not_in_the_plan(load):
    loaded = load(("vfs", "apps"))
    assert set(loaded.maps) == {"vfs", "apps"}
    assert load.listening == []


def test_every_group_of_the_configuration_is_one_of_the_registry():
    assert SETTINGS.groups == tuple(group.name for group in GROUPS if group.switch.default)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """A directory of texts, the path of a bytecode file, and what the compiler's child gives or raises."""
    class Installed:
        path, texts, said, compiled = tmp_path / "bytecode", tmp_path / "bpf", [], child.Failed("there is no compiler")

        def code(self, digest="text", groups=CODE.groups):
            return bytecode.write(Bytecode(bpf.MACHINE, digest, groups))

    found = Installed()
    found.texts.mkdir()

    def compile_all():
        if isinstance(found.compiled, Exception):
            raise found.compiled
        return found.compiled

    monkeypatch.setattr(directories, "bytecode", lambda machine: str(found.path))
    monkeypatch.setattr(directories, "data", lambda name: str(found.texts))
    monkeypatch.setattr(source, "digest", lambda directory, machine: "text")
    monkeypatch.setattr(child, "compile_all", compile_all)
    monkeypatch.setattr(log, "write", lambda level, text: found.said.append(text))
    return found


def test_the_file_is_taken_and_nothing_is_compiled(installed):
    installed.path.write_bytes(installed.code())
    code, origin = loader.instructions()
    assert code.groups == CODE.groups
    assert origin == "%s, digest %s" % (installed.path, code.digest)
    assert installed.said == []


def test_a_file_alone_is_enough_where_the_texts_are_not_installed(installed):
    installed.path.write_bytes(installed.code("of another time"))
    installed.texts.rmdir()
    assert loader.instructions()[0].source == "of another time"


def test_without_a_file_the_texts_are_compiled(installed):
    installed.compiled = installed.code()
    code, origin = loader.instructions()
    assert code.groups == CODE.groups
    assert origin == "compiled now from %s, as there is no %s" % (installed.texts, installed.path)
    assert installed.said == []


@pytest.mark.parametrize("make, why", [
    (lambda at: at.code("of another time"), "is not made from"),
    (lambda at: at.code(groups={}), "has no group file, vfs"),
    (lambda at: at.code()[:-1], "it is damaged"),
    (lambda at: b"", "it is no bytecode file"),
])
def test_a_file_that_is_refused_is_one_line_and_the_texts_are_compiled(installed, make, why):
    installed.path.write_bytes(make(installed))
    installed.compiled = installed.code()
    code, origin = loader.instructions()
    assert code.groups == CODE.groups
    assert len(installed.said) == 1
    assert why in installed.said[0]
    assert origin.startswith("compiled now from ")


@pytest.fixture
def checkout(installed, monkeypatch):
    """A checkout that has no bytecode yet."""
    monkeypatch.setattr(directories, "checkout", lambda: str(installed.texts.parent))
    installed.path = installed.texts.parent / "build" / "bytecode"
    installed.compiled = installed.code()
    return installed


def test_a_checkout_keeps_what_was_compiled_for_the_next_start(checkout):
    loader.instructions()
    checkout.compiled = child.Failed("compiled once more")
    assert loader.instructions()[1].startswith("%s, digest " % checkout.path)
    assert checkout.path.stat().st_mode & 0o7777 == 0o644
    assert checkout.said == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_keeps_is_the_users_whose_checkout_it_is(checkout):
    os.chown(checkout.texts.parent, 4242, 4243)
    loader.instructions()
    for path in (checkout.path, checkout.path.parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (4242, 4243)


def test_a_group_that_cannot_be_compiled_is_tried_again(checkout):
    broken = {**CODE.groups, "vfs": GroupCode({}, (), (), "vfs.c:1: error: no")}
    checkout.compiled = checkout.code(groups=broken)
    assert loader.instructions()[0].groups["vfs"].error
    assert not checkout.path.exists()


@pytest.mark.parametrize("obstacle", ["full", "installed", "elsewhere"])
def test_what_cannot_or_must_not_be_kept(checkout, monkeypatch, obstacle):
    if obstacle == "full":
        def full(path, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(bytecode, "write_file", full)
    elif obstacle == "installed":
        monkeypatch.setattr(directories, "checkout", lambda: "")
    else:
        checkout.path = checkout.texts.parent / "elsewhere" / "bytecode"
    assert loader.instructions()[1].startswith("compiled now from ")
    assert not checkout.path.exists() and checkout.said == []


def test_a_file_that_cannot_be_read_is_refused(installed, monkeypatch):
    installed.compiled = installed.code()

    def denied(path, machine):
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(bytecode, "read_file", denied)
    loader.instructions()
    assert installed.said == ["cannot read %s: Permission denied; the programs were compiled instead" % installed.path]


def test_no_file_and_no_compiler(installed):
    with pytest.raises(loader.LoadFailed) as failed:
        loader.instructions()
    assert str(failed.value) == "no programs: there is no %s, and there is no compiler" % installed.path


def test_a_bad_file_and_no_compiler_is_one_line(installed):
    installed.path.write_bytes(installed.code()[:-1])
    with pytest.raises(loader.LoadFailed, match="no programs: .* it is damaged: .*, and there is no compiler"):
        loader.instructions()
    assert installed.said == []


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
    with pytest.raises(loader.LoadFailed) as found:
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
    with pytest.raises(loader.LoadFailed, match="/sys is not mounted"):
        loader._try_the_least()
