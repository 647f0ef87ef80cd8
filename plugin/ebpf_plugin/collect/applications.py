"""Applications: decides about names that the kernel has not seen before, and draws what their rows say.

Row numbers are indexes of the groups in apps_groups.conf; 0 is `other`. See bpf/apps.c for the kernel's side.
"""
from __future__ import annotations

import os
import struct

from .. import log
from ..kernel import bpf
from ..kernel.maps import HashMap
from ..model.series import Series, unpack
from .application_matcher import LONGEST_LINE, LONGEST_NAME, Matcher

NAME = struct.Struct("=16s")  # struct comm
QUESTION = struct.Struct("=16sQ")  # struct question: name, task
APPLICATION = struct.Struct("=IIQ")  # struct application: row, unused, task
DECISION = struct.Struct("=II")  # struct decision: row, ask
STAYS = 0xffffffff
ASKED = 1024  # room for processes to be looked at
AT_A_TIME = 200  # of them in one tick; the others wait
SELDOM = 30  # ticks; what takes a look at every process is not done more often
TRIES = 3  # to decide about one that changes its name all the time
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
        self._asked = HashMap(self._tables["apps_asked"], 4, QUESTION.format, ASKED)
        self._processes = wanted["processes"]
        self._readers, self._known = readers, known
        self._charts = unpack(wanted["charts"])
        self._shown, self._rows = self._charts, []
        self._ticks, self._begun = 0, {}  # full id of a chart: its rows that the agent knows
        self._full = self._unasked = 0
        self._sweeps = 0  # the tick from on which the table may be swept again

    def read(self):
        """Only try whether all that is done here is allowed. Raises OSError."""
        bpf.map_update(self._tables["apps_names"], bytes(NAME.size), decision(None, True))
        list(self._asked.rows())

    def tick(self, now, samples):
        """[(Shown, values), ...]. A row that is new begins with zeros: the agent only remembers its first values."""
        try:
            self._answer()
        except OSError as error:
            log.once(log.ERROR, "cannot place new processes: %s; they count where their parents do" % error.strerror)
        self._ticks += 1
        full, unasked = samples.get("apps") or (self._full, self._unasked)
        if unasked != self._unasked and not self._ticks % SELDOM:
            self._unasked = unasked
            try:
                self._look_at_all()
            except OSError as error:
                log.once(log.ERROR, "cannot place processes: %s; they count where their parents do" % error.strerror)
        if full != self._full:
            self._full = full
            self._tell_that_it_is_full()
        fresh = sorted({row for reader in self._readers.values() for row in reader.rows
                        if row < len(self._ids)}.difference(self._rows))
        if fresh:
            self._rows = self._rows + fresh
            lines = tuple(Series(self._ids[row], "incremental", 1, (), (), (), self._named(row)) for row in self._rows)
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
        for number, (key, _) in enumerate(list(self._asked.rows())):
            if number == AT_A_TIME:
                break
            try:  # as it is now: an answer takes time, and the process may have called exec meanwhile
                name, task = QUESTION.unpack(bpf.map_lookup(self._tables["apps_asked"], key, QUESTION.size))
            except FileNotFoundError:
                continue
            bpf.map_delete(self._tables["apps_asked"], key)
            self._decide(key, name, task)

    def _decide(self, key, name, asked):
        """Teach the kernel the name, and put the process where it belongs if its task is `asked` (0: whoever it is).

        Again if it has another name by then: what the kernel has decided meanwhile may have been overwritten.
        """
        pid, = struct.unpack("=I", key)
        for _ in range(TRIES):
            comm = name.partition(b"\0")[0]
            group, certain = self._matcher.by_comm(comm)
            bpf.map_update(self._tables["apps_names"], name, decision(group, certain))
            if not certain:
                group = self._matcher.group_of(comm, command_line(pid))
            if group is None or pid == FIRST:
                return
            self._move(key, group, asked)
            now = name_of(pid)
            if now in (None, comm):
                return
            name = NAME.pack(now)

    def _move(self, key, group, asked):
        try:
            _, _, task = APPLICATION.unpack(bpf.map_lookup(self._tables["applications"], key, APPLICATION.size))
            if asked in (task, 0) or not task:
                moved = APPLICATION.pack(group, 0, task or asked)
                bpf.map_update(self._tables["applications"], key, moved, bpf.BPF_EXIST)
                self._known.add(group)
        except FileNotFoundError:
            pass  # it is gone

    def _look_at_all(self):
        """There were more questions than room for them: look at everybody, of whom most are as they were."""
        for pid, (comm, _) in everybody().items():
            self._decide(struct.pack("=I", pid), NAME.pack(comm), 0)

    def _tell_that_it_is_full(self):
        log.once(log.ERROR, "the table of %d processes is full: what is not in it counts as `other` "
                 "([global] pid table size)" % self._processes)
        if self._ticks < self._sweeps:
            return
        self._sweeps = self._ticks + SELDOM
        for key, _ in HashMap(self._tables["applications"], 4, APPLICATION.format, self._processes).rows():
            if not os.path.exists("/proc/%d" % struct.unpack("=I", key)):
                bpf.map_delete(self._tables["applications"], key)


def command_line(pid):
    """/proc/PID/cmdline in bytes; None if the process is gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read(LONGEST_LINE)
    except OSError:
        return None


def name_of(pid):
    """/proc/PID/comm in bytes, as much of it as the kernel's programs see; None if the process is gone."""
    try:
        with open("/proc/%d/comm" % pid, "rb") as file:
            return file.read()[:-1][:LONGEST_NAME]
    except OSError:
        return None


def everybody():
    """{pid: (comm in bytes, parent's pid)} of /proc now."""
    processes = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, "rb") as file:
                text = file.read()
            # "pid (comm) state ppid ...", and comm may hold anything; what a terminal might mind is escaped here
            begin, end = text.index(b"(") + 1, text.rindex(b")")
        except OSError:
            continue
        comm = name_of(int(pid)) if b"\\" in text[begin:end] else text[begin:end][:LONGEST_NAME]
        if comm is not None:
            processes[int(pid)] = comm, int(text[end + 2:].split()[1])
    return processes
