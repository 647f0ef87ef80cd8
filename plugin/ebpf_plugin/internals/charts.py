"""The charts of the plugin itself, as they are declared. Netdata's own plugins have theirs under the type `netdata`, too."""
from __future__ import annotations

from ..model.declared import Chart, Dimension

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

TYPE, FAMILY, GROUP = "netdata", "ebpf", "internals"
FIRST = 140000  # where Netdata's own plugin has them
REASONS = ("missing", "denied", "rejected", "other")  # why a hook is not attached; kernel/refusals.py
METHODS = ("trampoline", "probe", "tracepoint")
HUNDREDTHS, THOUSANDTHS = 100, 1000

# id, title, units, (dimensions), algorithm, divisor; where no dimensions stand, they are what the machine has; the name of
# the metric (model.chart.Metric) and of the label that has the dimension, if they are not metrics of another chart already
CHARTS = (
    ("hooks", "Hooks by attach method", "hooks", METHODS, "absolute", 1, "", ""),
    ("hooks_refused", "Hooks that are not attached, by reason", "hooks", REASONS, "absolute", 1,
     "plugin_refused_hooks", "reason"),
    ("objects", "BPF programs and maps of the plugin", "objects", ("programs", "maps"), "absolute", 1,
     "plugin_bpf_objects", "kind"),
    ("kernel_memory", "Memory of BPF maps in the kernel", "bytes", ("memory_locked",), "absolute", 1,
     "plugin_map_memory", ""),
    ("map_fill", "Hash maps: entries in use", "percentage", (), "absolute", HUNDREDTHS, "plugin_map_fill", "map"),
    ("missed_events", "Events that the kernel could not give to a program", "events/s", ("programs", "kretprobes"),
     "incremental", 1, "", ""),
    ("other_rows", "Connections that are counted in the dimension other", "rows", ("outbound", "inbound"), "absolute", 1,
     "plugin_other_rows", "direction"),
    ("tick", "Time of a tick, and how late it began", "milliseconds", ("duration", "lateness"), "absolute", THOUSANDTHS,
     "plugin_last_tick", "time"),
    ("cpu", "Processor time of the collector", "milliseconds/s", ("used",), "incremental", THOUSANDTHS, "plugin_cpu", ""),
    ("memory", "Memory of the collector", "bytes", ("resident", "anonymous"), "absolute", 1, "plugin_memory", "kind"),
    ("load_time", "Time to load and attach the BPF programs", "milliseconds", ("loading",), "absolute", THOUSANDTHS,
     "plugin_load", ""),
)


def declared(fill: Iterable[str], without: Iterable[str] = ()) -> dict[str, Chart]:
    """{id: Chart}, but for those in `without`; `fill` are the names of the maps in map_fill."""
    found = {}
    for place, (id, title, units, dimensions, algorithm, divisor, metric, label) in enumerate(CHARTS):
        names = dimensions or tuple(fill)
        if names and id not in without:
            found[id] = Chart(GROUP, "ebpf_" + id, title, units, FAMILY, FIRST + place, tuple(
                [Dimension(name, algorithm, divisor=divisor, labels=((label, name),) if label else ()) for name in names]),
                type=TYPE, metric=(metric, "", "", ()) if metric else ())
    return found
