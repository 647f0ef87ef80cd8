"""SIGHUP: what the configuration says now is taken over without a tick or a count that is lost."""
import os
import select
import signal
import socket
import time

from harness.attached import COMM
from harness.exact_counts import assert_counts
from harness.plugin_process import FEW_GROUPS, PATIENCE, Plugin
import pytest
from workloads import syscalls

N, MORE = 23, 47


def configure(directory, text, groups="tests: nobody\nclosers: %s\n" % COMM):
    (directory / "ebpf.conf").write_text(text)
    (directory / "apps_groups.conf").write_text(groups)


def hang_up(plugin):
    """SIGHUP; what the plugin says when it has taken over what has changed."""
    plugin.process.send_signal(signal.SIGHUP)
    said, deadline = "", time.monotonic() + PATIENCE
    while "was read again" not in said:
        assert time.monotonic() < deadline, said
        plugin.read_ticks(1)
        while select.select([plugin.process.stderr], [], [], 0)[0]:
            said += os.read(plugin.process.stderr.fileno(), 4096).decode()
    return said


def closes(n, directory):
    syscalls.run(syscalls.repeat("close", -9, lambda i: (1000000 + i,)), COMM, n, directory)


def test_no_count_and_no_tick_is_lost(clean_kernel, tmp_path):
    """Of an application whose pattern moves to another group meanwhile, as well."""
    configure(tmp_path, "[ebpf programs]\nnetwork viewer = no\n")
    with Plugin("2", "--config", str(tmp_path)) as plugin:
        plugin.read_ticks(2)
        closes(N, tmp_path)
        plugin.read_ticks(3)
        before = plugin.last_values()
        closes(N, tmp_path)
        configure(tmp_path, "[ebpf programs]\nnetwork viewer = no\n", "tests: %s\nclosers: nobody\n" % COMM)
        assert hang_up(plugin).count("taken over: patterns of applications") == 1
        closes(MORE, tmp_path)
        plugin.read_ticks(3)
        after = plugin.last_values()
        grown = {name: after[name] - before.get(name, 0)
                 for name in ("file_descriptor.close", "file_closed.closers", "file_closed.tests")}
        expected = {"file_descriptor.close": N + MORE, "file_closed.closers": N, "file_closed.tests": MORE}
        assert_counts(grown, expected, "auto")
        intervals = [int(line.split()[2]) for line in plugin.lines if line.startswith("BEGIN ebpf.file_descriptor ")
                     and len(line.split()) > 2]
        assert len(intervals) > 5 and max(intervals) < 3000000


def test_a_filter_holds_from_then_on(clean_kernel, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        configure(tmp_path, "[network viewer]\nips = 10.0.0.0/8\n")
        with Plugin("1", "-n", "-g", "--config", str(tmp_path), environment={"EBPF_PLUGIN_TEST_COMM": ""}) as plugin:
            plugin.block = "BEGIN ebpf.tcp_bandwidth"
            plugin.read_ticks(2)
            name = "inbound_bytes.%d_TCP_recv" % port
            talk(listener, N)
            plugin.read_ticks(2)
            assert name not in plugin.last_values()
            configure(tmp_path, "[network viewer]\nips = 127.0.0.0/8\n")
            hang_up(plugin)
            talk(listener, MORE)
            plugin.read_ticks(8)
            assert_counts({name: plugin.last_values()[name]}, {name: MORE}, "auto")


def talk(listener, n):
    """n bytes to who listens."""
    with socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        with theirs:
            ours.sendall(bytes(n))
            assert len(theirs.recv(n, socket.MSG_WAITALL)) == n


def test_it_takes_no_memory_in_the_long_run(clean_kernel, tmp_path):
    configure(tmp_path, "")
    with Plugin("1", "--config", str(tmp_path), environment={"EBPF_PLUGIN_TEST_INTERVAL": "0.05"}) as plugin:
        plugin.read_ticks(5)
        sizes = []
        for number in range(12):
            configure(tmp_path, "[network viewer]\nmaximum dimensions = %d\n" % (100 + number))
            hang_up(plugin)
            sizes.append(plugin.resident_kb())
        assert sizes[-1] - sizes[3] < 100, sizes


@pytest.mark.parametrize("text", ["[global]\nebpf load mode = return\n", "[global]\nupdate every = 2\n"])
def test_what_takes_a_new_start_ends_the_plugin_within_two_ticks(clean_kernel, tmp_path, text):
    configure(tmp_path, "")
    with Plugin("1", *FEW_GROUPS, "--config", str(tmp_path)) as plugin:
        plugin.read_ticks(2)
        configure(tmp_path, text)
        plugin.process.send_signal(signal.SIGHUP)
        status, _ = plugin.wait_for_end(PATIENCE)
        assert status == 0
        assert "needs a restart" in plugin.stderr()
