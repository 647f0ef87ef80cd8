"""tools/reset_netdata_trace.sh on a real tracefs."""
import os
import subprocess

from harness.attached import skip_if_missing, skip_without_method
from harness.plugin_process import ROOT
import pytest

from ebpf_plugin.kernel import bpf, procfs, tracefs

FUNCTION = "vfs_fsync_range"
DEAD = (1 << 22) + 1  # no process gets a number above 2^22 (PID_MAX_LIMIT)


@pytest.fixture
def made(monkeypatch):
    """made(name, process): the name of a kprobe event, made as the plugin does for this process; removed after the test."""
    skip_without_method("probe")
    skip_if_missing("" if os.path.exists(tracefs.root() + "/kprobe_events") else "tracefs without kprobe_events")
    skip_if_missing("a machine without an ebpf.plugin that runs" if tracefs.ours() else "")

    def make(name, process, group=tracefs.GROUP):
        with monkeypatch.context() as patched:
            patched.setattr(tracefs.os, "getpid", lambda: process)
            patched.setattr(tracefs, "GROUP", group)
            names.append(tracefs.add_kretprobe(name, FUNCTION))
        return names[-1]

    names = []
    yield make
    assert tracefs.remove(names) == names


def events():
    """The names of all kprobe events."""
    with open(tracefs.root() + "/kprobe_events", encoding="ascii") as file:
        return {line.split(" ", 1)[0].partition(":")[2] for line in file}


def run(*arguments):
    done = subprocess.run(["sh", str(ROOT / "tools" / "reset_netdata_trace.sh"), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    return done.stdout, done.stderr, done.returncode


def test_only_unused_events_of_dead_processes_are_removed(made):
    before = events()
    dead, used, running = made("dead", DEAD), made("used", DEAD), made("running", os.getpid())
    foreign = made("dead", DEAD, group="not_" + tracefs.GROUP)
    kept = "left %s: process %d (%s) runs\n" % (running, os.getpid(), procfs.read("/proc/self/comm").strip())
    user = bpf.perf_event_open(bpf.PERF_TYPE_TRACEPOINT, tracefs.event_id(used.replace("/", ":")))
    try:
        out, err, status = run()
    finally:
        os.close(user)
    assert (out, status) == ("removed %s\n" % dead + kept, 1)
    assert err == "not removed %s: the kernel refuses; a running program may use it\n" % used
    assert events() - before == {foreign, used, running}
    assert run() == ("removed %s\n" % used + kept, "", 0)
    assert run("--all") == ("removed %s\n" % running, "", 0)
    assert run("--all") == ("nothing to remove\n", "", 0)
    assert events() - before == {foreign}
