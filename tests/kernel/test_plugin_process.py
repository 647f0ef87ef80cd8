"""The plugin as a process: what it prints on a real kernel, how it ends, and that it leaves nothing in the kernel."""
import errno
import importlib.util
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import time

from harness.attached import COMM, DEFAULT_GROUPS, GROUPS_BY_COMM, skip_without_method
from harness.exact_counts import assert_counts, difference
from harness.leaks import added_since, objects_in_kernel
from harness.plugin_process import FEW_GROUPS, PATIENCE, PLUGIN, ROOT, Plugin, config_for_method
import pytest
from workloads import syscalls

from ebpf_plugin.kernel import capabilities, tracefs
from ebpf_plugin.model.group import ATTACH_METHODS


@pytest.mark.parametrize("flags", [[], ["-r"]], ids=["entry", "return"])
def test_n_events_add_exactly_n_to_the_output(clean_kernel, flags, tmp_path):
    n = 101
    with Plugin("1", *flags, *FEW_GROUPS) as plugin:
        plugin.read_ticks(2)
        before = plugin.last_values()
        syscalls.run(syscalls.repeat("openat", -errno.ENOENT, lambda i: (syscalls.AT_FDCWD, b"nothing", 0, 0)),
                     COMM, n, tmp_path)
        syscalls.run(syscalls.children(syscalls.fork), COMM, n, tmp_path)
        expected = {"file_descriptor.open": n, "process_thread.process": n, "exit.process": n}
        if flags:
            expected["file_error.open"] = n
        plugin.read_ticks(3)
        grown = difference(plugin.last_values(), before)
        compared = (*expected, "io.read", "process_thread.thread")
        assert_counts({name: grown.get(name, 0) for name in compared}, expected, "auto", "return" if flags else "entry")
        assert before.keys() >= set(compared)
        declared = {line.split()[1] for line in plugin.lines if line.startswith("CHART")}
        assert ("ebpf.file_error" in declared) == bool(flags)
        assert plugin.process.poll() is None


def test_two_plugins_count_independently(clean_kernel, tmp_path):
    n, m = 37, 53
    work = syscalls.repeat("close", -errno.EBADF, lambda i: (1000000 + i,))
    with Plugin("1", *FEW_GROUPS) as first, Plugin("1", "-r", *FEW_GROUPS) as second:
        for each in (first, second):
            each.read_ticks(1)
        before = [each.last_values() for each in (first, second)]
        syscalls.run(work, COMM, n, tmp_path)
        for each in (first, second):
            each.read_ticks(2)
        for plugin, old in zip((first, second), before):
            assert_closes(plugin, old, n)
        first.process.send_signal(signal.SIGTERM)
        assert first.wait_for_end()[0] == 0
        syscalls.run(work, COMM, m, tmp_path)
        second.read_ticks(2)
        assert_closes(second, before[1], n + m)


def assert_closes(plugin, before, expected):
    name = "file_descriptor.close"
    assert_counts({name: plugin.last_values()[name] - before[name]}, {name: expected}, "auto")


def send_quit(plugin):
    plugin.process.stdin.write(b"QUIT")  # as the agent does, without an end of line
    plugin.process.stdin.flush()


ENDINGS = {
    "SIGTERM": lambda plugin: plugin.process.send_signal(signal.SIGTERM),
    "SIGINT": lambda plugin: plugin.process.send_signal(signal.SIGINT),
    "end-of-stdin": lambda plugin: plugin.process.stdin.close(),
    "QUIT": send_quit,
}


@pytest.mark.parametrize("ending, loaded", [("SIGTERM", ("-a",)), *((ending, FEW_GROUPS) for ending in ENDINGS)])
def test_the_plugin_ends_at_once(clean_kernel, ending, loaded):
    with Plugin("5", *loaded) as plugin:
        plugin.read_until(lambda lines: any(line.startswith("CHART") for line in lines))
        time.sleep(0.2)  # in the middle of the wait for a tick
        ENDINGS[ending](plugin)
        status, seconds = plugin.wait_for_end()
        assert status == 0
        assert seconds < 1.5  # 0.05 s or so; the next tick is up to 5 s away
        assert plugin.stderr() == ""


def test_the_plugin_ends_when_its_output_is_closed(clean_kernel):
    with Plugin("1", *FEW_GROUPS, stdin=subprocess.DEVNULL) as plugin:
        plugin.read_ticks(1)
        plugin.process.stdout.close()
        assert plugin.wait_for_end()[0] == 0
        assert plugin.stderr() == ""


def test_the_plugin_runs_without_an_input(clean_kernel):
    with Plugin("1", *FEW_GROUPS, stdin=subprocess.DEVNULL) as plugin:
        plugin.read_ticks(3)


@pytest.mark.parametrize("method, number, status", [
    *((method, signal.SIGKILL, -signal.SIGKILL) for method in ATTACH_METHODS), ("probe", signal.SIGTERM, 0)],
    ids=lambda value: str(int(value)) if isinstance(value, int) else value)
def test_an_ended_plugin_leaves_nothing_in_the_kernel(clean_kernel, tmp_path, method, number, status):
    """Events of probes would stay: no descriptor holds them, so they do not end with the process."""
    skip_without_method(method)
    before = objects_in_kernel()
    loaded = () if (method, number) == ("probe", signal.SIGKILL) else FEW_GROUPS
    with Plugin("1", "-r", *loaded, "--config", config_for_method(method, tmp_path)) as plugin:
        plugin.read_ticks(1)
        programs, maps, events = added_since(before)
        assert programs
        assert maps
        assert events == set(tracefs.made_by(plugin.process.pid))
        assert bool(events) == (method == "probe")
        plugin.process.send_signal(number)
        assert plugin.wait_for_end(PATIENCE)[0] == status


def test_ticks_and_once_end_after_so_many_ticks(clean_kernel):
    for arguments, n in ((("--ticks", "3"), 3), (("--once",), 1)):
        with Plugin(*arguments, *FEW_GROUPS, stdin=subprocess.DEVNULL) as plugin:
            output, _ = plugin.process.communicate(timeout=PATIENCE)
            assert plugin.process.returncode == 0
            assert len(re.findall(rb"^BEGIN ebpf.io\b", output, re.MULTILINE)) == n


def test_a_suspended_process_gives_a_gap_and_no_spike(clean_kernel):
    """After the pause BEGIN has its length, and values per interval are left out."""
    with Plugin("1", *FEW_GROUPS) as plugin:
        plugin.read_ticks(3)
        plugin.process.send_signal(signal.SIGSTOP)
        time.sleep(3.2)
        plugin.process.send_signal(signal.SIGCONT)
        seen = len(plugin.lines)
        plugin.read_ticks(3)
        late = [int(line.split()[2]) for line in plugin.lines[seen:] if line.startswith("BEGIN ebpf.io ")]
        assert max(late) > 2_900_000
        assert len([each for each in late if each > 1_500_000]) == 1, late  # ticks of the pause are not made up for
        status = [int(line.split()[2]) for line in plugin.lines[seen:] if line.startswith("BEGIN ebpf.process_status ")]
        assert len(status) < len(late)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from ebpf_plugin.load import loader
attach = loader._attach
def attach_and_die(group, *more):
    used = attach(group, *more)
    if group.name == %(stage)r:
        os.kill(os.getpid(), signal.SIGKILL)
    return used
loader._attach = attach_and_die
from ebpf_plugin.__main__ import main
main(["-r", "--config", sys.argv[2]])
"""


@pytest.mark.parametrize("stage", [
    group.name if group in GROUPS_BY_COMM else pytest.param(group.name, marks=pytest.mark.releases)
    for group in DEFAULT_GROUPS])
def test_a_plugin_killed_while_it_loads_leaves_nothing_in_the_kernel(clean_kernel, tmp_path, stage):
    """On probes in return mode, where it makes events that would outlive it."""
    directory = config_for_method("probe", tmp_path)
    done = subprocess.run([sys.executable, "-I", "-c", KILLED % {"stage": stage}, str(ROOT / "plugin"), directory],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b""), done.stderr


def test_without_privilege_one_line_names_the_capabilities(clean_kernel, plugin_readable_by_all):
    with Plugin("1", plugin=plugin_readable_by_all, user=65534, group=65534, extra_groups=[]) as plugin:
        output, log = plugin.process.communicate(timeout=PATIENCE)
        assert plugin.process.returncode == 1
        assert output == b"DISABLE\n"
        assert len(log.splitlines()) == 1
        assert b"missing capability CAP_BPF and CAP_PERFMON" in log


def test_the_collector_is_small_has_one_thread_and_drops_privileges(clean_kernel):
    with Plugin("1") as plugin:
        plugin.read_ticks(2)
        proc = pathlib.Path("/proc/%d" % plugin.process.pid)
        mapped = (proc / "maps").read_text()
        assert "libbcc" not in mapped
        assert "LLVM" not in mapped
        status = (proc / "status").read_text()
        assert int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) < 16 * 1024
        assert re.search(r"Threads:\s+1\n", status)
        assert re.search(r"THP_enabled:\s+0\n", status)
        assert (proc / "task" / proc.name / "children").read_text() == ""
        held = int(re.search(r"CapEff:\s+(\w+)", status).group(1), 16)
        assert held & ~(1 << capabilities.CAPABILITIES["bpf"]) == 0
        assert re.search(r"NoNewPrivs:\s+1", status)
        plugin.read_ticks(1)


def test_check_shows_every_chart_and_show_bpf_the_programs(clean_kernel):
    checked = subprocess.run([PLUGIN, "--check"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert checked.returncode == 0
    assert "NOT SHOWN" not in checked.stdout
    assert re.match(r"(all )?\d+ hooks.*; nothing is missing\n", checked.stdout)
    assert max(map(len, checked.stdout.splitlines())) < 160 and len(checked.stdout.splitlines()) < 40
    shown = subprocess.run([PLUGIN, "--show-bpf", "-r"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0
    assert " * RETURN_MODE = 1\n" in shown.stdout
    assert "ON_SYS_EXIT(close, " in shown.stdout


@pytest.mark.parametrize("term, plain", [("dumb", True), ("xterm", False)])
def test_every_terminal_is_shown_a_tick(clean_kernel, term, plain):
    ours, theirs = pty.openpty()
    shown = b""
    environment = {**os.environ, "TERM": term}
    with subprocess.Popen([PLUGIN, "--debug", "--once", *FEW_GROUPS], stdout=theirs, env=environment) as plugin:
        os.close(theirs)
        try:
            while True:
                shown += os.read(ours, 1 << 16)
        except OSError as error:
            assert error.errno == errno.EIO  # the other end is closed
        finally:
            os.close(ours)
    assert plugin.returncode == 0
    assert re.search(rb"file_descriptor +open", shown)
    has_rich = importlib.util.find_spec("rich") is not None  # not in a guest; without it the plugin prints plain lines
    assert (b"\x1b" not in shown) == (plain or not has_rich)


def test_a_header_in_the_working_directory_is_not_compiled(clean_kernel, tmp_path):
    (tmp_path / "hooks.h").write_text("#error this is not ours\n")
    with Plugin("1", *FEW_GROUPS, cwd=tmp_path) as plugin:
        plugin.read_ticks(1)


def test_the_plugin_runs_with_a_bad_configuration_and_reports_it(clean_kernel, tmp_path):
    (tmp_path / "ebpf.conf").write_text("[global]\nebpf load mode = sometimes\n[what]\nx = 1\n")
    with Plugin("1", *FEW_GROUPS, "--config", str(tmp_path)) as plugin:
        plugin.read_ticks(1)
        plugin.process.send_signal(signal.SIGTERM)
        plugin.wait_for_end()
        log = plugin.stderr()
        assert len(log.splitlines()) == 2
        assert "ebpf.conf:2: ebpf load mode" in log
        assert "ebpf.conf:3: unknown section" in log
