"""How the process ends: signals, and leaving at once."""
from __future__ import annotations

import os
import _signal as signal  # signal itself takes half a megabyte, to make enums of numbers

from .kernel import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stop(BaseException):
    """Raised where the process is when it has to end: SIGTERM, SIGINT, end of stdin, QUIT, nobody reads stdout.

    `status` is that of the process: 0 unless something is wrong.
    """

    def __init__(self, status: int = 0):
        super().__init__(status)
        self.status = status


def on_signals() -> None:
    """From now on SIGTERM, SIGINT and SIGHUP raise Stop, once: the way out is not interrupted again."""
    def stop(_number: int, _frame: object) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stop

    for each in SIGNALS:
        signal.signal(each, stop)


def exit_now(status: int) -> NoReturn:
    """End the process at once, with this exit status.

    The kernel takes tracepoints and probes down one by one, each after an RCU grace period, seconds in all: whoever closes
    a descriptor last waits for that. A child that holds the same descriptors and nothing else does so in our place; it is
    killed when we are gone.
    """
    try:
        parent = os.getpid()
        if os.fork() == 0:
            os.setsid()
            os.closerange(0, 3)
            process.die_with_parent(signal.SIGKILL)
            while os.getppid() == parent:
                signal.pause()
    except OSError:
        pass
    os._exit(status)
