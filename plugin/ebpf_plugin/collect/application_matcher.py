"""Which application group a process belongs to. For the steady state, so plain data and no typing.

Rules are (exact, prefixes, suffixes, insides): four tuples of (text, rank, group), in the order of ranks. `text` is bytes,
`rank` the pattern's place in the file, `group` an index; apps_groups.py makes them and marshal carries them.

As in the agent's apps.plugin 1.37.1 the first pattern of the file that fits decides, of whatever kind it is; case matters.
"""
from __future__ import annotations

from ..kernel.procfs import MAX_COMM, MAX_COMMAND_LINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional

    Rules = tuple[tuple[tuple[bytes, int, int], ...], ...]
    Found = tuple[float, Optional[int]]  # rank, group

_NOTHING: Found = (float("inf"), None)


class Matcher:
    """Groups of processes by their names and command lines."""

    def __init__(self, rules: Rules):
        exact, self._prefixes, self._suffixes, self._insides = rules
        self._exact = {text: (rank, group) for text, rank, group in exact}

    def group_of(self, comm: bytes, cmdline: bytes | Callable[[], bytes | None] | None = None) -> int | None:
        """The group of a process, None if no pattern fits: it stays in its parent's then, or in the one it had before exec.

        `comm`: its name in bytes, without the end of line of /proc/PID/comm. `cmdline`: /proc/PID/cmdline in bytes, or a
        function that gives it, which is called only if it can matter; None if it cannot be read.
        """
        found = self._by_comm(comm)
        if self._undecided(found):
            line = cmdline() if callable(cmdline) else cmdline
            # the agent takes the name for a command line that it may not read; a kernel thread's is empty
            line = comm if line is None else line[:MAX_COMMAND_LINE].replace(b"\0", b" ")
            found = _earliest(self._insides, line.__contains__, found)
        return found[1]

    def by_comm(self, comm: bytes) -> tuple[int | None, bool]:
        """(group or None, True if that is certain). It is not if a pattern for command lines comes before."""
        found = self._by_comm(comm)
        return found[1], not self._undecided(found)

    def seeds(self) -> tuple[dict[bytes, int | None], dict[bytes, int | None]]:
        """Two dictionaries {name: group} of the names that stand in the file and that the kernel can hold.

        Of the first the group is certain. In the second a command line may say otherwise.
        """
        certain: dict[bytes, int | None] = {}
        likely: dict[bytes, int | None] = {}
        for name in self._exact:
            group, decided = self.by_comm(name)
            if len(name) <= MAX_COMM:
                (certain if decided else likely)[name] = group
        return certain, likely

    def _by_comm(self, comm: bytes) -> Found:
        """(rank, group) by the name alone."""
        found = self._exact.get(comm, _NOTHING)
        found = _earliest(self._prefixes, comm.startswith, found)
        return _earliest(self._suffixes, comm.endswith, found)

    def _undecided(self, found: Found) -> bool:
        """True if a command line could give something better than `found`."""
        return bool(self._insides) and self._insides[0][1] < found[0]


def _earliest(patterns: tuple[tuple[bytes, int, int], ...], fits: Callable[[bytes], bool], found: Found) -> Found:
    """(rank, group) of the first of `patterns` that fits and comes before `found`, else `found`."""
    for text, rank, group in patterns:
        if rank > found[0]:
            break
        if fits(text):
            return rank, group
    return found
