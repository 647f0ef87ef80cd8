"""tools/vm without QEMU, network or root: what it asks of apt and QEMU, and what it makes of their answers."""
import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from types import SimpleNamespace

from fakes import ROOT
import pytest

VM = os.path.join(ROOT, "tools", "vm")
sys.path.insert(0, VM)

import boot  # noqa: E402
import cpio  # noqa: E402
import debian  # noqa: E402
import vm  # noqa: E402

sys.path.remove(VM)


@pytest.mark.parametrize("arguments, said", [
    ([], "required"),
    (["run"], "COMMAND"),
    (["run", "--release", "potato", "--", "true"], "potato"),
    (["run", "--timeout", "soon", "--", "true"], "soon"),
    (["build"], "RELEASE"),
    (["build", "potato"], "potato"),
])
def test_a_wrong_command_line(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        vm.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_command_is_what_comes_after_two_dashes():
    options = vm.parser().parse_args(["run", "--release", "sid", "--", "env", "A=1", "sh", "-c", "exit 7", "--icount"])
    assert options.command == ["env", "A=1", "sh", "-c", "exit 7", "--icount"]
    assert (options.release, options.icount, options.cpus) == ("sid", False, 2)


def value(command, option):
    return command[command.index(option) + 1]


@pytest.mark.parametrize("processor, accelerator, model, cpus", [
    ("kvm", "kvm", "host", "3"),
    ("tcg", "tcg,thread=single", "max,la57=off", "3"),
    ("icount", "tcg,thread=single", "max,la57=off,-rdrand,-rdseed", "1"),
])
def test_the_command_of_qemu(processor, accelerator, model, cpus):
    command = boot.qemu("/guest", "/job", processor, memory="1G", cpus=3, append="lockdown=integrity")
    assert value(command, "-accel") == accelerator
    assert value(command, "-cpu") == model
    assert value(command, "-smp") == cpus
    assert value(command, "-m") == "1G"
    assert value(command, "-kernel") == "/guest/vmlinux"
    assert value(command, "-initrd") == "/job/initrd"
    assert "snapshot=on" in value(command, "-drive")
    assert ("-icount" in command) == (processor == "icount")
    parameters = value(command, "-append").split()
    assert parameters[-1] == "lockdown=integrity"
    assert "panic=-1" in parameters
    assert ("norandmaps" in parameters) == (processor == "icount")
    for port in ("out", "err", "status"):
        assert "file,id=%s,path=/job/%s" % (port, port) in command


@pytest.mark.parametrize("answer, running, status", [
    ("0\n", False, 0), ("7\n", False, 7), ("0\n", True, 0), ("", True, 124), ("", False, 125), ("1", False, 125),
])
def test_the_exit_status(answer, running, status):
    assert boot.exit_status(answer, running) == status


@pytest.mark.parametrize("guest, timeout, status, what", [
    ("echo last words >$0; exec sleep 1000", 1.5, 124, "the guest was stopped after 1.5 seconds"),
    ("echo last words >$0", 1000, 125, "the guest died"),
])
def test_the_console_of_a_guest_without_an_answer(guest, timeout, status, what, tmp_path, monkeypatch, capsys):
    def start(command, errors):
        return subprocess.Popen(["sh", "-c", guest, value(command, "-serial").partition(":")[2]])

    (tmp_path / "initrd").touch()
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(boot, "start", start)
    assert boot.run(str(tmp_path), "tcg", {}, ["true"], timeout, str(kept)) == status
    console, = kept.iterdir()
    assert console.read_text() == "last words\n"
    assert capsys.readouterr().err == "last words\nvm: %s; its console is in %s\n" % (what, console)


@pytest.mark.parametrize("outcome, answer, kept", [
    (0, "kvm", "kvm\n"), (-6, "tcg", "tcg\n"), (1, "tcg", "tcg\n"), (subprocess.TimeoutExpired("qemu", 5), "tcg", None),
])
def test_a_trial_of_kvm_is_remembered_if_it_ended(outcome, answer, kept, tmp_path, monkeypatch):
    def wait(timeout):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    trials = []
    monkeypatch.setattr(boot.os, "access", lambda *_: True)
    monkeypatch.setattr(boot, "start", lambda *_: trials.append(1) or SimpleNamespace(wait=wait, kill=lambda: None))
    assert [boot.accelerator("/guest", str(tmp_path)) for _ in range(2)] == [answer] * 2
    assert trials == [1] * (1 if kept else 2)
    note = tmp_path / "accelerator"
    assert (note.read_text() if note.exists() else None) == kept


def test_without_kvm_nothing_is_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(boot.os, "access", lambda *_: False)
    assert boot.accelerator("/guest", str(tmp_path)) == "tcg"


def test_what_apt_would_install():
    assert debian.simulated(
        "NOTE: This is only a simulation!\n"
        "Inst libc6 (2.36-9+deb12u10 Debian:12.11/oldstable [amd64]) []\n"
        "Inst python3-bpfcc [0.18.0] (0.26.0+ds-1 Debian:12.11/oldstable [all])\n"
        "Inst zlib1g:amd64 (1:1.2.13.dfsg-1 Debian:12.11/oldstable [amd64])\n"
        "Conf libc6 (2.36-9+deb12u10 Debian:12.11/oldstable [amd64])\n"
    ) == {"libc6": "2.36-9+deb12u10", "python3-bpfcc": "0.26.0+ds-1", "zlib1g": "1:1.2.13.dfsg-1"}


BOOKWORM = ("Inst kmod (30 x)\nInst linux-base (4.9 x)\nInst linux-image-6.1.0-50-amd64 (6.1 x)\n"
            "Inst linux-image-amd64 (6.1 x)\n")
SID = ("Inst linux-base (4.9 x)\nInst linux-base-7.2.13+deb14-amd64 (7.2 x)\nInst linux-binary-7.2.13+deb14-amd64 (7.2 x)\n"
       "Inst linux-modules-7.2.13+deb14-amd64 (7.2 x)\nInst linux-image-7.2.13+deb14-amd64 (7.2 x)\n"
       "Inst linux-image-amd64 (7.2 x)\nInst linux-sysctl-defaults (4.9 x)\n")


@pytest.mark.parametrize("simulation, parts, release", [
    (BOOKWORM, {"image"}, "6.1.0-50-amd64"),
    (SID, {"base", "binary", "modules", "image"}, "7.2.13+deb14-amd64"),
])
def test_the_packages_of_a_kernel(simulation, parts, release):
    found = [name for name in debian.simulated(simulation) if debian.KERNEL.match(name)]
    assert sorted(found) == sorted("linux-%s-%s" % (part, release) for part in parts)


FOREIGN = "deb https://archive.example/tools tools-bookworm main\ndeb https://archive.example/more bookworm stable\n"
ONE_LINE = """# deb http://commented.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/some/key.gpg] http://mirror.example/debian bookworm main contrib
"""
DEB822 = """# the archive
Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /some/key.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.mark.parametrize("texts, uri", [
    ([ONE_LINE], "http://mirror.example/debian"),
    ([DEB822], "http://mirror.example/debian"),
    (["", FOREIGN, DEB822], "http://mirror.example/debian"),
    ([DEB822.replace("Types: deb deb-src\n", "Types: deb\nEnabled: no\n")], ""),
    ([DEB822.replace("bookworm bookworm-updates", "\n stable\n stable-updates")], "http://mirror.example/debian"),
    ([FOREIGN], ""),
    ([], ""),
])
def test_the_archive_of_the_host(texts, uri):
    assert debian.mirror(texts) == uri


def test_what_is_not_installed():
    assert debian.tools_missing(lambda tool: True) == ""
    assert debian.tools_missing(lambda tool: tool not in ("mke2fs", "qemu-system-x86_64")) == \
        "not installed: mke2fs, qemu-system-x86_64; apt-get install e2fsprogs qemu-system-x86"


@pytest.fixture
def host(monkeypatch):
    """A host on which main() may be called: it leaves no signal handlers and no PATH behind."""
    monkeypatch.setattr(vm.signal, "signal", lambda *_: None)
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setattr(vm.platform, "machine", lambda: "x86_64")
    return monkeypatch


def test_what_is_missing_ends_with_status_3(host, capsys):
    host.setattr(debian, "tools_missing", lambda: "not installed: mke2fs; apt-get install e2fsprogs")
    assert vm.main(["list"]) == 3
    assert capsys.readouterr().err == "vm: not installed: mke2fs; apt-get install e2fsprogs\n"


def test_other_machines_are_told_so(host, capsys):
    host.setattr(vm.platform, "machine", lambda: "aarch64")
    assert vm.main(["list"]) == 3
    assert "aarch64" in capsys.readouterr().err


def test_a_command_that_fails_is_told_with_its_last_lines():
    with pytest.raises(debian.Missing, match="sh -c .*: first / second$"):
        debian.call(["sh", "-c", "echo first >&2; echo second >&2; exit 1"])


def entries(archive):
    """{path: (mode, mtime, content)} of an archive, in its order."""
    found, place = {}, 0
    while place < len(archive):
        assert archive[place:place + 6] == b"070701"
        fields = [int(archive[at:at + 8], 16) for at in range(place + 6, place + 110, 8)]
        name = archive[place + 110:place + 110 + fields[11] - 1].decode()
        begin = (place + 110 + fields[11] + 3) // 4 * 4
        found[name] = fields[1], fields[5], archive[begin:begin + fields[6]]
        place = (begin + fields[6] + 3) // 4 * 4
    return found


def test_an_archive():
    regular = stat.S_IFREG | 0o644
    found = entries(cpio.pack({"a/b/c": cpio.File(regular, b"12345", 99.5), "a/d": cpio.File(stat.S_IFLNK | 0o777, b"b/c")}))
    assert list(found) == ["a", "a/b", "a/b/c", "a/d", "TRAILER!!!"]
    assert found["a"] == (stat.S_IFDIR | 0o755, 0, b"")
    assert found["a/b/c"] == (regular, 99, b"12345")
    assert found["a/d"] == (stat.S_IFLNK | 0o777, 0, b"b/c")


def test_the_job():
    found = entries(boot.job_archive({}, ["sh", "-c", "exit 7; # 'x'"]))
    command = found["job/command"][2]
    assert subprocess.run(["sh"], input=command, stdout=subprocess.PIPE).returncode == 7


def test_what_the_archive_does_not_have_ends_with_status_3(host, capsys, tmp_path):
    def build(release, folder, say):
        os.makedirs(folder)
        raise debian.Missing("sid from http://mirror.example/debian: no such suite")

    host.setattr(debian, "tools_missing", lambda: "")
    host.setattr(debian, "build", build)
    host.setattr(vm, "CACHE", str(tmp_path))
    assert vm.main(["build", "sid"]) == 3
    assert capsys.readouterr().err == "vm: sid from http://mirror.example/debian: no such suite\n"


def test_a_full_disk_ends_with_status_3(host, capsys, tmp_path):
    def build(release, folder, say):
        raise OSError(errno.ENOSPC, "No space left on device")

    host.setattr(debian, "tools_missing", lambda: "")
    host.setattr(debian, "build", build)
    host.setattr(vm, "CACHE", str(tmp_path))
    assert vm.main(["build", "sid"]) == 3
    message = capsys.readouterr().err
    assert "No space left on device" in message
    assert str(tmp_path) in message
    assert message.count("\n") == 1


def test_a_reader_that_is_gone_is_no_full_disk(host):
    def show():
        raise BrokenPipeError

    def exit_now(status):
        raise SystemExit(status)

    host.setattr(debian, "tools_missing", lambda: "")
    host.setattr(vm, "show", show)
    host.setattr(vm.os, "_exit", exit_now)
    with pytest.raises(SystemExit) as ended:
        vm.main(["list"])
    assert ended.value.code == 141


def git(tree, *arguments):
    subprocess.run(["git", "-C", str(tree)] + list(arguments), check=True, stdout=subprocess.PIPE)


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
def test_the_copy_of_a_checkout(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text("*.o\n")
    for name in ("tracked", "untracked", "deleted", "ignored.o"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("tracked")
    git(tmp_path, "add", "tracked", "deleted")
    (tmp_path / "deleted").unlink()
    found = vm.checkout(str(tmp_path))
    assert sorted(found) == [".gitignore", "link", "tracked", "untracked"]
    assert found["tracked"].content == b"tracked"
    assert found["link"].content == b"tracked"
    assert stat.S_ISLNK(found["link"].mode)


def test_a_guest_is_built_if_it_was_interrupted_or_has_other_packages(tmp_path, monkeypatch):
    def build(release, folder, say):
        os.makedirs(folder)
        built.append(release)
        if len(built) == 1:
            raise KeyboardInterrupt
        with open(os.path.join(folder, "about.json"), "w", encoding="utf-8") as file:
            json.dump({"asked": debian.PACKAGES}, file)

    built = []
    monkeypatch.setattr(vm, "CACHE", str(tmp_path))
    monkeypatch.setattr(debian, "build", build)
    with pytest.raises(KeyboardInterrupt):
        vm.guest_of("sid")
    assert [vm.guest_of("sid") for _ in range(2)] == [str(tmp_path / "sid")] * 2
    assert built == ["sid"] * 2
    vm.guest_of("sid", fresh=True)
    assert built == ["sid"] * 3
    monkeypatch.setattr(debian, "PACKAGES", debian.PACKAGES + ["cowsay"])
    assert [vm.guest_of("sid") for _ in range(2)] == [str(tmp_path / "sid")] * 2
    assert built == ["sid"] * 4
    (tmp_path / "sid" / "about.json").write_text('{"kernel": "7.2"}')
    vm.guest_of("sid")
    assert built == ["sid"] * 5
    assert sorted(os.listdir(str(tmp_path))) == ["sid", "sid.lock"]
