"""The command: from argv, environment and ebpf.conf to what it was asked for."""
from __future__ import annotations

import os
from typing import Sequence

from . import lifecycle
from .commands import arguments
from .kernel import privileges
from .load import plan


def main(argv: Sequence[str] | None = None) -> None:
    """Ends the process; the exit status is 2 for a mistake in the arguments."""
    args = arguments.parse(argv)
    lifecycle.on_signals()
    try:
        if args.command == "charts":
            from .commands import charts
            lifecycle.exit_now(charts.show())
        with privileges.Unused():
            settings = arguments.settings(args, os.environ)
        planned = plan.make(settings, args.config, os.environ)
        if args.show_bpf:
            from .commands import show_bpf
            status = show_bpf.show(planned)
        else:
            from .commands import run
            status = run.run(args, planned)
    except lifecycle.Stop as stop:
        status = stop.status
    lifecycle.exit_now(status)


if __name__ == "__main__":
    main()
