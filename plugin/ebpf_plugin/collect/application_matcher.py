"""Which application group a process belongs to. For the steady state, so plain data and no typing.

Rules are seven tuples of (text, rank, group), each in the order of ranks: exact, prefixes, suffixes, insides, patterns of
names, patterns of command lines, names of interpreters. `text` is bytes, or of the last three a pattern's pieces between its
stars; `rank` is the pattern's place in the file, `group` an index. apps_groups.py makes them and marshal carries them.

As in the agent's apps.plugin the first pattern of the file that fits decides, of whatever kind it is. Case matters, as there
until 2.5.2. An interpreter goes by the name of its script as well, as there since 2.0.
"""
from __future__ import annotations

from .. import simple_patterns
from ..kernel.procfs import MAX_COMM, MAX_COMMAND_LINE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, Optional

    Rules = tuple[tuple[tuple[Any, int, int], ...], ...]  # Any: bytes, or a pattern's pieces
    Found = tuple[float, Optional[int]]  # rank, group

_NOTHING: Found = (float("inf"), None)
_OF_SCRIPTS = (b".sh", b".py", b".pl", b".js")
_ENDS = bytes(0 if chr(byte) in " \t\n/\\\"'):" else byte for byte in range(256))  # what ends a name, to NUL


class Matcher:
    """Groups of processes by their names and command lines."""

    def __init__(self, rules: Rules):
        exact, self._prefixes, self._suffixes, self._insides, self._names, self._lines, interpreters = rules
        self._exact = {text: (rank, group) for text, rank, group in reversed(exact)}
        self._first_of_lines = min([rules[0][1] for rules in (self._insides, self._lines) if rules], default=_NOTHING[0])
        self._interpreters = [pieces for pieces, _, _ in interpreters]
        self._cut = {text[:MAX_COMM] for rules in (exact, self._prefixes) for text, _, _ in rules if len(text) > MAX_COMM}

    def group_of(self, comm: bytes, cmdline: bytes | Callable[[], bytes | None] | None = None) -> int | None:
        """The group of a process, None if no pattern fits: it stays in its parent's then, or in the one it had before exec.

        `comm`: its name in bytes, without the end of line of /proc/PID/comm. `cmdline`: /proc/PID/cmdline in bytes, or a
        function that gives it, which is called only if it can matter; None if it cannot be read.
        """
        found = self._by_comm(comm)
        if self._undecided(comm, found):
            line = cmdline() if callable(cmdline) else cmdline
            for name in self._other_names(comm, line or b""):
                found = min(found, self._by_comm(name), key=_rank)
            # the agent takes the name for a command line that it may not read; a kernel thread's is empty
            line = comm if line is None else line[:MAX_COMMAND_LINE].replace(b"\0", b" ")
            found = _earliest(self._insides, line.__contains__, found)
            found = _earliest(self._lines, lambda pieces: simple_patterns.matches(pieces, line), found)
        return found[1]

    def by_comm(self, comm: bytes) -> tuple[int | None, bool]:
        """(group or None, True if that is certain). It is not if a pattern for command lines comes before."""
        found = self._by_comm(comm)
        return found[1], not self._undecided(comm, found)

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
        found = _earliest(self._suffixes, comm.endswith, found)
        return _earliest(self._names, lambda pieces: simple_patterns.matches(pieces, comm), found)

    def _undecided(self, comm: bytes, found: Found) -> bool:
        """True if a command line could give something better than `found`."""
        return self._first_of_lines < found[0] or comm in self._cut or self._is_interpreter(comm)

    def _is_interpreter(self, comm: bytes) -> bool:
        return any(simple_patterns.matches(pieces, comm) for pieces in self._interpreters)

    def _other_names(self, comm: bytes, line: bytes) -> Iterator[bytes]:
        """What a process is called besides: the whole of a name that the kernel has cut, and an interpreter's script."""
        if comm in self._cut and comm in line:
            yield _without_ending(line[line.index(comm):].translate(_ENDS).split(b"\0", 1)[0])
        if self._is_interpreter(comm):
            path = next((word for word in line.split(b"\0")[1:] if b"/" in word and word[:1] != b"-"), b"")
            script = _without_ending(path.rpartition(b"/")[2])
            if script:
                yield script


def _rank(found: Found) -> float:
    return found[0]


def _without_ending(name: bytes) -> bytes:
    return name[:-3] if len(name) > 3 and name.endswith(_OF_SCRIPTS) else name


def _earliest(patterns: tuple[tuple[Any, int, int], ...], fits: Callable[[Any], bool], found: Found) -> Found:
    """(rank, group) of the first of `patterns` that fits and comes before `found`, else `found`."""
    for text, rank, group in patterns:
        if rank > found[0]:
            break
        if fits(text):
            return rank, group
    return found
