"""N events of a process in a unit add exactly N to the unit's dimension, and `other` has the rest of the host."""
import os
import subprocess
import sys

from harness.attached import COMM, STOCK_KERNEL
from harness.exact_counts import assert_counts
from harness.plugin_process import PLUGIN, Plugin
import pytest
from workloads import syscalls

from ebpf_plugin.kernel import procfs

N = 23
UNIT = "ebpf-test-%d" % os.getpid()


@pytest.fixture
def unit(tmp_path):
    """The directory of a unit's control group as systemd makes it, with another one below."""
    mount, mounted = procfs.mount_of_version_2(procfs.read("/proc/self/mountinfo"))[0], ""
    if not mount:
        mount = mounted = str(tmp_path / "cgroup2")
        os.mkdir(mount)
        if subprocess.run(["mount", "-t", "cgroup2", "none", mount], check=False).returncode:
            assert not STOCK_KERNEL
            pytest.skip("control groups, version 2")
    directories = [mount + "/" + part for part in ("test.slice", "test.slice/%s.service" % UNIT,
                                                   "test.slice/%s.service/below" % UNIT, "lxc.payload." + UNIT)]
    for directory in directories:
        os.makedirs(directory, exist_ok=True)
    yield directories[1]
    for directory in reversed(directories):
        os.rmdir(directory)
    if mounted:
        subprocess.run(["umount", mount], check=True)


def enter(directory):
    with open(directory + "/cgroup.procs", "w", encoding="ascii") as file:
        file.write("0")


def closes(*directories):
    """N calls of close(2) in each of these, one after the other."""
    work = syscalls.repeat("close", -9, lambda i: (1000000 + i,))

    def run(named, n):
        for directory in directories:
            enter(directory)
            work(named, n)
    return run


def test_n_events_add_exactly_n_to_the_unit(unit, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "ebpf.conf").write_text("[global]\ncgroups = yes\n")
    with Plugin("1", "-p", "-g", "--config", str(tmp_path / "conf")) as plugin:
        plugin.read_ticks(2)
        syscalls.run(closes(unit, unit + "/below"), COMM, N, tmp_path)  # then the unit has a row
        syscalls.run(closes(unit), COMM, N, tmp_path)
        plugin.read_ticks(3)
        before = plugin.last_values("ebpf", "cgroups")
        for directory in (unit, unit + "/below"):
            syscalls.run(closes(directory), COMM, N, tmp_path)
        plugin.read_ticks(2)
        after = plugin.last_values("ebpf", "cgroups")
        expected = {"file_closed.%s" % UNIT: 2 * N, "file_descriptor.close": 2 * N, "file_closed.other": 0}
        assert_counts({name: after[name] - before.get(name, 0) for name in expected}, expected, "auto", "entry")
        closed = sum(value for name, value in after.items() if name.startswith("file_closed."))
        assert_counts({"file_closed.sum": closed}, {"file_closed.sum": after["file_descriptor.close"]}, "auto", "entry")
        assert "CHART cgroups.file_closed" in "\n".join(plugin.lines)


def test_a_container_has_charts_of_its_own(unit, tmp_path):
    """As Netdata's own plugin has them: type cgroup_NAME, context cgroup.*."""
    container = "%s/lxc.payload.%s" % (os.path.dirname(os.path.dirname(unit)), UNIT)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "ebpf.conf").write_text("[global]\ncgroups = yes\n")
    with Plugin("1", "-p", "-g", "--config", str(tmp_path / "conf")) as plugin:
        plugin.read_ticks(2)
        syscalls.run(closes(container), COMM, N, tmp_path)  # then it has a row
        plugin.read_ticks(3)
        before, host = plugin.last_values("cgroup_" + UNIT), plugin.last_values("ebpf", "cgroups")
        syscalls.run(closes(container), COMM, N, tmp_path)
        plugin.read_ticks(2)
        after, host_after = plugin.last_values("cgroup_" + UNIT), plugin.last_values("ebpf", "cgroups")
        name = "file_closed.calls"
        assert_counts({name: after[name] - before[name]}, {name: N}, "auto", "entry")
        grown = {name: host_after[name] - host[name] for name in ("file_closed." + UNIT, "file_descriptor.close")}
        assert_counts(grown, {name: N for name in grown}, "auto", "entry")
        assert "CLABEL cgroup_path '/lxc.payload.%s' 1" % UNIT in plugin.lines


MOUNT_OVER_MOUNT = """
mount -t tmpfs none {0} && mkdir {0}/unified && mount -t cgroup2 none {0}/unified && mount -t cgroup2 none {0} &&
exec {1} -I -c 'import sys; sys.path.insert(0, sys.argv[1])
from ebpf_plugin.kernel import procfs
ours = "".join(line for line in open("/proc/self/mountinfo") if sys.argv[2] in line)
print(procfs.mount_of_version_2(ours))' {2} {0}
"""


def test_of_two_mounts_the_one_that_can_be_seen_is_taken(tmp_path):
    """The first is below a place on which the second is mounted."""
    done = subprocess.run(["unshare", "-m", "sh", "-c", MOUNT_OVER_MOUNT.format(
        tmp_path, sys.executable, os.path.dirname(PLUGIN))], capture_output=True, text=True, check=False)
    assert done.stdout == "%r\n" % ((str(tmp_path), (str(tmp_path / "unified"),)),), done.stderr
