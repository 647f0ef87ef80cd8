"""The command: from argv, environment and ebpf.conf to what it was asked for."""
from __future__ import annotations

import argparse
import os
from typing import Sequence

from . import lifecycle
from .commands import arguments
from .kernel import privileges
from .load import plan


def main(argv: Sequence[str] | None = None) -> None:
    """Ends the process; the exit status is 2 for a mistake in the arguments."""
    lifecycle.end_with(lambda: command(argv))


def command(argv: Sequence[str] | None) -> int:
    """Do what the arguments ask for. Returns the exit status; raises lifecycle.Stop."""
    args = arguments.parse(argv)
    return _other_command(args) if args.command else _plugin(args)


def _plugin(args: argparse.Namespace) -> int:
    with privileges.Unused():
        settings = arguments.settings(args, os.environ)
    planned = plan.make(settings, args.config, os.environ)
    if args.show_bpf:
        from .commands import show_bpf
        return show_bpf.show(planned)
    from .commands import run
    return run.run(args, planned)


def _other_command(args: argparse.Namespace) -> int:
    if args.command == arguments.CHARTS:
        from .commands import charts
        return charts.show()
    from .commands import programs
    return programs.run(args) if args.command == arguments.PROGRAMS else programs.enable_stats()


if __name__ == "__main__":
    main()
