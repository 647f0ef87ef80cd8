"""Machines that lack or refuse something: the plugin shows all other charts and reports the reason and the remedy; and
tools/check-kernel-config.sh predicts the same."""
import os
import re
import shutil

from harness.attached import GROUPS_BY_COMM, STOCK_KERNEL, load, missing_feature
from harness.plugin_process import PATIENCE
from harness.restrictions import (
    FLAGS, HAS_TRAMPOLINES, assert_script_predicts, charts, every_chart, every_hook, methods, run, run_script, without_ftrace
)
import pytest

from ebpf_plugin.compile import bytecode, child
from ebpf_plugin.config import directories
from ebpf_plugin.groups.file import FILE
from ebpf_plugin.groups.process import PROCESS
from ebpf_plugin.groups.vfs import VFS
from ebpf_plugin.kernel import bpf, capabilities
from ebpf_plugin.load import loader
from ebpf_plugin.model.chart import MODES

# in a mount namespace of its own: other processes keep them
NO_BTF = "mount -t tmpfs none /sys/kernel/btf"
NO_TRACEFS = "while umount /sys/kernel/tracing 2>/dev/null; do :; done; umount -l /sys/kernel/debug 2>/dev/null || true"
READ_ONLY = "mount -o remount,bind,ro /sys/kernel/tracing"
CAPABILITIES = {**capabilities.CAPABILITIES, "sys_resource": 24}
HAS_FUNCTIONS = HAS_TRAMPOLINES or not missing_feature("probe")
CHARGED = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2]) < (5, 11)  # maps to RLIMIT_MEMLOCK
mostly_in_entry_mode = pytest.mark.parametrize("mode", ["entry", pytest.param("return", marks=pytest.mark.releases)])
mostly_in_return_mode = pytest.mark.parametrize("mode", [pytest.param("entry", marks=pytest.mark.releases), "return"])


@pytest.mark.releases
@pytest.mark.parametrize("before, mode", [
    ("true", "return"), *((NO_BTF + ";" + more, mode) for more in (NO_TRACEFS, READ_ONLY) for mode in MODES)],
    ids=["full", *("no BTF, %s, %s" % (more, mode) for more in ("no tracefs", "tracefs read-only") for mode in MODES)])
def test_check_kernel_config_predicts_the_hooks(before, mode):
    """Without a writable tracefs there are no probes at returns, which return mode needs without trampolines."""
    checked = run("--check", "-v", *FLAGS[mode], before=before)
    predicted = assert_script_predicts(checked, mode, before)
    if before == "true" and STOCK_KERNEL:
        assert predicted == ""
        assert checked.returncode == 0


@pytest.mark.parametrize("before, mode", [
    ("true", "return"), pytest.param(NO_TRACEFS, "entry", marks=pytest.mark.releases)], ids=["full", "no tracefs"])
@pytest.mark.skipif(not STOCK_KERNEL, reason="this machine's ftrace is not ours to switch off")
def test_without_ftrace_tracepoints_remain(before, mode):
    """Those of system calls and the kernel's own."""
    with without_ftrace():
        checked = run("--check", "-v", *FLAGS[mode], before=before)
        predicted = assert_script_predicts(checked, mode, before)
    assert set(methods(checked).values()) <= {"tracepoint", "NOT"}
    assert "ftrace is off: sysctl kernel.ftrace_enabled=1" in checked.stdout
    assert "ftrace switched off: no trampolines, no probes; sysctl -w kernel.ftrace_enabled=1\n" in predicted


@mostly_in_return_mode
def test_without_btf_only_network_and_applications_are_lost(mode):
    """They read structures. The other groups use probes and tracepoints."""
    checked = run("--check", "-v", *FLAGS[mode], before=NO_BTF)
    assert set(methods(checked)) == every_hook(mode, GROUPS_BY_COMM)
    assert set(methods(checked).values()) <= {"probe", "tracepoint"}
    assert checked.returncode == 1
    assert "BTF       no (CONFIG_DEBUG_INFO_BTF): no trampolines" in checked.stdout
    assert "no BTF: /sys/kernel/btf/vmlinux is missing" in checked.stdout
    predicted = assert_script_predicts(checked, mode, NO_BTF)
    assert "BTF not in this kernel: no trampolines, no network, no applications, " in predicted
    if mode == "entry":  # the charts are compared in one mode only
        return
    done = run("--once", *FLAGS[mode], before=NO_BTF)
    assert done.returncode == 0
    assert charts(done) == every_chart(mode, GROUPS_BY_COMM)
    assert [line.partition(" : ")[2].partition(" (")[0] for line in done.stderr.splitlines()] == [
        "%s: not loaded: no BTF: /sys/kernel/btf/vmlinux is missing" % group for group in ("network", "apps")]
    assert run("-p", "-g", "--check", *FLAGS[mode], before=NO_BTF).returncode == 0


@mostly_in_entry_mode
def test_without_tracefs_each_lost_hook_is_reported_once(mode):
    """Trampolines do not need it; tracepoints of system calls and probes at returns do."""
    checked = run("--check", "-v", *FLAGS[mode], before=NO_TRACEFS)
    found = methods(checked)
    assert set(found) == every_hook(mode)
    assert "tracefs   no: tracefs is not mounted: mount -t tracefs" in checked.stdout
    predicted = assert_script_predicts(checked, mode, NO_TRACEFS)
    assert "tracefs not mounted: no tracepoints of system calls, no probes at returns; " in predicted
    missing = {hook for hook, method in found.items() if method == "NOT"}
    assert checked.returncode == int(bool(missing))
    if HAS_TRAMPOLINES:
        assert missing == set()
    if mode == "return":  # as above
        return
    done = run("--once", *FLAGS[mode], before=NO_TRACEFS)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == len(missing)
    assert all("mount -t tracefs nodev /sys/kernel/tracing" in line for line in done.stderr.splitlines())
    assert {"exit", "process_thread", "process_status"} <= charts(done)
    if not HAS_FUNCTIONS:
        assert {"open", "close", "read", "write"} <= missing
        assert not charts(done) & {"file_descriptor", "io", "io_bytes"}


def as_nobody(*kept):
    # by number, as Debian 11's setpriv does not know the names of 5.8
    numbers = [CAPABILITIES[name] for name in kept]
    # a container's root may lack some itself; it has no kernel that old, then
    _, permitted = capabilities.effective_and_permitted()
    names = ",".join("+cap_%d" % number for number in numbers if permitted >> number & 1) or "-all"
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=" + names,
            *(["--ambient-caps=" + names] if kept else [])]


def test_without_capabilities_one_line_names_them(plugin_readable_by_all):
    checked = run("--check", command=as_nobody(), plugin=plugin_readable_by_all)
    assert (checked.returncode, checked.stderr) == (1, "")
    assert re.match("nothing can be counted here: .*missing capability CAP_BPF and CAP_PERFMON; run as root or grant them",
                    checked.stdout)
    assert "\nkernel    " in checked.stdout and "\nBTF       " in checked.stdout
    for arguments in (("1",), ("--debug", "--once")):
        done = run(*arguments, command=as_nobody(), plugin=plugin_readable_by_all)
        assert done.returncode == 1
        assert done.stdout == ("DISABLE\n" if arguments == ("1",) else "")
        assert len(done.stderr.splitlines()) == 1
        assert "missing capability CAP_BPF and CAP_PERFMON; run as root or grant them" in done.stderr
    predicted = run_script(command=as_nobody())
    assert predicted.returncode == 2
    assert "missing CAP_BPF CAP_PERFMON: the plugin cannot run; run as root or grant it" in predicted.stdout


def test_with_cap_bpf_only_one_line_names_cap_perfmon(plugin_readable_by_all):
    """Maps can be created, programs cannot be attached."""
    done = run("1", command=as_nobody("bpf", "sys_resource"), plugin=plugin_readable_by_all)
    assert done.returncode == 1
    assert done.stdout == "DISABLE\n"
    assert "missing capability CAP_PERFMON" in done.stderr
    assert "Traceback" not in done.stderr
    predicted = run_script(command=as_nobody("bpf", "sys_resource"))
    assert predicted.returncode == 2
    assert "missing CAP_PERFMON: the plugin cannot run" in predicted.stdout


@mostly_in_return_mode
def test_cap_bpf_and_perfmon_suffice_for_trampolines(plugin_readable_by_all, mode):
    """They suffice for raw tracepoints, too; other tracepoints have ids that only root can read. Before 5.11 maps are
    charged to RLIMIT_MEMLOCK, and CAP_SYS_RESOURCE is needed to raise it."""
    nobody = as_nobody("bpf", "perfmon", "sys_resource")
    checked = run("--check", "-v", *FLAGS[mode], command=nobody, plugin=plugin_readable_by_all)
    found = methods(checked)
    assert set(found) == every_hook(mode)
    assert found["clone"] == found["exit"] == "tracepoint"
    predicted = assert_script_predicts(checked, mode, command=nobody)
    assert "tracefs not permitted: no tracepoints of system calls, no probes at returns; " in predicted
    if HAS_TRAMPOLINES:
        assert checked.returncode == 0
        assert "NOT" not in found.values()
    if mode == "entry":  # as above
        return
    done = run("--once", *FLAGS[mode], command=nobody, plugin=plugin_readable_by_all)
    assert done.returncode == 0
    assert {"exit", "process_thread", "process_status"} <= charts(done)
    if HAS_TRAMPOLINES:
        assert charts(done) >= every_chart(mode)
        assert done.stderr == ""
    else:
        assert found["open"] == "NOT"
        assert "run as root or give the user access" in done.stderr


def test_too_little_locked_memory_is_one_clear_line(plugin_readable_by_all):
    """One clear line where maps are charged to RLIMIT_MEMLOCK (before 5.11); elsewhere the limit means nothing."""
    done = run("--once", before="ulimit -l 64", command=as_nobody("bpf", "perfmon"), plugin=plugin_readable_by_all)
    if CHARGED and done.returncode:
        assert done.stdout == "DISABLE\n"
        assert len(done.stderr.splitlines()) == 1
        assert "locked memory is limited to 64 kB" in done.stderr
    else:
        assert done.returncode == 0
        assert {"exit", "process_thread", "process_status"} <= charts(done)
        if HAS_TRAMPOLINES:
            assert charts(done) >= every_chart("entry")
            assert done.stderr == ""


BROKEN = """
import sys; sys.path.insert(0, sys.argv[1])
from ebpf_plugin.compile import bytecode, child
from ebpf_plugin.config import directories
directories.data = lambda name: %r
from ebpf_plugin.compile.child import main
main()
"""


def test_a_group_that_does_not_compile_fails_alone(tmp_path, monkeypatch):
    shutil.copytree(directories.data("bpf"), tmp_path / "bpf")
    with open(tmp_path / "bpf" / "vfs.c", "a", encoding="ascii") as file:
        file.write("this is not C\n")
    code = bytecode.read(child.compile_all(PATIENCE, BROKEN % str(tmp_path / "bpf")), bpf.MACHINE)
    monkeypatch.setattr(loader, "instructions", lambda: (code, "a test"))
    loaded = load((FILE, VFS, PROCESS), "entry", "auto", {})
    try:
        assert set(loaded.broken) == {"vfs"}
        assert "vfs.c:" in loaded.broken["vfs"]
        assert "error:" in loaded.broken["vfs"]
        assert set(loaded.maps) == set(loaded.hooks) == {"file", "process"}
        assert all(hook.method for hooks in loaded.hooks.values() for hook in hooks.values())
    finally:
        for descriptor in loaded.descriptors:
            os.close(descriptor)
