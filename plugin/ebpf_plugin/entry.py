"""The first module that a command imports: signals wait until lifecycle.py can answer.

An import that one interrupts ends in a traceback. `signal` is an import, too.
"""
import _signal

_signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP))


def main() -> None:
    """Ends the process."""
    from .__main__ import main as run
    run()
