"""The protocol on stdout: the declarations as soon as they are known, then one write for each tick."""
from __future__ import annotations

import os

from . import netdata_protocol
from .. import lifecycle, log


class Protocol:
    """A view of the ticks for the agent. As every view it is a context; begin() gets the first sample, show() the rest."""

    def __init__(self, shown, every=1):
        self._shown, self._every = shown, every
        self._prefixes = {each.full_id: netdata_protocol.prefixes(each) for each in shown}
        self._declared = {}  # full id: Shown, of those whose dimensions come and go
        self._sent = {}  # full id: the time of its last block; a chart that had a gap has an older one than the others

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def still_here(self):
        """In the middle of a long wait."""
        write(netdata_protocol.KEEP_ALIVE)

    def begin(self, now, values):
        """The agent needs no baseline from us: it keeps the first values to itself."""

    def show(self, now, values, more=()):
        """`values` are those of the charts that were declared before; `more` are pairs of Shown and values."""
        parts = []
        for each, _ in more:
            before = self._declared.get(each.full_id)
            if each is not before:
                parts += netdata_protocol.chart(each, self._every, before)
                self._declared[each.full_id] = each
                self._prefixes[each.full_id] = netdata_protocol.prefixes(each)
        for each, of_chart in [*zip(self._shown, values), *more]:
            last = self._sent.get(each.full_id)
            elapsed = None if last is None else round((now - last) * 1e6)
            block = netdata_protocol.sample(self._prefixes[each.full_id], of_chart, elapsed)
            if block:
                self._sent[each.full_id] = now
            parts.append(block)
        write("".join(parts) or netdata_protocol.KEEP_ALIVE)


def declare(shown, every):
    """Tell the agent of the charts."""
    write("".join(line for each in shown for line in netdata_protocol.chart(each, every)))


def write(text):
    """Write to stdout in as few calls as the pipe allows. Raises life.Stop when nobody reads or it takes no more."""
    data = memoryview(text.encode())
    try:
        while data:
            data = data[os.write(1, data):]
    except BrokenPipeError:
        raise lifecycle.Stop from None  # the agent is gone
    except OSError as error:
        log.write(log.ERROR, "cannot write to stdout: %s" % error.strerror)
        raise lifecycle.Stop(1) from None
