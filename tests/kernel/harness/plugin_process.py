"""The plugin as a process between two pipes, as the agent starts it."""
import os
import pathlib
import re
import select
import subprocess
import time

from harness.attached import COMM

ROOT = pathlib.Path(__file__).parents[3]
PLUGIN = str(ROOT / "plugin" / "ebpf.plugin")
FEW_GROUPS = ("-p", "-g")  # for tests where the groups do not matter: an emulated machine loads the rest in 10 s
PATIENCE = 240  # seconds; long enough for an emulated machine that shares its processor


def config_for_method(method, directory):
    """The path of a configuration directory that asks for the attach method."""
    (directory / "ebpf.conf").write_text("[global]\nebpf co-re tracing = %s\n" % method)
    return str(directory)


class Plugin:
    """A running plugin. `lines` are those that it has printed so far. `block` begins a line that comes once in a tick
    (process_status may be missing in the first ticks), `blocks` is the number of these so far."""

    block = "BEGIN ebpf.exit"

    def __init__(self, *arguments, stdin=subprocess.PIPE, command=(), environment=(), plugin=PLUGIN, **popen):
        self.process = subprocess.Popen(
            [*command, plugin, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "EBPF_PLUGIN_TEST_COMM": COMM, "NETDATA_USER_CONFIG_DIR": "/nowhere", **dict(environment)},
            **popen)
        self._rest, self.lines, self.blocks = b"", [], 0

    def read_until(self, condition, patience=PATIENCE):
        """Read until condition(lines) is true."""
        deadline = time.monotonic() + patience
        while not condition(self.lines):
            assert self.process.poll() is None, "the plugin has ended: %s %s" % (self.lines[-5:], self.stderr())
            assert time.monotonic() < deadline, "not within %d s: %s" % (patience, self.lines[-5:])
            self._read(0.1)

    def _read(self, seconds):
        """Whether it printed something within `seconds`."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return False
        data = os.read(self.process.stdout.fileno(), 65536)
        *whole, self._rest = (self._rest + data).split(b"\n")
        whole = [line.decode() for line in whole]
        self.lines += whole
        self.blocks += sum(line.startswith(self.block) for line in whole)
        return bool(data)

    def read_ticks(self, n):
        """Read until n ticks from now on have come."""
        while self._read(0):  # what was printed before this call
            pass
        have = self.blocks
        self.read_until(lambda lines: self.blocks >= have + n, PATIENCE + n / 10)

    def last_values(self, *types):
        """{"chart.dimension": the last value that was set}, of charts of these types, if any are named"""
        found, chart = {}, None
        for line in self.lines:
            words = line.split()
            if words and words[0] == "BEGIN":
                type, _, chart = words[1].partition(".")
            elif words and words[0] == "SET" and (not types or type in types):
                found["%s.%s" % (chart, words[1])] = int(words[3])
        return found

    def resident_kb(self):
        """Anonymous memory in kB. Not from `status`, which may be wrong by 64 pages for each CPU (6.2)."""
        rollup = pathlib.Path("/proc/%d/smaps_rollup" % self.process.pid).read_text()
        return int(re.search(r"Anonymous:\s+(\d+)", rollup).group(1))

    def stderr(self):
        if self.process.poll() is None:
            return ""
        return self.process.stderr.read().decode()

    def wait_for_end(self, within=10):
        """(exit status, seconds until it ended)"""
        begun = time.monotonic()
        status = self.process.wait(within)
        return status, time.monotonic() - begun

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for end in (self.process.stdin, self.process.stdout, self.process.stderr):
            if end:
                end.close()
