"""What becomes of the plugin when its agent ends, dies, stands still or is given nonsense: nothing is left or lost."""
import ctypes
import errno
import fcntl
import os
import re
import signal
import time

from agent import Agent, programs
from harness.leaks import NEXT_IDS, ids
from harness.attached import COMM
import pytest
from workloads import syscalls as w

from ebpf_plugin.kernel import tracefs

CLOSES = w.repeat("close", -errno.EBADF, lambda i: (1000000 + i,))


def gone(agent, held, plugins):
    """No process of the plugin, none of the programs and maps that it held, no kprobe event made for it.

    The kernel takes tracepoints down one after the other, for seconds."""
    deadline = time.monotonic() + 30
    while True:
        loaded = {(kind, str(each)) for kind, command in zip(("prog", "map"), NEXT_IDS) for each in ids(command)}
        left = agent.plugins(), held & loaded, [name for pid in plugins for name in tracefs.made_by(pid)]
        if not any(left):
            return True
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_agent_ends(system, number):
    with Agent(system, options="-r") as agent:
        plugin = agent.plugin()
        held = programs(plugin)
        assert len(held) > 10
        agent.stop(number)
        deadline = time.monotonic() + 1
        while agent.plugins():
            assert time.monotonic() < deadline, agent.plugins()
        assert gone(agent, held, [plugin])


def test_twenty_restarts(system):
    """Ended at any moment of the plugin's life, its loading too, by SIGTERM and SIGKILL in turn."""
    agent = Agent(system, options="-r")
    held, plugins = set(), set()
    for turn in range(20):
        with agent:
            time.sleep(turn * 0.07)
            for plugin in agent.plugins():
                plugins.add(plugin)
                held |= programs(plugin)
            agent.stop(signal.SIGKILL if turn % 2 else signal.SIGTERM)
    assert len(plugins) > 10 and held
    assert gone(agent, held, plugins)
    assert not re.search(r"PLUGINSD\[ebpf.*isabl", agent.log())


def test_the_agent_stands_still_for_thirty_seconds(system, tmp_path):
    """The pipe is full, the plugin waits in a write; afterwards every event has been told exactly once."""
    n = 997
    with Agent(system) as agent:
        agent.collecting()
        before = agent.collected()["file_descriptor.close"]
        plugin = agent.plugin()
        with open("/proc/%d/fd/1" % plugin, "wb", buffering=0) as pipe:
            fcntl.fcntl(pipe, 1031, 4096)  # F_SETPIPE_SZ: full after a few ticks
        agent.process.send_signal(signal.SIGSTOP)
        try:
            for _ in range(3):
                w.run(CLOSES, COMM, n, tmp_path)
                time.sleep(10)
            waits_in = open("/proc/%d/wchan" % plugin, encoding="ascii").read()
        finally:
            agent.process.send_signal(signal.SIGCONT)
        assert "pipe" in waits_in or "write" in waits_in, waits_in
        w.run(CLOSES, COMM, n, tmp_path)
        agent.until("all of it", lambda: agent.collected()["file_descriptor.close"] == before + 4 * n, 15)
        assert agent.plugin() == plugin
        time.sleep(2)
        assert agent.collected()["file_descriptor.close"] == before + 4 * n
        # what an agent stores of the time when it stood still is its own affair, but it may not become more
        data = agent.get("data", chart="ebpf.file_descriptor", dimensions="close", after=-60)["data"]
        assert sum(row[1] or 0 for row in data) < 4 * n * 1.01


def test_a_changed_configuration_holds_after_a_restart(system):
    """/etc/netdata/ebpf.conf, which the package neither brings nor touches."""
    agent = Agent(system, config="/etc/netdata")
    with agent.collecting_when_started():
        assert "ebpf.file_error" not in agent.charts() and "ebpf.vfs_open" in agent.charts()
    system.file("/etc/netdata/ebpf.conf").write_text(
        "[global]\n    ebpf load mode = return\n    update every = 3\n[ebpf programs]\n    vfs = no\n")
    try:
        with agent.collecting_when_started():
            charts = agent.charts()
            assert "ebpf.file_error" in charts and "ebpf.vfs_open" not in charts and "ebpf.io" not in charts
            assert {chart["update_every"] for chart in charts.values()} == {3}
    finally:
        system.file("/etc/netdata/ebpf.conf").unlink()


def test_sighup_takes_a_changed_configuration_over_or_starts_anew(system, tmp_path):
    agent = Agent(system)
    with agent.collecting_when_started():
        plugin = agent.plugin()
        before = agent.collected()["file_descriptor.close"]
        w.run(CLOSES, COMM, 53, tmp_path)
        agent.write(agent.config + "/ebpf.conf", "[network viewer]\n    maximum dimensions = 7\n")
        os.kill(plugin, signal.SIGHUP)
        agent.until("what was read again", lambda: "taken over: maximum dimensions" in agent.log())
        w.run(CLOSES, COMM, 53, tmp_path)
        agent.until("106 closes", lambda: agent.collected()["file_descriptor.close"] == before + 106)
        assert agent.plugin() == plugin
        agent.write(agent.config + "/ebpf.conf", "[global]\n    ebpf load mode = return\n")
        os.kill(plugin, signal.SIGHUP)
        agent.until("the charts of errors", lambda: "ebpf.file_error" in agent.charts())
        assert agent.plugin() != plugin


HOSTILE = ["'\"\\\n\x1b[2J", "DISABLE\nEXIT\nBEGIN x.y", "\udcff\udcfe %s%n", "CLABEL a b", "= , ; | !*", "é\u202e漢\x00"[:3]]


def test_hostile_names_do_no_harm(system, tmp_path):
    """Names that others choose: of processes, of the host, in the environment and in ebpf.conf, 15,000 characters, too."""
    libc = ctypes.CDLL(None)
    # a host name with " makes the 1.37.1 agent's own JSON invalid
    agent = Agent(system, hostname="ho'st =`;$(", NETDATA_X="\udcff'" * 5000)
    names = HOSTILE + ["x" * 15000]
    agent.write(agent.config + "/ebpf.conf", "\n".join("[%s]\n%s = %s\n" % (name, name, name) for name in names))
    children = []
    for name in HOSTILE:
        child = os.fork()
        if child == 0:
            libc.prctl(15, name.encode("utf-8", "surrogateescape").replace(b"\0", b"")[:15], 0, 0, 0)
            while True:
                os.close(os.open("/dev/null", os.O_RDONLY))
                time.sleep(0.05)
        children.append(child)
    try:
        with agent.collecting_when_started():
            plugin = agent.plugin()
            before = agent.collected()["file_descriptor.close"]
            w.run(CLOSES, COMM, 53, tmp_path)
            agent.until("53 closes", lambda: agent.collected()["file_descriptor.close"] == before + 53)
            assert agent.plugin() == plugin
            lines = [line for line in agent.log().splitlines() if "ebpf.conf" in line]
            assert lines and all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: ebpf.plugin WARNING : ", line) for line in lines)
            assert max(map(len, lines)) < 16000
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_without_the_drop_in_the_log_says_what_is_missing(system):
    """As on a machine whose service has not been restarted: one line, and the agent does not try again."""
    with Agent(system, without=("cap_38", "cap_39")) as agent:
        agent.until("the plugin's end", lambda: "plugin called DISABLE" in agent.log())
        said = [line for line in agent.log().splitlines() if "ebpf.plugin ERROR" in line]
        assert len(said) == 1 and "missing capability CAP_BPF and CAP_PERFMON" in said[0]
        assert agent.charts() == {}
