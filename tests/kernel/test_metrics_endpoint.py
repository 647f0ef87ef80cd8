"""Metrics on a real kernel: exactly what the charts say, whoever asks, and nothing is left behind."""
import errno
import os
import re
import signal
import socket
import time

from harness.attached import COMM, DEFAULT_GROUPS
from harness.exact_counts import assert_counts
from harness.metrics_client import Serving, has_ended
from harness.plugin_process import ROOT
import pytest
from workloads import syscalls

from ebpf_plugin.kernel import capabilities
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.model import metric
from ebpf_plugin.model.select import select_charts

N = 101
FEW_GROUPS = ("-p", "-g")
READ = syscalls.buffer(4096)
BOUND_KB = 24 * 1024


def work(directory):
    """N opens that fail, N reads of 4096 bytes and N children."""
    for each in (
            syscalls.repeat("openat", -errno.ENOENT, lambda i: (syscalls.AT_FDCWD, b"nothing", 0, 0)),
            syscalls.repeat_on("read", 4096, syscalls.opened("/dev/zero", os.O_RDONLY), lambda fd, i: (fd, READ, 4096)),
            syscalls.children(syscalls.fork)):
        syscalls.run(each, COMM, N, directory)


EXPECTED = {
    'ebpf_file_descriptor_calls_total{operation="open"}': N, 'ebpf_vfs_io_calls_total{operation="read"}': N,
    'ebpf_vfs_io_bytes_total{operation="read"}': N * 4096, 'ebpf_process_start_tasks_total{type="process"}': N,
    'ebpf_process_exit_tasks_total{type="process"}': N,
}
# these have no events, or other ones of the same processes
OTHERS = ('ebpf_vfs_io_calls_total{operation="write"}', 'ebpf_process_start_tasks_total{type="thread"}')


def test_n_events_add_exactly_n_to_the_metrics_and_nothing_is_printed(clean_kernel, tmp_path):
    with Serving(*FEW_GROUPS) as plugin:
        before = plugin.until_ready().metrics()
        work(tmp_path)
        after = plugin.after_ticks(2)
        grown = {name: after[name] - before[name] for name in (*EXPECTED, *OTHERS)}
        assert_counts({name: count for name, count in grown.items() if count}, EXPECTED, "auto")
        server = plugin.server()
        plugin.process.send_signal(signal.SIGTERM)
        status, seconds = plugin.wait_for_end()
        assert (status, plugin.process.stdout.read()) == (0, b"")
        assert re.fullmatch(r".* INFO  : metrics are served on 127\.0\.0\.1:\d+\n", plugin.stderr())
        assert seconds < 1.5
        assert has_ended(server)


def test_applications_add_up_to_the_machine(clean_kernel, tmp_path):
    with Serving("-p") as plugin:
        plugin.until_ready()
        work(tmp_path)
        found = plugin.after_ticks(3)
        for of_applications, of_machine in (
                ("ebpf_application_file_open_calls_total", 'ebpf_file_descriptor_calls_total{operation="open"}'),
                ("ebpf_application_vfs_read_bytes_total", 'ebpf_vfs_io_bytes_total{operation="read"}'),
                ("ebpf_application_process_create_processes_total", 'ebpf_process_start_tasks_total{type="process"}')):
            assert sum(value for name, value in found.items() if name.startswith(of_applications)) == found[of_machine] > 0


def names_of_dimensions(mode):
    """{"chart.dimension": the name of its metric with labels}"""
    hooks = {group.name: {hook.name: AttachedHook("tracepoint", (), ()) for hook in group.hooks} for group in DEFAULT_GROUPS}
    found = {}
    for chart in select_charts(DEFAULT_GROUPS, mode, hooks):
        for dimension in chart.dimensions:
            labels = ",".join('%s="%s"' % label for label in dimension.labels)
            name = metric.family(chart).name
            found["%s.%s" % (chart.id, dimension.id)] = "%s{%s}" % (name, labels) if labels else name
    return found


def test_metrics_are_the_values_of_the_charts(clean_kernel, tmp_path):
    """As soon as nothing counts any more, what was printed last is what is served, for every dimension of the machine."""
    names = names_of_dimensions("return")
    with Serving("1", "-r", "-g") as plugin:
        plugin.until_ready()
        work(tmp_path)
        deadline, equal = time.monotonic() + 60, {}
        while len(equal) != len(names) and time.monotonic() < deadline:
            plugin.read_ticks(1)
            served, printed = plugin.metrics(), plugin.last_values()
            equal = {name: printed[name] for name, of_metric in names.items()
                     if name in printed and served.get(of_metric) == printed[name]}
        others = set(names) - set(equal) - dimensions_that_are_not_attached(plugin)
        assert {name: (printed.get(name), served.get(names[name])) for name in others} == {}
        assert equal["file_descriptor.open"] >= N and equal["io_bytes.read"] >= N * 4096


def dimensions_that_are_not_attached(plugin):
    declared, chart = set(), None
    for line in plugin.lines:
        words = line.split()
        if line.startswith("CHART ebpf."):
            chart = words[1][len("ebpf."):]
        elif line.startswith("DIMENSION"):
            declared.add("%s.%s" % (chart, words[1]))
    return set(names_of_dimensions("return")) - declared


def test_the_server_ends_with_a_collector_that_is_killed(clean_kernel):
    with Serving(*FEW_GROUPS) as plugin:
        server = plugin.until_ready().server()
        plugin.process.kill()
        plugin.wait_for_end()
        assert has_ended(server)


def test_alone_the_plugin_ends_with_its_server(clean_kernel):
    with Serving(*FEW_GROUPS) as plugin:
        os.kill(plugin.until_ready().server(), signal.SIGKILL)
        assert plugin.wait_for_end()[0] == 1
        said = plugin.stderr().splitlines()
        assert len(said) == 2 and "the process that serves metrics has ended with status -9" in said[1]


def test_charts_go_on_without_the_server(clean_kernel):
    with Serving("1", *FEW_GROUPS) as plugin:
        os.kill(plugin.until_ready().server(), signal.SIGKILL)
        plugin.read_ticks(4)
        plugin.process.send_signal(signal.SIGTERM)
        assert plugin.wait_for_end()[0] == 0
        assert plugin.stderr().count("\n") == 1


def test_the_server_has_nothing_of_bpf(clean_kernel):
    with Serving(*FEW_GROUPS) as plugin:
        server = plugin.until_ready().server()
        open_there = [os.readlink("/proc/%d/fd/%s" % (server, name)) for name in os.listdir("/proc/%d/fd" % server)]
        assert not [name for name in open_there if "bpf" in name or "perf" in name]
        status = open("/proc/%d/status" % server, encoding="ascii").read()
        assert re.search(r"(?m)^CapPrm:\s+0+$", status) and re.search(r"(?m)^NoNewPrivs:\s+1$", status)


def test_hostile_clients_do_not_delay_a_tick(clean_kernel):
    """Some hundred connections at a time: half a request, no request, a request with rubbish; none is closed by us."""
    with Serving("1", *FEW_GROUPS) as plugin:
        plugin.until_ready()
        plugin.read_ticks(1)
        first = len(plugin.lines)
        ours, end = [], time.monotonic() + 6
        while time.monotonic() < end:
            for text in (b"GET /metrics HTTP/1.1\r\nA: ", b"", b"\xff" * 9000, b"GET /metrics HTTP/1.1\r\n\r\n"):
                one = socket.socket()
                one.settimeout(0.5)
                try:
                    one.connect(("127.0.0.1", plugin.port))
                    one.send(text)
                except OSError:
                    pass
                ours.append(one)
            while len(ours) > 400:
                ours.pop(0).close()
            assert plugin.server_kb() < BOUND_KB
            plugin.read_until(lambda lines: True)
        plugin.read_ticks(1)
        for one in ours:
            one.close()
        between = [int(line.split()[2]) for line in plugin.lines[first:] if re.fullmatch(r"BEGIN ebpf\.exit \d+", line)]
        assert len(between) >= 5
        assert [microseconds for microseconds in between if not 500000 < microseconds < 1500000] == []
        assert plugin.get()[0] == 200


def test_a_thousand_scrapes_are_flat(clean_kernel):
    with Serving("1", *FEW_GROUPS) as plugin:
        plugin.until_ready()
        plugin.read_ticks(3)
        for _ in range(100):
            plugin.get()
        collector, server = plugin.resident_kb(), plugin.server_kb()
        for number in range(1000):
            assert plugin.get(Accept="application/openmetrics-text" if number % 2 else "text/plain")[0] == 200
        assert plugin.resident_kb() - collector <= 64
        assert plugin.server_kb() - server <= 256


@pytest.mark.parametrize("taken", ["alone", "for an agent"])
def test_a_port_that_is_taken(clean_kernel, taken):
    with socket.create_server(("127.0.0.1", 0)) as other:
        interval = [] if taken == "alone" else ["1"]
        with Serving(*interval, *FEW_GROUPS, port=other.getsockname()[1]) as plugin:
            if taken == "alone":
                assert plugin.wait_for_end(60)[0] == 1
            else:
                plugin.read_ticks(2)
                plugin.process.send_signal(signal.SIGTERM)
                assert plugin.wait_for_end()[0] == 0
            assert re.fullmatch(r".*cannot serve metrics on 127\.0\.0\.1:\d+: Address already in use\n", plugin.stderr())


def test_what_the_unit_of_systemd_gives_is_enough(clean_kernel, plugin_readable_by_all, tmp_path):
    """As another user, with the capabilities of packaging/systemd/ebpf-plugin.service and no others."""
    unit = (ROOT / "packaging" / "systemd" / "ebpf-plugin.service").read_text()
    names = re.search(r"(?m)^AmbientCapabilities=(.*)$", unit).group(1).lower().replace("cap_", "").split()
    if not capabilities.effective_and_permitted()[1] >> capabilities.CAPABILITIES["bpf"] & 1:
        pytest.skip("no CAP_BPF (Linux 5.8)")
    given = ",".join("+cap_%d" % capabilities.CAPABILITIES[name] for name in names)  # an older setpriv has not all names
    assert "LimitMEMLOCK=infinity" in unit
    raise_limit = 'ulimit -l unlimited 2>/dev/null; exec "$@"'  # where that is not allowed, maps are not in it (5.11)
    as_user = ["sh", "-c", raise_limit, "sh", "setpriv", "--reuid=65534", "--regid=65534",
               "--clear-groups", "--bounding-set=-all," + given, "--inh-caps=-all," + given,
               "--ambient-caps=-all," + given, "--no-new-privs"]
    with Serving(*FEW_GROUPS, plugin=plugin_readable_by_all, before=as_user) as plugin:
        before = plugin.until_ready().metrics()
        work(tmp_path)
        after = plugin.after_ticks(2)
        attached = {name for name, value in after.items() if name.startswith("ebpf_plugin_hook_attached") and value}
        assert attached and all(after[name] - before[name] == EXPECTED[name] for name in EXPECTED if name in after)
        assert set(EXPECTED) <= set(after)
        server = open("/proc/%d/status" % plugin.server(), encoding="ascii").read()
        assert re.search(r"(?m)^Uid:\s+65534\s", server) and re.search(r"(?m)^CapPrm:\s+0+$", server)
