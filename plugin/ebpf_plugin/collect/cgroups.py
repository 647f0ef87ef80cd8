"""Control groups: gives rows to those that the kernel asks about, and draws what the rows say. [global] cgroups = yes.

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
from ..model.series import Series, unpack

ROWS = 128  # units and containers at a time
KNOWN = 4096  # control groups, those below them included
ASKED = 256
DIRECTORIES = 20000  # at most that are looked through
NOT_THEIRS = ("bandwidth_tcp_retransmit", "task_close")  # charts of what happens when a timer runs, or after the end
REMEMBERED = 1000  # names that have gone and may come back
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
        charts = (chart for chart in unpack(wanted["charts"]) if chart.id not in NOT_THEIRS)
        self._charts = tuple(chart._replace(type="cgroups") for chart in charts)
        self._shown = self._charts
        self._readers, self._known = readers, known
        self._rows, self._ids = {"": 0}, {"": "other"}  # name: row, counted from the first; dimension. "" is `other`
        self._members = {}  # name: ids of control groups
        self._free = list(range(ROWS - 1, 0, -1))
        self._waiting = set()  # ids that count as `other` for want of a row
        self._leaving = {}  # name: whether the counters have been read since it has no control group any more
        self._offsets = {}  # (full id of a chart, name): what is added to what the row has counted
        self._begun = {}  # the same: what the row had when it was given to the name
        self._told = {}  # the same: the last value; of names that have gone, too, as the agent remembers it
        self._retired = {}  # names that have gone, the last one last
        self._ticks, self._is_full = 0, False
        known.add(self._first)

    def read(self):
        """Only try whether all that is done here is allowed. Raises OSError."""
        bpf.map_update(self._tables["cgroup_rows"], bytes(8), bytes(4))
        list(self._asked.rows())

    def tick(self, now, samples):
        """[(Shown, values), ...]"""
        self._ticks += 1
        names = len(self._rows), list(self._rows)[-1]
        try:
            gone = self._let_go(None not in samples.values())
            self._answer()
            if self._ticks % SELDOM == 0:
                self._look()
        except OSError as error:
            gone = True
            log.once(log.ERROR, "cannot place control groups: %s; they count as `other`" % error.strerror)
        if gone or self._ticks == 1 or names != (len(self._rows), list(self._rows)[-1]):
            lines = tuple(Series(self._ids[name], "incremental", 1, (), (), (), name or "other") for name in self._rows)
            self._shown = tuple(chart._replace(lines=lines) for chart in self._charts)
        return [(shown, self._values(chart)) for shown, chart in zip(self._shown, self._charts)
                if samples.get(chart.group) is not None]

    def _total(self, chart, row):
        counters = self._readers[chart.group].rows.get(self._first + row)
        return sum(counters[place] for place in chart.lines[0].plus) if counters else 0

    def _values(self, chart):
        """A name begins with what the agent has of it, which only remembers that; a tick later comes what it has done."""
        values = []
        for name, row in self._rows.items():
            key = chart.full_id, name
            if key in self._offsets or not name:
                self._told[key] = self._total(chart, row) + self._offsets.get(key, 0)
            else:
                self._offsets[key] = self._told.setdefault(key, 0) - self._begun.pop(key)
            values.append(self._told[key])
        return values

    def _answer(self):
        """Give rows to those that the kernel asks about."""
        asked = [] if self._is_full else [struct.unpack("=Q", key)[0] for key, _ in self._asked.rows()]
        paths, _ = self._paths() if asked else ({}, True)
        for number in asked:
            name = name_of(paths.get(number, ""))
            if name not in self._rows and not self._free:
                log.once(log.ERROR, "more than %d units and containers: the others count as `other`" % (ROWS - 1))
                self._waiting.add(number)
                name = ""
            row = self._rows[name] if name in self._rows else self._free[-1]
            try:
                bpf.map_update(self._tables["cgroup_rows"], struct.pack("=Q", number), struct.pack("=I", row))
            except OSError as error:
                if error.errno != errno.E2BIG:
                    raise
                self._is_full = True
                log.once(log.ERROR, "more than %d control groups: the others count as `other`" % KNOWN)
                return
            if name not in self._rows:
                self._come(name, self._free.pop())
            self._leaving.pop(name, None)
            self._members.setdefault(name, set()).add(number)
            bpf.map_delete(self._tables["cgroups_asked"], struct.pack("=Q", number))

    def _come(self, name, row):
        self._rows[name] = row
        self._known.add(self._first + row)
        self._retired.pop(name, None)
        if name not in self._ids:
            self._ids[name] = _id(name, set(self._ids.values()))
        for chart in self._charts:
            self._begun[chart.full_id, name] = self._total(chart, row)

    def _look(self):
        """Take out control groups that are no more; names without any leave when what they did last has been read."""
        paths, are_all = self._paths()
        if not are_all:
            return
        for name, numbers in self._members.items():
            for number in numbers.difference(paths):
                bpf.map_delete(self._tables["cgroup_rows"], struct.pack("=Q", number))
                numbers.discard(number)
                self._waiting.discard(number)
                self._is_full = False
            if name and not numbers:
                self._leaving[name] = False

    def _let_go(self, is_read):
        """Whether a name has gone."""
        gone = [name for name, was_read in self._leaving.items() if was_read]
        for name in gone:
            row = self._rows.pop(name)
            del self._leaving[name], self._members[name]
            self._known.discard(self._first + row)
            self._free.insert(0, row)
            self._retired[name] = True
            for chart in self._charts:
                self._offsets.pop((chart.full_id, name), None)
                self._begun.pop((chart.full_id, name), None)
        self._leaving = {name: is_read for name in self._leaving}
        while len(self._retired) > REMEMBERED:
            name = next(iter(self._retired))
            del self._retired[name], self._ids[name]
            for chart in self._charts:
                self._told.pop((chart.full_id, name), None)
        for number in self._waiting if gone else ():  # the kernel asks again
            bpf.map_delete(self._tables["cgroup_rows"], struct.pack("=Q", number))
            self._members[""].discard(number)
        self._waiting = set() if gone else self._waiting
        return bool(gone)

    def _paths(self):
        """({id: path below the mount} of control groups, whether these are all). Raises OSError."""
        found, waiting = {}, [""]
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


def name_of(path):
    """The name of the unit or container that a control group is of: /system.slice/nginx.service/worker -> nginx."""
    for part in path.split("/"):
        container, payload, machine, unit = (pattern.match(part) for pattern in (CONTAINER, PAYLOAD, MACHINE, UNIT))
        if container:
            return "%s_%s" % (container.group(1) or "container", container.group(2)[:12])
        if payload or machine:
            return _unescaped((payload or machine).group(1))
        if unit and not part.startswith("user@"):
            return _unescaped(unit.group(1))
    return path.strip("/").replace("/", "_")


def _id(name, taken):
    wish = id_ = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in name)[:140]
    number = 1
    while id_ in taken:
        number += 1
        id_ = "%s_%d" % (wish, number)
    return id_


def _unescaped(text):
    """systemd.unit(5): \\x2d is a hyphen."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match.group(1), 16)), text)


def mount_of_version_2(mounts):
    """Where cgroup2 is, by the text of /proc/self/mounts; "" if nowhere."""
    lines = [line.split() for line in mounts.splitlines()]
    return next((words[1].replace("\\040", " ") for words in lines if len(words) > 2 and words[2] == "cgroup2"), "")
