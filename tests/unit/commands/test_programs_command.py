"""The commands `programs` and `enable-stats`."""
import errno
import os
import signal
from types import SimpleNamespace

import pytest

from ebpf_plugin import lifecycle, log
from ebpf_plugin.commands import arguments
from ebpf_plugin.commands import programs as command
from ebpf_plugin.outputs import netdata
from ebpf_plugin.programs import statistics


def usage(number, name="one", type="kprobe", is_ours=True, pins=()):
    program = SimpleNamespace(id=number, type=type, name=name, runs=0, run_time=0, missed=0, uid=0)
    return SimpleNamespace(program=program, name=name, is_ours=is_ours, pins=list(pins), of_a_cpu=number, of_the_machine=0,
                           rate=0, average=None, attached=[], holders={}, memory=0, interval=1, ran=0, used=0)


class Looker:
    """Gives the same programs at each look; `looks` is how many there were."""

    looks = 0
    programs = (usage(1), usage(2, "vfs_read"), usage(3, "sd_devices", "cgroup_device", False),
                usage(4, pins=["/sys/fs/bpf/a/b"]), usage(5, "vfs_write", pins=["/sys/fs/bpf/ab"]))

    def look(self):
        Looker.looks += 1
        return list(self.programs)


@pytest.fixture
def machine(monkeypatch):
    """What is written and logged, and how long is slept, without a kernel."""
    found = SimpleNamespace(written=[], said=[], slept=[])
    monkeypatch.setattr(Looker, "looks", 0)
    monkeypatch.setattr(command, "Looker", Looker)
    monkeypatch.setattr(statistics, "enable", lambda: 99)
    monkeypatch.setattr(netdata, "write", found.written.append)
    monkeypatch.setattr(log, "write", lambda level, text: found.said.append(text))
    monkeypatch.setattr(command.time, "sleep", found.slept.append)
    return found


def chosen(*words):
    return [each.program.id for each in command.choose(list(Looker.programs), arguments.parse(["programs", *words]))]


@pytest.mark.parametrize("words, ids", [
    ([], [1, 2, 4, 5]),
    (["--all"], [1, 2, 3, 4, 5]),
    (["-a", "--type", "cgroup_device"], [3]),
    (["--name", "vfs_*"], [2, 5]),
    (["--name", "vfs_* !*write"], [2]),
    (["--name", "ONE"], [1, 4]),
    (["--pinned", "/sys/fs/bpf"], [4, 5]),
    (["--pinned", "/sys/fs/bpf/a/"], [4]),
    (["--pinned", "/nowhere"], []),
    (["--type", "xdp"], []),
])
def test_which_programs_are_shown(words, ids):
    assert chosen(*words) == ids


def test_once_is_one_interval(machine):
    assert command.run(arguments.parse(["programs", "--once", "--interval", "7"])) == 0
    assert Looker.looks == 2
    assert [round(seconds) for seconds in machine.slept] == [7]
    text, = machine.written
    assert "4 of 5 programs" in text
    # the largest overhead is first
    assert [line.split()[5] for line in text.splitlines()[2:]] == ["5", "4", "2", "1"]


def test_json(machine):
    assert command.run(arguments.parse(["progs", "--once", "--json", "--all"])) == 0
    text, = machine.written
    assert text.startswith("{") and text.count("\n") == 1


def test_it_goes_on_until_it_is_stopped(machine, monkeypatch):
    def sleep(_):
        if Looker.looks == 4:
            raise lifecycle.Stop
    monkeypatch.setattr(command.time, "sleep", sleep)
    with pytest.raises(lifecycle.Stop):
        command.run(arguments.parse(["programs"]))
    assert len(machine.written) == 3


def test_who_may_not_list_programs_is_told(machine, monkeypatch):
    def refuse(_self):
        raise PermissionError(errno.EPERM, "Operation not permitted")
    monkeypatch.setattr(Looker, "look", refuse)
    assert command.run(arguments.parse(["programs", "--once"])) == 1
    assert machine.written == []
    line, = machine.said
    assert line.startswith("cannot list BPF programs: Operation not permitted (")


@pytest.mark.parametrize("call", [lambda: command.run(arguments.parse(["programs"])), command.enable_stats])
def test_a_kernel_without_statistics_is_said(machine, monkeypatch, call):
    def refuse():
        raise statistics.Refused("no statistics here")
    monkeypatch.setattr(statistics, "enable", refuse)
    try:
        assert call() == 1
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, lifecycle.SIGNALS)
    assert machine.said == ["no statistics here"]


def test_enable_stats_ends_by_a_signal_that_came_before_it_waited(machine, monkeypatch):
    monkeypatch.setattr(log, "write", lambda level, text: os.kill(os.getpid(), signal.SIGTERM))
    child = os.fork()  # without threads of other tests, which might get the signal
    if child == 0:
        try:
            os._exit(command.enable_stats())
        finally:
            os._exit(1)
    assert os.waitpid(child, 0) == (child, 0)


@pytest.mark.parametrize("words, expected", [
    ([], ""), (["1"], ""), (["5", "--debug"], ""), (["--debug"], ""), (["programs"], "programs"), (["progs"], "programs"),
    (["enable-stats"], "enable-stats")])
def test_the_first_word_may_be_a_command(words, expected):
    assert arguments.parse(words).command == expected


@pytest.mark.parametrize("words", [
    ["program"], ["1", "programs"], ["programs", "1"], ["programs", "--interval", "0"],
    ["programs", "--all", "--pinned", "/a"], ["programs", "--debug"], ["enable-stats", "now"],
    ["programs", "--sort", "colour"], ["--once", "programs"]])
def test_wrong_words_end_with_status_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        arguments.parse(words)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit):
        arguments.parse(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all("ebpf.plugin %s'" % each in text for each in arguments.COMMANDS)
