"""What the plugin says of itself.

No group of the registry: nothing is loaded for it. The values are those of collect/missed_events.py.
"""
from __future__ import annotations

from ..model.chart import Chart, Dimension, Metric, placed
from ..model.group import Group, Switch

HOOKS, MISSED, FULL = "plugin_hooks", "plugin_missed", "plugin_table_full"

PLUGIN = Group(
    name="plugin",
    switch=Switch("plugin"),
    counters=(),
    hooks=(),
    charts=placed(
        21900,
        Chart(
            id=HOOKS,
            metric=Metric(label="state"),
            title="Hooks of ebpf.plugin",
            units="hooks",
            family="Plugin",
            dims=(Dimension("attached", (), algorithm="absolute"), Dimension("missing", (), algorithm="absolute")),
            description=(
                "Kinds of events that the enabled groups can count: those whose BPF programs are attached, and those that "
                "this kernel refuses. What is missing has no charts. A rise of missing after a new kernel means that "
                "functions were renamed or taken away: `ebpf.plugin --check` says which and why."),
        ),
        Chart(
            id=MISSED,
            title="Events that BPF programs have missed",
            units="events/s",
            family="Plugin",
            dims=(Dimension("missed", ()),),
            description=(
                "Events for which the kernel did not run a BPF program, because it was running on the same CPU already or "
                "all instances of a kretprobe were in use. The kernel counts them; the plugin asks every 60 ticks. The "
                "other charts are too low by this number. A few are normal where tracepoints are used on a busy machine."),
        ),
        Chart(
            id=FULL,
            title="Processes that the table of applications has no room for",
            units="processes/s",
            family="Plugin",
            dims=(Dimension("processes", ()),),
            description=(
                "New processes, and processes with a new name, that could not be given an application. What they do is "
                "counted in `other`; charts of the whole machine have it. More processes than the option `pid table size` "
                "says are running: set it higher."),
        ),
    ),
)
