"""tracefs, played by a directory."""
import errno
import os
import subprocess
import sys
import time

from fakes import PACKAGE
import pytest

from ebpf_plugin.kernel import tracefs

OTHERS = "p:kprobes/myprobe do_sys_open\nr4:other/ebpf_plugin vfs_read\n"


@pytest.fixture
def mount(tmp_path, monkeypatch):
    (tmp_path / "events" / "syscalls" / "sys_exit_read").mkdir(parents=True)
    (tmp_path / "events" / "syscalls" / "sys_exit_read" / "id").write_text("642\n")
    (tmp_path / "kprobe_events").write_text(OTHERS)
    monkeypatch.setattr(tracefs, "MOUNTS", (str(tmp_path / "none"), str(tmp_path)))
    return tmp_path


def test_root(mount, monkeypatch):
    assert tracefs.root() == str(mount)
    monkeypatch.setattr(tracefs, "MOUNTS", (str(mount / "none"),))
    with pytest.raises(tracefs.NoTracefs, match="not mounted"):
        tracefs.root()


def test_a_root_that_is_not_ours(mount, monkeypatch):
    def listdir(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tracefs.os, "listdir", listdir)
    with pytest.raises(tracefs.NoTracefs, match="Permission denied; run as root"):
        tracefs.root()


def test_event_id(mount):
    assert tracefs.event_id("syscalls:sys_exit_read") == 642
    assert tracefs.event_id("syscalls:sys_exit_unheard") is None
    (mount / "events" / "syscalls" / "odd" / "id").mkdir(parents=True)
    with pytest.raises(tracefs.NoTracefs):
        tracefs.event_id("syscalls:odd")


def added(mount):
    text = (mount / "kprobe_events").read_text()
    assert text.startswith(OTHERS), "the events of others are gone"
    return text[len(OTHERS):]


def test_a_kretprobe_with_many_instances(mount):
    name = tracefs.add_kretprobe("clone", "kernel_clone")
    assert name == "ebpf_plugin/r_clone_%d" % os.getpid()
    assert added(mount) == "r4096:%s kernel_clone\n" % name


def test_remove(mount):
    assert tracefs.remove(["ebpf_plugin/r_a_1", "ebpf_plugin/r_b_1"]) == ["ebpf_plugin/r_a_1", "ebpf_plugin/r_b_1"]
    assert added(mount) == "-:ebpf_plugin/r_a_1\n-:ebpf_plugin/r_b_1\n"


@pytest.mark.parametrize("number, gone", [(errno.ENOENT, ["a", "b"]), (errno.EBUSY, ["b"])])
def test_remove_what_is_gone_or_in_use(mount, monkeypatch, number, gone):
    def append(text, events):
        if text == "-:a":
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tracefs, "_append", append)
    assert tracefs.remove(["a", "b"]) == gone


def test_remove_without_tracefs(monkeypatch):
    monkeypatch.setattr(tracefs, "MOUNTS", ())
    assert tracefs.remove(["a"]) == [] and tracefs.ours() == []


def test_what_dead_processes_left(mount):
    dead = subprocess.Popen(["true"])
    dead.wait()
    ours = ["ebpf_plugin/r_vfs_read_%d" % pid for pid in (os.getpid(), dead.pid)]
    with open(mount / "kprobe_events", "a") as file:
        file.writelines("r4096:%s vfs_read\n" % name for name in ours)
    assert tracefs.ours() == ours
    assert tracefs.stale() == ours[1:]


CLEANED = """
import os, sys; sys.path.insert(0, sys.argv[1])
from ebpf_plugin.kernel import tracefs
tracefs.MOUNTS = (sys.argv[2],)
append, tries = tracefs._append, []
def busy_at_first(*what):
    tries.append(what)
    if len(tries) < 3 and what[0][0] == "-":
        raise OSError(16, "in use")
    append(*what)
tracefs._append = busy_at_first
tracefs.start_cleaner()
with open(sys.argv[2] + "/kprobe_events", "a") as file:
    file.write("r4096:ebpf_plugin/r_a_%d vfs_read\\nr4096:ebpf_plugin/r_a_1 vfs_read\\n" % os.getpid())
print(os.getpid(), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("start", [[], ["sh", "-c", 'exec "$@" <&-', "sh"]], ids=["", "closed stdin"])
def test_the_cleaner_removes_the_events_of_one_that_was_killed(mount, start):
    ended = subprocess.run([*start, sys.executable, "-I", "-c", CLEANED, os.path.dirname(PACKAGE), str(mount)],
                           capture_output=True, timeout=10)
    assert (ended.returncode, ended.stderr) == (-9, b"")
    pid = int(ended.stdout)
    made = "r4096:ebpf_plugin/r_a_%d vfs_read\nr4096:ebpf_plugin/r_a_1 vfs_read\n" % pid
    deadline = time.monotonic() + 5
    while added(mount) == made and time.monotonic() < deadline:
        time.sleep(0.01)
    assert added(mount) == made + "-:ebpf_plugin/r_a_%d\n" % pid
