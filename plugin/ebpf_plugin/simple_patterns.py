"""Netdata's simple patterns, on the names of hosts and applications: `*.example.com !db*`.

The collector matches with this at every tick: it imports nothing, and what is parsed are plain tuples, for marshal.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import AnyStr

    Pieces = tuple[str, ...]
    Patterns = tuple[tuple[Pieces, ...], tuple[Pieces, ...]]


def parse(text: str) -> "Patterns":
    """(positive, negative): a tuple of patterns each, a pattern being the tuple of its pieces between the stars.

    Patterns stand apart by white space; `!` directly before one negates it. A `!` alone says nothing.
    """
    positive: list[Pieces] = []
    negative: list[Pieces] = []
    for item in text.casefold().split():
        kind = negative if item[0] == "!" else positive
        item = item[item[0] == "!":]
        if item:
            pieces = item.split("*")
            # "a**b" is "a*b": with no empty pieces inside, a name is never searched more often than it has characters
            kind.append(tuple(pieces[:1] + [piece for piece in pieces[1:-1] if piece] + pieces[1:][-1:]))
    return tuple(positive), tuple(negative)


def passes(patterns: "Patterns", name: str) -> bool:
    """Whether no negative pattern matches the whole of `name`, and a positive one does unless there are none.

    `patterns` are what parse() returned. Their order is irrelevant, and so is the case of letters.
    """
    positive, negative = patterns
    name = name.casefold()
    if any(matches(pieces, name) for pieces in negative):
        return False
    return not positive or any(matches(pieces, name) for pieces in positive)


def matches(pieces: "tuple[AnyStr, ...]", name: "AnyStr") -> bool:
    """Whether the whole of `name` is the pieces in turn, with anything between them. All are str, or all bytes.

    Each piece is looked for at the first place that it can have: if any choice of places fits, this one does.
    """
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return name == first
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for piece in pieces[1:-1]:
        at = name.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True
