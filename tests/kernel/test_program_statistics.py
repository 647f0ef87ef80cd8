"""`ebpf.plugin programs` on a real kernel: runs to the event, beside bpftool; places, holders, pins, names."""
import contextlib
import fcntl
import json
import os
import pty
import resource
import shutil
import signal
import struct
import subprocess
import termios
import threading
import time

from harness.attached import STOCK_KERNEL, skip_if_missing, skip_without_method
from harness.own_programs import CGROUP_SKB, INGRESS, PASS, RAW_TRACEPOINT, SOCKET_FILTER, TAKE_ALL, Filtered, \
    attach_to_cgroup, pin
from harness.plugin_process import PATIENCE, PLUGIN, Plugin
import pytest

from ebpf_plugin.commands.programs import BEGIN_SCREEN, END_SCREEN
from ebpf_plugin.kernel import bpf, procfs, tracefs
from ebpf_plugin.kernel.btf import BTF
from ebpf_plugin.kernel.capabilities import CAPABILITIES
from ebpf_plugin.load import attach, loader
from ebpf_plugin.programs import objects, statistics
from ebpf_plugin.programs.cgroups import mounts_of
from ebpf_plugin.programs.usage import Looker

N = 1009
LONG = "a_program_whose_name_the_kernel_cuts"


@pytest.fixture(autouse=True, scope="module")
def memory_that_may_be_locked():
    """Before 5.11 programs and maps are charged to it, with those that others have just closed."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    with contextlib.suppress(ValueError):  # a container may not
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    yield
    resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)


@pytest.fixture
def counting():
    """The kernel counts."""
    descriptor = statistics.enable()
    yield
    os.close(descriptor)


@pytest.fixture
def bpffs():
    """A directory in a bpffs."""
    mounts = mounts_of("bpf")
    skip_if_missing("" if mounts else "no bpffs is mounted")
    directory = "%s/test-%d" % (mounts[0], os.getpid())
    os.mkdir(directory)
    yield directory
    shutil.rmtree(directory)


def programs(*words):
    """{id: program} of one look of the command."""
    done = subprocess.run([PLUGIN, "programs", "--once", "--json", *words], stdout=subprocess.PIPE, check=True,
                          timeout=PATIENCE)
    return {program["id"]: program for program in json.loads(done.stdout)["programs"]}


def bpftool(number):
    """What bpftool says of a program."""
    skip_if_missing("" if shutil.which("bpftool") else "no bpftool")
    return json.loads(subprocess.run(["bpftool", "-j", "prog", "show", "id", str(number)], stdout=subprocess.PIPE,
                                     check=True).stdout)


def look(looker, number):
    return next(each for each in looker.look() if each.program.id == number)


def test_n_runs_are_n(counting):
    with Filtered() as own:
        looker = Looker()
        assert look(looker, own.id).program.runs == 0
        own.run(N)
        found = look(looker, own.id)
        own.run(23)
        later = look(looker, own.id)
    assert (found.program.runs, found.ran) == (N, N)
    assert (later.program.runs, later.ran) == (N + 23, 23)


def test_runs_and_time_are_those_of_bpftool(counting):
    with Filtered() as own:
        own.run(N)
        found, other = programs("--all")[own.id], bpftool(own.id)
    assert found["runs"] == other["run_cnt"] == N
    assert found["run_time_ns"] == other["run_time_ns"] > 0
    assert (found["type"], found["name"], found["uid"]) == (other["type"], other["name"], other["uid"])


def test_nothing_is_counted_while_nobody_looks():
    if statistics.are_on():
        pytest.skip("somebody has switched kernel.bpf_stats_enabled on")
    with Filtered() as own:
        own.run(N)
        descriptor = statistics.enable()
        own.run(23)
        os.close(descriptor)
        time.sleep(0.1)  # before 5.8 a child sets the sysctl back
        own.run(N)
        assert objects.program(own.descriptor).runs == 23


def test_enable_stats_holds_them_until_it_ends():
    process = subprocess.Popen([PLUGIN, "enable-stats"], stderr=subprocess.PIPE)
    with Filtered() as own:
        try:
            assert b"until this ends" in process.stderr.readline()
            own.run(23)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.stderr.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # until the kernel has closed what the process held
            before = objects.program(own.descriptor).runs
            own.run(1)
            if objects.program(own.descriptor).runs == before:
                break
        assert 23 <= objects.program(own.descriptor).runs == before


def test_the_sysctl_is_set_back_after_sigkill():
    """As before 5.8, on the kernel's own file."""
    if statistics.are_on():
        pytest.skip("somebody has switched kernel.bpf_stats_enabled on")
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        statistics.by_sysctl()
        os.write(go, b"x")
        signal.pause()
    os.read(ready, 1)
    try:
        with Filtered() as own:
            assert statistics.are_on()
            own.run(N)
            assert objects.program(own.descriptor).runs == N
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(go)
    deadline = time.monotonic() + PATIENCE
    while statistics.are_on() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not statistics.are_on()


def test_programs_that_come_and_go_meanwhile_are_no_error(counting):
    done = threading.Event()

    def come_and_go():
        while not done.is_set():
            for each in [Filtered("short_lived") for _ in range(20)]:
                each.close()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        looker, most = Looker(), 0
        with Filtered() as own:
            for _ in range(10 if STOCK_KERNEL else 100):
                found = looker.look()
                most = max(most, len([each for each in found if each.name == "short_lived"]))
                assert own.id in [each.program.id for each in found]
    finally:
        done.set()
        thread.join()
    assert most > 0  # they were there


def test_the_whole_name_is_that_of_btf():
    descriptor = bpf.prog_load(SOCKET_FILTER, LONG, TAKE_ALL)
    try:
        number = procfs.fdinfo("self", descriptor)["prog_id"]
        assert programs("--all", "--name", LONG)[number]["name"] == LONG
        assert objects.program(descriptor).name == LONG[:15]
    finally:
        os.close(descriptor)


def test_who_holds_it_and_where_it_is_pinned(bpffs):
    with Filtered() as own:
        pin(own.descriptor, bpffs + "/own")
        os.mkdir(bpffs + "/deeper")
        with contextlib.suppress(OSError):  # a bpffs takes no dot; of the other names any
            pin(own.descriptor, bpffs + "/deeper/\x1b[2J\n")
        found = programs("--pinned", bpffs)
        assert list(found) == [own.id]
        assert {"pid": os.getpid(), "comm": open("/proc/self/comm").read()[:-1]} in found[own.id]["holders"]
        assert sorted(found[own.id]["pins"]) == sorted([bpffs + "/own", bpffs + "/deeper/\x1b[2J\n"])
        text = subprocess.run([PLUGIN, "programs", "--once", "--pinned", bpffs], stdout=subprocess.PIPE, check=True).stdout
        assert b"\x1b" not in text and len(text.splitlines()) == 3
        assert list(programs("--pinned", bpffs + "/deeper")) == [own.id]
        assert programs("--pinned", bpffs[:-1]) == {}
    # only the pins are left: nobody holds it
    assert programs("--pinned", bpffs)[own.id]["holders"] == []


def attached_to(descriptor, *others):
    """What the program is attached to; then everything is closed."""
    number = procfs.fdinfo("self", descriptor)["prog_id"]
    try:
        return programs("--all")[number]["attached"]
    finally:
        for each in (*others, descriptor):
            os.close(each)


def test_attached_to_a_raw_tracepoint():
    descriptor = bpf.prog_load(RAW_TRACEPOINT, "own", TAKE_ALL)
    link = bpf.raw_tracepoint_open("sched_process_exec", descriptor)
    assert attached_to(descriptor, link) == ["raw_tracepoint:sched_process_exec"]


def test_attached_to_a_tracepoint():
    descriptor = bpf.prog_load(attach.PROG_TRACEPOINT, "own", TAKE_ALL)
    event = bpf.perf_event_open(bpf.PERF_TYPE_TRACEPOINT, tracefs.event_id("sched:sched_process_exec"))
    bpf.perf_event_run(event, descriptor)
    assert attached_to(descriptor, event) == ["tracepoint:sched_process_exec"]


def test_attached_to_a_kretprobe():
    skip_without_method("probe")
    name = tracefs.add_kretprobe("own", "vfs_fsync_range")
    try:
        event = bpf.perf_event_open(bpf.PERF_TYPE_TRACEPOINT, tracefs.event_id(name.replace("/", ":")))
        descriptor = bpf.prog_load(attach.PROG_KPROBE, "own", TAKE_ALL)
        bpf.perf_event_run(event, descriptor)
        assert attached_to(descriptor, event) == ["kretprobe:vfs_fsync_range"]
    finally:
        tracefs.remove([name])


def test_attached_to_a_function():
    skip_without_method("trampoline")
    returns_0 = bytes.fromhex("b700000000000000" "9500000000000000")
    number, _ = BTF().function("vfs_fsync_range")
    descriptor = bpf.prog_load(attach.PROG_TRACING, "own", returns_0, attach.TRACE_FENTRY, number)
    link = bpf.raw_tracepoint_open(None, descriptor)
    # the kernel tells the function since 5.13
    has_target = b"target_obj_id" in open("/sys/kernel/btf/vmlinux", "rb").read()
    assert attached_to(descriptor, link) == ["fentry:vfs_fsync_range" if has_target else "fentry"]


def test_attached_to_a_control_group_without_a_link():
    mounts = mounts_of("cgroup2")
    skip_if_missing("" if mounts else "control groups of version 2 are not mounted")
    path = "/test %d" % os.getpid()
    os.mkdir(mounts[0] + path)
    directory = os.open(mounts[0] + path, os.O_RDONLY)
    try:
        descriptor = bpf.prog_load(CGROUP_SKB, "own", PASS)
        attach_to_cgroup(directory, descriptor, INGRESS)
        assert attached_to(descriptor) == ["cgroup_ingress:" + path]
    finally:
        os.close(directory)
        os.rmdir(mounts[0] + path)


def test_the_memory_of_its_maps():
    descriptor = bpf.map_create(bpf.BPF_MAP_TYPE_ARRAY, 4, 4096, 100)
    memory = procfs.fdinfo("self", descriptor)["memlock"]
    number = procfs.fdinfo("self", descriptor)["map_id"]
    assert objects.map_memory(number) == memory >= 409600
    os.close(descriptor)


def test_the_plugins_own_programs(tmp_path):
    with Plugin("1") as plugin:
        plugin.read_ticks(1)
        found = programs()
        bpffs_and_rest = programs("--all")
        pid = plugin.process.pid
    assert len(found) > 10
    # the kernel has cut their names, and BTF has them whole
    code, _ = loader.instructions()
    known = {name for group in code.groups.values() for name in group.programs}
    assert {program["name"] for program in found.values()} <= known
    assert set(found) <= set(bpffs_and_rest)
    assert all(program["attached"] and program["maps_bytes"] for program in found.values())
    assert all(pid in [holder["pid"] for holder in program["holders"]] for program in found.values())
    # what the plugin counts is what the kernel runs
    assert sum(program["interval_runs"] for program in found.values()) > 0


def test_a_user_is_told_what_it_takes(plugin_readable_by_all):
    done = subprocess.run([plugin_readable_by_all, "programs", "--once"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          user=65534, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    line, = done.stderr.splitlines()
    assert "run as root" in line


def test_a_reader_that_goes_ends_it():
    process = subprocess.Popen([PLUGIN, "programs", "--all"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def charted(which, tmp_path, work=lambda: None):
    """The plugin's last values with this program statistics, after `work` at its second tick."""
    (tmp_path / "ebpf.conf").write_text("[global]\nprogram statistics = %s\n" % which)
    with Plugin("1", "--config", str(tmp_path)) as plugin:
        plugin.read_ticks(2)
        work()
        plugin.read_ticks(3)
        kept = effective_capabilities(plugin.process.pid)
        plugin.process.terminate()
        plugin.wait_for_end(PATIENCE)
        assert "programs" not in plugin.stderr()
    return plugin.last_values(), kept


def effective_capabilities(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapEff"))


def test_charts_of_all_programs_show_n_runs(tmp_path):
    with Filtered() as own:
        own.run(23)  # before the plugin; nobody may count them
        values, kept = charted("all", tmp_path, lambda: own.run(N))
        now = objects.program(own.descriptor)
    assert values["programs_runs.own_filter"] == N
    if not statistics.are_on():
        assert (now.runs, now.run_time) == (N, values["programs_time.own_filter"])
    assert kept in (0, 1 << CAPABILITIES["sys_admin"])  # what listing others' programs takes, and nothing else


def test_charts_of_our_programs_have_no_others(tmp_path):
    with Filtered() as own:
        values, kept = charted("ours", tmp_path, lambda: own.run(N))
    assert "programs_runs.own_filter" not in values
    assert sum(value for name, value in values.items() if name.startswith("programs_runs.")) > 0
    assert kept & 1 << CAPABILITIES["sys_admin"] == 0


def test_by_default_nobody_pays(tmp_path):
    if statistics.are_on():
        pytest.skip("somebody has switched kernel.bpf_stats_enabled on")
    with Filtered() as own:
        values, _ = charted("no", tmp_path, lambda: own.run(N))
        assert objects.program(own.descriptor).runs == 0
    assert not [name for name in values if name.startswith("programs_")]


def test_a_terminal_is_given_back_as_it_was():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 70, 0, 0))
    with Filtered():
        process = subprocess.Popen([PLUGIN, "programs", "--all"], stdout=theirs, stderr=subprocess.PIPE)
        os.close(theirs)
        text = b""
        while b"runs/s" not in text:
            text += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        with contextlib.suppress(OSError):  # EIO: nobody has the other end
            while True:
                text += os.read(ours, 65536)
    os.close(ours)
    assert process.stderr.read() == b""
    process.stderr.close()
    text = text.decode()
    assert text.startswith(BEGIN_SCREEN) and text.endswith(END_SCREEN)
    first = text.split("\x1b[H\x1b[J")[1].replace(END_SCREEN, "").split("\r\n")
    assert len(first) <= 12 and max(map(len, first)) <= 70
