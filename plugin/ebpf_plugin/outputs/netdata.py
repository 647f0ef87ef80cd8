"""The Netdata agent, by its protocol on stdout: declarations as soon as they are known, then one write for each tick.

The agent takes the first value of a dimension for where its counter begins. So a dimension that appears at a tick gets the
value that it had before; what it has counted comes a tick later.
"""
from __future__ import annotations

import os

from . import netdata_protocol as protocol
from .. import lifecycle, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

    from ..collect.collector import Sample
    from ..model.declared import Chart


class Netdata:
    """`every`: the interval in seconds; `charts`: those that have been declared before."""

    def __init__(self, every: float = 1, charts: Iterable[Chart] = ()):
        self._every = every
        self._blocks = {chart.full_id: protocol.Block(chart) for chart in charts}

    def __enter__(self) -> Netdata:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def still_here(self) -> None:
        """In the middle of a long wait."""
        write(protocol.KEEP_ALIVE)

    def begin(self, now: float, sample: Sample) -> None:
        """The agent needs no baseline from us: it keeps the first values to itself."""

    def show(self, now: float, sample: Sample) -> None:
        """One write with the declarations that are new, and a block for each chart that has a value."""
        declarations: list[str] = []
        texts: list[str] = []
        sent, since = None, ""  # most charts were sent at the same time
        for chart, values in sample:
            block = self._blocks.get(chart.full_id)
            if not chart.dimensions:
                self._forget(chart, block, declarations)
                continue
            if block is None or block.chart is not chart:
                block, values = self._declare(chart, block, values, declarations)
            if values is not block.values:
                block.set(values)
            if block.sets:
                if block.sent != sent:
                    sent, since = block.sent, "" if block.sent is None else " %d" % round((now - block.sent) * 1e6)
                texts += block.begin, since, block.sets
                block.sent = now
        write("".join(declarations + texts) or protocol.KEEP_ALIVE)

    def _forget(self, chart: Chart, before: protocol.Block | None, declarations: list[str]) -> None:
        """A chart that has no dimensions any more is gone."""
        if before is not None:
            declarations.append(protocol.gone(chart, self._every))
            del self._blocks[chart.full_id]

    def _declare(self, chart: Chart, before: protocol.Block | None, values: tuple[int | None, ...],
                 declarations: list[str]) -> tuple[protocol.Block, tuple[int | None, ...]]:
        """Declare a chart, or what of it is new. Returns its block, and the values to be sent now."""
        if before is None:
            known, sent = None, None
        elif before.chart == chart:
            before.chart = chart
            return before, values
        else:
            known, sent = before.chart, before.sent
        declarations += protocol.chart(chart, self._every, known)
        block = self._blocks[chart.full_id] = protocol.Block(chart, sent)
        ids = {dimension.id for dimension in known.dimensions} if known is not None else ()
        return block, tuple([value if dimension.id in ids or dimension.start is None else dimension.start
                             for dimension, value in zip(chart.dimensions, values)])


def declare(charts: Iterable[Chart], every: float) -> None:
    """Tell the agent of the charts; `every` is their interval in seconds. Raises lifecycle.Stop."""
    write("".join(line for chart in charts for line in protocol.chart(chart, every)))


def write(text: str) -> None:
    """Write to stdout in as few calls as the pipe allows. Raises lifecycle.Stop when nobody reads or it takes no more."""
    data = memoryview(text.encode())
    try:
        while data:
            data = data[os.write(1, data):]
    except BrokenPipeError:
        raise lifecycle.Stop from None  # the agent is gone
    except OSError as error:
        log.write(log.ERROR, "cannot write to stdout: %s" % error.strerror)
        raise lifecycle.Stop(1) from None
