"""Switching statistics on. A file takes the place of the sysctl: locks and a child that waits are the same."""
import errno
import os
import signal
import time

import pytest

from ebpf_plugin.kernel import bpf
from ebpf_plugin.programs import statistics


@pytest.fixture
def sysctl(tmp_path):
    """The path of a file with 0 in it."""
    path = tmp_path / "bpf_stats_enabled"
    path.write_text("0\n")
    return path


def value_within(path, expected, seconds=10):
    """The value, as soon as it is the expected one."""
    deadline = time.monotonic() + seconds
    while path.read_text().strip() != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.read_text().strip()


def test_the_sysctl_is_set_back_at_the_end(sysctl):
    held = statistics.by_sysctl(str(sysctl))
    assert sysctl.read_text() == "1\n"
    os.close(held)
    assert value_within(sysctl, "0") == "0"


def test_the_sysctl_is_set_back_after_sigkill(sysctl):
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        statistics.by_sysctl(str(sysctl))
        os.write(go, b"x")
        signal.pause()
    os.read(ready, 1)
    assert sysctl.read_text() == "1\n"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert value_within(sysctl, "0") == "0"
    os.close(ready)
    os.close(go)


def test_the_last_of_several_sets_it_back(sysctl):
    first, second = statistics.by_sysctl(str(sysctl)), statistics.by_sysctl(str(sysctl))
    os.close(first)
    time.sleep(0.2)
    assert sysctl.read_text() == "1\n"
    os.close(second)
    assert value_within(sysctl, "0") == "0"


def test_what_somebody_else_has_set_stays(sysctl):
    sysctl.write_text("1\n")
    os.close(statistics.by_sysctl(str(sysctl)))
    time.sleep(0.2)
    assert sysctl.read_text() == "1\n"
    # and nobody is in the way of the next one
    sysctl.write_text("0\n")
    os.close(statistics.by_sysctl(str(sysctl)))
    assert value_within(sysctl, "0") == "0"


def refusing(number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))
    return refuse


def test_who_may_not_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(bpf, "bpf", refusing(errno.EPERM))
    with pytest.raises(statistics.Refused, match="CAP_SYS_ADMIN.*run as root, or sysctl kernel.bpf_stats_enabled=1"):
        statistics.enable()


def test_a_kernel_without_the_command_has_the_sysctl(monkeypatch, sysctl):
    monkeypatch.setattr(bpf, "bpf", refusing(errno.EINVAL))
    monkeypatch.setattr(statistics, "by_sysctl", lambda: "the descriptor")
    assert statistics.enable() == "the descriptor"


@pytest.mark.parametrize("number, said", [(errno.ENOENT, "no statistics of BPF programs"), (errno.EACCES, "run as root")])
def test_a_kernel_without_either_is_said(monkeypatch, number, said):
    monkeypatch.setattr(bpf, "bpf", refusing(errno.EINVAL))
    monkeypatch.setattr(statistics, "by_sysctl", refusing(number))
    with pytest.raises(statistics.Refused, match=said):
        statistics.enable()


def test_whether_the_sysctl_is_on(monkeypatch, sysctl):
    monkeypatch.setattr(statistics, "SYSCTL", str(sysctl))
    assert not statistics.are_on()
    sysctl.write_text("1\n")
    assert statistics.are_on()
    monkeypatch.setattr(statistics, "SYSCTL", "/nowhere")
    assert not statistics.are_on()
