"""The attach methods on a fake kernel: which are tried in which order, and that one that fails leaves nothing."""
import ctypes
import errno
import os

import pytest

from ebpf_plugin.compile import bytecode
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.kernel import bpf, procfs, refusals, tracefs
from ebpf_plugin.load.attach import PMU, Attacher, probed_by_several
from ebpf_plugin.model.group import AT_CALL, WITH_ARGUMENT, WITH_RESULT, Function, Hook, Tracepoint

PERF_TYPE_KPROBE = 6


class Kernel:
    """Has some functions and tracepoints, refuses some programs and remembers the rest."""

    def __init__(self, functions, events, refused, kprobe_multi):
        self.functions, self.events, self.refused = list(functions), list(events), refused
        self.has_kprobe_multi, self.trials, self.for_kprobe_multi = kprobe_multi, [], []
        self.loads, self.attached, self.removed = [], [], []
        self._places = {}

    def btf_function(self, symbol):
        return (self.functions.index(symbol) + 1, 3) if symbol in self.functions else None

    def descriptor(self, place):
        descriptor = os.open("/dev/null", os.O_RDONLY)
        self._places[descriptor] = place
        return descriptor

    def prog_load(self, kind, name, code, attach_type, btf_id):
        assert code == b"code of " + name.encode()
        if "load " + name in self.refused:
            raise OSError(errno.EINVAL, "?")
        self.loads.append(name)
        if attach_type == bpf.BPF_TRACE_KPROBE_MULTI:
            self.for_kprobe_multi.append(len(self.loads) - 1)
        return len(self.loads) - 1

    def kprobe_multi(self, symbol, program):
        assert program in self.for_kprobe_multi
        self.trials.append(symbol)
        if not self.has_kprobe_multi:
            raise OSError(errno.EOPNOTSUPP, "?")
        if symbol not in self.functions or "multi " + symbol in self.refused:
            raise OSError(errno.ESRCH, "?")
        self.attached.append((self.loads[program], "multi:" + symbol))
        return self.descriptor("multi:" + symbol)

    def raw_tracepoint_open(self, name, program):
        if self.loads[program] in self.refused:
            raise OSError(errno.EBUSY, "?")
        self.attached.append((self.loads[program], name))
        return self.descriptor(name)

    def perf_event_open(self, kind, config, config1=0):
        if kind == bpf.PERF_TYPE_TRACEPOINT:
            return self.descriptor(self.events[config])
        assert kind == PERF_TYPE_KPROBE
        symbol = ctypes.string_at(config1).decode()
        self.demand(symbol)
        return self.descriptor("pmu:%d:%s" % (config, symbol))

    def demand(self, symbol):
        if symbol not in self.functions:
            raise OSError(errno.ENOENT, "?")

    def perf_event_run(self, event, program):
        os.fstat(event)
        assert program not in self.for_kprobe_multi
        if self.loads[program] in self.refused:
            raise OSError(errno.EINVAL, "?")
        self.attached.append((self.loads[program], self._places[event]))

    def event_id(self, event):
        return self.events.index(event) if event in self.events else None

    def add_kretprobe(self, program, symbol):
        self.demand(symbol)
        name = "ebpf_plugin/r_%s_1" % program
        self.events.append(name.replace("/", ":"))
        return name

    def open_descriptors(self):
        return [descriptor for descriptor in self._places if os.path.exists("/proc/self/fd/%d" % descriptor)]


class Programs:
    """The bytecode of a group, which lacks some programs."""

    def __init__(self, lacks):
        self._lacks = lacks

    def instructions(self, name, arguments):
        if name in self._lacks:
            raise bytecode.Refused("the bytecode has no such program")
        assert (arguments == 3) == name.endswith(("_fentry", "_fexit")), "of a function with three arguments"
        return b"code of " + name.encode()


@pytest.fixture
def play(monkeypatch):
    """play(functions, events, refused, ...) -> (Kernel, Attacher)"""
    played = []

    def start(functions=(), events=(), refused=(), mode="entry", choice="auto", btf=True, text_lacks=(), pmu="6\n",
              mounted=True, kprobes=True, ftrace="1\n", kprobe_multi=False, shared=frozenset()):
        fake = Kernel(functions, events, refused, kprobe_multi)
        played.append(fake)

        def add_kretprobe(program, symbol):
            if not mounted:
                raise tracefs.NoTracefs("tracefs is not mounted")
            return fake.add_kretprobe(program, symbol)

        for name in ("prog_load", "raw_tracepoint_open", "perf_event_open", "perf_event_run", "kprobe_multi"):
            monkeypatch.setattr(bpf, name, getattr(fake, name))
        texts = {PMU + "/type": pmu, "/proc/sys/kernel/ftrace_enabled": ftrace}
        monkeypatch.setattr(procfs, "read", lambda path: texts.get(path, ""))
        monkeypatch.setattr(tracefs, "event_id", fake.event_id)
        monkeypatch.setattr(tracefs, "has_category", lambda name: bool(fake.events))
        monkeypatch.setattr(tracefs, "add_kretprobe", add_kretprobe)
        monkeypatch.setattr(tracefs, "remove", fake.removed.extend)
        monkeypatch.setattr(refusals, "has_kprobes", lambda: kprobes)
        monkeypatch.setattr(refusals, "denied", lambda: "")
        monkeypatch.setattr(tracefs, "start_cleaner", lambda: None)
        attacher = Attacher(Programs(text_lacks), mode, choice,
                            type("FakeBTF", (), {"function": staticmethod(fake.btf_function)}) if btf else None,
                            "" if btf else "no BTF here", shared)
        return fake, attacher

    yield start
    for fake in played:
        for descriptor in fake.open_descriptors():
            os.close(descriptor)


def attach(played, hook):
    """(attach method, where, attach methods that failed); what is held is what is open."""
    fake, attacher = played
    method, held, failed = attacher.attach(hook)
    assert (method is None) == (held is None)
    assert sorted(held.descriptors if held else []) == sorted(fake.open_descriptors())
    if held:
        assert {fake.loads[number] for number in held.programs.values()} == set(held.programs)
        assert set(held.programs) <= {name for name, _ in fake.attached}
        assert {fake.loads[held.programs[name]] for name in held.links} == set(held.links)
        assert {held.programs[name] for name in held.links} <= set(fake.for_kprobe_multi)
    return method, held.where if held else None, [name for name, _ in failed]


CALLS = Hook("calls", ("calls",), (Function("f", ("f_new", "f_old")),),
             (Tracepoint("f_sys_exit", ("syscalls:sys_exit_f",)),))
SYSCALLS = ("raw_syscalls:sys_exit", "syscalls:sys_exit_f")


@pytest.mark.parametrize("choice, first, order", [
    ("auto", "", "trampoline probe tracepoint"),
    ("auto", "tracepoint", "tracepoint trampoline probe"),
    ("auto", "probe", "probe trampoline tracepoint"),
    ("trampoline", "tracepoint", "trampoline probe tracepoint"),
    ("probe", "", "probe trampoline tracepoint"),
    ("probe", "tracepoint", "probe trampoline tracepoint"),
    ("tracepoint", "", "tracepoint trampoline probe"),
])
def test_order(choice, first, order):
    attacher = Attacher(None, "entry", choice, None)
    assert attacher.order(CALLS._replace(first=first)) == tuple(order.split())


@pytest.mark.parametrize("choice, mode, where", [
    ("auto", "entry", ["fentry:f_new"]),
    ("auto", "return", ["fexit:f_new"]),
    ("probe", "entry", ["kprobe:f_new"]),
    ("probe", "return", ["kretprobe:f_new"]),
    ("tracepoint", "entry", ["syscalls:sys_exit_f"]),
    ("tracepoint", "return", ["syscalls:sys_exit_f"]),
])
def test_the_first_method_that_takes_it(play, choice, mode, where):
    played = play(("f_new", "f_old"), SYSCALLS, mode=mode, choice=choice)
    method = "trampoline" if choice == "auto" else choice
    assert attach(played, CALLS) == (method, where, [])
    assert len(played[0].attached) == 1


@pytest.mark.parametrize("choice", ["trampoline", "probe"])
def test_the_name_of_an_older_kernel(play, choice):
    method, where, _ = attach(play(("f_old",), choice=choice), CALLS)
    assert method == choice and where[0].endswith(":f_old")


@pytest.mark.parametrize("lacking, method", [
    ({}, "trampoline"),
    ({"btf": False}, "probe"),
    ({"refused": ("f_fentry",)}, "probe"),
    ({"refused": ("load f_fentry",)}, "probe"),
    ({"text_lacks": ("f_fentry",)}, "probe"),
    ({"btf": False, "kprobes": False, "pmu": ""}, "tracepoint"),
    ({"btf": False, "refused": ("f_kprobe",)}, "tracepoint"),
    ({"functions": ()}, "tracepoint"),
    ({"ftrace": "0\n"}, "tracepoint"),
    ({"functions": (), "events": ()}, None),
    ({"functions": (), "refused": ("f_sys_exit",)}, None),
])
def test_the_next_method(play, lacking, method):
    fake, _ = played = play(**{**dict(functions=("f_new",), events=SYSCALLS), **lacking})
    got, _, failed = attach(played, CALLS)
    assert got == method
    assert failed == list(("trampoline", "probe", "tracepoint")[:3 if method is None else len(failed)])
    assert len(fake.attached) == (method is not None)


@pytest.mark.parametrize("lacking, method, why", [
    ({"btf": False}, "trampoline", "no BTF here"),
    ({"functions": ()}, "trampoline", "the kernel has no function f_new or f_old"),
    ({"functions": ()}, "probe", "the kernel has no function f_new or f_old"),
    ({"text_lacks": ("f_fentry",)}, "trampoline", "cannot load f_fentry: the bytecode has no such program"),
    ({"refused": ("f_fentry",)}, "trampoline", "cannot attach to f_new: EBUSY"),
    ({"refused": ("load f_kprobe",)}, "probe", "cannot load f_kprobe: EINVAL"),
    ({"kprobes": False, "pmu": ""}, "probe", "cannot attach to f_new: ENOENT (kernel without kprobes"),
    ({"ftrace": "0\n"}, "trampoline", "ftrace is off: sysctl kernel.ftrace_enabled=1"),
    ({"ftrace": "0\n"}, "probe", "ftrace is off"),
    ({"events": ()}, "tracepoint", "kernel without tracepoints of system calls: CONFIG_FTRACE_SYSCALLS"),
    ({"events": SYSCALLS[:1]}, "tracepoint", "the kernel has none of its tracepoints"),
    ({"refused": ("f_sys_exit",)}, "tracepoint", "cannot attach to syscalls:sys_exit_f: EINVAL"),
])
def test_why_not(play, lacking, method, why):
    """Every attach method but the one that is looked at refuses anyway."""
    refused = {"f_fentry", "f_kprobe", "f_sys_exit"} | set(lacking.pop("refused", ()))
    _, attacher = play(**{**dict(functions=("f_new",), events=SYSCALLS, refused=refused), **lacking})
    assert dict(attacher.attach(CALLS)[2])[method].startswith(why)


def test_no_tracepoint_stands_for_it(play):
    _, attacher = play()
    assert dict(attacher.attach(CALLS._replace(tracepoints=()))[2])["tracepoint"] == "no tracepoint stands for it"


TWO = CALLS._replace(functions=(Function("f", ("f",)), Function("g", ("g",))))


@pytest.mark.parametrize("refused, method, where", [
    ((), "trampoline", ["fexit:f", "fexit:g"]),
    (("g_fexit",), "probe", ["kretprobe:f", "kretprobe:g"]),
    (("load g_fexit",), "probe", ["kretprobe:f", "kretprobe:g"]),
    (("g_fexit", "g_kretprobe"), "tracepoint", ["syscalls:sys_exit_f"]),
    (("g_fexit", "g_kretprobe", "f_sys_exit"), None, None),
])
def test_a_hook_is_attached_as_a_whole(play, refused, method, where):
    fake, _ = played = play(("f", "g"), SYSCALLS, refused, mode="return")
    assert attach(played, TWO)[:2] == (method, where)
    probed = "g_fexit" in refused or "load g_fexit" in refused
    gone = ["ebpf_plugin/r_f_1", "ebpf_plugin/r_g_1"] if probed and method != "probe" else []
    assert fake.removed == gone


def test_a_required_function_that_is_missing(play):
    assert attach(play(("f",), SYSCALLS), TWO) == ("tracepoint", ["syscalls:sys_exit_f"], ["trampoline", "probe"])


OPTIONAL = CALLS._replace(functions=tuple(Function(name, (name,), required=False) for name in "fg"), tracepoints=())


@pytest.mark.parametrize("functions, where", [
    (("f", "g"), ["f", "g"]), (("f",), ["f"]), (("g",), ["g"]), ((), None),
])
@pytest.mark.parametrize("choice, way", [("trampoline", "fentry"), ("probe", "kprobe")])
def test_an_optional_function_that_is_missing(play, choice, way, functions, where):
    method, places, _ = attach(play(functions, choice=choice), OPTIONAL)
    assert method == (choice if where else None)
    assert places == (["%s:%s" % (way, name) for name in where] if where else None)


@pytest.mark.parametrize("exists, functions, where", [
    (True, ("f", "g"), ["f", "g"]),
    (False, ("f", "g"), ["f"]),
    (False, ("f",), ["f"]),
    (True, ("f",), None),  # it is missed where the kernel has what it belongs to
])
@pytest.mark.parametrize("choice, way", [("trampoline", "fentry"), ("probe", "kprobe")])
def test_a_function_of_what_the_kernel_may_not_have(play, tmp_path, choice, way, exists, functions, where):
    mark = tmp_path / "if_inet6"
    if exists:
        mark.touch()
    hook = Hook("h", ("c",), (Function("f", ("f",)), Function("g", ("g",), only_with=str(mark))))
    method, places, _ = attach(play(functions, choice=choice), hook)
    assert method == (choice if where else None)
    assert places == (["%s:%s" % (way, name) for name in where] if where else None)


def test_a_hook_of_nothing_but_what_the_kernel_does_not_have(play):
    hook = Hook("h", ("c",), (Function("g", ("g",), only_with="/nowhere"),))
    assert attach(play(("g",)), hook)[0] is None


@pytest.mark.parametrize("program_types, choice, mode, where", [
    (AT_CALL, "trampoline", "return", ["fentry:f"]),
    (AT_CALL, "probe", "return", ["kprobe:f"]),
    (WITH_RESULT, "trampoline", "entry", ["fexit:f"]),
    (WITH_RESULT, "probe", "entry", ["kprobe:f"]),
    (WITH_ARGUMENT, "trampoline", "entry", ["fexit:f"]),
    # the return first: no call is seen whose return would not be
    (WITH_ARGUMENT, "probe", "entry", ["kretprobe:f", "kprobe:f"]),
])
def test_ways(play, program_types, choice, mode, where):
    hook = Hook("h", ("c",), (Function("f", ("f",), program_types),))
    assert attach(play(("f",), mode=mode, choice=choice), hook)[1] == where


@pytest.mark.parametrize("mode, more, where", [
    ("entry", {}, ["kprobe.multi:f", "kprobe.multi:g"]),
    ("entry", {"shared": frozenset("f")}, ["kprobe:f", "kprobe.multi:g"]),
    ("entry", {"refused": ("multi f",)}, ["kprobe:f", "kprobe.multi:g"]),  # ftrace does not reach it
    ("entry", {"kprobe_multi": False}, ["kprobe:f", "kprobe:g"]),
    ("return", {}, ["kretprobe:f", "kretprobe:g"]),
])
def test_kprobe_multi_where_one_program_is_at_a_function(play, mode, more, where):
    fake, attacher = played = play(**{**dict(functions=("f", "g"), mode=mode, choice="probe", kprobe_multi=True), **more})
    assert attach(played, TWO) == ("probe", where, [])
    assert fake.trials == [] if mode == "return" else len(fake.trials) <= 2
    _, held, _ = attacher.attach(TWO)
    assert sorted(held.links) == sorted(place[-1] + "_kprobe" for place in where if ".multi:" in place)


def test_kprobe_multi_is_tried_once_where_the_kernel_does_not_have_it(play):
    fake, _ = played = play(("f", "g"), choice="probe")
    attach(played, TWO)
    assert fake.trials == ["f"]


@pytest.mark.parametrize("mode, shared, alone", [
    ("entry", {"vfs_open", "kernel_clone", "tcp_recvmsg"}, {"vfs_read", "close_fd", "tcp_sendmsg"}),
    ("return", {"vfs_open", "kernel_clone", "tcp_sendmsg"}, {"vfs_read", "tcp_close"}),
])
def test_functions_with_several_programs(mode, shared, alone):
    found = probed_by_several(GROUPS, mode)
    assert shared <= found
    assert not alone & found


@pytest.mark.parametrize("mode, method, where, failed", [
    ("entry", "probe", ["kprobe:f_old"], []),
    ("return", "trampoline", ["fexit:f_old"], ["probe"]),  # the PMU's kretprobes lose events and do not say so
])
def test_probes_without_tracefs(play, mode, method, where, failed):
    fake, _ = played = play(("f_old",), mode=mode, choice="probe", mounted=False)
    assert attach(played, CALLS) == (method, where, failed)
    assert not any(str(place).startswith("pmu:1") for _, place in fake.attached)


OPENS = Hook("opens", ("opens",), tracepoints=(
    Tracepoint("open_sys_exit", ("syscalls:sys_exit_open", "syscalls:sys_exit_openat", "syscalls:sys_exit_openat2")),
    Tracepoint("open_sys_enter", ("syscalls:sys_enter_open", "syscalls:sys_enter_openat"), modes=("return",)),
))


@pytest.mark.parametrize("mode, missing, where", [
    ("entry", (), ["exit_open", "exit_openat", "exit_openat2"]),
    ("entry", ("exit_openat2",), ["exit_open", "exit_openat"]),
    ("return", ("exit_open", "enter_open"), ["exit_openat", "exit_openat2", "enter_openat"]),
    ("entry", ("exit_open", "exit_openat", "exit_openat2"), None),
])
def test_system_calls_that_the_kernel_does_not_have(play, mode, missing, where):
    every = [event for tracepoint in OPENS.tracepoints for event in tracepoint.events]
    events = [event for event in every if event[len("syscalls:sys_"):] not in missing]
    played = play(events=["raw_syscalls:sys_exit"] + events, mode=mode)
    assert attach(played, OPENS)[:2] == (
        ("tracepoint", ["syscalls:sys_" + name for name in where]) if where else (None, None))


def test_a_program_is_loaded_once_for_all_its_tracepoints(play):
    fake, _ = played = play(events=("raw_syscalls:sys_exit",) + OPENS.tracepoints[0].events)
    attach(played, OPENS)
    assert fake.loads == ["open_sys_exit"] and len(fake.attached) == 3


def test_a_program_is_verified_for_each_function_of_a_trampoline(play):
    fake, attacher = play(("f_new", "f_old"))
    attacher.attach(CALLS)
    attacher.attach(CALLS._replace(functions=(Function("f", ("f_old",)),)))
    assert fake.loads == ["f_fentry", "f_fentry"]


def test_raw_tracepoints(play):
    hook = Hook("exit", ("exits",), tracepoints=(Tracepoint("exit_raw", ("sched_process_exit",), raw=True),))
    fake, _ = played = play()
    assert attach(played, hook)[:2] == ("tracepoint", ["sched_process_exit"])
    assert fake.attached == [("exit_raw", "sched_process_exit")]


def test_tracefs_that_is_not_ours_to_read(play, monkeypatch):
    def event_id(event):
        raise tracefs.NoTracefs("/sys/kernel/tracing/events: Permission denied")

    fake, attacher = play()
    monkeypatch.setattr(tracefs, "event_id", event_id)
    assert attacher.attach(OPENS)[2][-1] == ("tracepoint", "/sys/kernel/tracing/events: Permission denied")
