"""The agent of the package netdata-core, started privately on loopback in directories of its own, and its HTTP API."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from harness.attached import COMM

LAUNCHER = "/usr/lib/netdata/plugins.d/ebpf.plugin"
PATIENCE = 60

CONFIGURATION = """
[global]
    run as user = {user}
    hostname = {hostname}
    process scheduling policy = keep
[directories]
    config = {config}
    stock config = /usr/lib/netdata/conf.d
    cache = {home}/cache
    lib = {home}/lib
    log = {home}/log
    home = {home}/lib
    web = /usr/share/netdata/web
    plugins = "/usr/lib/netdata/plugins.d"
[db]
    mode = ram
    retention = 600
    update every = 1
[logs]
    debug = none
    access = none
    health = none
    error = {home}/log/error.log
    errors flood protection period = 0
[web]
    bind to = 127.0.0.1:{port}
    web server threads = 1
[health]
    enabled = {health}
[statsd]
    enabled = no
[registry]
    enabled = no
[plugins]
    timex = no
    idlejitter = no
    netdata monitoring = yes
    tc = no
    diskspace = no
    proc = no
    cgroups = no
    enable running new plugins = no
    check for new plugins every = 5
    ebpf = yes
[plugin:ebpf]
    update every = {every}
    command options = {options}
"""


# ReadOnlyDirectories=/ of the service; the agent writes below /run, which is not
READ_ONLY = 'for each in / /sys /sys/kernel/tracing; do mount -o remount,bind,ro "$each"; done; exec "$@"'


class Agent:
    """As a context it is running. `config` is the user's configuration directory, by default one of its own; `without` names
    capabilities that its bounding set lacks; `comm` is the name of the processes that count; `environment` is the agent's,
    and so its plugins'."""

    def __init__(self, root, user="netdata", every=1, options="", config=None, hostname="ci", without=(), comm=COMM,
                 health="no", **environment):
        self.root, self.user, self.every, self.options, self._without = root, user, every, options, without
        self._environment = {**environment, "EBPF_PLUGIN_TEST_COMM": comm}
        self.home = "/run/agent-%d-%d" % (os.getpid(), time.monotonic_ns())
        self.config = config or self.home + "/etc"
        for name in ("cache", "lib", "log", "etc"):
            root.run("install", "-d", "-o", user, self.home + "/" + name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.write(self.home + "/netdata.conf", CONFIGURATION.format(
            user=user, home=self.home, config=self.config, every=every, options=options, port=self.port, hostname=hostname,
            health=health))
        self.write(self.home + "/etc/.opt-out-from-anonymous-statistics", "")
        self.process = None

    def write(self, path, text):
        """A file inside; also where a file system is mounted inside, which Root.file() does not see."""
        subprocess.run(self.root.command("tee", path), input=text.encode("utf-8", "surrogateescape"),
                       stdout=subprocess.DEVNULL, check=True)

    def start(self):
        """Returns when the API answers. User netdata is as confined as systemd does it in Debian's service."""
        as_user = []
        if self.user != "root":
            bounding = ",".join("+" + name for name in bounding_set(self.root) if name not in self._without)
            as_user = ["unshare", "-m", "sh", "-ec", READ_ONLY, "sh", "setpriv", "--reuid=" + self.user,
                       "--regid=" + self.user, "--init-groups", "--inh-caps=-all", "--bounding-set=-all," + bounding]
        self.process = subprocess.Popen(
            self.root.command(*as_user, "/usr/sbin/netdata", "-D", "-c", self.home + "/netdata.conf", "-P",
                              self.home + "/lib/netdata.pid", **self._environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.until("the agent answers", lambda: self.get("info"))
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        return self

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(PATIENCE)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def get(self, what, **query):
        """The answer to /api/v1/`what`: JSON, or text; None if there is none."""
        url = "http://127.0.0.1:%d/api/v1/%s?%s" % (self.port, what, urllib.parse.urlencode(query))
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text = answer.read().decode()
        except (OSError, urllib.error.URLError):
            return None
        return json.loads(text) if text[:1] in ("{", "[") else text

    def charts(self):
        """{id: what /api/v1/charts says} of the plugin."""
        found = self.get("charts") or {"charts": {}}
        return {name: chart for name, chart in found["charts"].items() if chart["plugin"] == "ebpf.plugin"}

    def collected(self):
        """{"chart.dimension": the value as the plugin sent it last}. The agent shows it for one second after it came."""
        return self.until("collected values", self._collected)

    def _collected(self):
        text = self.get("allmetrics", format="prometheus", source="as-collected", timestamps="no") or ""
        return {"%s.%s" % (chart, dimension): int(value) for chart, dimension, value in re.findall(
            r'(?m)^netdata_\w+\{chart="ebpf\.(\w+)",.*?dimension="(\w+)"\} (-?\d+)', text)}

    def collecting(self):
        """Wait until every chart has a stored value."""
        self.until("stored values", lambda: self.charts() and all(
            self.get("data", chart=name, after=-10) for name in self.charts()))
        return self

    @contextlib.contextmanager
    def collecting_when_started(self):
        with self:
            yield self.collecting()

    def until(self, what, condition, patience=PATIENCE):
        """The first true value of condition()."""
        deadline = time.monotonic() + patience
        while True:
            found = condition()
            if found:
                return found
            assert self.process.poll() is None, ("the agent died", self.log()[-2000:])
            assert time.monotonic() < deadline, ("in vain: " + what, self.log()[-2000:])
            time.sleep(0.05)

    def log(self):
        return self.root.run("cat", self.home + "/log/error.log", check=False).stdout

    def plugins(self):
        """The ids of the processes of plugins that this agent, or a killed one in its place, has started."""
        return processes("NETDATA_LOG_DIR=%s/log" % self.home)

    def plugin(self):
        """The id of the collector, when it ticks."""
        self.collected()
        found, = self.plugins()
        return found


def bounding_set(root):
    """What Debian's service has, with the drop-in of the package."""
    text = "".join(root.file(path).read_text() for path in (
        "/lib/systemd/system/netdata.service", "/usr/lib/systemd/system/netdata.service.d/ebpf-plugin.conf"))
    known = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text()), status(os.getpid(), "CapBnd")
    names = " ".join(re.findall(r"(?m)^CapabilityBoundingSet=(.*)", text)).lower().replace("cap_", "").split()
    numbers = {"dac_read_search": 2, "setgid": 6, "setuid": 7, "net_raw": 13, "sys_ptrace": 19, "sys_resource": 24,
               "audit_write": 29, "perfmon": 38, "bpf": 39}
    return ["cap_%d" % numbers[name] for name in names if numbers[name] <= known[0] and known[1] >> numbers[name] & 1]


def status(process, field):
    """A capability set of /proc/PID/status."""
    text = pathlib.Path("/proc/%d/status" % process).read_text()
    return int(re.search(r"(?m)^%s:\s+(\w+)" % field, text).group(1), 16)


def processes(variable):
    """The ids of our plugins' processes, loaders too, that were started with a variable in their environment."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (variable.encode() in (path / "environ").read_bytes().split(b"\0")
                    and b"ebpf" in (path / "cmdline").read_bytes()):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def programs(process):
    """The ids of the BPF programs and maps that a process holds: {("prog", id), ("map", id)}"""
    found = set()
    for path in pathlib.Path("/proc/%d/fdinfo" % process).glob("*"):
        try:
            found |= set(re.findall(r"(?m)^(prog|map)_id:\s+(\d+)", path.read_text()))
        except OSError:
            continue
    return found
