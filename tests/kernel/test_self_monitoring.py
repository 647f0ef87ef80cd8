"""The charts of the plugin itself say what the kernel says of it."""
import json
import os
import re
import signal
import subprocess
import time

from harness.plugin_process import PLUGIN, Plugin
import pytest

from ebpf_plugin.kernel import procfs

EVERY = 1


@pytest.fixture(scope="module")
def running():
    """A plugin that ticks."""
    with Plugin(str(EVERY)) as plugin:
        plugin.read_ticks(2)
        yield plugin


def of(plugin, chart):
    """{dimension: last value} of a chart of the plugin itself."""
    values = plugin.last_values()
    return {name.partition(".")[2]: value for name, value in values.items() if name.startswith("ebpf_%s." % chart)}


def descriptors(pid, kind):
    """The numbers of a process's descriptors of a kind, and what /proc says of each."""
    found = {}
    for number in os.listdir("/proc/%d/fd" % pid):
        if os.readlink("/proc/%d/fd/%s" % (pid, number)) == "anon_inode:" + kind:
            found[number] = procfs.fdinfo(pid, number)
    return found


def test_programs_and_maps_are_those_that_the_process_holds(running):
    pid = running.process.pid
    maps = {info["map_id"] for info in descriptors(pid, "bpf-map").values()}
    programs = {info["prog_id"] for info in descriptors(pid, "bpf-prog").values()}
    assert of(running, "objects") == {"programs": len(programs), "maps": len(maps)}


def test_the_memory_of_maps_is_what_the_kernel_says():
    """Without applications, whose table grows and shrinks with every process of the machine."""
    with Plugin(str(EVERY), "-g") as plugin:
        plugin.read_ticks(2)
        maps = {info["map_id"]: info["memlock"] for info in descriptors(plugin.process.pid, "bpf-map").values()}
        assert of(plugin, "kernel_memory") == {"memory_locked": sum(maps.values())}


def test_hooks_are_those_of_check(running):
    text = subprocess.run([PLUGIN, "--check", "--json"], stdout=subprocess.PIPE, text=True, check=False,
                          env={**os.environ, "NETDATA_USER_CONFIG_DIR": "/nowhere"}).stdout
    methods = [hook["method"] for group in json.loads(text)["groups"].values() for hook in group.values()]
    found = of(running, "hooks")
    assert {method: methods.count(method) for method in found} == found
    assert sum(of(running, "hooks_refused").values()) == methods.count(None)


def test_every_hash_has_its_fill(running):
    fill = of(running, "map_fill")
    assert set(fill) >= {"applications", "flows", "services"}
    assert all(0 <= value <= 10000 for value in fill.values())
    assert fill["apps_names"] > 0  # the names of apps_groups.conf are there from the start


def test_memory_and_time_are_those_of_the_process(running):
    pid = running.process.pid
    memory = of(running, "memory")
    kilobytes = int(re.search(r"Rss:\s+(\d+)", open("/proc/%d/smaps_rollup" % pid, encoding="ascii").read()).group(1))
    assert memory["anonymous"] < memory["resident"] <= kilobytes * 1024  # it was read at the first tick
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        user, system = map(int, file.read().rpartition(")")[2].split()[11:13])
    assert 0 < of(running, "cpu")["used"] <= (user + system + 2) * 10 ** 6 // os.sysconf("SC_CLK_TCK")
    assert 0 < of(running, "load_time")["loading"]


def test_a_tick_that_comes_late_or_takes_long_says_so(running):
    running.read_ticks(1)
    running.process.send_signal(signal.SIGSTOP)
    time.sleep(3.5 * EVERY)
    running.process.send_signal(signal.SIGCONT)
    before = len(running.lines)
    running.read_ticks(2)
    # it was stopped while it waited, or in the middle of a tick
    lost = [int(line.split()[3]) for line in running.lines[before:] if line.startswith(("SET lateness", "SET duration"))]
    assert max(lost) >= 2 * EVERY * 10 ** 6


def test_the_agent_can_switch_them_off():
    with Plugin(str(EVERY), environment={"NETDATA_INTERNALS_MONITORING": "NO"}) as plugin:
        plugin.read_ticks(2)
        assert not [line for line in plugin.lines if " netdata." in line]
