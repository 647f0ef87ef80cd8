"""How the process ends: a signal at any moment ends it with status 0, without a word, and once."""
import os
import signal
import subprocess
import sys
import time

from fakes import PACKAGE, ROOT
import pytest

from ebpf_plugin import lifecycle

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
every_signal = pytest.mark.parametrize("number", SIGNALS)
PLUGIN = os.path.join(ROOT, "plugin", "ebpf.plugin")

PREAMBLE = """
import gc, os, signal, sys, time
sys.path.insert(0, sys.argv[1])
number = int(sys.argv[2])
from ebpf_plugin import lifecycle
"""


def ended(code, number=signal.SIGTERM):
    """(exit status, stdout, stderr) of a program that is given a number of a signal."""
    done = subprocess.run([sys.executable, "-I", "-c", PREAMBLE + code, os.path.dirname(PACKAGE), str(int(number))],
                          capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


@every_signal
def test_a_signal_ends_it(number):
    assert ended("""
def main():
    os.kill(os.getpid(), number)
    time.sleep(10)
    print("not reached")
lifecycle.end_with(main)
""", number) == (0, "", "")


@every_signal
def test_the_way_out_is_not_interrupted_again(number):
    assert ended("""
def main():
    try:
        os.kill(os.getpid(), number)
        time.sleep(10)
    finally:
        for each in lifecycle.SIGNALS:
            os.kill(os.getpid(), each)
        os.write(1, b"cleaned up")
lifecycle.end_with(main)
""", number) == (0, "cleaned up", "")


@every_signal
def test_a_signal_that_came_while_it_was_blocked_is_not_lost(number):
    assert ended("""
signal.pthread_sigmask(signal.SIG_BLOCK, lifecycle.SIGNALS)
os.kill(os.getpid(), number)
lifecycle.end_with(lambda: os.write(1, b"not reached"))
""", number) == (0, "", "")


def test_children_can_be_waited_for_though_who_started_us_ignored_theirs():
    assert ended("""
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
def main():
    child = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 7"], {})
    os.write(1, b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
lifecycle.end_with(main)
""") == (0, "7", "")


WHERE_NO_EXCEPTION_GETS_OUT = {
    "finalizer": """
class Raises:
    def __del__(self):
        os.kill(os.getpid(), number)
def place():
    Raises()
""",
    "fork hook": """
def hook():
    if not done:
        done.append(1)
        os.kill(os.getpid(), number)
done = []
os.register_at_fork(before=hook)
def place():
    if os.fork() == 0:
        os._exit(0)
""",
    "__set_name__": """
class Attribute:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), number)
        time.sleep(0.1)
def place():
    class Owner:
        attribute = Attribute()
""",
    "callback of the collector of garbage": """
def place():
    gc.callbacks.append(lambda *_: gc.callbacks.clear() or os.kill(os.getpid(), number))
    gc.collect()
""",
}


@pytest.mark.parametrize("place", WHERE_NO_EXCEPTION_GETS_OUT)
def test_a_signal_where_python_lets_no_exception_out(place):
    assert ended(WHERE_NO_EXCEPTION_GETS_OUT[place] + """
def main():
    place()
    time.sleep(10)
    print("not reached")
lifecycle.end_with(main)
""") == (0, "", "")


def test_another_exception_there_is_printed():
    status, _, said = ended("""
class Raises:
    def __del__(self):
        raise ValueError("a mistake of ours")
lifecycle.end_with(lambda: Raises() and 0)
""")
    assert status == 0 and "ValueError: a mistake of ours" in said


def test_a_signal_of_the_parent_is_not_raised_in_its_child():
    """Python notes a signal first, and calls its handler later: in the child as well, if that is born between."""
    assert ended("""
def main():
    os.register_at_fork(before=lambda: os.kill(os.getpid(), number))
    if lifecycle.fork() == 0:
        time.sleep(0.1)
        os.write(1, b"child")
        os._exit(0)
    os.wait()
    time.sleep(10)
try:
    lifecycle.end_with(main)
except BaseException as error:
    print(error)
""")[0::2] == (0, "")


@pytest.mark.parametrize("status", [0, 1])
def test_the_status_of_what_it_ran(status):
    assert ended("lifecycle.end_with(lambda: %d)" % status) == (status, "", "")


def test_the_status_of_a_stop():
    assert ended("""
def main():
    raise lifecycle.Stop(3)
lifecycle.end_with(main)
""") == (3, "", "")


def test_stop_is_not_an_error_that_somebody_catches():
    assert not issubclass(lifecycle.Stop, Exception)


@pytest.mark.parametrize("status", [0, 1])
def test_leaving_takes_no_time(status):
    began = time.monotonic()
    assert ended("lifecycle.exit_now(%d)" % status) == (status, "", "")
    assert time.monotonic() - began < 5


def blocked(pid):
    """The signals that a process holds back, as a bit mask."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("SigBlk"))


@every_signal
def test_a_signal_among_the_first_imports(number):
    """From the first line of the program on: what Python itself does before, a few milliseconds, is not ours."""
    with subprocess.Popen([PLUGIN, "--show-bpf"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 10
        while not blocked(process.pid) >> number - 1 & 1 and process.poll() is None and time.monotonic() < deadline:
            pass
        process.send_signal(number)
        assert (process.wait(timeout=10), process.stderr.read()) == (0, b"")
