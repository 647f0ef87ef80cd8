"""What the plugin says of itself; first of all events that the kernel could not give to a program, so that numbers are low.

Three counts: a program is not run while it is running on the same CPU already (`recursion_misses` of struct bpf_prog_info,
kernel 5.12), ftrace does not enter it while it is entering it already (`missed` of struct bpf_link_info, for kprobe.multi,
kernel 6.7), and a kretprobe is not run when all its instances are in use (tracefs, kprobe_profile).
"""
from __future__ import annotations

import os

from .. import log
from ..kernel import bpf, tracefs
from ..model import declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Collection, Mapping

    from .collector import Sample, Values


class MissedEvents:
    """Says once for each program that it has missed events. `programs` is {name: descriptor}, `links` {name of a program:
    descriptor of its kprobe.multi}, `events` names of kprobe events. Opens what it needs at once, so that it works after
    privilege is dropped."""

    def __init__(self, programs: Mapping[str, int], links: Mapping[str, int], events: Collection[str]):
        self.total = 0  # at the last look
        self.found: dict[str, int] = {}  # {program or event: events missed}, at the last look
        self._programs, self._links = programs, links
        self._events = {name.partition("/")[2] for name in events}
        self._profile = _open_profile() if events else None

    def counts(self) -> dict[str, int]:
        """{program or event: events missed so far}; what the kernel has never told is left out. What it does not tell any
        more, as of an event that somebody else has removed, stays as it was: sums must not go back."""
        found = self.found
        for name, descriptor in self._programs.items():
            try:
                count = bpf.recursion_misses(descriptor)
                if name in self._links:
                    count += bpf.kprobe_multi_misses(self._links[name])
                found[name] = count
            except OSError:
                continue
        if self._profile is not None:
            for line in _read(self._profile).decode("ascii", "replace").splitlines():
                name, _hits, misses = line.split()[:3]
                if name in self._events:
                    found[name] = int(misses)
        return found

    def read(self) -> None:
        """Only try whether programs may be asked for what they have missed. Raises PermissionError."""
        for descriptor in self._programs.values():
            try:
                bpf.recursion_misses(descriptor)
            except PermissionError:
                raise
            except OSError:
                continue

    def tell(self) -> None:
        """Look, and log each program and event that has missed some, once."""
        counts = self.counts()
        self.total = sum(counts.values())
        for name, count in counts.items():
            if count:
                log.once(log.WARNING, "%s has missed %d events so far: its counts are too low by that" % (name, count), name)


def _read(profile: int) -> bytes:
    """The whole profile: the kernel gives a page of it at most at a time (fs/seq_file.c)."""
    data = part = os.pread(profile, 1 << 16, 0)
    while part:
        part = os.pread(profile, 1 << 16, len(data))
        data += part
    return data


class PluginCharts:
    """state: {"charts": packed, of groups/plugin.py, "hooks": (attached, missing), "full": place of the counter in the group
    apps that counts processes without room}."""

    def __init__(self, state: dict[str, Any], missed: MissedEvents):
        self._charts, self._hooks, self._full = declared.unpack(state["charts"]), state["hooks"], state["full"]
        self._missed = missed

    def read(self) -> None:
        """Look for the first time. Raises OSError if that is not allowed."""
        self._missed.read()
        self._missed.tell()

    def tick(self, now: float, counters: dict[str, Values | None]) -> Sample:
        """Each chart with its values."""
        apps = counters.get("apps")
        values = {"plugin_hooks": self._hooks, "plugin_missed": (self._missed.total,),
                  "plugin_table_full": (None if apps is None else apps[self._full],)}
        return [(chart, values[chart.id]) for chart in self._charts]


def _open_profile() -> int | None:
    try:
        return os.open(tracefs.root() + "/kprobe_profile", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, tracefs.NoTracefs):
        return None
