"""Lines for the agent: only what every agent from 1.37.1 on takes, and nothing that could crash one. Pure functions.

An empty or unknown id makes the agent stop the plugin for good, some malformed lines end the agent itself, so texts are
cleaned here and ids are demanded.
"""
from __future__ import annotations

PLUGIN = "ebpf.plugin"
LONGEST_TEXT = 200  # far below the agent's limit of 15,000 bytes a line


def quoted(text):
    """A quoted word that holds `text` as far as the agent can: no quote, backslash or control character in it."""
    clean = "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])
    return "'%s'" % clean.replace("'", "`").replace("\\", "/")


def _id(text):
    """`text` if it may stand unquoted as an id, else ValueError."""
    plain = text.isascii() and all(c.isalnum() or c in "_-." for c in text)
    if not plain or not text or text.endswith(".") or len(text) > 150:
        raise ValueError("not an id: %r" % text)
    return text


def chart(shown, every, before=None):
    """CHART and DIMENSION lines that declare a Shown; `every` is its interval in seconds.

    If it was declared as `before`, only dimensions that are new, have another name, or are gone.
    """
    yield "CHART %s '' %s %s %s %s %s %d %d '' %s %s\n" % (
        _id(shown.full_id), quoted(shown.title), quoted(shown.units), quoted(shown.family), quoted(shown.full_id),
        shown.kind, shown.priority, every, quoted(PLUGIN), quoted(shown.group))
    known = {line.id: line.name for line in before.lines} if before else {}
    for line in shown.lines:
        if known.pop(line.id, None) != line.name:
            yield "DIMENSION %s %s %s %d 1\n" % (_id(line.id), quoted(line.name), line.algorithm, line.multiplier)
    for line in before.lines if before else ():
        if line.id in known:
            yield "DIMENSION %s %s %s %d 1 'obsolete'\n" % (_id(line.id), quoted(line.name), line.algorithm, line.multiplier)


def prefixes(shown):
    """What the lines of each of its blocks begin with: BEGIN's, and SET's of each line in order. Made once, as it takes
    longer than all the rest of a tick."""
    return "BEGIN " + _id(shown.full_id), tuple("SET %s = " % _id(line.id) for line in shown.lines)


def sample(begins, values, microseconds):
    """One BEGIN, SET..., END block as a text. `values` has an int or None for each line; a None is a gap, no SET line.

    `begins` are prefixes(); `microseconds` since the chart's last block, None if there was none. Empty if every value is a
    gap.
    """
    begin, sets = begins
    lines = [prefix + str(_int64(value)) for prefix, value in zip(sets, values) if value is not None]
    if not lines:
        return ""
    return "\n".join([begin if microseconds is None else "%s %d" % (begin, microseconds), *lines, "END\n"])


def _int64(value):
    """The agent reads signed 64-bit numbers; a counter that passes their end goes on from the other, as its C would."""
    return value if -MOST <= value < MOST else (value + MOST) % (2 * MOST) - MOST


MOST = 2 ** 63
KEEP_ALIVE = "\n"
DISABLE = "DISABLE\n"
