"""apps_groups.conf: which processes make up an application. Read at start; collect/application_matcher.py does the matching.

The format is the agent's, and a line means what apps.plugin takes it for, 1.37.1 and 2.x, but for three accidents: there a
quote that is not closed swallows lines that follow (in a comment, too), a pattern that another group has already drags the
rest of its line into that group, and letters beyond ASCII are spaces. Nothing in a file stops the plugin: what is wrong
becomes a message.

Of 2.x are stars inside a pattern, and two kinds of lines that name no group. `managers:` are processes that do not hand a
group down: they are in `other`, so what they start begins there. `interpreters:` go by the names of their scripts as well.
Both add to the agent's own list, unless a line says `clear`. A file without such a line has neither.
"""
from __future__ import annotations

import re
from typing import Any, Iterable, Iterator, NamedTuple, Tuple

from .files import not_text, quoted, read

NAME = "apps_groups.conf"
MOST_GROUPS = 512
MOST_PATTERNS = 8192
MOST_MESSAGES = 20
LONGEST_NAME = 100  # characters of a group's name, as in the agent

OTHER = "other"
MANAGERS, INTERPRETERS, CLEAR = "managers", "interpreters", "clear"
# What apps.plugin 2.x has without a line in the file (apps_managers_and_aggregators_init() of apps_targets.c).
BUILT_IN = {
    MANAGERS: ("init", "systemd", "containerd-shim-runc-v2", "docker-init", "tini", "dumb-init", "openrc-run.sh", "crond",
               "gnome-shell", "plasmashell", "xfwm4", "*python3*bin/yugabyted*", "spawn-plugins"),
    INTERPRETERS: ("python", "python2", "python3", "sh", "bash", "zsh", "dash", "csh", "tcsh", "ksh", "node", "perl"),
}

EXACT, PREFIX, SUFFIX, INSIDE, NAMES, LINES, INTERPRETED = range(7)  # places in the rules
FORMAT = "expected group: name prefix* *suffix *inside*"

# A quoted word, or what stands between spaces and colons; to the agent every character that it cannot print is a space.
_WORD = re.compile(r"'([^']*)'|\"([^\"]*)\"|([^:\s\x00-\x1f\x7f\ufeff]+)")
_COLON = re.compile(r"\s*:")

Rules = Tuple[Tuple[Tuple[Any, int, int], ...], ...]  # Any: bytes, or a pattern's pieces


class Groups(NamedTuple):
    """Indexes of groups are places in `names` (as the file has them) and `ids` (fit for the agent, each once). 0 is `other`.

    `rules` are for Matcher (collect/application_matcher.py).
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    rules: Rules


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
    return Groups(tuple(book.names), _ids(book.names), book.rules()), messages


class _Book:
    """What has been read so far."""

    def __init__(self) -> None:
        self.names = {OTHER: 0}  # {name: index}
        self._seen: dict[tuple[int, Any], int] = {}  # {(kind, text): group}, in the order of the file
        self._lists: dict[str, list[tuple[int, Any]]] = {}  # {MANAGERS or INTERPRETERS: [(kind, text), ...]}

    def rules(self) -> Rules:
        """For Matcher. A manager is in `other`, whatever group has a pattern for it: so its patterns come first."""
        found: list[list[tuple[Any, int, int]]] = [[] for _ in range(INTERPRETED + 1)]
        managers = [(key, 0) for key in self._lists.get(MANAGERS, ())]
        for rank, ((kind, text), group) in enumerate([*managers, *self._seen.items()]):
            found[kind].append((text, rank, group))
        found[INTERPRETED] = [(_pieces(kind, text), 0, 0) for kind, text in self._lists.get(INTERPRETERS, ())]
        return tuple(map(tuple, found))

    def add(self, line: str) -> Iterator[str]:
        """Take a line. Yields what is wrong with it."""
        name, words = None, 0
        try:
            for word, rest in _words(line):
                if name is None:
                    name = _name(word)
                    if not _COLON.match(rest):
                        yield "no colon after %s; %s; the words after it are taken for patterns" % (quoted(name), FORMAT)
                    continue
                words += 1
                try:
                    if name in BUILT_IN:
                        self._directive(name, word)
                    else:
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
        self._count(word)
        self.names[name] = self._seen[kind, text] = group

    def _directive(self, name: str, word: str) -> None:
        """Add to the managers or the interpreters."""
        listed = self._lists.setdefault(name, [_kind(built_in) for built_in in BUILT_IN[name]])
        if word == CLEAR:
            listed.clear()
            return
        kind, text = _kind(word)
        if name == INTERPRETERS and kind in (INSIDE, LINES):
            raise Invalid("interpreter %s is a pattern of command lines; expected name prefix* *suffix" % quoted(word))
        self._count(word)
        listed.append((kind, text))

    def _count(self, word: str) -> None:
        if len(self._seen) + sum(map(len, self._lists.values())) >= MOST_PATTERNS:
            raise Invalid("pattern %s is one too many, %d are accepted; it is passed over" % (quoted(word), MOST_PATTERNS))


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


def _kind(word: str) -> tuple[int, Any]:
    """(kind, what to look for) of a pattern. -, + and * may stand before it in any order: hidden, debug, wildcard."""
    text = word.lstrip("-+*")
    before = word[:len(word) - len(text)]
    if not text and "*" not in before:
        raise Invalid("pattern %s is empty; %s" % (quoted(word), FORMAT))
    kind = (INSIDE if text.endswith("*") else SUFFIX) if "*" in before else (PREFIX if text.endswith("*") else EXACT)
    wanted = (text[:-1] if kind in (PREFIX, INSIDE) else text).encode("utf-8", "surrogateescape")
    if b"*" not in wanted:
        return kind, wanted
    return LINES if kind == INSIDE else NAMES, _pieces(kind, wanted)


def _pieces(kind: int, text: Any) -> tuple[bytes, ...]:
    """A pattern of any kind as simple_patterns.matches() takes it."""
    if kind in (NAMES, LINES):
        return tuple(text)
    before, after = ([b""] if kind in kinds else [] for kinds in ((SUFFIX, INSIDE), (PREFIX, INSIDE)))
    pieces: list[bytes] = [*before, *text.split(b"*"), *after]
    # an empty piece inside would only cost time
    return (*pieces[:1], *filter(None, pieces[1:-1]), *pieces[1:][-1:])


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
