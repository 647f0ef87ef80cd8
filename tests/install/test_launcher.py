"""packaging/launcher.c: who may start it, and with what the program begins. The program is one that says what it has."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from ebpf_plugin.kernel import capabilities

SOURCE = pathlib.Path(__file__).parents[2] / "packaging" / "launcher.c"
NUMBERS = {"dac_read_search": 2, "sys_resource": 24, **capabilities.CAPABILITIES}
FILE = "cap_bpf,cap_perfmon,cap_dac_read_search,cap_sys_admin,cap_sys_resource=p"
GROUP, MEMBER, STRANGER = 4242, 4243, 4244  # nobody's

REPORT = """
import json, os, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
names = {"Uid": status["Uid"].split(), "NoNewPrivs": int(status["NoNewPrivs"])}
names.update({name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb", "SigBlk")})
names.update(argv=sys.argv, environment=dict(os.environ), isolated=sys.flags.isolated, executable=sys.executable)
print(json.dumps(names))
"""


def mask(*names):
    """The capabilities, as far as this machine's root has them."""
    return sum(1 << NUMBERS[name] for name in names) & capabilities.effective_and_permitted()[1]


HANDED_ON = mask("bpf", "perfmon", "dac_read_search")


@pytest.fixture
def launcher():
    if os.geteuid() != 0 or not shutil.which("cc"):
        pytest.skip("not root, or no C compiler")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path, program = directory + "/ebpf.plugin", directory + "/program"
        with open(program, "w", encoding="ascii") as file:
            file.write(REPORT)
        subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", '-DPROGRAM="%s"' % program, "-o", path, SOURCE],
                       check=True)
        os.chown(path, 0, GROUP)
        os.chmod(path, 0o750)
        subprocess.run(["setcap", FILE, path], check=True)
        yield path


def start(launcher, *arguments, uid=MEMBER, gid=GROUP, groups="--clear-groups", more=(), **environment):
    return subprocess.run(["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid, groups, *more, launcher, *arguments],
                          capture_output=True, text=True, check=False, env={"PATH": "/usr/bin", **environment})


def said(*args, **more):
    done = start(*args, **more)
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("who", [{}, {"gid": STRANGER, "groups": "--groups=1,%d" % GROUP}], ids=["group", "groups"])
def test_a_member_gets_exactly_the_table(launcher, who):
    found = said(launcher, "1", "--a b", **who)
    assert found["CapPrm"] == found["CapEff"] == found["CapInh"] == found["CapAmb"] == HANDED_ON
    assert found["Uid"] == [str(MEMBER)] * 4
    assert found["NoNewPrivs"] == 1
    assert found["isolated"] == 1 and found["executable"] == "/usr/bin/python3"
    assert found["argv"][1:] == ["1", "--a b"]


def test_the_environment_is_made_anew(launcher):
    found = said(launcher, NETDATA_UPDATE_EVERY="3", EBPF_PLUGIN_TEST_COMM="x", TERM="vt100", TERMINFO="/", LANG="tlh",
                 PYTHONPATH="/tmp", LD_LIBRARY_PATH="/tmp", PATH="/tmp:/usr/bin", BCC_KERNEL_SOURCE="/tmp")
    del found["environment"]["NETDATA_UPDATE_EVERY"], found["environment"]["EBPF_PLUGIN_TEST_COMM"]
    assert found["environment"] == {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "TERM": "vt100"}


def test_a_stranger_is_refused(launcher):
    os.chmod(launcher, 0o755)  # a mistake in its mode lets nobody in
    done = start(launcher, gid=STRANGER)
    assert done.returncode == 1 and done.stdout == ""
    assert "only root and members of group %d may start this" % GROUP in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_root_keeps_what_it_has(launcher):
    found = said(launcher, uid=0, gid=0)
    assert found["CapPrm"] == found["CapEff"] == capabilities.effective_and_permitted()[1]
    assert found["NoNewPrivs"] == 1


def test_what_the_bounding_set_lacks_is_merely_missing(launcher):
    """As in a service without the drop-in: the plugin starts, so that it can say what it lacks."""
    found = said(launcher, more=["--bounding-set=-cap_39,-cap_38"])
    assert found["CapAmb"] == found["CapPrm"] == mask("dac_read_search")


def test_setuid_where_the_file_system_keeps_no_capabilities(launcher):
    subprocess.run(["setcap", "-r", launcher], check=True)
    os.chmod(launcher, 0o4750)
    found = said(launcher)
    assert found["CapPrm"] == found["CapEff"] == found["CapInh"] == found["CapAmb"] == HANDED_ON
    assert found["Uid"] == [str(MEMBER)] * 4


def test_without_any_privilege_it_starts_all_the_same(launcher):
    subprocess.run(["setcap", "-r", launcher], check=True)
    assert said(launcher)["CapPrm"] == 0


def test_locked_memory_is_unlimited(launcher):
    if not mask("sys_resource"):
        pytest.skip("this machine's root lacks CAP_SYS_RESOURCE")
    with open(pathlib.Path(launcher).parent / "program", "a", encoding="ascii") as file:
        file.write("import resource; print(resource.getrlimit(resource.RLIMIT_MEMLOCK))")
    done = start(launcher, more=["prlimit", "--memlock=65536:65536"])
    assert done.stdout.splitlines()[1] == "(-1, -1)"


def test_the_table_of_capabilities_is_the_same_everywhere():
    root = SOURCE.parents[1]
    for name in ("packaging/launcher.c", "packaging/install.sh", "packaging/debian/postinst"):
        assert FILE in (root / name).read_text(), name
    # what Debian's service has already is not in the drop-in; what only older kernels take is not granted to a service
    drop_in = (root / "packaging/ebpf-plugin.conf").read_text()
    assert "\nCapabilityBoundingSet=CAP_BPF CAP_PERFMON CAP_SYS_RESOURCE\n" in drop_in


def test_signals_wait_for_the_program(launcher):
    """Python answers one that comes while it begins with a traceback."""
    blocked = said(launcher)["SigBlk"]
    assert [number for number in range(1, 32) if blocked >> number - 1 & 1] == [
        signal.SIGHUP, signal.SIGINT, signal.SIGTERM]
