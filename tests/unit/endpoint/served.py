"""A running server process with samples of a test, and a client that says what it gets."""
import contextlib
import http.client
import os
import re
import signal
import socket
import time

from ebpf_plugin.config.listen_address import parse
from ebpf_plugin.endpoint import start
from ebpf_plugin.endpoint.web_config import read
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.outputs.sample_page import Writer

BOUND_KB = 24 * 1024  # of the server, whatever is asked of it
IO = Chart("vfs", "io", "Calls to IO", "calls/s", "VFS", 0, (
    Dimension("read", labels=(("operation", "read"),)), Dimension("write", labels=(("operation", "write"),))))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def many(count):
    """A sample as large as they come: the busiest connections in both directions, twice as many as by default."""
    for chart in ("outbound_bytes", "outbound_packets", "inbound_bytes", "inbound_packets"):
        dimensions = tuple(Dimension("%d" % number, labels=(
            ("service", "https"), ("port", "443"), ("protocol", "TCP"), ("address", "2001:db8::%x" % number),
            ("direction", direction))) for number in range(count) for direction in ("sent", "received"))
        yield (IO.replaced(group="network", id=chart, by="connection", dimensions=dimensions),
               tuple(range(10 ** 12, 10 ** 12 + len(dimensions))))


class Served:
    """A server on `address`; write() hands it a sample."""

    def __init__(self, address, web_config="", names="ebpf", environment=()):
        self.address = parse(address)
        found = start.start(self.address, {"web": read(web_config) if web_config else {}, "names": names}, dict(environment))
        self.page, self.pid, self.alive = found["page"], found["server"], found["alive"]
        self._writer = Writer(self.page)

    def write(self, *sample, now=None, every=1):
        self._writer.write(time.monotonic() if now is None else now, 1.5, every, list(sample) or [(IO, (23, 29))])

    def connect(self, seconds=20):
        if self.address.kind == "unix":
            found = socket.socket(socket.AF_UNIX)
            found.settimeout(seconds)
            found.connect(self.address.host)
            return found
        return socket.create_connection((self.address.host, self.address.port), seconds)

    def get(self, path="/metrics", method="GET", connection=None, **headers):
        """(status, {header: value}, body)"""
        with contextlib.closing(connection or self.connect()) as ours:
            lines = ["%s %s HTTP/1.1" % (method, path), "Host: localhost"]
            lines += ["%s: %s" % (name.replace("_", "-"), value) for name, value in headers.items()]
            ours.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            answer = http.client.HTTPResponse(ours, method=method)
            answer.begin()
            return answer.status, dict(answer.getheaders()), answer.read()

    def until_ready(self):
        self.get("/")
        return self

    def proc(self, name):
        with open("/proc/%d/%s" % (self.pid, name), encoding="ascii") as file:
            return file.read()

    def status(self, field):
        return re.search(r"(?m)^%s:\s+(.*)$" % field, self.proc("status")).group(1)

    def resident_kb(self):
        """As `Rss` of smaps_rollup: everything, with the pages of files that are shared with others."""
        return int(re.search(r"Rss:\s+(\d+)", self.proc("smaps_rollup")).group(1))

    def is_alive(self):
        return os.waitpid(self.pid, os.WNOHANG) == (0, 0)

    def close(self):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.page)
        os.close(self.alive)
