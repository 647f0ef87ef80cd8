"""When to tick and when to stop: the clock, stdin, signals."""
from __future__ import annotations

import os
import select
import signal
import stat
import time

from . import kernel


SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
QUIET = 60  # seconds; agents since 1.41 stop a plugin that has printed nothing for 120


class Stop(BaseException):
    """Raised where the process is when it has to end: SIGTERM, SIGINT, end of stdin, QUIT, nobody reads stdout.

    `status` is that of the process: 0 unless something is wrong.
    """

    def __init__(self, status=0):
        super().__init__(status)
        self.status = status


def on_signals():
    """From now on SIGTERM, SIGINT and SIGHUP raise Stop, once: the way out is not interrupted again."""
    def stop(_number, _frame):
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stop

    for each in SIGNALS:
        signal.signal(each, stop)


class Pulse:
    """Waits for ticks on whole multiples of `every` seconds of the wall clock, and watches stdin meanwhile. When a wait is
    longer than QUIET, still_here() is called each QUIET seconds.

    Stdin counts only if it is a pipe or a socket, as an agent gives it: a terminal and /dev/null say nothing.
    """

    def __init__(self, every, stdin=0, still_here=lambda: None):
        self._every, self._stdin, self._still_here = every, stdin, still_here
        self._poll = select.poll()
        self._watched = _is_pipe(stdin)
        if self._watched:
            self._poll.register(stdin, select.POLLIN)

    def wait(self):
        """Return at the next multiple; one that has passed meanwhile is skipped. Raises Stop.

        The deadline is monotonic, so a clock that is set moves a tick by less than one interval.
        """
        left = self._every - time.time() % self._every
        deadline = time.monotonic() + left  # read second: what comes between makes a tick late, never early
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            if self._poll.poll(min(left, QUIET) * 1000):
                if self._watched:
                    self._listen()
            elif left > QUIET:
                self._still_here()

    def _listen(self):
        heard = os.read(self._stdin, 4096)
        # the agent's QUIT may come without an end of line; other words (FUNCTION ...) are not for us
        if not heard or b"QUIT" in heard.split():
            raise Stop


def _is_pipe(descriptor):
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def leave(status):
    """End the process at once.

    The kernel takes tracepoints and probes down one by one, each after an RCU grace period, seconds in all: whoever closes
    a descriptor last waits for that. A child that holds the same descriptors and nothing else does so in our place; it is
    killed when we are gone.
    """
    try:
        parent = os.getpid()
        if os.fork() == 0:
            os.setsid()
            os.closerange(0, 3)
            kernel.die_with_parent(signal.SIGKILL)
            while os.getppid() == parent:
                signal.pause()
    except OSError:
        pass
    os._exit(status)
