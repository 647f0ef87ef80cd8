"""Histograms: how often a value was how large, as counters of a group, and as the dimensions of a chart."""
from __future__ import annotations

from typing import NamedTuple

from .chart import Dimension


NANOSECONDS = {"ns": 1, "us": 1000, "ms": 1000000}


class Histogram(NamedTuple):
    """Of whole numbers, by their power of two: slot 0 counts zeros, slot n values from 2**(n-1) to 2**n - 1, and the last
    one all that are larger. bpf/histogram.h finds the slot.

    name: what the names of its counters begin with; unit: of the values, one of NANOSECONDS; slots: how many.
    """

    name: str
    unit: str
    slots: int

    def counters(self) -> tuple[str, ...]:
        """The names of its counters, in the order of the slots."""
        return tuple("%s_%s_%d" % (self.name, self.unit, slot) for slot in range(self.slots))

    def lower_bounds(self) -> tuple[int, ...]:
        """The least value of each slot."""
        return (0,) + tuple(1 << slot for slot in range(self.slots - 1))

    def upper_bounds(self) -> tuple[str, ...]:
        """The largest value of each slot in seconds, for the label `le`. Values are whole nanoseconds, which programs divide
        by the unit without the remainder: of 2 us and more the largest is 3.999 us, of the last slot there is none."""
        unit = NANOSECONDS[self.unit]
        return tuple(repr(((1 << slot) * unit - 1) / 1e9) for slot in range(self.slots - 1)) + ("+Inf",)

    def dimensions(self, *labels: tuple[str, str]) -> tuple[Dimension, ...]:
        """One for each slot; its id is the slot's least value. `labels`: those of all slots."""
        return tuple(Dimension("%s_%d" % (self.unit, bound), (counter,), labels=labels + (("le", le),))
                     for bound, counter, le in zip(self.lower_bounds(), self.counters(), self.upper_bounds()))
