"""--debug: the same ticks as a table for people; plain lines where stdout is no terminal. Only here is rich imported."""
from __future__ import annotations

import os

from . import output

SPARKS = " ▁▂▃▄▅▆▇█"
HISTORY = 60  # ticks


def view(shown, loaded, wanted):
    """The view that suits stdout. Without rich it is plain lines, too."""
    if os.isatty(1):
        try:
            return Live(shown, loaded, wanted)
        except ImportError:
            output.write("rich is not installed (apt-get install python3-rich): plain lines\n")
    return Plain(shown)


def sparkline(values):
    """One character for each value, as high as the largest absolute one; unknown is a blank."""
    top = max((abs(value) for value in values if value is not None), default=0)
    return "".join(
        " " if value is None else SPARKS[1 + int(abs(value) / top * (len(SPARKS) - 2))] if top else SPARKS[1]
        for value in values)


class Plain:
    """group chart dimension value, one line for each dimension and tick."""

    def __init__(self, shown):
        self.shown = shown
        self._before = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def begin(self, now, values):
        self._before = now, values

    def rates(self, now, values):
        """What the agent would draw: for each line per second, or the difference itself; None where it is unknown."""
        then, before = self._before
        self._before = now, values
        for each, new, old in zip(self.shown, values, before):
            for line, value, last in zip(each.lines, new, old):
                if line.algorithm == "incremental":
                    value = None if value is None or last is None else (value - last) / (now - then)
                yield each, line, None if value is None else value * line.multiplier

    def show(self, now, values):
        output.write("".join(
            "%-8s %-16s %-8s %s\n" % (each.group, each.id, line.id, _number(rate))
            for each, line, rate in self.rates(now, values)) + "\n")


class Live(Plain):
    """The table on the terminal, redrawn at every tick. Raises ImportError without rich."""

    def __init__(self, shown, loaded, wanted):
        super().__init__(shown)
        import rich.live
        import rich.table
        self._new_table = rich.table.Table
        self._live = rich.live.Live(screen=True, auto_refresh=False)
        self._history = {}
        self._title = "ebpf.plugin: load mode %s, every %d s; Ctrl-C ends" % (wanted.mode, wanted.every)
        hidden = [name for hooks in loaded.hooks.values() for name, hook in hooks.items() if not hook["rung"]]
        self._caption = "not shown (--check says why): %s" % ", ".join(hidden + list(loaded.broken)) \
            if hidden or loaded.broken else None

    def __enter__(self):
        self._live.__enter__()
        return self

    def __exit__(self, *error):
        self._live.__exit__(*error)
        return False

    def begin(self, now, values):
        super().begin(now, values)
        self._draw([(each, line, None) for each in self.shown for line in each.lines])

    def show(self, now, values):
        self._draw(list(self.rates(now, values)))

    def _draw(self, rates):
        table = self._new_table(title=self._title, caption=self._caption, expand=True, box=None, padding=(0, 1))
        for name in ("group", "chart", "dimension"):
            table.add_column(name, no_wrap=True)
        table.add_column("now", justify="right", no_wrap=True, min_width=12)
        table.add_column("last minute", no_wrap=True, ratio=1)
        table.add_column("rung", no_wrap=True)
        last = None
        for each, line, rate in rates:
            past = self._history.setdefault((each.id, line.id), [])
            past.append(rate)
            del past[:-HISTORY]
            first = each is not last
            table.add_row(each.group if first else "", each.id if first else "", line.id,
                          "%s %s" % (_number(rate), each.units), sparkline(past), ",".join(line.rungs))
            last = each
        self._live.update(table, refresh=True)


def _number(value):
    return "-" if value is None else "{:,d}".format(round(value))
