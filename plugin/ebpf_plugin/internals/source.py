"""Reads what the charts of the plugin itself show.

What takes many system calls is read now and then, and sent at every tick as it was then.
"""
from __future__ import annotations

import os
import time

from . import charts
from ..kernel import procfs
from ..kernel.maps import HashMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Protocol

    from ..model.declared import Chart

    Values = tuple[Optional[int], ...]

    class Pulse(Protocol):
        """What ticks: collect/ticker.py."""

        late: float
        took: float

LOOK_TICKS = 60  # between two looks at what takes system calls: together they are as long as a tick
BATCH = 256  # entries of a hash that are counted by one system call
SMAPS = "/proc/self/smaps_rollup"  # 4.14; `status` may be wrong by 64 pages for each CPU (6.2)


class Internals:
    """state: {"hooks": how many by each of METHODS, "refused": how many by each of REASONS, "programs": how many, "maps":
    descriptors of all, "hashes": (name, descriptor, size of a key and of a value in bytes, entries) of hashes, "loading":
    microseconds, "kretprobes": names of these events}

    pulse: the ticker; missed() gives {program or event: events missed so far}; connections: what has rows_in_other(), None
    if there are none.
    """

    def __init__(self, state: dict[str, Any], pulse: Pulse, missed: Callable[[], dict[str, int]], connections: Any = None):
        self._pulse, self._missed, self._connections = pulse, missed, connections
        self._maps: tuple[int, ...] = state["maps"]
        self._kretprobes = frozenset(state["kretprobes"])
        self._hashes = [(HashMap(descriptor, key, "%ds" % value, min(entries, BATCH)), entries)
                        for _, descriptor, key, value, entries in state["hashes"]]
        self._charts = charts.declared([each[0] for each in state["hashes"]], () if connections else ("other_rows",))
        self._smaps = _opened(SMAPS)
        self._ticks = 0
        self._values: dict[str, Values] = {
            "hooks": tuple(state["hooks"]), "hooks_refused": tuple(state["refused"]),
            "objects": (state["programs"], len(self._maps)), "load_time": (state["loading"],)}

    def read(self) -> None:
        """Only read, to try whether that is allowed. Raises OSError."""
        for hash_map, _ in self._hashes:
            hash_map.count()

    def tick(self, _now: float, _counters: object = None) -> list[tuple[Chart, Values]]:
        """All charts."""
        values = self._values
        if self._ticks % LOOK_TICKS == 0:
            values["kernel_memory"] = (procfs.locked_memory(self._maps) or None,)  # 0 where the kernel does not say
            values["map_fill"] = tuple([_fill(*each) for each in self._hashes])
            values["missed_events"] = self._missed_events()
            if self._connections is not None:
                values["other_rows"] = self._connections.rows_in_other()
            values["memory"] = self._memory()
        self._ticks += 1
        pulse = self._pulse
        # the first tick waits for nothing, so it is not measured either
        values["tick"] = (round(pulse.took * 1e6) if self._ticks > 2 else None,
                          round(pulse.late * 1e6) if self._ticks > 1 else None)
        values["cpu"] = (time.process_time_ns() // 1000,)
        return [(chart, values[id]) for id, chart in self._charts.items()]

    def _missed_events(self) -> Values:
        missed = self._missed()
        of_probes = sum([count for name, count in missed.items() if name in self._kretprobes])
        return sum(missed.values()) - of_probes, of_probes

    def _memory(self) -> Values:
        """(resident, anonymous) in bytes."""
        if self._smaps is None:
            return None, None
        fields = {}
        for line in os.pread(self._smaps, 4096, 0).splitlines():
            words = line.split()
            if len(words) == 3 and words[2] == b"kB":
                fields[words[0]] = int(words[1]) * 1024
        return fields.get(b"Rss:"), fields.get(b"Anonymous:")


def _opened(path: str) -> int | None:
    """At once, so that it can be read after privilege is dropped."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _fill(hash_map: HashMap, entries: int) -> int | None:
    """Hundredths of a percent."""
    try:
        return hash_map.count() * 100 * charts.HUNDREDTHS // entries
    except OSError:
        return None
