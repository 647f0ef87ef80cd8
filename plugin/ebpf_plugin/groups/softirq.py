"""Software interrupts. Pairs with bpf/softirq.c."""
from __future__ import annotations

from ..model.chart import Chart, Dimension, Metric
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
            metric=Metric(label="vector"),
            title="Software interrupts handled",
            units="calls/s",
            family="softirq",
            dims=tuple(Dimension(vector, (counter,)) for vector, counter in zip(VECTORS, CALLS)),
            description=(
                "How often the kernel ran the handler of each kind of software interrupt (the tracepoint softirq_exit). "
                "Handlers that run in threads of their own, or by busy polling, are not counted. NET_RX rises with packets "
                "that arrive, BLOCK with disk operations that are done, TIMER, HRTIMER, SCHED and RCU with what is "
                "running."),
        ),
        Chart(
            id="softirq_time",
            metric=Metric(label="vector"),
            title="Time in handlers of software interrupts",
            units="milliseconds/s",
            family="softirq",
            dims=tuple(Dimension(vector, (counter,), divisor=1000000) for vector, counter in zip(VECTORS, TIMES)),
            description=(
                "Time between the tracepoints softirq_entry and softirq_exit, summed over all CPUs: 1000 is one CPU that "
                "does nothing else. Hardware interrupts that arrive meanwhile are included. A vector that stays high takes "
                "its time from programs: for NET_RX, spread the network card's queues over more CPUs."),
        ),
    ) + tuple(
        Chart(
            id="softirq_duration_" + histogram.name,
            metric=Metric("softirq_duration", help="Duration of handlers of software interrupts",
                          sum=("softirq_time", vector)),
            context="ebpf.softirq_duration",
            title="%s software interrupts that ran for so many microseconds or more" % vector,
            units="calls/s",
            family="softirq",
            dims=histogram.dimensions(("vector", vector)),
            description=(
                "How many calls of the handler of %s took how long: a dimension counts calls from its number of "
                "microseconds up to the next dimension's, the last one those of 1024 and more. Hardware interrupts that "
                "arrive meanwhile are included. Calls of milliseconds delay everything else on their CPU." % vector),
        ) for vector, histogram in zip(VECTORS, DURATIONS)
    ),
)
