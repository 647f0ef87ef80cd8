"""The command: from argv, environment and ebpf.conf to what it was asked for."""
from __future__ import annotations

import _signal

# Signals wait until lifecycle.py can answer: an import that one interrupts ends in a traceback.
_signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP))

import os  # noqa: E402
from typing import Sequence  # noqa: E402

from . import lifecycle  # noqa: E402
from .commands import arguments  # noqa: E402
from .kernel import privileges  # noqa: E402
from .load import plan  # noqa: E402


def main(argv: Sequence[str] | None = None) -> None:
    """Ends the process; the exit status is 2 for a mistake in the arguments."""
    lifecycle.end_with(lambda: command(argv))


def command(argv: Sequence[str] | None) -> int:
    """Do what the arguments ask for. Returns the exit status; raises lifecycle.Stop."""
    args = arguments.parse(argv)
    if args.command == "charts":
        from .commands import charts
        return charts.show()
    with privileges.Unused():
        settings = arguments.settings(args, os.environ)
    planned = plan.make(settings, args.config, os.environ)
    if args.show_bpf:
        from .commands import show_bpf
        return show_bpf.show(planned)
    from .commands import run
    return run.run(args, planned)


if __name__ == "__main__":
    main()
