"""Control groups: gives rows to those that the kernel asks about, and charts the rows. [global] cgroups = yes.

Version 2 only: the kernel tells a group's id, which is the number of its directory's inode (kernfs, 64-bit kernels since
5.5). Groups below a unit or a container are a part of it. Rows come behind the applications'; the first is `other`, where a
group's events are until it has a row, at the next tick.
"""
from __future__ import annotations

import errno
import os
import struct

from .. import cgroup_names, log
from ..kernel import bpf
from ..kernel.maps import HashMap
from ..model import declared
from ..series.charts import RowCharts
from ..series.own_charts import OwnCharts
from ..series.table import SeriesTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Sequence

    from ..series.table import Series
    from .collector import Sample, Values
    from .rows import Counters, RowSet

    Place = tuple[str, str, str]
    Labels = tuple[tuple[str, str], ...]

ROWS = 128  # units and containers at a time
KNOWN = 4096  # control groups, those below them included
MAX_QUESTIONS = 256  # entries of the map cgroups_asked
DIRECTORIES = 20000  # at most that are looked through
REMEMBERED = 1000  # names that have gone and may come back
IN_CONTAINERS = 25000  # what their charts' priorities are more: behind those of the agent, which begin at 40000
RESCAN_TICKS = 30  # ticks between two looks for those that have gone


class Cgroups:
    """state: {"tables": {name: descriptor}, "charts": packed, of select_cgroup_charts(), "first": the first row of control
    groups, "mount": where cgroup2 is, "for_agent": whether the charts by which the agent's users look for a container or a
    service are there as well}. readers: {group: Counters}.

    A control group's events count in the row of its place (cgroup_names.place_of).
    """

    def __init__(self, state: dict[str, Any], readers: dict[str, Counters], row_set: RowSet):
        self._maps, self._mount = state["tables"], state["mount"]
        self._first: int = state["first"]
        self._asked = HashMap(self._maps["cgroups_asked"], 8, "=B", MAX_QUESTIONS)
        self._readers, self._row_set = readers, row_set
        self._table = SeriesTable(_describe, REMEMBERED)
        charts = declared.unpack(state["charts"])
        self._charts = self._of_groups(charts, "cgroups")
        self._containers = None
        if state["for_agent"]:
            self._charts += self._of_groups(charts, "services", is_service)
            self._containers = OwnCharts(
                self._table, readers, tuple(map(_of_container, charts)), self._row_of, self._container)
        self._rows: dict[Place, int] = {}  # row, counted from the first; cgroup_names.OTHER is `other`
        self._labels: dict[Place, Labels] = {}
        self._members: dict[Place, set[int]] = {}  # ids of control groups; of OTHER those that count as `other`
        self._free = list(range(ROWS - 1, 0, -1))
        self._leaving: dict[Place, bool] = {}  # whether its row has been read since it has no control group any more
        self._ticks, self._is_full = 0, False
        self._other: list[Values] = []  # what `other` had when questions were answered last
        row_set.add(self._first)

    def _of_groups(self, charts: Sequence[declared.Chart], type: str,
                   is_shown: Callable[[Series], bool] = lambda series: True) -> list[tuple[str, RowCharts]]:
        """(group, its charts of this type, with a dimension for each place that is shown) of each group."""
        found = []
        for group, reader in self._readers.items():
            common = [(chart.replaced(type=type, by="cgroup", dimensions=(),
                                      context="services." + chart.context if type == "services" else ""),
                       chart.dimensions[0].plus) for chart in charts if chart.group == group]
            found.append((group, RowCharts(self._table, reader, common, self._row_of, is_shown)))
        return found

    def _row_of(self, place: Place) -> int:
        return self._first + self._rows[place]

    def _container(self, series: Series) -> tuple[str, Labels] | None:
        """(the type of its own charts, their labels); None for what is no container."""
        name, kind, shown = series.key
        if kind != cgroup_names.CONTAINER:
            return None
        return "cgroup_" + shown, (("cgroup_name", name), *self._labels[series.key])

    def read(self) -> None:
        """Only try whether all that is done here is allowed. Raises OSError."""
        bpf.map_update(self._maps["cgroup_rows"], bytes(8), bytes(4))
        list(self._asked.rows())

    def tick(self, now: float, counters: dict[str, Values | None]) -> Sample:
        """The charts of control groups, with a dimension for each unit and container, and `other`."""
        self._ticks += 1
        self._table.begin_tick()
        if not self._rows:
            self._add(cgroup_names.OTHER, 0, now, {})
        try:
            self._release(None not in counters.values())
            # events of a control group that the kernel asks about are in `other`
            other = [reader.row(self._first) for reader in self._readers.values()]
            if other != self._other:
                self._answer(now)
                self._other = other
            if self._ticks % RESCAN_TICKS == 0:
                self._rescan()
        except OSError as error:
            log.once(log.ERROR, "cannot place control groups: %s: %s; they count as `other`" % (
                error.filename or "the kernel's map of them", error.strerror))
        read = {group for group, values in counters.items() if values is not None}
        sample: Sample = [chart for group, charts in self._charts if group in read for chart in charts.values()]
        if self._containers is not None:
            sample += self._containers.values(read)
        return sample

    def _answer(self, now: float) -> None:
        """Give rows to those that the kernel asks about."""
        asked = [] if self._is_full else [struct.unpack("=Q", key)[0] for key, _ in self._asked.rows()]
        paths = self._paths()[0] if asked else {}
        for number in asked:
            place, labels = cgroup_names.place_of(paths.get(number, ""))
            if place not in self._rows and not self._free:
                log.once(log.WARNING, "more than %d units and containers: the others count as `other`" % (ROWS - 1))
                place = cgroup_names.OTHER
            row = self._rows[place] if place in self._rows else self._free[-1]
            try:
                bpf.map_update(self._maps["cgroup_rows"], struct.pack("=Q", number), struct.pack("=I", row))
            except OSError as error:
                if error.errno != errno.E2BIG:
                    raise
                self._is_full = True
                log.once(log.WARNING, "more than %d control groups: the others count as `other`" % KNOWN)
                return
            if place not in self._rows:
                row = self._free.pop()
                self._labels[place] = labels
                self._add(place, row, now, {group: reader.row(self._first + row) for group, reader in self._readers.items()})
            self._leaving.pop(place, None)
            self._members.setdefault(place, set()).add(number)
            bpf.map_delete(self._maps["cgroups_asked"], struct.pack("=Q", number))

    def _add(self, place: Place, row: int, now: float, raw: dict[str, Values]) -> None:
        """`raw`: what the row has from places that had it before."""
        self._rows[place] = row
        self._row_set.add(self._first + row)
        series = self._table.add(place, now, raw)
        id, _, labels = _describe(place)
        # another place has the name: as one metric, their sum would go back when one of them leaves
        series.labels = labels if series.id == id else (*labels, ("id", series.id))

    def _rescan(self) -> None:
        """Take out control groups that are gone; a place without any leaves when what they did last has been read."""
        paths, is_complete = self._paths()
        for place, members in self._members.items() if is_complete else ():
            for number in members.difference(paths):
                bpf.map_delete(self._maps["cgroup_rows"], struct.pack("=Q", number))
                members.discard(number)
                self._is_full = False
            if place != cgroup_names.OTHER and not members:
                self._leaving.setdefault(place, False)

    def _release(self, is_read: bool) -> None:
        """Take the rows of places that have left; `is_read`: whether all counters have been read at this tick."""
        for place, was_read in list(self._leaving.items()):
            series, row = self._table.live[place], self._row_of(place)
            if was_read:
                del self._leaving[place], self._members[place], self._rows[place], self._labels[place]
                self._row_set.discard(row)
                self._free.insert(0, row - self._first)
                self._table.remove(series)
                for number in self._members.pop(cgroup_names.OTHER, ()):  # there is room for others: the kernel asks again
                    bpf.map_delete(self._maps["cgroup_rows"], struct.pack("=Q", number))
            elif is_read:
                self._leaving[place] = True
                for group, reader in self._readers.items():
                    self._table.update(series, group, reader.row(row))

    def _paths(self) -> tuple[dict[int, str], bool]:
        """({id: path below the mount} of control groups, whether these are all). Raises OSError."""
        found: dict[int, str] = {}
        waiting = [""]
        while waiting and len(found) < DIRECTORIES:
            path = waiting.pop()
            try:
                with os.scandir(self._mount + path) as entries:
                    below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                if not path:
                    raise
                continue  # it has gone meanwhile
            for entry in below:
                found[entry.inode()] = path + "/" + entry.name
                waiting.append(path + "/" + entry.name)
        return found, not waiting


def is_service(series: Series) -> bool:
    """Whether it is of a service of systemd."""
    return bool(series.key[1] == cgroup_names.SERVICE)


def _of_container(chart: declared.Chart) -> declared.Chart:
    """What the charts of all containers have in common."""
    return chart.replaced(context="cgroup." + chart.context, family=chart.group + " (eBPF)",
                          priority=chart.priority + IN_CONTAINERS)


def _describe(place: Place) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    name = place[0]
    id = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:140]
    return id or "other", name or "other", (("cgroup", name or "other"),)
