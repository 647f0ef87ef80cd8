"""Compiling in a process of its own, where no good bytecode file is there: LLVM's 100 MB are gone with it."""
from __future__ import annotations

import os
import signal
import subprocess
import sys

from .. import lifecycle

# Seconds: a disk that is busy as the machine boots takes its time with 100 MB of libraries. Tests on an emulated machine are
# more patient.
PATIENCE = float(os.environ.get("EBPF_PLUGIN_TEST_PATIENCE", 60))

START = "import sys; sys.path.insert(0, sys.argv[1]); from ebpf_plugin.compile.child import main; main()"


class Failed(Exception):
    """Why nothing was compiled: one line."""


def compile_all(patience: float = PATIENCE, start: str = START) -> bytes:
    """The bytes of a bytecode file. Raises Failed. `start` is the Python text that the child runs."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    command = [sys.executable, "-I", "-c", start, package, str(os.getpid())]
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, lifecycle.SIGNALS)  # as soon as there is a child, it is ours to end
    try:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
                output, said = process.communicate(timeout=patience)
            except BaseException:
                process.kill()
                raise
    except subprocess.TimeoutExpired:
        raise Failed("the compiler was not done after %d seconds, and was killed" % patience) from None
    except OSError as error:
        raise Failed("cannot start the compiler: %s" % error.strerror) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    if process.returncode:
        lines = said.decode("utf-8", "replace").strip().splitlines()
        how = "was killed by signal %d" % -process.returncode if process.returncode < 0 else "failed"
        raise Failed("the compiler %s%s" % (how, "; its last line: " + lines[-1].strip() if lines else ""))
    return output


def main() -> None:
    """The child: bytecode to stdout. It ends with its parent.

    Of its capabilities it keeps that of reading every file: who runs it may be root, and the checkout in a user's directory
    that is closed to others.
    """
    from ..kernel import capabilities, process
    from .__main__ import main as write
    process.die_with_parent(signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):
        sys.exit(1)  # it was gone before we asked
    signal.pthread_sigmask(signal.SIG_UNBLOCK, lifecycle.SIGNALS)
    _, permitted = capabilities.effective_and_permitted()
    kept = permitted & 1 << capabilities.CAPABILITIES["dac_read_search"]
    capabilities.set_capabilities(kept, kept)
    sys.exit(write("-"))
