"""How the process ends: signals, and leaving at once."""
from __future__ import annotations

import os
import _signal as signal  # signal itself takes half a megabyte, to make enums of numbers
import sys

from .kernel import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
AGAIN = 0.01  # seconds


class Stop(BaseException):
    """Raised where the process is when it has to end: SIGTERM, SIGINT, end of stdin, QUIT, nobody reads stdout.

    `status` is that of the process: 0 unless something is wrong.
    """

    def __init__(self, status: int = 0):
        super().__init__(status)
        self.status = status


def end_with(main: Callable[[], int | None]) -> None:
    """Run main() and end the process with the status that it returns. SIGTERM, SIGINT and SIGHUP raise Stop in it, once: the
    way out is not interrupted again. The signals may be blocked before."""
    leaving: list[bool] = []

    def stop(_number: int, _frame: Any) -> None:
        if not leaving:
            leaving.append(True)
            raise Stop

    def raise_again(unraisable: Any) -> None:
        """Python lets no exception out of some places (a finalizer, what is called at a fork), and only prints it."""
        if issubclass(unraisable.exc_type, Stop):
            leaving.clear()
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
        else:
            sys.__unraisablehook__(unraisable)

    status = 0
    try:
        sys.unraisablehook = raise_again
        for each in (*SIGNALS, signal.SIGALRM):
            signal.signal(each, stop)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if it was ignored when we were started, no child could be waited for
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = main() or 0
        leaving.append(True)
    except Stop as stopped:
        status = stopped.status
    except BaseException:
        if not leaving:
            raise
        # Python makes another exception of one in some places, as in __set_name__() until 3.11
    exit_now(status)


def hangups() -> list[bool]:
    """From now on SIGHUP does not end the process: it adds to this list."""
    came: list[bool] = []
    signal.signal(signal.SIGHUP, lambda _number, _frame: came.append(True))
    return came


def fork() -> int:
    """os.fork(), with SIGNALS blocked in the child: what it does about them is its own decision, and a signal of the parent
    is not raised in both. Raises OSError."""
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        child = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        raise
    if child:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
    return child


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
