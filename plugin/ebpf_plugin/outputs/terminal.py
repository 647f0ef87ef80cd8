"""--debug: the same ticks as a table for people; plain lines where stdout is no terminal. Only here is rich imported."""
from __future__ import annotations

import os

from . import netdata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Optional, Sequence

    import rich.table

    from ..collect.collector import Sample
    from ..config.settings import Settings
    from ..load.loader import Loaded
    from ..model.declared import Chart, Dimension

    Rate = tuple[Chart, Dimension, Optional[float]]

BUSIEST = 8  # applications, and dimensions of a chart of connections
# What the table of applications shows of their charts.
APPLICATIONS = (("file_open", "opens/s"), ("vfs_read_bytes", "read B/s"), ("vfs_write_bytes", "written B/s"),
                ("process_create", "processes/s"), ("bandwidth_recv", "received B/s"), ("bandwidth_sent", "sent B/s"))
SPARKS = " ▁▂▃▄▅▆▇█"
HISTORY = 60  # ticks
CANNOT_MOVE = ("", "dumb", "unknown")  # values of TERM


def view(charts: Iterable[Chart], loaded: Loaded, settings: Settings) -> Plain:
    """The view that suits stdout: plain lines if it is no terminal, one that cannot move its cursor, or without rich."""
    if os.isatty(1) and os.environ.get("TERM", "") not in CANNOT_MOVE:
        try:
            return Live(loaded, settings)
        except ImportError:
            netdata.write("rich is not installed (apt-get install python3-rich): plain lines\n")
    return Plain()


def sparkline(values: Sequence[float | None]) -> str:
    """A character for each value, as high as it is beside the largest absolute one; None, unknown, is a blank."""
    top = max((abs(value) for value in values if value is not None), default=0)
    return "".join(
        " " if value is None else SPARKS[1 + int(abs(value) / top * (len(SPARKS) - 2))] if top else SPARKS[1]
        for value in values)


class Plain:
    """group chart dimension value, one line for each dimension and tick."""

    def __init__(self) -> None:
        # (chart's full id, dimension's id): when, value
        self._before: dict[tuple[str, str], tuple[float | None, int | None]] = {}
        self._then: float | None = None

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def still_here(self) -> None:
        """Nothing to say: only the agent stops what is quiet."""

    def begin(self, now: float, sample: Sample) -> None:
        """Where the counters began."""
        self.rates(now, sample)

    def rates(self, now: float, sample: Sample) -> list[Rate]:
        """What the agent would draw, as [(Chart, Dimension, value)]: per second, or the difference itself; None: unknown."""
        found: list[Rate] = []
        for chart, values in sample:
            for dimension, value in zip(chart.dimensions, values):
                place = chart.full_id, dimension.id
                rate: float | None = value
                if dimension.algorithm == "incremental":
                    # one that has appeared began with its start; after a gap the rate is unknown
                    then, last = self._before.get(place, (self._then, dimension.start))
                    rate = None
                    if value is not None:
                        if last is not None and then is not None and then == self._then:
                            rate = (value - last) / (now - then)
                        self._before[place] = now, value
                found.append((chart, dimension, None if rate is None else rate * dimension.multiplier / dimension.divisor))
        self._then = now
        return found

    def show(self, now: float, sample: Sample) -> None:
        """A line for each dimension."""
        netdata.write("".join(
            "%-8s %-16s %-8s %s\n" % (chart.group, chart.id, _printable(dimension.name or dimension.id), _number(rate))
            for chart, dimension, rate in self.rates(now, sample)) + "\n")


class Live(Plain):
    """The table on the terminal, redrawn at every tick. Raises ImportError without rich."""

    def __init__(self, loaded: Loaded, settings: Settings):
        super().__init__()
        import rich.console
        import rich.live
        import rich.table
        import rich.text
        self._new_table, self._group, self._text = rich.table.Table, rich.console.Group, rich.text.Text
        self._live = rich.live.Live(screen=True, auto_refresh=False)
        self._history: dict[tuple[str, str], list[float | None]] = {}
        self._title = "ebpf.plugin: load mode %s, every %d s; Ctrl-C ends" % (settings.mode, settings.every)
        hidden = [name for hooks in loaded.hooks.values() for name, hook in hooks.items() if not hook.method]
        self._caption = "not shown (--check says why): %s" % ", ".join(hidden + list(loaded.broken)) \
            if hidden or loaded.broken else None

    def __enter__(self) -> Live:
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def begin(self, now: float, sample: Sample) -> None:
        """All that is known is what there is."""
        super().begin(now, sample)
        self._draw([(chart, dimension, None) for chart, _ in sample if not chart.by for dimension in chart.dimensions], [])

    def show(self, now: float, sample: Sample) -> None:
        """Draw the tables anew."""
        rates = self.rates(now, sample)
        self._draw([rate for rate in rates if not rate[0].by], [rate for rate in rates if rate[0].by])

    def _draw(self, rates: Iterable[Rate], changing: Sequence[Rate]) -> None:
        table = self._table("group", "chart", "dimension")
        table.title, table.caption = self._title, self._caption
        table.add_column("last minute", no_wrap=True, ratio=1)
        table.add_column("method", no_wrap=True)
        last = None
        for chart, dimension, rate in rates:
            past = self._history.setdefault((chart.full_id, dimension.id), [])
            past.append(rate)
            del past[:-HISTORY]
            first = chart is not last
            table.add_row(chart.group if first else "", chart.id if first else "", dimension.id,
                          "%s %s" % (_number(rate), chart.units), sparkline(past), ",".join(dimension.methods))
            last = chart
        self._live.update(self._group(
            self._applications([rate for rate in changing if rate[0].type == "apps"]),
            self._busiest([rate for rate in changing if rate[0].type != "apps"]), table), refresh=True)

    def _applications(self, rates: Iterable[Rate]) -> rich.table.Table:
        """One row for each that does something, the busiest first: where it stands highest counts."""
        columns = [name for name, _ in APPLICATIONS]
        found: dict[str, dict[str, float]] = {}
        most = dict.fromkeys(columns, 1.0)
        for chart, dimension, rate in rates:
            if chart.id in most and rate:
                found.setdefault(dimension.name or dimension.id, {})[chart.id] = rate
                most[chart.id] = max(most[chart.id], rate)
        table = self._new_table(expand=True, box=None, padding=(0, 1))
        table.add_column("application", no_wrap=True)
        for _, title in APPLICATIONS:
            table.add_column(title, justify="right", no_wrap=True)
        for name, of_charts in sorted(found.items(), key=lambda item: -max(item[1][c] / most[c] for c in item[1]))[:BUSIEST]:
            table.add_row(self._text(_printable(name)), *(_number(of_charts.get(column, 0)) for column in columns))
        return table

    def _busiest(self, rates: Iterable[Rate]) -> rich.table.Table:
        """Of each chart whose dimensions come and go, those where something happens, the busiest first."""
        table = self._table("chart", "dimension")
        charts: dict[str, list[tuple[float, Chart, Dimension, float]]] = {}
        for chart, dimension, rate in rates:
            if rate:
                charts.setdefault(chart.full_id, []).append((abs(rate), chart, dimension, rate))
        for of_chart in charts.values():
            for number, (_, chart, dimension, rate) in enumerate(sorted(of_chart, key=lambda one: -one[0])[:BUSIEST]):
                # a name may come from anywhere: it is text, no markup
                table.add_row("" if number else chart.id, self._text(_printable(dimension.name or dimension.id)),
                              "%s %s" % (_number(rate), chart.units))
        return table

    def _table(self, *columns: str) -> rich.table.Table:
        table = self._new_table(expand=True, box=None, padding=(0, 1))
        for name in columns:
            table.add_column(name, no_wrap=True)
        table.add_column("now", justify="right", no_wrap=True, min_width=12)
        return table


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _number(value: float | None) -> str:
    return "-" if value is None else "{:,d}".format(round(value))
