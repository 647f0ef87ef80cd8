"""Under lockdown=confidentiality (a boot parameter) only the hooks that read kernel memory are lost."""
from harness.attached import DEFAULT_GROUPS, STOCK_KERNEL
from harness.restrictions import (
    FLAGS, assert_script_predicts, charts, every_hook, in_both_modes, methods, run, without_ftrace
)
import pytest

from ebpf_plugin.kernel import procfs

pytestmark = pytest.mark.skipif("lockdown=confidentiality" not in procfs.read("/proc/cmdline").split(),
                                reason="a kernel under lockdown=confidentiality")

# they read a member of a structure, which trampolines cannot do for them
LOST = {"create", "clone_error", "udp_send", "udp_recv", "retransmit"}


def test_the_plugin_finds_the_lockdown():
    with open("/sys/kernel/security/lockdown", encoding="ascii") as file:
        assert file.read().split() == ["none", "integrity", "[confidentiality]"]
    assert procfs.locked_down()


@in_both_modes
def test_hooks_that_read_no_kernel_memory_are_attached(mode):
    checked = run("--check", "-v", *FLAGS[mode])
    found = methods(checked)
    # applications are not tried
    assert set(found) == every_hook(mode, [group for group in DEFAULT_GROUPS if group.name != "apps"])
    assert {hook for hook, method in found.items() if method == "NOT"} == LOST & set(found)
    assert checked.returncode == 1  # no applications
    assert_script_predicts(checked, mode)
    done = run("--once", *FLAGS[mode])
    assert done.returncode == 0
    assert {"file_descriptor", "io", "io_bytes", "process_thread", "exit", "process_status"} <= charts(done)
    assert not charts(done) & {"vfs_create", "vfs_create_error", "task_error"}
    assert "tcp_bandwidth" in charts(done)
    assert charts(done) & {"udp_bandwidth", "tcp_retransmit"} == set()
    assert len(done.stderr.splitlines()) == len(LOST & set(found)) + 1
    assert all("kernel lockdown is in confidentiality mode" in line for line in done.stderr.splitlines())


@in_both_modes
@pytest.mark.skipif(not STOCK_KERNEL, reason="this machine's ftrace is not ours to switch off")
def test_without_trampolines_only_tracepoints_that_read_nothing_remain(mode):
    with without_ftrace():
        checked = run("--check", "-v", *FLAGS[mode])
        assert_script_predicts(checked, mode)
    assert {hook for hook, method in methods(checked).items() if method != "NOT"} == {
                                             "clone", "exit", "release", "tcp_close"}
