"""The Debian package: built, judged by lintian, installed with apt-get on a clean Debian 12 that has the agent, removed."""
import os
import re
import shutil
import subprocess

from cleanroot import ROOT, Root, bookworm, package
import pytest

from ebpf_plugin import VERSION

PLUGINS = "/usr/lib/netdata/plugins.d"
LAUNCHER = PLUGINS + "/ebpf.plugin"
HOME = "/usr/share/netdata-ebpf-plugin"
BYTECODE = "%s/bytecode/bytecode-%s" % (HOME, os.uname().machine)
MEMBER, STRANGER = (("runuser", "-u", user, "--") for user in ("netdata", "nobody"))

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("dpkg-buildpackage"), reason="not root, or not Debian")


@pytest.fixture(scope="module")
def deb():
    return package()


@pytest.fixture(scope="module")
def system(deb, tmp_path_factory):
    """Debian 12 with the agent and the package."""
    with Root(bookworm(), tmp_path_factory.mktemp("deb")) as root:
        root.install(deb)
        yield root


def files(root):
    """{path: (type and mode, owner, group)} of the system, but for the package manager's notes and what it rebuilds."""
    passed_over = ("/tmp/", "/var/log/", "/var/cache/", "/var/lib/apt/", "/var/lib/dpkg/")
    found = root.run("find", "/", "-xdev", "-printf", "%p %M %u %g\n").stdout
    return {line.split(" ")[0]: line.split(" ")[1:] for line in found.splitlines() if not line.startswith(passed_over)}


def test_name_and_lintian(deb):
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout
    assert deb.name == "netdata-ebpf-plugin_%s_%s.deb" % (VERSION, architecture.strip())
    if not shutil.which("lintian"):
        pytest.skip("no lintian")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", deb],
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_installs_what_a_checkout_has_and_nothing_of_the_agent_s(system):
    listed = set(system.run("dpkg", "-L", "netdata-ebpf-plugin").stdout.split())
    here = {HOME + "/" + str(path.relative_to(ROOT)) for part in ("plugin", "bpf") for path in (ROOT / part).rglob("*")
            if path.is_file() and path.suffix != ".pyc"}
    assert {path for path in listed if path.startswith((HOME + "/plugin/", HOME + "/bpf/"))
            and system.file(path).is_file()} == here
    others = set(system.run("dpkg", "-L", "netdata-core").stdout.split())
    assert {path for path in listed & others if not system.file(path).is_dir()} == set()
    for path in (LAUNCHER, "/usr/lib/netdata/conf.d/ebpf.conf", "/usr/lib/netdata/conf.d/health.d/ebpf.conf",
                 "/usr/share/netdata/web/ebpf_dashboard_info.js", "/usr/share/man/man1/ebpf.plugin.1.gz",
                 HOME + "/tools/check-kernel-config.sh"):
        assert path in listed, path


def test_the_launcher_is_for_the_agent_s_group_alone(system):
    assert files(system)[LAUNCHER] == ["-rwxr-x---", "root", "netdata"]
    assert system.run("getcap", LAUNCHER).stdout.split() == [
        LAUNCHER, "cap_dac_read_search,cap_sys_admin,cap_sys_resource,cap_perfmon,cap_bpf=p"]


def test_the_launcher_is_hardened(system):
    said = subprocess.run(["readelf", "-Wdlh", system.file(LAUNCHER)], capture_output=True, text=True, check=True).stdout
    assert "DYN (Position-Independent Executable file)" in said and "GNU_RELRO" in said and "BIND_NOW" in said
    done = subprocess.run(["readelf", "-W", "--dyn-syms", system.file(LAUNCHER)], capture_output=True, text=True, check=True)
    assert "__stack_chk_fail" in done.stdout and "__vfprintf_chk" in done.stdout


def test_the_agent_s_user_has_every_chart_and_root_the_table(system):
    checked = system.run(*MEMBER, LAUNCHER, "--check")
    assert "NOT SHOWN" not in checked.stdout and "nothing known" in checked.stdout
    once = system.run(*MEMBER, LAUNCHER, "1", "--once")
    assert once.stderr == "" and "CHART ebpf.io " in once.stdout and "\nSET read = " in once.stdout
    assert "file_descriptor" in system.run("ebpf.plugin", "--debug", "--once").stdout
    assert "file_descriptor" in system.run(LAUNCHER, "--debug", "--once").stdout


def test_no_compiler_is_there_and_none_is_missed(system):
    packages = system.run("dpkg-query", "-W", "-f", "${Package}\n").stdout
    assert re.findall(r"(?m)^(?:python3-bpfcc|libbpfcc|libllvm.*|libclang.*|python3-pyroute2)$", packages) == []
    assert "programs: %s, digest " % BYTECODE in system.run(*MEMBER, LAUNCHER, "--check").stdout
    assert system.run(HOME + "/tools/check-kernel-config.sh", check=False).stdout.count("BCC") == 0


def test_a_bytecode_file_that_was_altered_is_one_line(system):
    whole = system.file(BYTECODE).read_bytes()
    system.file(BYTECODE).write_bytes(whole.replace(b"A", b"B", 1))
    try:
        done = system.run(*MEMBER, LAUNCHER, "1", check=False)
    finally:
        system.file(BYTECODE).write_bytes(whole)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "DISABLE\n", 1)
    assert "no programs: %s: it is damaged" % BYTECODE in done.stderr
    assert "cannot compile: No module named 'bcc'" in done.stderr


def test_anyone_is_told_what_is_missing(system):
    assert "Permission denied" in system.run(*STRANGER, LAUNCHER, check=False).stderr
    done = system.run(*STRANGER, "ebpf.plugin", "--check", check=False)
    assert done.returncode == 1
    assert done.stderr == "" and "missing capability CAP_BPF and CAP_PERFMON" in done.stdout.splitlines()[0]


def test_nothing_is_read_with_the_launcher_s_privilege(system):
    """A member's ebpf.conf may be a link to what only root may read."""
    secret = "[global]\nsecret = 42\n"
    system.file("/etc/secret").write_text(secret)
    system.file("/etc/secret").chmod(0o600)
    system.run("install", "-d", "-o", "netdata", "/tmp/mine")
    system.run("ln", "-s", "/etc/secret", "/tmp/mine/ebpf.conf")
    done = system.run(*MEMBER, LAUNCHER, "--once", "--config", "/tmp/mine")
    assert "secret" not in done.stderr
    assert "/tmp/mine/ebpf.conf:1: cannot be read: Permission denied" in done.stderr


def test_manual_and_options_agree(system):
    manual = (ROOT / "packaging" / "ebpf.plugin.1").read_text().replace("\\-", "-")
    options = re.findall(r"(?m)^  (?:-\w, )?(--?[a-z-]+)", system.run("ebpf.plugin", "--help").stdout)
    assert len(options) > 8
    assert [option for option in options if option not in manual] == []
    assert '"ebpf.plugin %s"' % VERSION in manual


def test_versions_agree():
    assert (ROOT / "packaging/debian/changelog").read_text().startswith("netdata-ebpf-plugin (%s) " % VERSION)


def test_upgrade_keeps_the_configuration_and_purge_leaves_nothing(deb, tmp_path_factory):
    where = tmp_path_factory.mktemp("newer")
    subprocess.run(["dpkg-deb", "-R", deb, where / "tree"], check=True)
    control = where / "tree/DEBIAN/control"
    control.write_text(control.read_text().replace("Version: " + VERSION, "Version: %s+1" % VERSION))
    newer = where / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", where / "tree", newer], check=True, stdout=subprocess.DEVNULL)
    with Root(bookworm(), tmp_path_factory.mktemp("upgrade")) as root:
        before = files(root)
        root.install(deb)
        assert HOME in files(root)
        root.file("/etc/netdata/ebpf.conf").write_text("[global]\nupdate every = 7\n")
        root.install(newer)
        assert VERSION + "+1" in root.run("dpkg", "-s", "netdata-ebpf-plugin").stdout
        assert root.file("/etc/netdata/ebpf.conf").read_text() == "[global]\nupdate every = 7\n"
        assert files(root)[LAUNCHER] == ["-rwxr-x---", "root", "netdata"]
        root.run("ebpf.plugin", "--once")  # root could leave bytecode behind
        root.run("apt-get", "purge", "-y", "netdata-ebpf-plugin")
        assert files(root) == {**before, "/etc/netdata/ebpf.conf": files(root)["/etc/netdata/ebpf.conf"]}


def test_the_service_gets_what_the_launcher_hands_on(system):
    """systemd joins the lines of the unit and of the drop-in."""
    text = "".join(system.file(path).read_text() for path in (
        "/lib/systemd/system/netdata.service", "/usr/lib/systemd/system/netdata.service.d/ebpf-plugin.conf"))
    bounding = set(" ".join(re.findall(r"(?m)^CapabilityBoundingSet=(.*)", text)).split())
    assert {"CAP_BPF", "CAP_PERFMON", "CAP_DAC_READ_SEARCH", "CAP_SYS_RESOURCE"} <= bounding
    assert "CAP_SYS_ADMIN" not in bounding  # for kernels before 5.8, which Debian 12's agent does not meet
