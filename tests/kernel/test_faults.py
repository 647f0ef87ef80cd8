"""What goes wrong on real machines while the plugin counts: no count is lost, nothing grows, nothing crashes."""
import _thread
import ctypes
import errno
import os
import pathlib
import re
import resource
import signal
import subprocess
import threading
import time

from harness.attached import COMM, EACH_METHOD, STOCK_KERNEL, Attached, FtraceReleases, method_param, skip_without_method
from harness.plugin_process import Plugin, config_for_method
import pytest
from workloads import syscalls

from ebpf_plugin.collect.missed_events import MissedEvents
from ebpf_plugin.kernel import tracefs

CPU = pathlib.Path("/sys/devices/system/cpu/cpu1/online")


@pytest.fixture(scope="module", params=["auto", "probe", method_param("tracepoint", "tracepoint")])
def counting(request):
    """As it is by itself (functions on trampolines, where the kernel has them; tasks on tracepoints), and on the others."""
    skip_without_method(request.param)
    found = Attached(request.param, "return")
    yield found
    found.close()


def grown(counting, before):
    return {name: value - before[name] for name, value in counting.values().items() if value != before[name]}


def until(condition):
    deadline = time.monotonic() + 15  # RCU takes up to 10 s where it is lazy
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def pinned(cpu, work):
    def on_cpu(named, n):
        os.sched_setaffinity(0, {cpu})
        work(named, n)
    return on_cpu


@pytest.mark.skipif(not (STOCK_KERNEL or os.access(CPU, os.W_OK)), reason="a CPU that can be taken offline")
def test_a_cpu_goes_and_comes_back(counting, tmp_path):
    n = 211
    closes = syscalls.repeat("close", -errno.EBADF, lambda i: (1000000 + i,))
    before = counting.values()
    syscalls.run(pinned(1, closes), COMM, n, tmp_path)
    CPU.write_text("0")
    try:
        assert grown(counting, before)["file_descriptor.close"] == n  # what it counted is not forgotten
        syscalls.run(closes, COMM, n, tmp_path)
    finally:
        CPU.write_text("1")
    syscalls.run(pinned(1, closes), COMM, n, tmp_path)
    assert grown(counting, before)["file_descriptor.close"] == 3 * n


def test_ten_thousand_short_processes(counting, tmp_path):
    n = 10007
    before = counting.values()
    with FtraceReleases(counting.methods()) as releases:
        # vfork is quick on an emulated machine, too
        syscalls.run(syscalls.vforks if syscalls.X86 else syscalls.children(syscalls.fork), COMM, n, tmp_path)
        until(lambda: grown(counting, before).get("exit.task", 0) >= n)
        releases.skip_if_programs_did_not_run(grown(counting, before).get("exit.task", 0), n)
    assert grown(counting, before) == {"process_thread.process": n, "exit.process": n, "exit.task": n}


def test_more_calls_at_once_than_a_map_holds(counting, tmp_path):
    """Opens with O_CREAT that are all asleep at the same time, on tracepoints more than vfs_begun has entries for:
    every call counts, and when they are through the map is empty, so that errors are counted again. On probes more
    than a kretprobe has instances: what we count and what we log as missed is all."""
    n, fails = 4201, 23

    def sleepers(named, count):
        os.mkfifo("pipe")
        resource.setrlimit(resource.RLIMIT_NOFILE, (2 * n, 2 * n))
        threading.stack_size(65536)
        # else the first thread that ends opens it (pthread_exit), when there may be no instance left (seen on 5.10)
        ctypes.CDLL("libgcc_s.so.1")
        begun, opened = threading.Semaphore(0), threading.Semaphore(0)

        def sleeper():
            begun.release()
            with named:  # a name is a thread's own
                syscalls.call("openat", syscalls.AT_FDCWD, b"pipe", os.O_CREAT | os.O_WRONLY, 0o644)
            opened.release()

        for _ in range(count):
            _thread.start_new_thread(sleeper, ())
        for _ in range(count):
            begun.acquire()
        time.sleep(2)  # all are asleep; to look would take more opens
        with named:
            reader = os.open("pipe", os.O_RDONLY)
        for _ in range(count):
            opened.acquire()
        os.close(reader)
        os.unlink("pipe")

    # On a preemptible kernel one is preempted inside a program as well (7.2, tracepoints of system calls, too): the kernel
    # does not run that program for others on that CPU meanwhile, and counts them itself. It does not say whose it counts: if
    # an open of another process is among them (7.2: one of 802), once more.
    for _ in range(5):
        before, missed_before = counting.values(), {name: missed_at(counting, name) for name in COUNTED_BY}
        syscalls.run(sleepers, COMM, n, tmp_path)
        found = grown(counting, before)
        missed_by = {name: missed_at(counting, name) - missed_before[name] for name in COUNTED_BY}
        for dimension in ("file_descriptor.open", "vfs_open.open"):
            assert found[dimension] <= n + 1 <= found[dimension] + missed_by[dimension]
            assert missed_by[dimension] or "probe" not in counting.methods()[dimension]
        of_others = sum(found[name] + missed_by[name] - n - 1 for name in ("file_descriptor.open", "vfs_open.open"))
        if not of_others or not STOCK_KERNEL:
            break
    assert not of_others or not STOCK_KERNEL
    on_system_calls = "tracepoint" in counting.methods()["vfs_create.create"]
    created = found.get("vfs_create.create", 0)
    assert n - missed_by["vfs_create.create"] <= created <= n if on_system_calls else created == 0
    before = counting.values()
    syscalls.run(syscalls.repeat_on("openat", -errno.EEXIST, syscalls.opened("existing", os.O_CREAT), lambda fd, i: (
        syscalls.AT_FDCWD, b"existing", os.O_CREAT | os.O_EXCL, 0)), COMM, fails, tmp_path)
    if on_system_calls:
        assert grown(counting, before)["vfs_create_error.create"] == fails


# programs, and events of kretprobes
COUNTED_BY = {
    "file_descriptor.open": "open_sys_exit|(r_)?do_sys_openat2_(fexit|kretprobe|[0-9]+)",
    "vfs_open.open": "vfs_open_sys_exit|(r_)?vfs_open_(fexit|kretprobe|[0-9]+)",
    "vfs_create.create": "create_(openat_sys_enter|sys_exit)",
}


def missed_at(counting, dimension):
    """Events that the kernel says that it has not told the programs of this dimension."""
    missed = MissedEvents(counting.loaded.programs, counting.loaded.events).counts()
    return sum(number for name, number in missed.items() if re.fullmatch(COUNTED_BY[dimension], name))


UNMOUNTED = """
for path in /sys/kernel/debug/tracing /sys/kernel/debug /sys/kernel/tracing; do
    while umount -l $path 2>/dev/null; do :; done
done
! ls -d /sys/kernel/tracing/events && ! ls -d /sys/kernel/debug/tracing
"""


@pytest.mark.parametrize("method", EACH_METHOD)
def test_tracefs_is_unmounted_while_it_runs(clean_kernel, method, tmp_path):
    skip_without_method(method)
    n = 37
    with Plugin("1", "-r", "-p", "-g", "--config", config_for_method(method, tmp_path), command=("unshare", "-m")) as plugin:
        plugin.ticks(2)
        before = plugin.last()
        assert bool(tracefs.made_by(plugin.process.pid)) == (method == "probe")
        subprocess.run(["nsenter", "-m", "-t", str(plugin.process.pid), "sh", "-c", UNMOUNTED],
                       check=True, stderr=subprocess.DEVNULL)
        syscalls.run(syscalls.repeat("close", -errno.EBADF, lambda i: (1000000 + i,)), COMM, n, tmp_path)
        plugin.ticks(2)
        assert plugin.last()["file_descriptor.close"] - before["file_descriptor.close"] == n
        plugin.process.send_signal(signal.SIGTERM)
        assert plugin.ended()[0] == 0


@pytest.mark.skipif(not STOCK_KERNEL, reason="this machine's clock is not ours to set")
@pytest.mark.parametrize("seconds", [-3600, 3600])
def test_the_clock_is_set(seconds):
    with Plugin("1", "-p", "-g") as plugin:
        plugin.ticks(2)
        seen = len(plugin.lines)
        time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
        try:
            plugin.ticks(4)
        finally:
            time.clock_settime(time.CLOCK_REALTIME, time.time() - seconds)
        times = [int(line.split()[2]) for line in plugin.lines[seen:] if line.startswith("BEGIN ebpf.io ")]
        assert all(0 < each < 2_500_000 for each in times)


def test_ten_thousand_ticks_take_no_memory():
    # all there is, but on machines with other people's applications and connections, whose dimensions come and go
    what = ("-a",) if STOCK_KERNEL else ("-p", "-g")
    with Plugin("1", "-r", *what, environment={"EBPF_PLUGIN_TEST_INTERVAL": "0.002"}) as plugin:
        plugin.ticks(1500)  # all that is done now and then has been done, and who is there at the start has been seen
        early = plugin.resident()
        for _ in range(10):
            plugin.lines.clear()
            plugin.ticks(1000)
        # A number that has one digit more makes texts of another size, which Python keeps in pools of their own, 16 kB each;
        # a leak of one small object a tick is more than that.
        assert plugin.resident() <= early + 4 * 16
