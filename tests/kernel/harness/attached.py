"""The programs of some groups, attached on the running kernel, and their counters; and what this kernel supports."""
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
DEFAULT_GROUPS = tuple(group for group in GROUPS if group.switch.default)
# their events are of the process that makes them, so they can be limited to one process name
GROUPS_BY_COMM = tuple(group for group in DEFAULT_GROUPS if group not in (NETWORK, APPS))
NO_FILTERS = {"ports": None, "networks": None}  # of connections
STOCK_KERNEL = "EBPF_PLUGIN_GUEST" in os.environ  # a virtual machine of our own, with a distribution's kernel


def method_param(method, value):
    """`value` as a parameter. In `make test` tracepoints are tested on the machine itself, and not once more in a guest."""
    return pytest.param(value, marks=[pytest.mark.releases] if method == "tracepoint" else [])


EACH_METHOD = [method_param(method, method) for method in ATTACH_METHODS]
EACH_METHOD_AND_MODE = [method_param(method, "%s-%s" % (method, mode)) for method in ATTACH_METHODS for mode in MODES]


def load(groups, mode, method, test, sizes=None, filters=None):
    """The loader's Loaded for these groups, in this process."""
    settings = ebpf_conf.load([])[0]._replace(mode=mode, method=method, groups=tuple(group.name for group in groups))
    viewer = SimpleNamespace(**(filters or NO_FILTERS))
    return loader.load(Plan(settings, tuple(groups), sizes or {}, viewer, None, ""), test)


def counters_of(loaded, group, row_set):
    """The reader of a group's counters."""
    rows = loaded.values["APP_ROWS"] + loaded.values["CGROUPS"] if group.split else 1
    return Counters(loaded.maps[group.name], len(group.counters), rows, row_set)


def methods_of(charts):
    """{"chart.dimension": attach methods of its hooks}"""
    return {"%s.%s" % (chart.id, dimension.id): dimension.methods for chart in charts for dimension in chart.dimensions}


class Attached:
    """The programs of `groups`, attached by one method in one load mode, and the values of their charts.

    `only` is {"comm": name of a process} or {"netns": number of a network namespace}: no other events count.
    """

    def __init__(self, method, mode, groups=GROUPS_BY_COMM, only=None, sizes=None, filters=None):
        self.method, self.mode, self.groups = method, mode, groups
        self.loaded = load(groups, mode, method, only or {"comm": COMM}, sizes, filters)
        self.charts = select_charts(groups, mode, self.loaded.hooks)
        self.readers = {group.name: counters_of(self.loaded, group, RowSet()) for group in groups}
        self._collector = Collector(self.charts, self.readers, 1)

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
        return methods_of(self.charts)

    def close(self):
        for descriptor in self.loaded.descriptors:
            os.close(descriptor)
        tracefs.remove(self.loaded.events)
        self.readers = self._collector = None  # as long as counters are mapped, their maps stay


def skip_without_method(method):
    """Skip the test on a kernel without this attach method."""
    skip_if_missing(missing_feature(method))


def skip_if_missing(missing):
    """Skip the test for the reason `missing`, if there is one (not ""). On a stock kernel nothing may be missing."""
    if missing:
        assert not STOCK_KERNEL, missing
        pytest.skip(missing)


def missing_feature(method):
    """Why this kernel does not have the attach method, found without the plugin's own attaching; "" if it has."""
    missing = ""
    if method == "probe" and not os.path.exists("/sys/bus/event_source/devices/kprobe"):
        missing = "kernel without kprobes"
    if method == "trampoline":
        missing = trampolines_missing()
    if STOCK_KERNEL:
        assert missing == ""
    return missing


def trampolines_missing():
    """Why a trampoline for the smallest program (return 0) on vfs_read cannot be attached; "" if it can."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        # before 5.11 programs are charged to it, with those that other tests have just closed; containers may not raise it
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
