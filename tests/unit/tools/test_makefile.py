"""`make run`: live on a terminal, one tick where nobody could end it."""
import os
import pty
import subprocess

from fakes import ROOT


def recipe():
    """The command that starts the plugin, with echo in place of sudo."""
    printed = subprocess.check_output(["make", "-n", "run", "SUDO=echo"], cwd=ROOT, text=True)
    return next(line for line in printed.splitlines() if "--debug" in line)


def test_piped_it_ends_after_a_tick():
    assert subprocess.check_output(["sh", "-c", recipe()], text=True) == "plugin/ebpf.plugin --debug --once\n"


def test_on_a_terminal_it_runs_until_it_is_ended():
    ours, theirs = pty.openpty()
    try:
        subprocess.run(["sh", "-c", recipe()], stdout=theirs, check=True)
        assert os.read(ours, 1000).split() == [b"plugin/ebpf.plugin", b"--debug"]
    finally:
        os.close(ours)
        os.close(theirs)
