"""Lines for the agent: only what every agent from 1.37.1 on takes, and nothing that could crash one. Pure functions.

An empty or unknown id makes the agent stop the plugin for good, some malformed lines end the agent itself, so texts are
cleaned here and ids are demanded.
"""
from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from ..model.declared import Chart, Dimension

PLUGIN = "ebpf.plugin"
LONGEST_TEXT = 200  # far below the agent's limit of 15,000 bytes a line


def quoted(text: str) -> str:
    """A quoted word that holds `text` as far as the agent can: no quote, backslash or control character in it."""
    clean = "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])
    return "'%s'" % clean.replace("'", "`").replace("\\", "/")


def _id(text: str) -> str:
    """`text` if it may stand unquoted as an id, else ValueError."""
    plain = text.isascii() and all(c.isalnum() or c in "_-." for c in text)
    if not plain or not text or text.endswith(".") or len(text) > 150:
        raise ValueError("not an id: %r" % text)
    return text


def chart(chart: Chart, every: float, before: Chart | None = None) -> Iterator[str]:
    """CHART and DIMENSION lines that declare a chart; `every` is its interval in seconds.

    If it was declared as `before`, only dimensions that are new, have another name, or are gone.
    """
    yield _chart(chart, every, "")
    known = {dimension.id: dimension.name for dimension in before.dimensions} if before else {}
    for dimension in chart.dimensions:
        if known.pop(dimension.id, None) != dimension.name:
            yield _dimension(dimension, "")
    for dimension in before.dimensions if before else ():
        if dimension.id in known:
            yield _dimension(dimension, " 'obsolete'")
    if chart.labels and not before:
        for name, value in chart.labels:
            yield "CLABEL %s %s 1\n" % (_id(name), quoted(value))  # 1: found out, not configured
        yield "CLABEL_COMMIT\n"


def gone(chart: Chart, every: float) -> str:
    """The line that says that there is no such chart any more."""
    return _chart(chart, every, "obsolete")


def _chart(chart: Chart, every: float, option: str) -> str:
    return "CHART %s '' %s %s %s %s %s %d %d %s %s %s\n" % (
        _id(chart.full_id), quoted(chart.title), quoted(chart.units), quoted(chart.family),
        quoted(chart.context or chart.full_id), chart.kind, chart.priority, every, quoted(option), quoted(PLUGIN),
        quoted(chart.group))


def _dimension(dimension: Dimension, option: str) -> str:
    return "DIMENSION %s %s %s %d %d%s\n" % (
        _id(dimension.id), quoted(dimension.name), dimension.algorithm, dimension.multiplier, dimension.divisor, option)


class Block:
    """The lines of a chart: `begin`, then a blank and the microseconds since its last block if there was one, then `sets`.

    What they have in common is made once, and lines are made anew only where a value is another than before: texts are what
    takes longest of a tick, and most values rest. sent: when the last block was sent; values: those that `sets` has.
    """

    __slots__ = ("chart", "sent", "begin", "sets", "values", "_pieces", "_texts")

    def __init__(self, chart: Chart, sent: float | None = None):
        self.chart, self.sent = chart, sent
        self.begin = "BEGIN " + _id(chart.full_id)
        self.sets = ""
        lines = ["SET %s = %%d\n" % _id(dimension.id) for dimension in chart.dimensions]
        self.values: tuple[int | None, ...] = (None,) * len(lines)
        # lines are made by PIECE: one format of many takes half the time of many formats
        self._pieces = [(slice(first, first + PIECE), "".join(lines[first:first + PIECE]))
                        for first in range(0, len(lines), PIECE)]
        self._texts = [""] * len(self._pieces)

    def set(self, values: tuple[int | None, ...]) -> None:
        """An int or None for each dimension. A None is a gap, no SET line; `sets` is empty if every value is one."""
        before, self.values = self.values, values
        for number, (piece, lines) in enumerate(self._pieces):
            some = values[piece]
            if some != before[piece]:
                try:
                    INT64[len(some)].pack(*some)  # for the error if one is None, or does not fit
                    self._texts[number] = lines % some
                except struct.error:
                    self._texts[number] = "".join([
                        line % _int64(value) for line, value in zip(lines.splitlines(True), some) if value is not None])
        text = "".join(self._texts)
        self.sets = "\n%sEND\n" % text if text else ""


def _int64(value: int) -> int:
    """The agent reads signed 64-bit numbers; a counter that passes their end goes on from the other, as its C would."""
    return value if -MOST <= value < MOST else (value + MOST) % (2 * MOST) - MOST


MOST = 2 ** 63
PIECE = 8  # lines
INT64 = [struct.Struct("%dq" % number) for number in range(PIECE + 1)]
KEEP_ALIVE = "\n"
DISABLE = "DISABLE\n"
