"""When to tick: the clock, and stdin, by which the agent ends the plugin."""
from __future__ import annotations

import os
import select
import stat
import time

from ..lifecycle import Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

QUIET = 60  # seconds; agents since 1.41 stop a plugin that has printed nothing for 120


class Ticker:
    """Waits for ticks on whole multiples of `every` seconds of the wall clock, and watches stdin meanwhile. When a wait is
    longer than QUIET, still_here() is called each QUIET seconds. `stdin` is a descriptor.

    late: seconds by which the last wait() came back too late; took: seconds from there to the next wait(). 0 before.

    Stdin counts only if it is a pipe or a socket, as an agent gives it: a terminal and /dev/null say nothing.
    """

    def __init__(self, every: float, stdin: int = 0, still_here: Callable[[], None] = lambda: None):
        self._every, self._stdin, self._still_here = every, stdin, still_here
        self._poll = select.poll()
        self.late = self.took = 0.0
        self._back: float | None = None  # when wait() came back
        self._watched = _is_pipe(stdin)
        if self._watched:
            self._poll.register(stdin, select.POLLIN)

    def wait(self) -> None:
        """Return at the next multiple; one that has passed meanwhile is skipped. Raises Stop.

        The deadline is monotonic, so a clock that is set moves a tick by less than one interval.
        """
        left = self._every - time.time() % self._every
        now = time.monotonic()  # read second: what comes between makes a tick late, never early
        deadline = now + left
        if self._back is not None:
            self.took = now - self._back
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self.late, self._back = -left, deadline - left
                return
            if self._poll.poll(min(left, QUIET) * 1000):
                if self._watched:
                    self._listen()
            elif left > QUIET:
                self._still_here()

    def _listen(self) -> None:
        heard = os.read(self._stdin, 4096)
        # the agent's QUIT may come without an end of line; other words (FUNCTION ...) are not for us
        if not heard or b"QUIT" in heard.split():
            raise Stop


def _is_pipe(descriptor: int) -> bool:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
