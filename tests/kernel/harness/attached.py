"""The plugin's parts on the running kernel, for the tests: what is attached, what it counts, what the kernel can do."""
import contextlib
import os
import resource
from types import SimpleNamespace

import pytest

from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.collect.rows import Counters, RowSet
from ebpf_plugin.config import ebpf_conf
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.apps import APPS
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.kernel import bpf, tracefs
from ebpf_plugin.kernel.btf import BTF, NoBTF
from ebpf_plugin.load import attach, loader
from ebpf_plugin.load.plan import Plan
from ebpf_plugin.model.chart import MODES
from ebpf_plugin.model.group import ATTACH_METHODS
from ebpf_plugin.model.select import select_charts

COMM = "wl-%d" % os.getpid()
OF_PROCESSES = tuple(group for group in GROUPS if group not in (NETWORK, APPS))  # what a process name selects
EVERYTHING = {"ports": None, "networks": None}  # what the filters of connections let through
STOCK_KERNEL = "EBPF_PLUGIN_GUEST" in os.environ  # a virtual machine of our own, with a distribution's kernel


def of_method(method, value):
    """`value` as a parameter. Tracepoints the machine itself has: in `make test` it is on them, and guests on the rest."""
    return pytest.param(value, marks=[pytest.mark.releases] if method == "tracepoint" else [])


EACH_RUNG = [of_method(method, method) for method in ATTACH_METHODS]
EACH_RUNG_AND_MODE = [of_method(method, "%s-%s" % (method, mode)) for method in ATTACH_METHODS for mode in MODES]


def load(groups, mode, method, test, sizes=None, filters=None):
    """The loader's Loaded for these groups, in this process."""
    settings = ebpf_conf.load([])[0]._replace(mode=mode, method=method, groups=tuple(group.name for group in groups))
    viewer = SimpleNamespace(**(filters or EVERYTHING))
    return loader.load(Plan(settings, tuple(groups), sizes or {}, viewer, None, ""), test)


def counters_of(loaded, group, row_set):
    """The reader of a group's counters."""
    rows = loaded.values["APP_ROWS"] + loaded.values["CGROUPS"] if group.split else 1
    return Counters(loaded.maps[group.name], len(group.counters), rows, row_set)


def methods_of(charts):
    """{"chart.dimension": attach methods of its hooks}"""
    return {"%s.%s" % (chart.id, dimension.id): dimension.methods for chart in charts for dimension in chart.dimensions}


class Attached:
    """The whole of what is loaded for one attach method and mode, and what the charts say now.

    `only` is {"comm": name of a process} or {"netns": number of a network namespace}: nobody else's events count.
    """

    def __init__(self, method, mode, groups=OF_PROCESSES, only=None, sizes=None, filters=None):
        self.method, self.mode, self.groups = method, mode, groups
        self.loaded = load(groups, mode, method, only or {"comm": COMM}, sizes, filters)
        self.shown = select_charts(groups, mode, self.loaded.hooks)
        self.readers = {group.name: counters_of(self.loaded, group, RowSet()) for group in groups}
        self._collector = Collector(self.shown, self.readers, 1)

    def values(self):
        """{"chart.dimension": value so far}, of the counting dimensions."""
        ticked = self._collector.tick(0)
        return {
            "%s.%s" % (each.id, dimension.id): value
            for each, values in ticked for dimension, value in zip(each.dimensions, values)
            if dimension.algorithm == "incremental"
        }

    def methods(self):
        """{"chart.dimension": attach methods of its hooks}"""
        return methods_of(self.shown)

    def close(self):
        for descriptor in self.loaded.descriptors:
            os.close(descriptor)
        tracefs.remove(self.loaded.events)
        self.readers = self._collector = None  # as long as counters are mapped, their maps stay


def skip_without(method):
    """Skip the test on a kernel that cannot have `method`."""
    skip_for(missing_feature(method))


def skip_for(missing):
    """Skip the test if something is `missing` ("" if not), which it may not be on a stock kernel."""
    if missing:
        assert not STOCK_KERNEL, missing
        pytest.skip(missing)


def missing_feature(method):
    """Why this kernel cannot have `method`, told by something else than our attaching; "" if it should work."""
    missing = ""
    if method == "probe" and not os.path.exists("/sys/bus/event_source/devices/kprobe"):
        missing = "kernel without kprobes"
    if method == "trampoline":
        missing = trampolines_missing()
    assert not (missing and STOCK_KERNEL), missing
    return missing


def trampolines_missing():
    """A trampoline for the smallest of programs (return 0) on a function that every kernel has."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        # what programs are charged to before 5.11, together with what other tests have just left; containers may not
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        number, _ = BTF().function("vfs_read")
        program = bpf.prog_load(attach.PROG_TRACING, "trial", bytes.fromhex("b7000000000000009500000000000000"),
                                attach.TRACE_FENTRY, number)
        os.close(bpf.raw_tracepoint_open(None, program))
        os.close(program)
    except (NoBTF, OSError) as error:
        return "kernel without trampolines: %s" % error
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)
    return ""


class Releases:
    """What ftrace sees of our processes' sched_process_free, beside the BPF program on the same tracepoint.

    There are kernels that do not run BPF programs on top of some tasks. RCU callbacks run on top of any task, so there a few
    releases are missed. Seen on a 6.18 of a cloud's own making, 1 in 1000; on Debian's 5.10 to 7.2, none of 10,007.
    """

    def __init__(self, attached):
        self._used = "tracepoint" in attached["exit.task"] and not STOCK_KERNEL
        self._path = "/sys/kernel/tracing/instances/%s" % COMM

    def __enter__(self):
        if self._used:
            os.makedirs(self._path, exist_ok=True)
            self._write("buffer_size_kb", "4096")
            self._write("events/sched/sched_process_free/filter", 'comm == "%s"' % COMM)
            self._write("events/sched/sched_process_free/enable", "1")
        return self

    def __exit__(self, *_):
        if self._used:
            self._write("events/sched/sched_process_free/enable", "0")
            os.rmdir(self._path)

    def skip_if_not_told(self, counted, expected):
        """Skip the test if the kernel made `expected` releases and ran the program only for `counted`."""
        if self._used and counted < expected:
            with open(self._path + "/trace", encoding="ascii", errors="replace") as trace:
                seen = sum("sched_process_free:" in line for line in trace)
            if seen == expected:
                pytest.skip("a kernel that runs BPF programs on top of every task (%d of %d releases)" % (counted, expected))

    def _write(self, name, text):
        with open(self._path + "/" + name, "w", encoding="ascii") as file:
            file.write(text)
