"""apps_groups.conf: which processes make up an application. Read at start; collect/application_matcher.py does the matching.

The format is the agent's, and a line means what apps.plugin 1.37.1 takes it for, but for three accidents: there a quote that
is not closed swallows lines that follow (in a comment, too), a pattern that another group has already drags the rest of its
line into that group, and letters beyond ASCII are spaces. Nothing in a file stops the plugin: what is wrong becomes a
message.
"""
from __future__ import annotations

import re
from typing import Iterable, Iterator, NamedTuple

from .files import not_text, quoted, read

NAME = "apps_groups.conf"
MOST_GROUPS = 512
MOST_PATTERNS = 8192
MOST_MESSAGES = 20
LONGEST_NAME = 100  # characters of a group's name, as in the agent

OTHER = "other"
# Lines of newer agents that name no group. There these processes do not hand their group down.
DIRECTIVES = ("managers", "interpreters")

EXACT, PREFIX, SUFFIX, INSIDE = range(4)  # places in the rules
FORMAT = "expected group: name prefix* *suffix *inside*"

# A quoted word, or what stands between spaces and colons; to the agent every character that it cannot print is a space.
_WORD = re.compile(r"'([^']*)'|\"([^\"]*)\"|([^:\s\x00-\x1f\x7f\ufeff]+)")
_COLON = re.compile(r"\s*:")


class Groups(NamedTuple):
    """Indexes of groups are places in `names` (as the file has them) and `ids` (fit for the agent, each once). 0 is `other`.

    `rules` are for Matcher: plain tuples of (bytes, rank, group) for each of exact, prefix, suffix and inside.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    rules: tuple[tuple[tuple[bytes, int, int], ...], ...]


class Invalid(Exception):
    """What is wrong with a line, and what is accepted or done."""


def load(paths: Iterable[str]) -> tuple[Groups, str | None, list[str]]:
    """(Groups, the path that was taken or None, messages) from the first of the files that can be read.

    As in the agent a user's file stands instead of the stock one, not before it.
    """
    messages: list[str] = []
    for path in paths:
        try:
            text = read(path, "surrogateescape")  # a pattern is any bytes
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            messages.append("%s:1: cannot be read: %s; the next file is tried" % (path, error.strerror))
            continue
        groups, said = parse(text, path)
        return groups, path, messages + said
    return parse("")[0], None, messages


def parse(text: str, path: str = NAME) -> tuple[Groups, list[str]]:
    """(Groups, messages). Each message is one line: path:line: what is wrong, what is accepted."""
    book, messages, more = _Book(), not_text(text, path), 0
    for number, line in enumerate(text.split("\n"), 1):
        for wrong in (wrong for part in line.split("\r") for wrong in book.add(part)):
            if len(messages) < MOST_MESSAGES:
                messages.append("%s:%d: %s" % (path, number, wrong))
            else:
                more, last = more + 1, number
    if more:
        messages.append("%s:%d: %d more mistakes up to this line" % (path, last, more))
    return Groups(tuple(book.names), _ids(book.names), tuple(map(tuple, book.rules))), messages


class _Book:
    """What has been read so far."""

    def __init__(self) -> None:
        self.names = {OTHER: 0}  # {name: index}
        self.rules: list[list[tuple[bytes, int, int]]] = [[] for _ in range(4)]
        self._seen: dict[tuple[int, bytes], int] = {}  # {(kind, text): group}

    def add(self, line: str) -> Iterator[str]:
        """Take a line. Yields what is wrong with it."""
        name, words = None, 0
        try:
            for word, rest in _words(line):
                if name is None:
                    name = _name(word)
                    if name in DIRECTIVES:
                        return
                    if not _COLON.match(rest):
                        yield "no colon after %s; %s; the words after it are taken for patterns" % (quoted(name), FORMAT)
                    continue
                words += 1
                try:
                    self._pattern(name, word)
                except Invalid as wrong:
                    yield str(wrong)
        except Invalid as wrong:
            yield str(wrong)
        else:
            if name is not None and not words:
                yield "group %s has no pattern; %s" % (quoted(name), FORMAT)

    def _pattern(self, name: str, word: str) -> None:
        """Give a pattern to a group."""
        kind, text = _kind(word)
        group = self.names.get(name, len(self.names))
        owner = self._seen.get((kind, text), group)
        if owner != group:
            names = list(self.names)
            raise Invalid("pattern %s is in group %s already, where it stays" % (quoted(word), quoted(names[owner])))
        if (kind, text) in self._seen:
            return
        if group == MOST_GROUPS:
            raise Invalid("group %s is one too many, %d are accepted; %s is passed over" % (
                quoted(name), MOST_GROUPS, quoted(word)))
        if len(self._seen) == MOST_PATTERNS:
            raise Invalid("pattern %s is one too many, %d are accepted; it is passed over" % (quoted(word), MOST_PATTERNS))
        self.names[name] = self._seen[kind, text] = group
        self.rules[kind].append((text, len(self._seen), group))


def _words(line: str) -> Iterator[tuple[str, str]]:
    """(word, what follows it) for each word before a comment; as in the agent, only a # that begins a word begins one."""
    for match in _WORD.finditer(line):
        word = match.group(match.lastindex or 0)
        if word.startswith("#"):
            return
        if match.lastindex == 3 and word[0] in "'\"":
            raise Invalid("the quote before %s is not closed; the rest of the line is passed over" % quoted(word[1:]))
        if word:
            yield word, line[match.end():match.end() + 80]


def _name(word: str) -> str:
    """A group's name. A - before it hides it from one chart of the agent's; a + is part of the name there, and so here."""
    name = word.lstrip("-")
    if not name or len(name) > LONGEST_NAME:
        raise Invalid("a group's name has 1 to %d characters, not %d; the line is passed over" % (LONGEST_NAME, len(name)))
    return name


def _kind(word: str) -> tuple[int, bytes]:
    """(kind, bytes to look for) of a pattern. -, + and * may stand before it in any order: hidden, debug, wildcard."""
    text = word.lstrip("-+*")
    before = word[:len(word) - len(text)]
    if not text and "*" not in before:
        raise Invalid("pattern %s is empty; %s" % (quoted(word), FORMAT))
    kind = (INSIDE if text.endswith("*") else SUFFIX) if "*" in before else (PREFIX if text.endswith("*") else EXACT)
    text = text[:-1] if kind in (PREFIX, INSIDE) else text
    return kind, text.encode("utf-8", "surrogateescape")


def _ids(names: Iterable[str]) -> tuple[str, ...]:
    """An id for each name. Who needs no cleaning keeps the name, whoever comes first."""
    clean = [re.sub(r"[^A-Za-z0-9_.-]|\.$", "_", name) for name in names]
    taken = set(names) & set(clean)
    ids: list[str] = []
    for name, wish in zip(names, clean):
        number, id_ = 1, wish
        while id_ != name and id_ in taken:
            number, id_ = number + 1, "%s_%d" % (wish, number + 1)
        taken.add(id_)
        ids.append(id_)
    return tuple(ids)
