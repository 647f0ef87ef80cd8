"""The plugin's parts on the running kernel, for the tests: what is attached, what it counts, what the kernel can do."""
import os

from ebpf_plugin import attach, directories, handoff, kernel, tracefs
from ebpf_plugin.btf import BTF, NoBTF
from ebpf_plugin.collector import Collector
from ebpf_plugin.counters import Counters
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.lineup import lineup

COMM = "wl-%d" % os.getpid()


class Attached:
    """The whole of what is loaded for one rung and mode, and what the charts say now."""

    def __init__(self, rung, mode):
        self.rung, self.mode = rung, mode
        self.loaded = handoff.load({
            "groups": [group.name for group in GROUPS], "mode": mode, "rung": rung,
            "bpf": directories.data("bpf"), "test_comm": COMM,
        })
        self.shown = lineup(GROUPS, mode, self.loaded.hooks)
        readers = {group.name: Counters(self.loaded.maps[group.name], len(group.counters)) for group in GROUPS}
        self._collector = Collector(self.shown, readers, 1)

    def values(self):
        """{"chart.dimension": value so far}, of the counting dimensions."""
        ticked = self._collector.tick(0)
        return {
            "%s.%s" % (each.id, line.id): value
            for each, values in zip(self.shown, ticked) for line, value in zip(each.lines, values)
            if line.algorithm == "incremental"
        }

    def rungs(self):
        """{"chart.dimension": rungs of its hooks}"""
        return {"%s.%s" % (each.id, line.id): line.rungs for each in self.shown for line in each.lines}

    def close(self):
        for descriptor in self.loaded.descriptors:
            os.close(descriptor)
        tracefs.remove(self.loaded.events)


def missing_feature(rung):
    """Why this kernel cannot have `rung`, told by something else than our attaching; "" if it should work."""
    if rung == "probe" and not os.path.exists("/sys/bus/event_source/devices/kprobe"):
        return "kernel without kprobes"
    if rung == "trampoline":
        return trampolines_missing()
    return ""


def trampolines_missing():
    """A trampoline for the smallest of programs (return 0) on a function that every kernel has."""
    try:
        number, _ = BTF().function("vfs_read")
        program = kernel.prog_load(attach.PROG_TRACING, "trial", bytes.fromhex("b7000000000000009500000000000000"),
                                   attach.TRACE_FENTRY, number)
        os.close(kernel.raw_tracepoint_open(None, program))
        os.close(program)
    except (NoBTF, OSError) as error:
        return "kernel without trampolines: %s" % error
    return ""
