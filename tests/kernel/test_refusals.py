"""Machines that refuse something: each gives the charts that it can, and says of the rest why not and what to do."""
import os
import re
import shutil
import subprocess

from ebpf_plugin import directories, handoff, kernel
from ebpf_plugin.groups import GROUPS
from live import OF_PROCESSES, missing_feature
from plugin import PLUGIN

# in a mount namespace of its own, so that nobody else misses anything
NO_BTF = "mount -t tmpfs none /sys/kernel/btf"
NO_TRACEFS = "while umount /sys/kernel/tracing 2>/dev/null; do :; done; umount -l /sys/kernel/debug 2>/dev/null || true"

CAPABILITIES = {**kernel.CAPABILITIES, "sys_resource": 24}
HAS_FUNCTIONS = not (missing_feature("trampoline") and missing_feature("probe"))


def run(*arguments, before="true", command=(), plugin=PLUGIN):
    """The plugin after the shell commands `before`, in a mount namespace of its own, started by `command`."""
    script = 'set -e; %s; exec "$@"' % before
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command, plugin, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
        env=dict(os.environ, NETDATA_USER_CONFIG_DIR="/nowhere"))


def rungs(checked):
    """{hook: rung} of what --check printed; NOT if it is not shown."""
    return dict(re.findall(r"^  (\w+) +(trampoline|probe|tracepoint|NOT) ", checked.stdout, re.MULTILINE))


def charts(done):
    return set(re.findall(r"^CHART ebpf\.(\w+)", done.stdout, re.MULTILINE))


def every_hook(mode="entry", groups=GROUPS):
    return {hook.name for group in groups for hook in group.hooks if mode in hook.modes}


def test_without_btf():
    """No trampolines, and nothing of network and applications, which read structures; nothing else is missing."""
    checked = run("--check", before=NO_BTF)
    assert set(rungs(checked)) == every_hook(groups=OF_PROCESSES)
    assert set(rungs(checked).values()) <= {"probe", "tracepoint"}
    assert checked.returncode == 1
    assert "BTF       no (CONFIG_DEBUG_INFO_BTF): no trampolines" in checked.stdout
    assert "no BTF: /sys/kernel/btf/vmlinux is missing" in checked.stdout
    done = run("--once", before=NO_BTF)
    assert done.returncode == 0
    assert charts(done) == {chart.id for group in OF_PROCESSES for chart in group.charts if "entry" in chart.modes}
    assert [line.partition("ERROR : ")[2].partition(" (")[0] for line in done.stderr.splitlines()] == [
        "%s: not loaded: no BTF: /sys/kernel/btf/vmlinux is missing" % group for group in ("network", "apps")]
    assert run("-p", "-g", "--check", before=NO_BTF).returncode == 0


def test_without_tracefs():
    """Functions do not need it in entry mode; system calls do, and what is lost is said once, hook by hook."""
    checked = run("--check", before=NO_TRACEFS)
    found = rungs(checked)
    assert set(found) == every_hook()
    assert "tracefs   no: tracefs is not mounted: mount -t tracefs" in checked.stdout
    done = run("--once", before=NO_TRACEFS)
    lost = {hook for hook, rung in found.items() if rung == "NOT"}
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == len(lost)
    assert all("mount -t tracefs nodev /sys/kernel/tracing" in line for line in done.stderr.splitlines())
    assert {"exit", "process_thread", "process_status"} <= charts(done)
    if HAS_FUNCTIONS:
        assert lost == set()
        assert checked.returncode == 0
    else:
        assert {"open", "close", "read", "write"} <= lost
        assert checked.returncode == 1
        assert not charts(done) & {"file_descriptor", "io", "io_bytes"}


def as_nobody(*capabilities):
    # by number, as Debian 11's setpriv does not know the names of 5.8
    numbers = [CAPABILITIES[name] for name in capabilities]
    # a container's root may lack some itself; it has no kernel that old, then
    names = ",".join("+cap_%d" % number for number in numbers if kernel.capabilities()[1] >> number & 1) or "-all"
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=" + names,
            *(["--ambient-caps=" + names] if capabilities else [])]


def test_as_nobody(everybody_s_plugin):
    for arguments in (("1",), ("--check",), ("--debug", "--once")):
        done = run(*arguments, command=as_nobody(), plugin=everybody_s_plugin)
        assert done.returncode == 1
        assert done.stdout == ("DISABLE\n" if arguments == ("1",) else "")
        assert len(done.stderr.splitlines()) == 1
        assert "missing capability CAP_BPF and CAP_PERFMON; run as root or grant them" in done.stderr


def test_with_cap_bpf_alone(everybody_s_plugin):
    """Maps can be made, nothing can be attached."""
    done = run("1", command=as_nobody("bpf", "sys_resource"), plugin=everybody_s_plugin)
    assert done.returncode == 1
    assert done.stdout == "DISABLE\n"
    assert "missing capability CAP_PERFMON" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_cap_bpf_and_perfmon(everybody_s_plugin):
    """Trampolines and raw tracepoints take no more (but before 5.11 maps are charged to a limit, which takes one to raise);
    the ids of other tracepoints are root's to read."""
    checked = run("--check", command=as_nobody("bpf", "perfmon", "sys_resource"), plugin=everybody_s_plugin)
    found = rungs(checked)
    assert set(found) == every_hook()
    assert found["clone"] == found["exit"] == "tracepoint"
    done = run("--once", command=as_nobody("bpf", "perfmon", "sys_resource"), plugin=everybody_s_plugin)
    assert done.returncode == 0
    assert {"exit", "process_thread", "process_status"} <= charts(done)
    if HAS_FUNCTIONS:
        assert "NOT" not in found.values()
        assert done.stderr == ""
    else:
        assert found["open"] == "NOT"
        assert "run as root or give the user access" in done.stderr


def test_without_locked_memory(everybody_s_plugin):
    """One clear line where maps are charged to RLIMIT_MEMLOCK (before 5.11); elsewhere the limit means nothing."""
    done = run("--once", before="ulimit -l 64", command=as_nobody("bpf", "perfmon"), plugin=everybody_s_plugin)
    if done.returncode:
        assert done.stdout == "DISABLE\n"
        assert len(done.stderr.splitlines()) == 1
        assert "locked memory is limited to 64 kB" in done.stderr
    else:
        assert "process_thread" in charts(done)


def test_a_group_fails_alone(tmp_path):
    shutil.copytree(directories.data("bpf"), tmp_path / "bpf")
    with open(tmp_path / "bpf" / "vfs.c", "a", encoding="ascii") as file:
        file.write("this is not C\n")
    loaded = handoff.load({"groups": ["file", "vfs", "process"], "mode": "entry", "rung": "auto",
                           "bpf": str(tmp_path / "bpf"), "sizes": {}, "test": {}})
    try:
        assert set(loaded.broken) == {"vfs"}
        assert set(loaded.maps) == set(loaded.hooks) == {"file", "process"}
        assert all(hook["rung"] for hooks in loaded.hooks.values() for hook in hooks.values())
    finally:
        for descriptor in loaded.descriptors:
            os.close(descriptor)
