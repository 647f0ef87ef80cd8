"""Control groups: gives rows to those that the kernel asks about, and charts the rows. [global] cgroups = yes.

Version 2 only: the kernel tells a group's id, which is the number of its directory's inode (kernfs, 64-bit kernels since
5.5). Groups below a unit or a container are a part of it. Rows come behind the applications'; the first is `other`, where a
group's events are until it has a row, at the next tick.
"""
from __future__ import annotations

import errno
import os
import re
import struct

from .. import log
from ..kernel import bpf
from ..kernel.maps import HashMap
from ..model import declared
from ..series.charts import Part, SeriesChart
from ..series.table import SeriesTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .collector import Sample, Values
    from .rows import Counters, RowSet

ROWS = 128  # units and containers at a time
KNOWN = 4096  # control groups, those below them included
MAX_QUESTIONS = 256  # entries of the map cgroups_asked
DIRECTORIES = 20000  # at most that are looked through
WITHOUT_CGROUP = ("bandwidth_tcp_retransmit", "task_close")  # charts of what happens when a timer runs, or after the end
REMEMBERED = 1000  # names that have gone and may come back
RESCAN_TICKS = 30  # ticks between two looks for those that have gone

# As the agent's cgroups.plugin names them: units without their suffix, containers by the first 12 digits of their id.
CONTAINER = re.compile(r"^(?:(docker|libpod|crio|cri-containerd|containerd)[-_])?([0-9a-f]{64})(?:\.scope)?$")
UNIT = re.compile(r"^(.+)\.(service|scope|socket|mount|swap)$")
PAYLOAD = re.compile(r"^lxc\.payload\.(.+)$")
MACHINE = re.compile(r"^machine-(?:qemu\\x2d\d+\\x2d)?(.+)\.scope$")


class Cgroups:
    """state: {"tables": {name: descriptor}, "charts": packed, of select_application_charts(), "first": the first row of
    control groups, "mount": where cgroup2 is}. readers: {group: Counters}."""

    def __init__(self, state: dict[str, Any], readers: dict[str, Counters], row_set: RowSet):
        self._maps, self._mount, self._first = state["tables"], state["mount"], state["first"]
        self._asked = HashMap(self._maps["cgroups_asked"], 8, "=B", MAX_QUESTIONS)
        self._readers, self._row_set = readers, row_set
        self._table = SeriesTable(_describe, REMEMBERED)
        self._charts = [
            SeriesChart(self._table, chart.group, chart.replaced(type="cgroups", by="cgroup", dimensions=(), context=""),
                        (Part(chart.dimensions[0].plus),))
            for chart in declared.unpack(state["charts"]) if chart.id not in WITHOUT_CGROUP]
        self._rows: dict[str, int] = {}  # name: row, counted from the first; "" is `other`
        self._names: dict[int, str] = {}  # the contrary, with the row's number in the counters
        self._members: dict[str, set[int]] = {}  # name: ids of control groups; "" of those that count as `other`
        self._free = list(range(ROWS - 1, 0, -1))
        self._leaving: dict[str, bool] = {}  # name: whether its row has been read since it has no control group any more
        self._ticks, self._is_full = 0, False
        self._other: list[Values] = []  # what `other` had when questions were answered last
        row_set.add(self._first)

    def read(self) -> None:
        """Only try whether all that is done here is allowed. Raises OSError."""
        bpf.map_update(self._maps["cgroup_rows"], bytes(8), bytes(4))
        list(self._asked.rows())

    def tick(self, now: float, counters: dict[str, Values | None]) -> Sample:
        """The charts of control groups, with a dimension for each unit and container, and `other`."""
        self._ticks += 1
        self._table.begin_tick()
        if not self._rows:
            self._add("", 0, now, {})
        try:
            self._release(None not in counters.values())
            for group, reader in self._readers.items():
                for row in reader.changed if counters.get(group) is not None else ():
                    if row in self._names:
                        self._table.update(self._table.live[self._names[row]], group, reader.values[row])
            # events of a control group that the kernel asks about are in `other`
            other = [reader.row(self._first) for reader in self._readers.values()]
            if other != self._other:
                self._answer(now)
                self._other = other
            if self._ticks % RESCAN_TICKS == 0:
                self._rescan()
        except OSError as error:
            log.once(log.ERROR, "cannot place control groups: %s; they count as `other`" % error.strerror)
        return [chart.values() for chart in self._charts if counters.get(chart.chart.group) is not None]

    def _answer(self, now: float) -> None:
        """Give rows to those that the kernel asks about."""
        asked = [] if self._is_full else [struct.unpack("=Q", key)[0] for key, _ in self._asked.rows()]
        paths = self._paths()[0] if asked else {}
        for number in asked:
            name = name_of(paths.get(number, ""))
            if name not in self._rows and not self._free:
                log.once(log.ERROR, "more than %d units and containers: the others count as `other`" % (ROWS - 1))
                name = ""
            row = self._rows[name] if name in self._rows else self._free[-1]
            try:
                bpf.map_update(self._maps["cgroup_rows"], struct.pack("=Q", number), struct.pack("=I", row))
            except OSError as error:
                if error.errno != errno.E2BIG:
                    raise
                self._is_full = True
                log.once(log.ERROR, "more than %d control groups: the others count as `other`" % KNOWN)
                return
            if name not in self._rows:
                row = self._free.pop()
                self._add(name, row, now, {group: reader.row(self._first + row) for group, reader in self._readers.items()})
            self._leaving.pop(name, None)
            self._members.setdefault(name, set()).add(number)
            bpf.map_delete(self._maps["cgroups_asked"], struct.pack("=Q", number))

    def _add(self, name: str, row: int, now: float, raw: dict[str, Values]) -> None:
        """`raw`: what the row has from names that had it before."""
        self._rows[name] = row
        self._names[self._first + row] = name
        self._row_set.add(self._first + row)
        self._table.add(name, now, raw)

    def _rescan(self) -> None:
        """Take out control groups that are gone; a name without any leaves when what they did last has been read."""
        paths, is_complete = self._paths()
        for name, members in self._members.items() if is_complete else ():
            for number in members.difference(paths):
                bpf.map_delete(self._maps["cgroup_rows"], struct.pack("=Q", number))
                members.discard(number)
                self._is_full = False
            if name and not members:
                self._leaving.setdefault(name, False)

    def _release(self, is_read: bool) -> None:
        """Take the rows of names that have left; `is_read`: whether all counters have been read at this tick."""
        for name, was_read in list(self._leaving.items()):
            self._leaving[name] = was_read or is_read
            if was_read:
                row = self._rows.pop(name)
                del self._leaving[name], self._members[name], self._names[self._first + row]
                self._row_set.discard(self._first + row)
                self._free.insert(0, row)
                self._table.remove(self._table.live[name])
                for number in self._members.pop("", ()):  # there is room for others: the kernel asks again
                    bpf.map_delete(self._maps["cgroup_rows"], struct.pack("=Q", number))

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


def name_of(path: str) -> str:
    """The name of the unit or container that a control group is of: /system.slice/nginx.service/worker -> nginx."""
    for part in path.split("/"):
        container, payload, machine, unit = (pattern.match(part) for pattern in (CONTAINER, PAYLOAD, MACHINE, UNIT))
        if container:
            return "%s_%s" % (container.group(1) or "container", container.group(2)[:12])
        named = payload or machine
        if named:
            return _unescaped(named.group(1))
        if unit and not part.startswith("user@"):
            return _unescaped(unit.group(1))
    return path.strip("/").replace("/", "_")


def _describe(name: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    id = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:140]
    return id or "other", name or "other", (("cgroup", name or "other"),)


def _unescaped(text: str) -> str:
    """systemd.unit(5): \\x2d is a hyphen."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match.group(1), 16)), text)


def mount_of_version_2(mounts: str) -> str:
    """Where cgroup2 is, by the text of /proc/self/mounts; "" if nowhere."""
    lines = [line.split() for line in mounts.splitlines()]
    return next((words[1].replace("\\040", " ") for words in lines if len(words) > 2 and words[2] == "cgroup2"), "")
