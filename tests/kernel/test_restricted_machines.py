"""Machines that refuse something: each gives the charts that it can, and says of the rest why not and what to do; and
tools/check-kernel-config.sh says the same of what is lost, without a trial."""
import contextlib
import errno
import os
import re
import shutil
import subprocess
import time

from harness.attached import GROUPS_BY_COMM, STOCK_KERNEL, load, missing_feature
from harness.plugin_process import PATIENCE, PLUGIN, ROOT
import pytest

from ebpf_plugin.compile import bytecode, child
from ebpf_plugin.config import directories
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.apps import APPS
from ebpf_plugin.groups.file import FILE
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.groups.process import PROCESS
from ebpf_plugin.groups.vfs import VFS
from ebpf_plugin.kernel import bpf, capabilities
from ebpf_plugin.load import loader
from ebpf_plugin.model.chart import MODES

# in a mount namespace of its own, so that nobody else misses anything
NO_BTF = "mount -t tmpfs none /sys/kernel/btf"
NO_TRACEFS = "while umount /sys/kernel/tracing 2>/dev/null; do :; done; umount -l /sys/kernel/debug 2>/dev/null || true"

READ_ONLY = "mount -o remount,bind,ro /sys/kernel/tracing"
FTRACE = "/proc/sys/kernel/ftrace_enabled"

CAPABILITIES = {**capabilities.CAPABILITIES, "sys_resource": 24}
PERMITTED = capabilities.effective_and_permitted()[1]
HAS_TRAMPOLINES = not missing_feature("trampoline")
HAS_FUNCTIONS = HAS_TRAMPOLINES or not missing_feature("probe")
CHARGED = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2]) < (5, 11)  # maps to RLIMIT_MEMLOCK
FLAGS = {"entry": (), "return": ("-r",)}
in_both_modes = pytest.mark.parametrize("mode", MODES)
mostly_in_entry_mode = pytest.mark.parametrize("mode", ["entry", pytest.param("return", marks=pytest.mark.releases)])
mostly_in_return_mode = pytest.mark.parametrize("mode", [pytest.param("entry", marks=pytest.mark.releases), "return"])


def run(*arguments, before="true", command=(), plugin=PLUGIN):
    """The plugin after the shell commands `before`, in a mount namespace of its own, started by `command`."""
    script = 'set -e; %s; exec "$@"' % before
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command, plugin, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=3 * PATIENCE,
        env=dict(os.environ, NETDATA_USER_CONFIG_DIR="/nowhere"))


def methods(checked):
    """{hook: method} of what --check printed; NOT if it is not shown."""
    return dict(re.findall(r"^  (\w+) +(trampoline|probe|tracepoint|NOT) ", checked.stdout, re.MULTILINE))


def charts(done):
    return set(re.findall(r"^CHART ebpf\.(\w+)", done.stdout, re.MULTILINE))


def every_hook(mode="entry", groups=GROUPS):
    return {hook.name for group in groups for hook in group.hooks if mode in hook.modes}


def every_chart(mode, groups=GROUPS):
    return {chart.id for group in groups for chart in group.charts if mode in chart.modes}


# what tools/check-kernel-config.sh calls them
CALLS = {"tcp_send", "tcp_recv", "udp_send", "udp_recv"}
WORDS = {
    "files": every_hook(groups=[FILE]), "VFS": every_hook(groups=[VFS]), "network": every_hook(groups=[NETWORK]),
    "applications": every_hook(groups=[APPS]), "vfs_create": {"create"}, "task_error": {"clone_error"},
    "UDP": {"udp_send", "udp_recv"}, "connections": {"connections"}, "retransmissions": {"retransmit"},
    "what TCP and UDP send and receive": CALLS, "what TCP and UDP receive": {"tcp_recv", "udp_recv"},
}


def script(before="true", command=()):
    """tools/check-kernel-config.sh in the same circumstances; its text is passed, as not everybody may read a checkout."""
    return run("-c", (ROOT / "tools" / "check-kernel-config.sh").read_text(), before=before, command=command, plugin="sh")


def lost(said, mode):
    """The hooks that are not to be had according to the script."""
    text = said.stdout.partition("charts: ")[2].rstrip("\n") or "all"
    for_trampolines, both, otherwise = text.partition("; where the kernel refuses those, ")
    text = otherwise if both and not HAS_TRAMPOLINES else for_trampolines
    for_the_mode = re.search("in load mode %s ([^;]*)" % mode, text)
    text = for_the_mode.group(1) if for_the_mode else text
    words = re.fullmatch("all(?: but (.*?))?(?:, on .*)?", text).group(1) or ""
    known = "|".join(sorted(WORDS, key=len, reverse=True))
    assert re.sub(known, "", words).replace(" and ", "").replace(", ", "") == "", text
    return {hook for word in re.findall(known, words) for hook in WORDS[word]} & every_hook(mode)


def agree(checked, mode="entry", before="true", command=()):
    """Compare what --check found with what the script says in the same circumstances, which is returned."""
    said = script(before, command)
    assert said.stderr == ""
    attached = {hook for hook, method in methods(checked).items() if method != "NOT"}
    assert lost(said, mode) == every_hook(mode) - attached, said.stdout
    assert said.returncode == (1 if said.stdout else 0)
    return said.stdout


@contextlib.contextmanager
def without_ftrace():
    """For the whole machine, which has to be our own."""
    deadline = time.monotonic() + PATIENCE
    while not wrote(FTRACE, "0"):  # 5.10 has to take the trampolines of the test before down first
        assert time.monotonic() < deadline
        time.sleep(0.5)
    try:
        yield
    finally:
        assert wrote(FTRACE, "1")


def wrote(path, text):
    """False if the kernel says that it is busy."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False


@pytest.mark.releases
@pytest.mark.parametrize("before, mode", [
    ("true", "return"), *((NO_BTF + ";" + more, mode) for more in (NO_TRACEFS, READ_ONLY) for mode in MODES)],
    ids=["full", *("no BTF, %s, %s" % (more, mode) for more in ("no tracefs", "tracefs read-only") for mode in MODES)])
def test_the_script_agrees(before, mode):
    """No tracefs that may be written is no probe at a return, which is what return mode is made of without trampolines."""
    checked = run("--check", *FLAGS[mode], before=before)
    said = agree(checked, mode, before)
    if before == "true" and STOCK_KERNEL:
        assert said == ""
        assert checked.returncode == 0


@pytest.mark.parametrize("before, mode", [
    ("true", "return"), pytest.param(NO_TRACEFS, "entry", marks=pytest.mark.releases)], ids=["full", "no tracefs"])
@pytest.mark.skipif(not STOCK_KERNEL, reason="this machine's ftrace is not ours to switch off")
def test_without_ftrace(before, mode):
    """System calls and the kernel's own tracepoints are left."""
    with without_ftrace():
        checked = run("--check", *FLAGS[mode], before=before)
        said = agree(checked, mode, before)
    assert set(methods(checked).values()) <= {"tracepoint", "NOT"}
    assert "ftrace is off: sysctl kernel.ftrace_enabled=1" in checked.stdout
    assert "ftrace switched off: no trampolines, no probes; sysctl -w kernel.ftrace_enabled=1\n" in said


@mostly_in_return_mode
def test_without_btf(mode):
    """No trampolines, and nothing of network and applications, which read structures; nothing else is missing."""
    checked = run("--check", *FLAGS[mode], before=NO_BTF)
    assert set(methods(checked)) == every_hook(mode, GROUPS_BY_COMM)
    assert set(methods(checked).values()) <= {"probe", "tracepoint"}
    assert checked.returncode == 1
    assert "BTF       no (CONFIG_DEBUG_INFO_BTF): no trampolines" in checked.stdout
    assert "no BTF: /sys/kernel/btf/vmlinux is missing" in checked.stdout
    said = agree(checked, mode, NO_BTF)
    assert "BTF not in this kernel: no trampolines, no network, no applications, " in said
    if mode == "entry":  # one mode tells whether what is attached is shown
        return
    done = run("--once", *FLAGS[mode], before=NO_BTF)
    assert done.returncode == 0
    assert charts(done) == every_chart(mode, GROUPS_BY_COMM)
    assert [line.partition("ERROR : ")[2].partition(" (")[0] for line in done.stderr.splitlines()] == [
        "%s: not loaded: no BTF: /sys/kernel/btf/vmlinux is missing" % group for group in ("network", "apps")]
    assert run("-p", "-g", "--check", *FLAGS[mode], before=NO_BTF).returncode == 0


@mostly_in_entry_mode
def test_without_tracefs(mode):
    """Trampolines do not need it; system calls and probes at returns do, and what is lost is said once, hook by hook."""
    checked = run("--check", *FLAGS[mode], before=NO_TRACEFS)
    found = methods(checked)
    assert set(found) == every_hook(mode)
    assert "tracefs   no: tracefs is not mounted: mount -t tracefs" in checked.stdout
    assert "tracefs not mounted: no tracepoints of system calls, no probes at returns; " in agree(checked, mode, NO_TRACEFS)
    missing = {hook for hook, method in found.items() if method == "NOT"}
    assert checked.returncode == int(bool(missing))
    if HAS_TRAMPOLINES:
        assert missing == set()
    if mode == "return":  # as in test_without_btf
        return
    done = run("--once", *FLAGS[mode], before=NO_TRACEFS)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == len(missing)
    assert all("mount -t tracefs nodev /sys/kernel/tracing" in line for line in done.stderr.splitlines())
    assert {"exit", "process_thread", "process_status"} <= charts(done)
    if not HAS_FUNCTIONS:
        assert {"open", "close", "read", "write"} <= missing
        assert not charts(done) & {"file_descriptor", "io", "io_bytes"}


def as_nobody(*kept):
    # by number, as Debian 11's setpriv does not know the names of 5.8
    numbers = [CAPABILITIES[name] for name in kept]
    # a container's root may lack some itself; it has no kernel that old, then
    _, permitted = capabilities.effective_and_permitted()
    names = ",".join("+cap_%d" % number for number in numbers if permitted >> number & 1) or "-all"
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=" + names,
            *(["--ambient-caps=" + names] if kept else [])]


def test_as_nobody(plugin_readable_by_all):
    for arguments in (("1",), ("--check",), ("--debug", "--once")):
        done = run(*arguments, command=as_nobody(), plugin=plugin_readable_by_all)
        assert done.returncode == 1
        assert done.stdout == ("DISABLE\n" if arguments == ("1",) else "")
        assert len(done.stderr.splitlines()) == 1
        assert "missing capability CAP_BPF and CAP_PERFMON; run as root or grant them" in done.stderr
    said = script(command=as_nobody())
    assert said.returncode == 2
    assert "missing CAP_BPF CAP_PERFMON: the plugin cannot run; run as root or grant it" in said.stdout


def test_with_cap_bpf_alone(plugin_readable_by_all):
    """Maps can be made, nothing can be attached."""
    done = run("1", command=as_nobody("bpf", "sys_resource"), plugin=plugin_readable_by_all)
    assert done.returncode == 1
    assert done.stdout == "DISABLE\n"
    assert "missing capability CAP_PERFMON" in done.stderr
    assert "Traceback" not in done.stderr
    said = script(command=as_nobody("bpf", "sys_resource"))
    assert said.returncode == 2
    assert "missing CAP_PERFMON: the plugin cannot run" in said.stdout


@mostly_in_return_mode
def test_with_cap_bpf_and_perfmon(plugin_readable_by_all, mode):
    """Trampolines and raw tracepoints take no more (but before 5.11 maps are charged to a limit, which takes one to raise);
    the ids of other tracepoints are root's to read."""
    nobody = as_nobody("bpf", "perfmon", "sys_resource")
    checked = run("--check", *FLAGS[mode], command=nobody, plugin=plugin_readable_by_all)
    found = methods(checked)
    assert set(found) == every_hook(mode)
    assert found["clone"] == found["exit"] == "tracepoint"
    said = agree(checked, mode, command=nobody)
    assert "tracefs not permitted: no tracepoints of system calls, no probes at returns; " in said
    if HAS_TRAMPOLINES:
        assert checked.returncode == 0
        assert "NOT" not in found.values()
    if mode == "entry":  # as in test_without_btf
        return
    done = run("--once", *FLAGS[mode], command=nobody, plugin=plugin_readable_by_all)
    assert done.returncode == 0
    assert {"exit", "process_thread", "process_status"} <= charts(done)
    if HAS_TRAMPOLINES:
        assert charts(done) >= every_chart(mode)
        assert done.stderr == ""
    else:
        assert found["open"] == "NOT"
        assert "run as root or give the user access" in done.stderr


def test_without_locked_memory(plugin_readable_by_all):
    """One clear line where maps are charged to RLIMIT_MEMLOCK (before 5.11); elsewhere the limit means nothing."""
    done = run("--once", before="ulimit -l 64", command=as_nobody("bpf", "perfmon"), plugin=plugin_readable_by_all)
    if CHARGED and done.returncode:
        assert done.stdout == "DISABLE\n"
        assert len(done.stderr.splitlines()) == 1
        assert "locked memory is limited to 64 kB" in done.stderr
    else:
        assert done.returncode == 0
        assert {"exit", "process_thread", "process_status"} <= charts(done)
        if HAS_TRAMPOLINES:
            assert charts(done) >= every_chart("entry")
            assert done.stderr == ""


BROKEN = """
import sys; sys.path.insert(0, sys.argv[1])
from ebpf_plugin.compile import bytecode, child
from ebpf_plugin.config import directories
directories.data = lambda name: %r
from ebpf_plugin.compile.child import main
main()
"""


def test_a_group_fails_alone(tmp_path, monkeypatch):
    shutil.copytree(directories.data("bpf"), tmp_path / "bpf")
    with open(tmp_path / "bpf" / "vfs.c", "a", encoding="ascii") as file:
        file.write("this is not C\n")
    code = bytecode.read(child.compile_all(PATIENCE, BROKEN % str(tmp_path / "bpf")), bpf.MACHINE)
    monkeypatch.setattr(loader, "instructions", lambda: (code, "a test"))
    loaded = load((FILE, VFS, PROCESS), "entry", "auto", {})
    try:
        assert set(loaded.broken) == {"vfs"}
        assert "vfs.c:" in loaded.broken["vfs"] and "error:" in loaded.broken["vfs"]
        assert set(loaded.maps) == set(loaded.hooks) == {"file", "process"}
        assert all(hook.method for hooks in loaded.hooks.values() for hook in hooks.values())
    finally:
        for descriptor in loaded.descriptors:
            os.close(descriptor)
