"""What the agent's API says of our charts: every one as the plugin declares it, with the values of a known workload."""
import errno
import os
import subprocess
import time

from agent import LAUNCHER, Agent, status
from line_parser import Parser
from harness.attached import COMM
import pytest
from workloads import syscalls as w

N = 101
READ = w.buffer(4096)
WORKLOADS = {
    "file_descriptor.open": (N, w.repeat("openat", -errno.ENOENT, lambda i: (w.AT_FDCWD, b"nothing", 0, 0))),
    "io_bytes.read": (N * 4096, w.repeat_on("read", 4096, w.opened("/dev/zero", os.O_RDONLY),
                                            lambda fd, i: (fd, READ, 4096))),
    "io_bytes.write": (-N * 4096, w.repeat_on("write", 4096, w.file_of(0), lambda fd, i: (fd, READ, 4096))),
    "vfs_fsync.fsync": (N, w.repeat_on("fsync", 0, w.file_of(10), lambda fd, i: (fd,))),
    "process_thread.process": (N, w.children(w.fork)),
}


def declared(agent, *options):
    """What the plugin says by itself, with the same options."""
    found = Parser()
    found.feed(agent.root.run(LAUNCHER, str(agent.every), "--once", *options, "--config", agent.config).stdout.encode())
    found.end()
    return found.charts


def test_every_chart_is_as_it_was_declared(either):
    either.collecting()
    charts, wanted = either.charts(), declared(either, *either.options.split())
    assert set(charts) == set(wanted) and charts
    assert ("ebpf.file_error" in charts) == ("-r" in either.options)
    for name, chart in wanted.items():
        found = charts[name]
        assert found["title"] == "%s (%s)" % (chart.title, name)
        assert (found["units"], found["family"], found["context"]) == (chart.units, chart.family, chart.context)
        assert (found["chart_type"], found["priority"], found["module"]) == (chart.kind, chart.priority, chart.module)
        assert found["update_every"] == chart.every == either.every
        if name.startswith("apps.") or chart.family == "Network connections":
            # they come and go: who has ended since is still with the agent, and who is new may not be with us
            other = {dimension for dimension in chart.dimensions if dimension.startswith("other")}
            assert other and other <= set(found["dimensions"])
        else:
            assert set(found["dimensions"]) == set(chart.dimensions)


@pytest.mark.parametrize("dimension", WORKLOADS)
def test_values_are_exactly_the_workload_s(either, dimension, tmp_path):
    amount, work = WORKLOADS[dimension]
    either.collecting()
    before = either.collected()
    w.run(work, COMM, N, tmp_path)
    either.until("%d more" % abs(amount), lambda: either.collected()[dimension] == before[dimension] + abs(amount), 15)
    grown = {name: value - before[name] for name, value in either.collected().items()}
    assert grown["task_error.thread"] == 0 if "-r" in either.options else "task_error.thread" not in grown
    assert grown["process_thread.thread"] == 0


def test_stored_rates_add_up_to_the_workload(as_netdata, as_root, each_five, tmp_path):
    """At intervals of 1, 2 and 5 seconds: the sum of rates times the interval is what happened."""
    def stored(agent):
        data = agent.get("data", chart="ebpf.file_descriptor", dimensions="close", after=-120) or {"data": []}
        return sum((row[1] or 0) for row in data["data"]) * agent.every

    agents = [agent.collecting() for agent in (as_netdata, as_root, each_five)]
    before = [(agent.collected()["file_descriptor.close"], stored(agent)) for agent in agents]
    for _ in range(3):
        w.run(w.repeat("close", -errno.EBADF, lambda i: (1000000 + i,)), COMM, 10 * N, tmp_path)
    total = 30 * N
    for agent, (collected, sum_before) in zip(agents, before):
        agent.until("the sum at %d s" % agent.every, lambda: abs(stored(agent) - sum_before - total) < total / 100, 30)
        assert agent.collected()["file_descriptor.close"] == collected + total


def test_the_collector_holds_no_capability(either):
    """Linux lets maps be read without any since 5.19; before that CAP_BPF is kept."""
    kept = 0 if tuple(map(int, os.uname().release.split(".")[:2])) >= (5, 19) else 1 << 39
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert status(either.plugin(), name) & ~kept == 0
    owner = os.stat("/proc/%d" % either.plugin()).st_uid
    assert (owner == 0) == (either.user == "root")


UNIT = "ebpf-test-%d" % os.getpid()
BUSY = "mkdir -p {0} && echo $$ > {0}/cgroup.procs && while read -r _; do :; done"


def test_a_dimension_that_is_no_more_vanishes(system):
    """A systemd unit that ends, in the charts of control groups."""
    system.run("mkdir", "-p", "/run/cgroup2")
    if system.run("mount", "-t", "cgroup2", "none", "/run/cgroup2", check=False).returncode:
        pytest.skip("control groups, version 2")
    directory = "/run/cgroup2/%s.service" % UNIT
    agent = Agent(system, comm="")
    agent.write(agent.config + "/ebpf.conf", "[global]\ncgroups = yes\napps = no\n[ebpf programs]\nnetwork viewer = no\n")
    try:
        with agent:
            def dimensions():
                return set(agent.charts().get("cgroups.vfs_read_call", {"dimensions": ()})["dimensions"])

            agent.until("the chart", dimensions)
            with subprocess.Popen(system.command("sh", "-c", BUSY.format(directory)), stdin=subprocess.PIPE) as process:
                while UNIT not in dimensions():
                    process.stdin.write(b"read, and so count\n")
                    process.stdin.flush()
                    time.sleep(0.1)
                process.stdin.close()
            system.run("rmdir", directory)
            agent.until("its end", lambda: UNIT not in dimensions() and "other" in dimensions(), 60)
    finally:
        system.run("umount", "/run/cgroup2")
