"""Charts as groups declare them: frozen data."""
from __future__ import annotations

from typing import NamedTuple

ENTRY, RETURN = MODES = ("entry", "return")


class Dimension(NamedTuple):
    """A dimension: `id` is shown as it is. `plus` and `minus` are counters whose sums make the value.

    It is declared if every hook that writes them is attached. What is shown is its value times `multiplier` by `divisor`.
    """

    id: str
    plus: tuple[str, ...]
    minus: tuple[str, ...] = ()
    algorithm: str = "incremental"
    multiplier: int = 1
    divisor: int = 1


class Chart(NamedTuple):
    """A chart of type `ebpf`. `units` are per second where the dimensions are incremental.

    An `absolute` dimension is sent as its change since the tick before, so it needs two ticks on time. `priority` is the
    place in the dashboard, lower numbers first; 0 means behind all charts that have one, in the registry's order.
    """

    id: str
    title: str
    units: str
    family: str
    dims: tuple[Dimension, ...]
    priority: int = 0
    modes: tuple[str, ...] = MODES


def per_application(chart: str, title: str, units: str, priority: int, counters: tuple[str, ...],
                    family: str = "ebpf syscall", modes: tuple[str, ...] = MODES) -> Chart:
    """A chart for Group.apps: of each application the sum of `counters`. The other arguments are those of Chart."""
    return Chart(id=chart, title=title, units=units, family=family, priority=priority, modes=modes,
                 dims=(Dimension("application", counters),))
