"""The compiler's process, of which every end is one line."""
import time

import pytest

from ebpf_plugin import lifecycle
from ebpf_plugin.compile import child
from ebpf_plugin.kernel import capabilities


def failure(start, patience=10.0):
    with pytest.raises(child.Failed) as failed:
        child.compile_all(patience, start)
    text = str(failed.value)
    assert len(text.splitlines()) == 1
    return text


def test_what_it_prints_is_the_file(capfd):
    assert child.compile_all(10.0, "import os; os.write(1, b'a\\0b'); os.write(2, b'chatter')") == b"a\0b"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("start, text", [
    ("import sys; sys.exit(1)", "the compiler failed"),
    ("import sys; sys.exit('first\\n  last one ')", "the compiler failed; its last line: last one"),
    ("1 / 0", "the compiler failed; its last line: ZeroDivisionError: division by zero"),
    ("def", "the compiler failed; its last line: SyntaxError: invalid syntax"),
    ("import os; os.kill(os.getpid(), 9)", "the compiler was killed by signal 9"),
    ("import os; print('LLVM ERROR: out of memory', file=__import__('sys').stderr, flush=True); os.abort()",
     "the compiler was killed by signal 6; its last line: LLVM ERROR: out of memory"),
])
def test_failures(start, text):
    assert failure(start) == text


def test_words_that_are_no_text():
    assert "the compiler failed" in failure("import os, sys; os.write(2, b'a\\x1b[2J\\x00\\xff b'); sys.exit(1)")


HELD = """
import sys; sys.path.insert(0, sys.argv[1])
from ebpf_plugin.compile import __main__ as command, child
from ebpf_plugin.kernel import capabilities
command.main = lambda path: print(*capabilities.effective_and_permitted())
child.main()
"""


def test_it_may_read_every_file_and_nothing_else():
    _, permitted = capabilities.effective_and_permitted()
    kept = permitted & 1 << 2  # CAP_DAC_READ_SEARCH
    assert child.compile_all(10.0, HELD) == b"%d %d\n" % (kept, kept)


@pytest.mark.parametrize("start", [
    "import time; time.sleep(60)",
    # deaf to everything but SIGKILL
    "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); time.sleep(60)",
], ids=["asleep", "deaf"])
def test_one_that_hangs_is_killed(start):
    began = time.monotonic()
    assert failure(start, 0.5) == "the compiler was not done after 0 seconds, and was killed"
    assert time.monotonic() - began < 8


def test_a_stop_meanwhile_takes_it_along(monkeypatch):
    started = []
    popen = child.subprocess.Popen

    class Stopped(popen):
        def communicate(self, *args, **options):
            started.append(self)
            raise lifecycle.Stop

    monkeypatch.setattr(child.subprocess, "Popen", Stopped)
    with pytest.raises(lifecycle.Stop):
        child.compile_all(10.0, "import time; time.sleep(60)")
    assert started[0].wait(5) == -9
