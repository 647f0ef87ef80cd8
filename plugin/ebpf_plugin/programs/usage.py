"""What programs have used since the last look: the numbers of `ebpf.plugin programs`."""
from __future__ import annotations

from . import objects, places
from .names import Names
from ..kernel import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from .objects import Program

OURS = "ebpf.plugin"  # the name of our processes
LOOK_AGAIN = 10  # looks after which holders, links and pins are looked for again though no program has come or gone


class Usage:
    """A program and what it has used in an interval.

    name: whole, if its BTF has it; interval: ns from one look to the next, measured; ran, used (ns): in it; memory: bytes
    of its maps, each of which may be another program's as well; attached, holders, pins: as Places has them.
    """

    __slots__ = ("program", "name", "interval", "ran", "used", "cpus", "memory", "attached", "holders", "pins", "now")

    def __init__(self, program: Program, before: tuple[int, int, int] | None, cpus: int):
        """`before`: when, runs and run_time of the look before; None if there was none."""
        self.now = (program.at, program.runs, program.run_time)
        at, runs, run_time = before or self.now
        self.program, self.name, self.cpus = program, program.name, cpus
        self.interval, self.ran, self.used = program.at - at, program.runs - runs, program.run_time - run_time
        self.memory = 0
        self.attached: list[str] = []
        self.holders: dict[int, str] = {}
        self.pins: list[str] = []

    @property
    def of_a_cpu(self) -> float:
        """Percent of the time of one CPU."""
        return 100 * self.used / self.interval if self.interval > 0 else 0.0

    @property
    def of_the_machine(self) -> float:
        """Percent of the time of all CPUs that are online."""
        return self.of_a_cpu / self.cpus

    @property
    def rate(self) -> float:
        """Runs per second."""
        return 1e9 * self.ran / self.interval if self.interval > 0 else 0.0

    @property
    def average(self) -> float | None:
        """Nanoseconds of a run in the interval, None if there was none."""
        return self.used / self.ran if self.ran else None

    @property
    def is_ours(self) -> bool:
        """Whether a process of the plugin holds it."""
        return OURS in self.holders.values()


# what programs may be sorted by: numbers with the largest first, then what is looked up
SORTS: dict[str, Callable[[Usage], float | str]] = {
    "overhead": lambda usage: -usage.of_a_cpu,
    "rate": lambda usage: -usage.rate,
    "average": lambda usage: -(usage.average or 0),
    "total": lambda usage: -usage.program.runs,
    "time": lambda usage: -usage.program.run_time,
    "memory": lambda usage: -usage.memory,
    "id": lambda usage: usage.program.id,
    "type": lambda usage: usage.program.type,
    "name": lambda usage: usage.name,
}


class Looker:
    """Looks at all programs again and again."""

    def __init__(self) -> None:
        self._names = Names()
        self._before: dict[int, tuple[int, int, int]] | None = None  # by id: when, runs, time
        self._then = 0
        self._places = places.Places()
        self._looks = 0
        self._known: dict[int, tuple[str, tuple[int, ...]]] = {}  # by id: the whole name, the maps

    def look(self) -> list[Usage]:
        """The programs that are there, in the order of their ids. Raises OSError where the kernel gives none.

        At the first look nobody knows what they have used, and it is all 0. A program that has come since began with
        nothing.
        """
        cpus = procfs.online_cpus()
        found = []
        for program in objects.programs():
            before = None if self._before is None else self._before.get(program.id, (self._then, 0, 0))
            found.append(Usage(program, before, cpus))
        have_changed = self._before is None or {usage.program.id for usage in found} != set(self._before)
        self._before = {usage.program.id: usage.now for usage in found}
        self._then = max((at for at, _, _ in self._before.values()), default=self._then)
        if have_changed or self._looks % LOOK_AGAIN == 0:
            self._places = places.find(self._names, [usage.program for usage in found])
            self._known = {number: known for number, known in self._known.items() if number in self._before}
        self._looks += 1
        self._describe(found)
        return found

    def _describe(self, usages: list[Usage]) -> None:
        memory: dict[int, int] = {}  # each map is asked for once
        for usage in usages:
            number = usage.program.id
            if number not in self._known:
                self._known[number] = self._describe_program(usage.program)
            usage.name, maps = self._known[number]
            for each in maps:
                if each not in memory:
                    memory[each] = objects.map_memory(each)
            usage.memory = sum(memory[each] for each in maps)
            usage.attached = self._places.attached.get(number, [])
            usage.holders = self._places.holders.get(number, {})
            usage.pins = self._places.pins.get(number, [])

    def _describe_program(self, program: Program) -> tuple[str, tuple[int, ...]]:
        known = objects.with_descriptor(objects.BPF_PROG_GET_FD_BY_ID, program.id,
                                        lambda opened: objects.maps_and_function(opened, program))
        maps, function = known or ((), 0)
        return self._names.of_program(program, function), maps
