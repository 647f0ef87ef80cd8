"""Lines for the agent: only what every agent from 1.37.1 on takes, and nothing that could crash one. Pure functions.

An empty or unknown id makes the agent stop the plugin for good, some malformed lines end the agent itself, so texts are
cleaned here and ids are demanded.
"""
from __future__ import annotations

TYPE = "ebpf"
PLUGIN = "ebpf.plugin"
LONGEST_TEXT = 200  # far below the agent's limit of 15,000 bytes a line


def quoted(text):
    """A quoted word that holds `text` as far as the agent can: no quote, backslash or control character in it."""
    clean = "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])
    return "'%s'" % clean.replace("'", "`").replace("\\", "/")


def _id(text):
    """`text` if it may stand unquoted as an id, else ValueError."""
    if not text or len(text) > 150 or not all(c.isascii() and (c.isalnum() or c in "_-.") for c in text):
        raise ValueError("not an id: %r" % text)
    return text


def chart(shown, every):
    """CHART and DIMENSION lines that declare a Shown; `every` is its interval in seconds."""
    yield "CHART %s.%s '' %s %s %s %s line %d %d '' %s %s\n" % (
        TYPE, _id(shown.id), quoted(shown.title), quoted(shown.units), quoted(shown.family),
        quoted("%s.%s" % (TYPE, shown.id)), shown.priority, every, quoted(PLUGIN), quoted(shown.group))
    for line in shown.lines:
        yield "DIMENSION %s '' %s %d 1\n" % (_id(line.id), line.algorithm, line.multiplier)


def sample(shown, values, microseconds):
    """One BEGIN, SET..., END block. `values` has an int or None for each line; a None is a gap, no SET line.

    `microseconds` since the chart's last block, None if there was none. No block at all if every value is a gap.
    """
    if all(value is None for value in values):
        return
    yield "BEGIN %s.%s%s\n" % (TYPE, _id(shown.id), "" if microseconds is None else " %d" % microseconds)
    for line, value in zip(shown.lines, values):
        if value is not None:
            yield "SET %s = %d\n" % (_id(line.id), _int64(value))
    yield "END\n"


def _int64(value):
    """The agent reads signed 64-bit numbers; a counter that passes their end goes on from the other, as its C would."""
    return (value + 2 ** 63) % 2 ** 64 - 2 ** 63


KEEP_ALIVE = "\n"
DISABLE = "DISABLE\n"
