"""Software interrupts. Pairs with bpf/softirq.c."""
from __future__ import annotations

from ..model.chart import Chart, Dimension
from ..model.group import Group, Hook, Switch, Tracepoint
from ..model.histogram import Histogram
from ..model.table import ARRAY, Table

# softirq_to_name, kernel/softirq.c; the number of a vector is its place
VECTORS = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU")
CALLS = tuple(vector.lower() + "_calls" for vector in VECTORS)
TIMES = tuple(vector.lower() + "_ns" for vector in VECTORS)
DURATIONS = tuple(Histogram(vector.lower(), "us", 12) for vector in VECTORS)  # the last slot is 1024 us and more
COUNTERS = CALLS + TIMES + tuple(counter for histogram in DURATIONS for counter in histogram.counters())

SOFTIRQ = Group(
    name="softirq",
    switch=Switch("softirq", default=False),
    split=False,
    tables=(Table("softirq_begun", ARRAY, "=I", "=Q", "CPUS"),),
    counters=COUNTERS,
    hooks=(
        # No function stands for it: handle_softirqs() runs the handlers of several vectors in one call.
        Hook(
            name="softirq",
            counters=COUNTERS,
            tracepoints=(Tracepoint("softirq_exit_raw", ("softirq_exit",), raw=True),
                         Tracepoint("softirq_entry_raw", ("softirq_entry",), raw=True)),
        ),
    ),
    charts=(
        Chart(
            id="softirq_calls",
            title="Software interrupts handled",
            units="calls/s",
            family="softirq",
            dims=tuple(Dimension(vector, (counter,)) for vector, counter in zip(VECTORS, CALLS)),
        ),
        Chart(
            id="softirq_time",
            title="Time in handlers of software interrupts",
            units="milliseconds/s",
            family="softirq",
            dims=tuple(Dimension(vector, (counter,), divisor=1000000) for vector, counter in zip(VECTORS, TIMES)),
        ),
    ) + tuple(
        Chart(
            id="softirq_duration_" + histogram.name,
            title="%s software interrupts that ran for so many microseconds or more" % vector,
            units="calls/s",
            family="softirq",
            dims=histogram.dimensions(),
        ) for vector, histogram in zip(VECTORS, DURATIONS)
    ),
)
