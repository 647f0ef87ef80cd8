"""Compiling at the start, where there is no bytecode file: the compiler ends with the plugin."""
import os
import pathlib
import signal
import time

from harness.plugin_process import FEW_GROUPS, PATIENCE, Plugin
import pytest

COMPILING = {"EBPF_PLUGIN_TEST_BYTECODE": "/nowhere/bytecode"}


def child_of(plugin):
    """The process id of the plugin's child, as soon as there is one."""
    path = "/proc/%d/task/%d/children" % (plugin.process.pid, plugin.process.pid)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        children = pathlib.Path(path).read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.002)
    raise AssertionError("no child")


@pytest.mark.parametrize("delay", [0, 0.05, 0.15, 0.3])
def test_a_killed_compiler_is_one_clear_error(clean_kernel, delay):
    with Plugin("1", environment=COMPILING) as plugin:
        compiler = child_of(plugin)
        time.sleep(delay)
        try:
            os.kill(compiler, signal.SIGKILL)
        except ProcessLookupError:
            pytest.fail("the compiler was gone before %s s: the delays are too long for this machine" % delay)
        assert plugin.wait_for_end(PATIENCE)[0] == 1
        assert plugin.process.stdout.read() == b"DISABLE\n"
        log = plugin.stderr().strip().splitlines()
        assert len(log) == 1
        assert log[0].endswith("no programs: there is no /nowhere/bytecode, and the compiler was killed by signal 9")


@pytest.mark.releases
def test_the_plugin_counts_with_programs_compiled_at_the_start(clean_kernel):
    with Plugin("1", *FEW_GROUPS, environment=COMPILING) as plugin:
        plugin.read_until(lambda lines: plugin.blocks, 2 * PATIENCE)  # an emulated machine compiles for minutes


def test_a_plugin_that_ends_while_compiling_ends_its_compiler(clean_kernel):
    with Plugin("1", environment=COMPILING) as plugin:
        compiler = child_of(plugin)
        plugin.process.send_signal(signal.SIGTERM)
        assert plugin.wait_for_end()[0] == 0
        assert not os.path.exists("/proc/%d" % compiler)


def test_a_plugin_killed_while_programs_are_compiled_takes_the_compiler_along(clean_kernel):
    with Plugin("1", environment=COMPILING) as plugin:
        compiler = child_of(plugin)
        status = pathlib.Path("/proc/%d/status" % compiler)
        time.sleep(0.3)
        assert status.exists(), "the compiler was done too soon"
        plugin.process.send_signal(signal.SIGKILL)
        assert plugin.wait_for_end()[0] == -signal.SIGKILL
        deadline = time.monotonic() + PATIENCE
        # whoever inherits it may leave it a zombie
        while status.exists() and "State:\tZ" not in status.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.monotonic() < deadline


def test_a_header_in_the_working_directory_is_not_compiled(clean_kernel, tmp_path):
    (tmp_path / "hooks.h").write_text("#error this is not ours\n")
    with Plugin("1", *FEW_GROUPS, cwd=tmp_path) as plugin:
        plugin.read_ticks(1)
