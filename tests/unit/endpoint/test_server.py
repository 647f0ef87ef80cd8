"""The process that serves metrics: what it answers, what it cannot do, what a hostile client can do to it."""
import contextlib
import gzip
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from fakes import PACKAGE
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
import pytest
from served import BOUND_KB, IO, Served, free_port, many

from ebpf_plugin.endpoint import http
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.outputs import metrics
from ebpf_plugin.outputs.sample_page import RAW


@pytest.fixture
def server():
    found = Served("127.0.0.1:%d" % free_port())
    try:
        yield found.until_ready()
    finally:
        found.close()


def value(families, name, **labels):
    return next(sample.value for family in families for sample in family.samples
                if sample.name == name and sample.labels == labels)


def test_the_text_of_the_last_sample(server):
    server.write()
    status, headers, body = server.get()
    families = list(parse_text(body.decode()))
    assert (status, headers["Content-Type"]) == (200, metrics.TEXT_TYPE)
    assert value(families, "ebpf_vfs_io_calls_total", operation="read") == 23
    assert value(families, "ebpf_plugin_last_tick_timestamp_seconds") == 1.5
    server.write((IO, (31, None)))
    assert b'operation="read"} 31\n' in server.get()[2] and b"write" not in server.get()[2]


def test_openmetrics_for_who_wants_it(server):
    server.write()
    _, headers, body = server.get(Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"] == metrics.OPENMETRICS_TYPE
    assert value(parse_openmetrics(body.decode()), "ebpf_vfs_io_calls_total", operation="write") == 29


def test_other_names():
    server = Served("127.0.0.1:%d" % free_port(), names="tfo")
    try:
        server.write()
        _, headers, body = server.get(Accept="application/openmetrics-text; version=1.0.0")
        assert headers["Content-Type"] == metrics.TEXT_TYPE  # OpenMetrics would change the names
        assert b'tfo_ebpf_fileio_operations{operation="read"} 23\n' in body and b"ebpf_vfs_io" not in body
    finally:
        server.close()


def test_gzip_for_who_takes_it(server):
    server.write()
    plain = server.get()
    status, headers, body = server.get(Accept_Encoding="gzip")
    assert (status, headers["Content-Encoding"], gzip.decompress(body)) == (200, "gzip", plain[2])
    assert "Content-Encoding" not in plain[1]


@pytest.mark.parametrize("path, method, status", [
    ("/", "GET", 200), ("/metrics", "HEAD", 200), ("/metrics?name=x", "GET", 200), ("/healthz", "GET", 200),
    ("/other", "GET", 404), ("/../etc/passwd", "GET", 404), ("/maps", "GET", 404),
    ("/metrics", "POST", 501), ("/metrics", "\xff", 501), ("http://localhost/metrics", "GET", 404), ("*", "OPTIONS", 501),
])
def test_paths_and_methods(server, path, method, status):
    server.write()
    assert server.get(path, method)[0] == status
    assert server.is_alive()


@pytest.mark.parametrize("request_text, answer", [
    (b"GET /metrics\r\n\r\n", b"# HELP"),  # HTTP/0.9 has no status line
    (b"GET / HTTP/1.0\n\n", b"HTTP/1.0 200"),
    (b"GET / HTTP/9.9\r\n\r\n", b""),
    (b"GET /  x HTTP/1.1\r\n\r\n", b"HTTP/1.0 400"),
    (b"\x16\x03\x01 rubbish\r\n\r\n", b""),
    (b"\r\n\r\n", b""),
    (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"HTTP/1.0 200"),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", b"HTTP/1.0 431"),
    (b"GET / HTTP/1.1\r\nA: " + b"x" * 9000 + b"\r\n\r\n", b"HTTP/1.0 431"),
    (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"HTTP/1.0 431"),
    (b"G" * 100000, b"HTTP/1.0 431"),
])
def test_requests_that_nobody_should_send(server, request_text, answer):
    server.write()
    with server.connect() as ours:
        with contextlib.suppress(ConnectionError):
            ours.sendall(request_text)
        with contextlib.suppress(ConnectionError):
            assert ours.recv(4096).startswith(answer)
    assert server.get()[0] == 200


def test_rows_are_told_if_the_collector_tells_them(server):
    server.write()
    assert server.get("/maps")[0] == 404
    raw = Chart("vfs", RAW, "", "", "", 0, (Dimension("read_calls"), Dimension("read_bytes")), type=RAW)
    server.write((IO, (1, 2)), (raw, ((0, (23, 94208)), (5, (1, 2)))))
    status, _, body = server.get("/maps")
    assert (status, body) == (200, b"vfs 0 read_calls 23\nvfs 0 read_bytes 94208\nvfs 5 read_calls 1\nvfs 5 read_bytes 2\n")
    assert b"read_calls" not in server.get()[2]


def test_before_the_first_sample(server):
    assert [server.get(path)[0] for path in ("/metrics", "/healthz", "/")] == [503, 503, 200]
    assert b"no sample yet" in server.get("/healthz")[2]


def test_a_collector_that_stands_still_is_told(server):
    server.write(now=time.monotonic() - 2.9)
    assert [server.get(path)[0] for path in ("/metrics", "/healthz")] == [200, 200]
    server.write(now=time.monotonic() - 4)
    assert [server.get(path)[0] for path in ("/metrics", "/healthz")] == [503, 503]
    server.write(now=time.monotonic() - 4, every=10)
    assert server.get("/healthz")[2] == b"ok\n"


def test_it_has_no_rights_and_nothing_open(server):
    for field in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(server.status(field), 16) == 0
    assert server.status("NoNewPrivs") == "1"
    if os.path.exists("/proc/sys/kernel/seccomp"):
        assert server.status("Seccomp") == "2"
    if os.geteuid() == 0:
        assert server.status("Uid").split() == ["65534"] * 4
    # the connection of until_ready() may not be closed yet
    deadline = time.monotonic() + 10
    while open_files(server.pid) != ["/memfd", "pipe", "socket"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert open_files(server.pid) == ["/memfd", "pipe", "socket"]


def open_files(pid):
    """What kinds of files a process has open besides stdin, stdout and stderr."""
    found = []
    for name in os.listdir("/proc/%d/fd" % pid):
        with contextlib.suppress(FileNotFoundError):
            found += [re.match(r"[\w/]+", os.readlink("/proc/%d/fd/%s" % (pid, name))).group(0)] if int(name) > 2 else []
    return sorted(found)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_leaves_the_end_to_its_parent(server, number):
    os.kill(server.pid, number)
    server.write()
    assert server.get()[0] == 200


CHILD = """
import os, sys, time
sys.path[:0] = sys.argv[1:3]
from served import Served
server = Served(sys.argv[3]).until_ready()
print(server.pid, flush=True)
time.sleep(60)
"""


def test_it_ends_with_its_parent():
    here = os.path.dirname(os.path.abspath(__file__))
    address = "127.0.0.1:%d" % free_port()
    command = [sys.executable, "-c", CHILD, os.path.dirname(PACKAGE), here, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while os.path.exists("/proc/%d" % pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not os.path.exists("/proc/%d" % pid)


def test_a_thousand_scrapes_take_no_memory(server):
    for _ in range(50):
        server.write()
        server.get()
    before = server.resident_kb()
    for number in range(1000):
        if number % 10 == 0:
            server.write((IO, (number, number)))
        assert server.get(Accept_Encoding="gzip" if number % 2 else "")[0] == 200
    assert server.resident_kb() - before <= 128
    assert server.resident_kb() < BOUND_KB


def test_a_large_sample_stays_within_the_bound(server):
    sample = list(many(500))
    for _ in range(5):
        server.write(*sample)
        for accept in ("", "application/openmetrics-text"):
            for encoding in ("", "gzip"):
                assert server.get(Accept=accept, Accept_Encoding=encoding)[0] == 200
    assert server.resident_kb() < BOUND_KB


def test_clients_that_send_nothing_do_not_keep_others_out(server):
    server.write()
    with contextlib.ExitStack() as stack:
        for _ in range(3 * http.CONNECTIONS):
            ours = stack.enter_context(server.connect())
            ours.sendall(b"GET / HTTP/1.1\r\n")
        begun = time.monotonic()
        assert server.get()[0] == 200
        assert time.monotonic() - begun < http.SECONDS / 2
    assert server.resident_kb() < BOUND_KB


def test_a_client_that_sends_a_byte_a_second_is_cut_off(server):
    """Slowloris: each byte comes in time, the whole request does not."""
    begun = time.monotonic()
    with server.connect() as ours, pytest.raises(ConnectionError):
        while time.monotonic() < begun + 3 * http.SECONDS:
            ours.sendall(b"X")
            time.sleep(0.25)
    assert http.SECONDS - 1 < time.monotonic() - begun < http.SECONDS + 3


def test_clients_that_read_nothing_do_not_keep_others_out_for_long(server):
    server.write(*many(500))
    with contextlib.ExitStack() as stack:
        for _ in range(http.CONNECTIONS):
            ours = stack.enter_context(socket.socket())
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            ours.connect((server.address.host, server.address.port))
            ours.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        deadline, answered = time.monotonic() + 2 * http.SECONDS, False
        while not answered and time.monotonic() < deadline:
            server.write()
            with contextlib.suppress(ConnectionError, http_client_errors()):
                answered = server.get()[0] == 200
        assert answered
    assert server.resident_kb() < BOUND_KB


def http_client_errors():
    import http.client
    return http.client.HTTPException


def test_ten_thousand_connections(server):
    """A thousand at a time, each with half a request; the server ends it, or it waits in the kernel's queue."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    at_once = min(1000, hard - 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, at_once + 200), hard))
    try:
        made = 0
        while made < 10000:
            with contextlib.ExitStack() as stack:
                for _ in range(at_once):
                    ours = stack.enter_context(socket.socket())
                    ours.setblocking(False)
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        ours.connect((server.address.host, server.address.port))
                    with contextlib.suppress(OSError):
                        ours.send(b"GET /metrics HTTP/1.1\r\n")
                    made += 1
                time.sleep(0.05)
                assert server.resident_kb() < BOUND_KB
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    server.write()
    assert server.get()[0] == 200
    assert int(server.status("Threads")) <= http.CONNECTIONS + 1


def test_scrapes_at_the_same_time(server):
    server.write(*many(500))
    seen = []

    def scrape():
        for _ in range(20):
            seen.append(server.get()[0])
    threads = [threading.Thread(target=scrape) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
        server.write(*many(500))
    assert seen == [200] * 160
    assert server.resident_kb() < BOUND_KB
