"""A kernel under lockdown=confidentiality (a boot parameter): what needs to read kernel memory is lost, the rest is not."""
import pytest

from ebpf_plugin import kernel
from ebpf_plugin.groups import GROUPS
from test_refusals import charts, every_hook, run, rungs

pytestmark = pytest.mark.skipif(not kernel.locked_down(), reason="a kernel under lockdown=confidentiality")

# they read a member of a structure, where trampolines cannot do it for them
LOST = {"create", "clone_error", "udp_send", "udp_recv", "retransmit"}


@pytest.mark.parametrize("flags", [(), ("-r",)], ids=["entry", "return"])
def test_what_it_gives(flags):
    checked = run("--check", *flags)
    found = rungs(checked)
    # applications are not even tried
    assert set(found) == every_hook("return" if flags else "entry", [group for group in GROUPS if group.name != "apps"])
    assert {hook for hook, rung in found.items() if rung == "NOT"} == LOST & set(found)
    assert checked.returncode == 1  # no applications
    done = run("--once", *flags)
    assert done.returncode == 0
    assert {"file_descriptor", "io", "io_bytes", "process_thread", "exit", "process_status"} <= charts(done)
    assert not charts(done) & {"vfs_create", "vfs_create_error", "task_error"}
    assert "tcp_bandwidth" in charts(done) and not charts(done) & {"udp_bandwidth", "tcp_retransmit"}
    assert len(done.stderr.splitlines()) == len(LOST & set(found)) + 1
    assert all("kernel lockdown is in confidentiality mode" in line for line in done.stderr.splitlines())
