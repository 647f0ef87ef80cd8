"""Control groups: gives rows to those that the kernel asks about, and draws what the rows say. [global] cgroups = yes.

Version 2 only: the kernel tells a group's id, which is the number of its directory's inode (kernfs, 64-bit kernels since
5.5). Groups below a unit or a container are a part of it. Rows come behind the applications'; the first is `other`, where a
group's events are until it has a row, at the next tick, and where the dead are released.
"""
from __future__ import annotations

import os
import re
import struct

from . import kernel, log
from .hashmap import HashMap
from .shown import Line, unpack

ROWS = 128  # units and containers at a time
KNOWN = 4096  # control groups, those below them included
ASKED = 256
DIRECTORIES = 20000  # at most that are looked through
SELDOM = 30  # ticks between two looks for those that have gone

# As the agent's cgroups.plugin names them: units without their suffix, containers by the first 12 digits of their id.
CONTAINER = re.compile(r"^(?:(docker|libpod|crio|cri-containerd|containerd)[-_])?([0-9a-f]{64})(?:\.scope)?$")
UNIT = re.compile(r"^(.+)\.(service|scope|socket|mount|swap)$")
PAYLOAD = re.compile(r"^lxc\.payload\.(.+)$")
MACHINE = re.compile(r"^machine-(?:qemu\\x2d\d+\\x2d)?(.+)\.scope$")


class Cgroups:
    """`wanted` is for marshal: {"tables": {name: descriptor}, "charts": packed charts of lineup.apps_lineup(), "first": its
    first row, "mount": where cgroup2 is}; `readers` {group: Rows}; `known` the set of rows that they read."""

    def __init__(self, wanted, readers, known):
        self._tables, self._mount, self._first = wanted["tables"], wanted["mount"], wanted["first"]
        self._asked = HashMap(self._tables["cgroups_asked"], 8, "=B", ASKED)
        self._charts = tuple(chart._replace(type="cgroups") for chart in unpack(wanted["charts"]))
        self._shown = self._charts
        self._readers, self._known = readers, known
        self._rows = {"": 0}  # name: row, counted from the first; "" is `other`
        self._members = {}  # name: ids of control groups
        self._free = list(range(ROWS - 1, 0, -1))
        self._base = {}  # (full id of a chart, row): what a row had when its name came
        self._ticks = 0
        known.add(self._first)

    def read(self):
        """Only try whether all that is done here is allowed. Raises OSError."""
        kernel.map_update(self._tables["cgroup_rows"], bytes(8), bytes(4))
        list(self._asked.rows())

    def tick(self, now, samples):
        """[(Shown, values), ...]"""
        self._ticks += 1
        changed = self._ticks == 1
        try:
            changed = self._answer() or changed
            if self._ticks % SELDOM == 0:
                changed = self._forget() or changed
        except OSError as error:
            log.once(log.ERROR, "cannot place control groups: %s; they count as `other`" % error.strerror)
        if changed:
            lines = tuple(Line(_id(name), "incremental", 1, (), (), (), name or "other") for name in self._rows)
            self._shown = tuple(chart._replace(lines=lines) for chart in self._charts)
        return [(shown, self._values(chart)) for shown, chart in zip(self._shown, self._charts)
                if samples.get(chart.group) is not None]

    def _values(self, chart):
        rows, places = self._readers[chart.group].rows, chart.lines[0].plus
        values = []
        for row in self._rows.values():
            counters = rows.get(self._first + row)
            total = sum(counters[place] for place in places) if counters else 0
            # what a row had when it was given to its name was another's; and the agent only remembers the first value
            values.append(total - self._base.setdefault((chart.full_id, row), total if row else 0))
        return values

    def _answer(self):
        """Whether a name has come."""
        asked = [struct.unpack("=Q", key)[0] for key, _ in self._asked.rows()]
        paths = self._paths() if asked else {}
        came = False
        for number in asked:
            name = name_of(paths.get(number, ""))
            if name not in self._rows and not self._free:
                log.once(log.ERROR, "more than %d units and containers: the others count as `other`" % (ROWS - 1))
                name = ""
            if name not in self._rows:
                self._rows[name] = self._free.pop()
                self._known.add(self._first + self._rows[name])
                came = True
            self._members.setdefault(name, set()).add(number)
            kernel.map_update(self._tables["cgroup_rows"], struct.pack("=Q", number), struct.pack("=I", self._rows[name]))
            kernel.map_delete(self._tables["cgroups_asked"], struct.pack("=Q", number))
        return came

    def _forget(self):
        """Let go of names that have no control group any more; whether there were such."""
        paths = self._paths()
        gone = [name for name, numbers in self._members.items() if name and not any(number in paths for number in numbers)]
        for numbers in self._members.values():
            for number in [number for number in numbers if number not in paths]:
                kernel.map_delete(self._tables["cgroup_rows"], struct.pack("=Q", number))
                numbers.discard(number)
        for name in gone:
            row = self._rows.pop(name)
            del self._members[name]
            self._known.discard(self._first + row)
            self._free.insert(0, row)
            self._base = {key: base for key, base in self._base.items() if key[1] != row}
        return bool(gone)

    def _paths(self):
        """{id: path below the mount} of all control groups."""
        found, waiting = {}, [""]
        while waiting and len(found) < DIRECTORIES:
            path = waiting.pop()
            try:
                with os.scandir(self._mount + path) as entries:
                    below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue
            for entry in below:
                found[entry.inode()] = path + "/" + entry.name
                waiting.append(path + "/" + entry.name)
        return found


def name_of(path):
    """The name of the unit or container that a control group is of: /system.slice/nginx.service/worker -> nginx."""
    for part in path.split("/"):
        container, payload, machine, unit = (pattern.match(part) for pattern in (CONTAINER, PAYLOAD, MACHINE, UNIT))
        if container:
            return "%s_%s" % (container.group(1) or "container", container.group(2)[:12])
        if payload or machine:
            return (payload or machine).group(1)
        if unit and not part.startswith("user@"):
            return unit.group(1)
    return path.strip("/").replace("/", "_")


def _id(name):
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:150]
    return clean or "other"


def mount_of_version_2(mounts):
    """Where cgroup2 is, by the text of /proc/self/mounts; "" if nowhere."""
    lines = [line.split() for line in mounts.splitlines()]
    return next((words[1] for words in lines if len(words) > 2 and words[2] == "cgroup2"), "")
