"""Names of addresses, asked for in a thread of their own: a resolver that is slow or dead delays no tick."""
from __future__ import annotations

from _socket import NI_NAMEREQD, gaierror, getnameinfo
import _thread
import os
import time

from .. import simple_patterns
from .connections import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

MOST = 4096  # addresses that are remembered; the oldest are forgotten
WAITING = 256  # questions in the queue; more are asked when they come up again
AGAIN = 600  # seconds after which an address without a name is asked for again
# For glibc (resolv.conf(5)): one try at each server, with the least patience that is of use, instead of two of five seconds.
RES_OPTIONS = "timeout:2 attempts:1"


def of_system(hostnames: simple_patterns.Patterns) -> Resolver:
    """One that asks the system's resolver, with little patience. `hostnames` as for Resolver."""
    os.environ.setdefault("RES_OPTIONS", RES_OPTIONS)
    return Resolver(hostnames, time.monotonic)


class Resolver:
    """`hostnames` says which names are shown (simple_patterns.passes()); `clock` gives seconds; `lookup` the name
    of an address as text, and raises OSError if there is none."""

    def __init__(self, hostnames: simple_patterns.Patterns, clock: Callable[[], float],
                 lookup: Callable[[str], str] | None = None):
        self._hostnames, self._clock, self._lookup = hostnames, clock, lookup or _lookup
        self._known: dict[bytes, tuple[str | None, float]] = {}  # address: (name or None, when)
        self._queue: list[bytes] = []
        self._answers: list[tuple[bytes, str | None]] = []
        self._asked: _thread.LockType | None = None

    def name_of(self, address: bytes) -> str | None:
        """The name of 16 bytes of address, or None: it has none, or nobody knows yet."""
        name, when = self._known.get(address, (None, None))
        if (when is None or name is None and self._clock() - when > AGAIN) and len(self._queue) < WAITING:
            self._known[address] = None, self._clock()
            self._queue.append(address)
            self._wake()
        return name

    def _wake(self) -> None:
        """The thread starts with the first question: one that was there before privilege was dropped would keep it all."""
        if self._asked is None:
            self._asked = _thread.allocate_lock()
            self._asked.acquire()
            _thread.start_new_thread(self._serve, (self._asked,))
        if self._asked.locked():
            self._asked.release()

    def is_excluded(self, address: bytes) -> bool:
        """Whether the address has a name that is not to be shown."""
        name, _ = self._known.get(address, (None, None))
        return name is not None and not simple_patterns.passes(self._hostnames, name)

    def show(self, hostnames: simple_patterns.Patterns) -> None:
        """Other names are shown from now on."""
        self._hostnames = hostnames

    def take(self) -> bool:
        """Take what has been answered; whether that was anything: there is room for more questions then."""
        answered = bool(self._answers)
        while self._answers:
            address, name = self._answers.pop(0)
            self._known.pop(address, None)
            self._known[address] = name, self._clock()
        while len(self._known) > MOST:
            del self._known[next(iter(self._known))]
        return answered

    def _serve(self, asked: _thread.LockType) -> None:
        while True:
            asked.acquire()
            while self._queue:
                address = self._queue[0]
                name: str | None = None
                try:
                    name = self._lookup(text_of(address))
                except OSError:
                    pass  # it has none
                self._answers.append((address, name))
                del self._queue[0]


def _lookup(text: str) -> str:
    try:
        return getnameinfo((text, 0), NI_NAMEREQD)[0]
    except (gaierror, UnicodeError) as error:
        raise OSError(str(error)) from error
