"""packaging/install.sh, for agents that are not Debian's: on the host itself, but what it writes there is forgotten."""
import os
import re
import shutil

from cleanroot import ROOT, Root
import pytest

SCRIPT = ROOT / "packaging" / "install.sh"
PLUGINS = "/opt/netdata/usr/libexec/netdata/plugins.d"
ALERTS = "/opt/netdata/usr/lib/netdata/conf.d/health.d/ebpf.conf"
LAUNCHER = PLUGINS + "/ebpf.plugin"
PREFIX = "/opt/elsewhere"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("cc"), reason="not root, or no C compiler")


@pytest.fixture
def host(tmp_path):
    with Root("/", tmp_path) as root:
        root.run("groupadd", "-f", "netdata")
        root.run("mkdir", "-p", PLUGINS)
        yield root


def written(host):
    places = ("/opt", "/etc/systemd/system", "/usr/local/bin", "/usr/local/share")
    return sorted(host.run("find", *places, "!", "-type", "d", check=False).stdout.split())


def test_install_run_and_uninstall(host):
    before = written(host)
    host.run(SCRIPT, "--prefix", PREFIX)  # the agent is found
    assert host.run("stat", "-c", "%A %U %G", LAUNCHER).stdout == "-rwxr-x--- root netdata\n"
    assert "cap_bpf" in host.run("getcap", LAUNCHER).stdout
    once = host.run("setpriv", "--reuid=nobody", "--regid=netdata", "--clear-groups", LAUNCHER, "--once")
    assert "CHART ebpf.io " in once.stdout and once.stderr == ""
    assert "[global]" in host.file(PREFIX + "/share/netdata-ebpf-plugin/conf.d/ebpf.conf").read_text()
    assert "template: ebpf_failed_forks" in host.file(ALERTS).read_text()
    assert "customDashboard.context" in host.file("/opt/netdata/usr/share/netdata/web/ebpf_dashboard_info.js").read_text()
    assert host.run(PREFIX + "/bin/ebpf.plugin", "--version").returncode == 0
    host.run(SCRIPT, "--prefix", PREFIX)  # again, over itself
    host.run(SCRIPT, "--prefix", PREFIX, "--uninstall")
    assert written(host) == before


UNITS = "/etc/systemd/system"


def test_standalone_needs_no_agent(host):
    host.run("rm", "-r", "/opt/netdata")
    before = written(host)
    host.run(SCRIPT, "--prefix", PREFIX, "--standalone")
    unit = host.file(UNITS + "/ebpf-plugin.service").read_text()
    program = re.search(r"(?m)^ExecStart=(\S+) --listen fd://0$", unit).group(1)
    assert program == PREFIX + "/bin/ebpf.plugin"
    assert host.file(UNITS + "/ebpf-plugin.socket").exists() and not host.file("/opt/netdata").exists()
    # a user like that of the unit can read all of it
    said = host.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", program, "--version").stdout
    assert said.startswith("ebpf.plugin ")
    host.run(SCRIPT, "--prefix", PREFIX, "--standalone", "--uninstall")
    assert written(host) == before


@pytest.mark.parametrize("action", [(), ("--uninstall",)])
def test_dry_run_changes_nothing(host, action):
    if action:
        host.run(SCRIPT, "--prefix", PREFIX)
    before = written(host)
    said = host.run(SCRIPT, "--prefix", PREFIX, "--dry-run", *action).stdout
    assert LAUNCHER in said and PREFIX + "/share/netdata-ebpf-plugin" in said
    assert written(host) == before


def test_another_s_plugin_is_left_alone(host):
    host.file(LAUNCHER).write_text("the agent's own")
    for action in ((), ("--uninstall",)):
        done = host.run(SCRIPT, *action, check=False)
        assert done.returncode == 1
        assert LAUNCHER + " is " in done.stderr
        assert host.file(LAUNCHER).read_text() == "the agent's own"


@pytest.mark.parametrize("arguments, message", [
    (["--prefix"], "--prefix needs a value"),
    (["--prefix", "relative"], "not an absolute path: relative"),
    (["--prefix", '/a"b'], "not a plain path"),
    (["--what"], "unknown option --what"),
    (["--group", "no-such-group"], "there is no group no-such-group"),
])
def test_mistakes(host, arguments, message):
    done = host.run(SCRIPT, *arguments, check=False)
    assert done.returncode == 1 and message in done.stderr
    assert not host.file(LAUNCHER).exists()


def test_alerts_of_another_are_left_alone(host):
    host.run("install", "-D", "/dev/null", ALERTS)
    host.file(ALERTS).write_text("somebody else's")
    said = host.run(SCRIPT, "--prefix", PREFIX).stderr
    assert ALERTS + " is another's" in said
    host.run(SCRIPT, "--prefix", PREFIX, "--uninstall")
    assert host.file(ALERTS).read_text() == "somebody else's"
