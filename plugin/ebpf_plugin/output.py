"""The protocol on stdout: the declarations as soon as they are known, then one write for each tick."""
from __future__ import annotations

import os

from . import life, log, protocol


class Protocol:
    """A view of the ticks for the agent. As every view it is a context; begin() gets the first sample, show() the rest."""

    def __init__(self, shown):
        self._shown = shown
        self._sent = {}  # chart id: the time of its last block; a chart that had a gap has an older one than the others

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def begin(self, now, values):
        """The agent needs no baseline from us: it keeps the first values to itself."""

    def show(self, now, values):
        lines = []
        for each, of_chart in zip(self._shown, values):
            last = self._sent.get(each.id)
            block = list(protocol.sample(each, of_chart, None if last is None else round((now - last) * 1e6)))
            if block:
                self._sent[each.id] = now
            lines += block
        write("".join(lines) or protocol.KEEP_ALIVE)


def declare(shown, every):
    """Tell the agent of the charts."""
    write("".join(line for each in shown for line in protocol.chart(each, every)))


def write(text):
    """Write to stdout in as few calls as the pipe allows. Raises life.Stop when nobody reads or it takes no more."""
    data = memoryview(text.encode())
    try:
        while data:
            data = data[os.write(1, data):]
    except BrokenPipeError:
        raise life.Stop from None  # the agent is gone
    except OSError as error:
        log.write(log.ERROR, "cannot write to stdout: %s" % error.strerror)
        raise life.Stop(1) from None
