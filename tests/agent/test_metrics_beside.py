"""Metrics beside a real agent: the same numbers, by a process of the agent's user without any capability."""
import errno
import pathlib
import socket
import urllib.request

from agent import Agent, programs, status
from harness.attached import COMM
import pytest
from workloads import syscalls as w

N = 101
OPENS, OPENS_METRIC = "file_descriptor.open", 'ebpf_file_descriptor_calls_total{operation="open"} '


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def serving(system, port):
    with Agent(system, options="--listen %d" % port) as agent:
        yield agent


def scraped(port):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % port, timeout=30) as answer:
        return next(int(line[len(OPENS_METRIC):]) for line in answer.read().decode().splitlines()
                    if line.startswith(OPENS_METRIC))


def test_charts_and_metrics_have_the_same_numbers(serving, port, tmp_path):
    serving.collecting()
    before = serving.collected()[OPENS]
    w.run(w.repeat("openat", -errno.ENOENT, lambda i: (w.AT_FDCWD, b"nothing", 0, 0)), COMM, N, tmp_path)
    serving.until("%d more in the chart" % N, lambda: serving.collected()[OPENS] == before + N, 15)
    serving.until("the same in the metric", lambda: scraped(port) == before + N, 15)


def test_who_serves_has_no_right(serving):
    serving.collecting()
    collector = pathlib.Path("/proc/%d" % serving.plugin())
    child, = (collector / "task" / collector.name / "children").read_text().split()
    server = pathlib.Path("/proc", child)
    assert (server / "comm").read_text() == "ebpf-metrics\n"
    assert [status(int(child), field) for field in ("CapPrm", "CapEff", "CapInh", "CapAmb")] == [0] * 4
    assert status(int(child), "NoNewPrivs") == 1
    assert server.stat().st_uid == collector.stat().st_uid != 0
    assert programs(int(child)) == set()
