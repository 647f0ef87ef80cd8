"""The alerts of packaging/health.d/ebpf.conf in the real agent: taken without complaint, silent, and raised by what they are
about.

The agent runs an alert when its database has data for the whole of the alert's period. So the tests shorten the periods, and
nothing else.
"""
import errno
import os
import re
import signal
import socket
import subprocess
import time

from agent import LAUNCHER, Agent
from cleanroot import Root, bookworm, package
from harness.attached import COMM
from harness.network_namespaces import network
import pytest
from workloads import syscalls as w

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.plugin import PLUGIN
from ebpf_plugin.kernel import tracefs
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.model import declared
from ebpf_plugin.model.select import select_charts
from ebpf_plugin.outputs import netdata_protocol

ALERTS = "/usr/lib/netdata/conf.d/health.d/ebpf.conf"
LINKED = {
    "ebpf_failed_forks": "ebpf.task_error", "ebpf_opens": "ebpf.file_descriptor", "ebpf_failed_opens": "ebpf.file_error",
    "ebpf_tcp_sent_calls": "ebpf.tcp_functions", "ebpf_tcp_sent_bytes": "ebpf.tcp_bandwidth",
    "ebpf_tcp_retransmits": "ebpf.tcp_retransmit", "ebpf_missed_events": "ebpf.plugin_missed",
    "ebpf_process_table_full": "ebpf.plugin_table_full", "ebpf_hooks_lost": "ebpf.plugin_hooks",
}
COUNT = {"ebpf_opens", "ebpf_tcp_sent_calls", "ebpf_tcp_sent_bytes"}  # only for others
STARTING = 150  # seconds: the agent looks at alerts for the first time after a minute

# A plugin that is played: `rates` is what each dimension grows by in a second, or is.
PLAYED = """#!/usr/bin/python3
import time
print(%r, end="", flush=True)
sums = {}
while True:
    time.sleep(1)
    with open("/run/rates") as file:
        rates = eval(file.read())
    for chart, dimensions in %r:
        print("BEGIN", chart)
        for name, is_sum in dimensions:
            key = chart, name
            sums[key] = sums.get(key, 0) * is_sum + rates.get(key, 0)
            print("SET", name, "=", sums[key])
        print("END")
    print(end="", flush=True)
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A system with the package, and alerts that look back 20 seconds instead of minutes and days."""
    with Root(bookworm(), tmp_path_factory.mktemp("alerts")) as root:
        root.install(package())
        text = root.file(ALERTS).read_text()
        text = re.sub(r"(?m)^( *lookup: \w+) -\w+", r"\1 -20s", text)
        root.file(ALERTS).write_text(re.sub(r"(?m)^( *every:).*", r"\1 5s", text))
        yield root


def alarms(agent):
    """{name: what the API says} of ours."""
    found = agent.get("alarms?all&of=ebpf") or {"alarms": {}}
    return {each["name"]: each for each in found["alarms"].values() if each["name"] in LINKED}


def status(agent, name):
    """CLEAR, WARNING, ...; None as long as the alert has no value."""
    found = alarms(agent).get(name)
    return found["status"] if found and found["value"] is not None else None


def warns(agent, *names):
    agent.until("warnings: " + ", ".join(names), lambda: {status(agent, name) for name in names} == {"WARNING"}, 90)


@pytest.fixture(scope="module")
def agent(short):
    """With health on, in load mode return, and a table of so few processes that it will be full."""
    started = Agent(short, options="-r", health="yes")
    started.write(started.config + "/ebpf.conf", "[global]\npid table size = 64\n")
    with started:
        agent = started.collecting()
        agent.until("values", lambda: all(status(agent, name) for name in LINKED), STARTING)
        yield agent


def test_every_alert_is_taken_and_linked_to_its_chart(agent):
    assert {name: each["chart"] for name, each in alarms(agent).items()} == LINKED
    assert [line for line in agent.log().splitlines() if "Health configuration" in line and "ebpf.conf" in line] == []
    assert alarms(agent)["ebpf_failed_forks"]["source"].endswith("@" + ALERTS)


def test_they_are_silent_where_nothing_is_wrong(agent):
    quiet = set(LINKED) - COUNT - {"ebpf_process_table_full"}  # this machine may have more than 64 processes
    assert {name: status(agent, name) for name in quiet} == dict.fromkeys(quiet, "CLEAR")


def test_failed_forks(agent, tmp_path):
    w.run(w.repeat("clone", -errno.EINVAL, lambda i: (w.CLONE_THREAD, 0, 0, 0, 0)), COMM, 101, tmp_path)
    warns(agent, "ebpf_failed_forks")


def test_failed_opens(agent, tmp_path):
    w.run(w.repeat("openat", -errno.ENOENT, lambda i: (w.AT_FDCWD, b"nothing", 0, 0)), COMM, 9001, tmp_path)
    warns(agent, "ebpf_failed_opens")


def test_the_table_of_processes_is_full(agent):
    sleepers = [subprocess.Popen(["sleep", "120"]) for _ in range(100)]
    try:
        warns(agent, "ebpf_process_table_full")
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def unanswered(address, number):
    """So many requests for a connection that nobody answers, for as long as the kernel sends three of each."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.setblocking(False)
        each.connect_ex((address, 9))
    time.sleep(4)
    for each in sockets:
        each.close()


def test_retransmissions(short):
    """Of one host alone: this machine's traffic would be in the share. Timers send again, whichever task they interrupt."""
    with network("one", "two") as (one, two), Agent(short, options="-r -n", health="yes", comm="",
                                                    EBPF_PLUGIN_TEST_NETNS=str(one.inum)) as agent:
        agent.until("a value", lambda: status(agent, "ebpf_tcp_retransmits"), STARTING)
        assert status(agent, "ebpf_tcp_retransmits") == "CLEAR"
        with one.cut(two, "neighbour"):
            one.run(unanswered, two.v4, 400)
        warns(agent, "ebpf_tcp_retransmits")


def test_a_hook_that_was_there_is_lost(agent):
    """The plugin starts anew, and tracefs is hidden from it: as after an upgrade to a kernel without these tracepoints."""
    before = agent.plugin()
    inside = ["nsenter", "-m", "-r", "-t", str(agent.process.pid)]
    for place in tracefs.MOUNTS:
        subprocess.run([*inside, "sh", "-c", "[ ! -e $0/events ] || mount -t tmpfs none $0", place], check=True)
    os.kill(before, signal.SIGTERM)
    warns(agent, "ebpf_hooks_lost")
    assert agent.plugins() != [before]


def played():
    """The text of a plugin that declares what ours declares."""
    everything = {group.name: {hook.name: AttachedHook("tracepoint", (), ()) for hook in group.hooks} for group in GROUPS}
    charts = [chart for chart in select_charts(GROUPS, "return", everything) if chart.full_id in LINKED.values()]
    charts += [declared.Chart("plugin", chart.id, chart.title, chart.units, chart.family, chart.priority, tuple(
        declared.Dimension(dim.id, dim.algorithm) for dim in chart.dims)) for chart in PLUGIN.charts]
    return PLAYED % ("".join(line for chart in charts for line in netdata_protocol.chart(chart, 1)), [
        (chart.full_id, [(dim.id, dim.algorithm == "incremental") for dim in chart.dimensions]) for chart in charts])


def test_each_is_raised_by_its_dimensions_and_falls_silent(short):
    """Also the one for which no workload on this machine is sure to do it: events that are missed."""
    short.file(LAUNCHER).unlink()
    short.file(LAUNCHER).write_text(played())
    short.file(LAUNCHER).chmod(0o755)
    calm = {("ebpf.file_descriptor", "open"): 900, ("ebpf.tcp_functions", "sent"): 50, ("ebpf.file_error", "open"): 300,
            ("ebpf.tcp_bandwidth", "sent"): 140000, ("ebpf.tcp_retransmit", "retransmitted"): 6,
            ("ebpf.plugin_hooks", "attached"): 20}
    wrong = {**calm, ("ebpf.file_error", "open"): 890, ("ebpf.task_error", "process"): 5,
             ("ebpf.plugin_missed", "missed"): 900, ("ebpf.tcp_retransmit", "retransmitted"): 40,
             ("ebpf.plugin_table_full", "processes"): 1, ("ebpf.plugin_hooks", "attached"): 18,
             ("ebpf.plugin_hooks", "missing"): 2}
    names = set(LINKED) - COUNT
    agent = Agent(short, health="yes")
    agent.write("/run/rates", repr(calm))
    with agent:
        agent.until("values", lambda: all(status(agent, name) for name in LINKED), STARTING)
        assert {name: status(agent, name) for name in names} == dict.fromkeys(names, "CLEAR")
        agent.write("/run/rates", repr(wrong))
        seen = set()
        agent.until("all warnings", lambda: seen.update(
            name for name in names if status(agent, name) == "WARNING") or seen == names, 90)
        agent.write("/run/rates", repr(calm))
        agent.until("silence", lambda: {status(agent, name) for name in names} == {"CLEAR"}, 90)
