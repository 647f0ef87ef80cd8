"""The real Prometheus scrapes the plugin: it is up, promtool has no complaint, and a known workload has the rate it had."""
import errno
import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

from harness.attached import COMM
from harness.metrics_client import Serving, free_port
from harness.plugin_process import PATIENCE
import pytest
from workloads import syscalls

N = 1009
OPENS = 'ebpf_file_descriptor_calls_total{operation="open"}'
CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
- job_name: ebpf
  static_configs: [{targets: ["127.0.0.1:%d"]}]
"""

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed (Debian: prometheus)")


class Prometheus:
    """Scrapes a port each second."""

    def __init__(self, port, directory):
        self._port = free_port()
        (directory / "prometheus.yml").write_text(CONFIG % port)
        self._log = open(directory / "log", "wb+")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=%s/prometheus.yml" % directory, "--storage.tsdb.path=%s/data" % directory,
             "--web.listen-address=127.0.0.1:%d" % self._port], stdout=self._log, stderr=self._log)

    def query(self, expression):
        """[(labels, value)] of an instant query: a number, or the samples of a range as (time, number)."""
        url = "http://127.0.0.1:%d/api/v1/query?%s" % (self._port, urllib.parse.urlencode({"query": expression}))
        with urllib.request.urlopen(url, timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        return [(one["metric"], float(one["value"][1]) if "value" in one else
                 [(at, float(number)) for at, number in one["values"]]) for one in result]

    def until(self, expression, expected):
        """Until a query has one result with this value."""
        deadline, found = time.monotonic() + PATIENCE, None
        while time.monotonic() < deadline:
            assert self.process.poll() is None
            try:
                found = [value for _, value in self.query(expression)]
                if found == [expected]:
                    return
            except OSError:
                pass
            time.sleep(0.3)
        raise AssertionError("%s is %s, expected %s" % (expression, found, expected))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self._log.close()


def test_a_known_workload_has_the_rate_that_it_had(clean_kernel, tmp_path):
    with Serving("-p") as plugin, Prometheus(plugin.until_ready().port, tmp_path) as prometheus:
        prometheus.until("up", 1)
        prometheus.until("count_over_time(up[1m]) > bool 3", 1)
        before = plugin.metrics()[OPENS]
        work = syscalls.repeat("openat", -errno.ENOENT, lambda i: (syscalls.AT_FDCWD, b"nothing", 0, 0))
        syscalls.run(work, COMM, N, tmp_path)
        prometheus.until(OPENS, before + N)
        # as it stored them: the counter has grown by N, and a rate over the time between the first and the last sample is N
        (_, samples), = prometheus.query(OPENS + "[5m]")
        assert samples[-1][1] - samples[0][1] == N
        (_, rate), = prometheus.query("rate(%s[5m]) * 300" % OPENS)
        seconds = samples[-1][0] - samples[0][0]
        step = seconds / (len(samples) - 1)
        # rate() goes on by half a step at each end at most (promql/functions.go, extrapolatedRate); of a counter from 0 less
        assert N <= rate <= N * (seconds + 1.1 * step) / seconds * 1.001
        (_, failed), = prometheus.query("count_over_time(up[5m]) - sum_over_time(up[5m])")
        assert failed == 0


def test_what_is_scraped_has_names_by_the_rules(clean_kernel):
    with Serving("-a", "-r") as plugin:
        plugin.until_ready()
        text = plugin.get()[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True)
    assert (checked.returncode, checked.stdout) == (0, "")
    assert "ebpf_application_vfs_read_calls_total{application=" in text and "ebpf_softirq_duration_seconds_bucket{" in text
