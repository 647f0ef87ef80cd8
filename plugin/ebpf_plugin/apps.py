"""Applications: decides about names that the kernel has not seen before, and draws what their rows say.

Row numbers are indexes of the groups in apps_groups.conf; 0 is `other`. See bpf/apps.c for the kernel's side.
"""
from __future__ import annotations

import os
import struct

from . import kernel, log
from .apps_match import LONGEST_LINE, Matcher
from .hashmap import HashMap
from .shown import Line, unpack

NAME = struct.Struct("=16s")  # struct comm
APPLICATION = struct.Struct("=IIQ")  # struct application: row, unused, task
DECISION = struct.Struct("=II")  # struct decision: row, ask
STAYS = 0xffffffff
ASKED = 1024  # room for processes to be looked at
AT_A_TIME = 200  # of them in one tick; the others wait
FIRST = 1  # the process that stays in `other`, as in the agent


def decision(group, certain):
    return DECISION.pack(STAYS if group is None else group, not certain)


class Apps:
    """`wanted` is for marshal: {"rules", "names", "ids": of apps_groups.Groups, "tables": {name: descriptor}, "charts":
    packed charts of lineup.apps_lineup(), "processes": size of the table}; `readers` {group: Rows}; `known` the rows that
    the collector itself has given."""

    def __init__(self, wanted, readers, known):
        self._matcher = Matcher(wanted["rules"])
        self._names, self._ids = wanted["names"], wanted["ids"]
        self._tables = wanted["tables"]
        self._asked = HashMap(self._tables["apps_asked"], 4, NAME.format, ASKED)
        self._processes = wanted["processes"]
        self._readers, self._known = readers, known
        self._charts = unpack(wanted["charts"])
        self._shown, self._rows = self._charts, []
        self._begun = {}  # full id of a chart: its rows that the agent knows
        self._full = 0

    def read(self):
        """Only try whether all that is done here is allowed. Raises OSError."""
        kernel.map_update(self._tables["apps_names"], bytes(NAME.size), decision(None, True))
        list(self._asked.rows())

    def tick(self, now, samples):
        """[(Shown, values), ...]. A row that is new begins with zeros: the agent only remembers its first values."""
        try:
            self._answer()
        except OSError as error:
            log.once(log.ERROR, "cannot place new processes: %s; they count where their parents do" % error.strerror)
        self._tell_if_full(samples)
        fresh = sorted({row for reader in self._readers.values() for row in reader.rows}.difference(self._rows))
        if fresh:
            self._rows = self._rows + fresh
            lines = tuple(Line(self._ids[row], "incremental", 1, (), (), (), self._named(row)) for row in self._rows)
            self._shown = tuple(chart._replace(lines=lines) for chart in self._charts)
        return [(shown, self._values(chart)) for shown, chart in zip(self._shown, self._charts)
                if samples.get(chart.group) is not None]

    def _named(self, row):
        return "" if self._names[row] == self._ids[row] else self._names[row]

    def _values(self, chart):
        rows, places = self._readers[chart.group].rows, chart.lines[0].plus
        begun = self._begun.get(chart.full_id, self._rows)  # what there is at the first tick is from before it
        self._begun[chart.full_id] = self._rows
        return [sum(rows[row][place] for place in places) if row in begun and row in rows else 0 for row in self._rows]

    def _answer(self):
        """Decide about processes whose name is new, or whose command line matters."""
        for number, (key, (name,)) in enumerate(list(self._asked.rows())):
            if number == AT_A_TIME:
                break
            kernel.map_delete(self._tables["apps_asked"], key)
            pid, = struct.unpack("=I", key)
            comm = name.partition(b"\0")[0]
            group, certain = self._matcher.by_comm(comm)
            kernel.map_update(self._tables["apps_names"], name, decision(group, certain))
            if not certain:
                group = self._matcher.group_of(comm, command_line(pid))
            if group is not None and pid != FIRST:
                self._move(key, group)

    def _move(self, key, group):
        """Put a process into a row, if it is still there."""
        try:
            _, _, task = APPLICATION.unpack(kernel.map_lookup(self._tables["applications"], key, APPLICATION.size))
            kernel.map_update(self._tables["applications"], key, APPLICATION.pack(group, 0, task), kernel.BPF_EXIST)
        except FileNotFoundError:
            return
        self._known.add(group)

    def _tell_if_full(self, samples):
        full = (samples.get("apps") or (0,))[0]
        if full == self._full:
            return
        self._full = full
        log.once(log.ERROR, "the table of %d processes is full: what is not in it counts as `other` "
                 "([global] pid table size)" % self._processes)
        for key, _ in HashMap(self._tables["applications"], 4, APPLICATION.format, self._processes).rows():
            if not os.path.exists("/proc/%d" % struct.unpack("=I", key)):
                kernel.map_delete(self._tables["applications"], key)


def command_line(pid):
    """/proc/PID/cmdline in bytes; None if the process is gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read(LONGEST_LINE)
    except OSError:
        return None
