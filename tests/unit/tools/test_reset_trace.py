"""tools/reset_netdata_trace.sh on a tracefs that is played by files."""
import os
import resource
import shutil
import signal
import subprocess

from fakes import ROOT
import pytest

from ebpf_plugin.kernel import tracefs

SCRIPT = os.path.join(ROOT, "tools", "reset_netdata_trace.sh")
SHELLS = [shell for shell in (["sh"], ["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]

OTHERS = ("p:kprobes/myprobe do_sys_open\nr4:other/ebpf_plugin vfs_read\np:probes/x_1 0xffffffff81000000 a=%di\n"
          "r4:not_ebpf_plugin/r_x_1 vfs_read\n")
STALE, RUNNING = "ebpf_plugin/r_vfs_read_4194305", "ebpf_plugin/r_clone_77"
OURS = "r4096:%s vfs_read\np:%s kernel_clone\n" % (STALE, RUNNING)
every_shell = pytest.mark.parametrize("shell", SHELLS, ids=" ".join)


def run(root, *args, shell=("sh",), **more):
    done = subprocess.run([*shell, SCRIPT, "--root", str(root), *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False, **more)
    return done.stdout, done.stderr, done.returncode


@pytest.fixture
def root(tmp_path):
    (tmp_path / "sys/kernel/tracing/events").mkdir(parents=True)
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/comm").write_text("ebpf.plugin\n")
    (tmp_path / "proc/mounts").write_text("nodev /sys/kernel/tracing tracefs rw 0 0\n")
    events(tmp_path).write_text(OTHERS + OURS)
    return tmp_path


def events(root):
    return root / "sys/kernel/tracing/kprobe_events"


@every_shell
def test_what_is_left_of_the_dead_goes(root, shell):
    assert run(root, shell=shell) == (
        "removed %s\nleft %s: process 77 (ebpf.plugin) runs\n" % (STALE, RUNNING), "", 0)
    assert events(root).read_text() == OTHERS + OURS + "-:%s\n" % STALE


@every_shell
def test_all(root, shell):
    assert run(root, "--all", shell=shell) == ("removed %s\nremoved %s\n" % (STALE, RUNNING), "", 0)
    assert events(root).read_text() == OTHERS + OURS + "-:%s\n-:%s\n" % (STALE, RUNNING)


def test_the_names_are_those_of_the_plugin(root, monkeypatch):
    monkeypatch.setattr(tracefs, "MOUNTS", (str(root / "sys/kernel/tracing"),))
    monkeypatch.setattr(tracefs.os, "getppid", lambda: 4194306)
    events(root).write_text(OTHERS)
    name = tracefs.add_kretprobe("vfs_write", "vfs_write")
    assert run(root) == ("removed %s\n" % name, "", 0)


@pytest.mark.parametrize("text", ["", OTHERS])
def test_nothing_of_ours(root, text):
    events(root).write_text(text)
    assert run(root, "--all") == ("nothing to remove\n", "", 0)
    assert events(root).read_text() == text


def test_a_kernel_without_kprobes(root):
    events(root).unlink()
    assert run(root) == ("nothing to remove: this kernel has no kprobe events\n", "", 0)
    assert not events(root).exists()


def test_the_older_mount(root):
    (root / "sys/kernel/debug").mkdir()
    (root / "sys/kernel/tracing").rename(root / "sys/kernel/debug/tracing")
    assert run(root)[0].startswith("removed " + STALE)


def no_room():
    """Every write to a file fails, as the kernel lets the removal of an event fail that is in use."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@every_shell
def test_what_the_kernel_refuses_is_told(root, shell):
    out, err, status = run(root, "--all", shell=shell, preexec_fn=no_room)
    assert (out, status) == ("", 1)
    assert err == "".join("not removed %s: the kernel refuses; a running program may use it\n" % name
                          for name in (STALE, RUNNING))
    assert events(root).read_text() == OTHERS + OURS


def test_tracefs_that_is_not_there(root):
    shutil.rmtree(str(root / "sys"))
    assert run(root) == ("", "no access to tracefs: run as root\n", 1)
    (root / "proc/mounts").write_text("")
    assert run(root) == ("", "tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing\n", 1)


def test_events_that_cannot_be_read(root):
    events(root).unlink()
    events(root).mkdir()  # not readable for root either
    out, err, status = run(root)
    assert (out, status) == ("", 1)
    assert err.startswith("cannot read ")
    assert err.count("\n") == 1


def test_arguments(root):
    for args in (["surprise"], ["--root"]):
        out, err, status = run(root, *args)
        assert (out, status) == ("", 64)
        assert err.startswith("reset_netdata_trace.sh: ")
    out, err, status = run(root, "-h")
    assert out.startswith("usage: ")
    assert (err, status) == ("", 0)


@pytest.mark.parametrize("checker", [["sh", "-n"], ["dash", "-n"], ["busybox", "sh", "-n"], ["shellcheck", "-s", "sh"]],
                         ids=" ".join)
def test_it_is_posix(checker):
    if not shutil.which(checker[0]):
        pytest.skip(checker[0] + " is not installed")
    subprocess.run([*checker, SCRIPT], check=True)
