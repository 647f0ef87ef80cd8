"""Histograms: how often a value was how large, as counters of a group, and as the dimensions of a chart."""
from __future__ import annotations

from typing import NamedTuple

from .chart import Dimension


class Histogram(NamedTuple):
    """Of whole numbers, by their power of two: slot 0 counts zeros, slot n values from 2**(n-1) to 2**n - 1, and the last
    one all that are larger. bpf/histogram.h finds the slot.

    name: what the names of its counters begin with; unit: of the values, a word that ids can have ("us"); slots: how many.
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

    def dimensions(self) -> tuple[Dimension, ...]:
        """One for each slot; its id is the slot's least value."""
        return tuple(Dimension("%s_%d" % (self.unit, bound), (counter,))
                     for bound, counter in zip(self.lower_bounds(), self.counters()))
