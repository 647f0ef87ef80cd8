"""The plugin with --listen, and a client that reads its metrics without any library."""
import http.client
import os
import re
import socket
import time

from harness.plugin_process import PATIENCE, Plugin

NOT_FOR_AGENT = ("env", "-u", "NETDATA_USER_CONFIG_DIR")  # which is what the harness sets


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Serving(Plugin):
    """A plugin that serves metrics on `port`; without an interval among the arguments it prints nothing."""

    def __init__(self, *arguments, port=0, before=(), **options):
        """before: a command that executes the plugin."""
        self.port = port or free_port()
        super().__init__(*arguments, "--listen", str(self.port), command=(*NOT_FOR_AGENT, *before), **options)

    def get(self, path="/metrics", **headers):
        """(status, text)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def until_ready(self):
        """Until there is a sample."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.stderr()
            try:
                if self.get("/healthz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError("no metrics within %d s" % PATIENCE)

    def metrics(self):
        """{'name{labels}': number}, as the text has them."""
        status, text = self.get()
        assert status == 200, text
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {place: float(number) for place, _, number in lines}

    def after_ticks(self, count):
        """metrics(), after so many further samples."""
        tick = "ebpf_plugin_last_tick_timestamp_seconds"
        seen = {self.metrics()[tick]}
        deadline = time.monotonic() + PATIENCE
        while len(seen) <= count:
            assert time.monotonic() < deadline
            time.sleep(0.05)
            found = self.metrics()
            seen.add(found[tick])
        return found

    def server(self):
        """The process id of the server."""
        with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid), encoding="ascii") as file:
            names = {int(pid): open("/proc/%s/comm" % pid, encoding="ascii").read().strip() for pid in file.read().split()}
        return next(pid for pid, name in names.items() if name == "ebpf-metrics")

    def server_kb(self):
        """Rss of the server in kB, with the pages that it shares with others."""
        with open("/proc/%d/smaps_rollup" % self.server(), encoding="ascii") as file:
            return int(re.search(r"Rss:\s+(\d+)", file.read()).group(1))


def has_ended(pid):
    """Whether the process is gone within some seconds."""
    deadline = time.monotonic() + 20
    while os.path.exists("/proc/%d" % pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not os.path.exists("/proc/%d" % pid)
