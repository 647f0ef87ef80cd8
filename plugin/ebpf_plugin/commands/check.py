"""--check: what this kernel offers for each hook, and whether every enabled group can run."""
from __future__ import annotations

import os
from typing import Iterator, Sequence

from ..config.options import NO_PROGRAMS
from ..config.settings import Settings
from ..kernel import procfs, refusals, tracefs
from ..kernel.btf import BTF_PATH
from ..load.loader import Loaded
from ..model.group import Group
from ..model.select import select_charts
from ..outputs import netdata


def report(groups: Sequence[Group], wanted: Settings, loaded: Loaded) -> int:
    """Print it; the exit status is 0 if every enabled group has a chart to show."""
    netdata.write("\n".join(_lines(groups, wanted, loaded)) + "\n")
    alive = {chart.group for chart in select_charts(groups, wanted.mode, loaded.hooks)}
    # what has no charts of its own has to be there as a whole
    alive.update(group.name for group in groups if not group.charts and group.name in loaded.hooks
                 and all(hook.method for hook in loaded.hooks[group.name].values()))
    return 0 if alive == {group.name for group in groups} else 1


def _lines(groups: Sequence[Group], wanted: Settings, loaded: Loaded) -> Iterator[str]:
    yield from _machine()
    for group in groups:
        yield ""
        yield "%s, load mode %s" % (group.name, wanted.mode)
        if group.name in loaded.broken:
            yield "  not loaded: " + loaded.broken[group.name]
        for name, hook in loaded.hooks.get(group.name, {}).items():
            yield "  %-12s %-11s %s" % (name, hook.method or "NOT SHOWN", ", ".join(hook.where))
            for method, why in hook.failed:
                yield "  %-12s   not %s: %s" % ("", method, why)
    yield ""
    yield "programs: " + loaded.origin
    if loaded.memory:
        yield "tables in the kernel: %d kB" % (loaded.memory // 1024)
    if wanted.program_statistics == NO_PROGRAMS:
        yield "charts of what BPF programs cost: off ([global] program statistics)"
    else:
        yield "charts of what BPF programs cost: %s" % wanted.program_statistics
    shown = {(chart.id, dimension.id) for chart in select_charts(groups, wanted.mode, loaded.hooks)
             for dimension in chart.dimensions}
    for group in groups:
        for chart in group.charts:
            missing = [dim.id for dim in chart.dims if wanted.mode in chart.modes and (chart.id, dim.id) not in shown]
            if missing:
                yield "chart %s is shown without %s" % (chart.id, ", ".join(missing))


def _machine() -> Iterator[str]:
    yield "kernel %s on %s" % (os.uname().release, os.uname().machine)
    yield "BTF       %s" % (BTF_PATH if os.path.exists(BTF_PATH) else "no (CONFIG_DEBUG_INFO_BTF): no trampolines")
    yield "kprobes   %s" % ("yes" if refusals.has_kprobes() else "no (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)")
    try:
        yield "tracefs   %s" % tracefs.root()
    except tracefs.NoTracefs as error:
        yield "tracefs   no: %s" % error
    yield "lockdown  %s" % (procfs.read("/sys/kernel/security/lockdown").strip() or "not in this kernel")
    yield "denied    %s" % (refusals.denied() or "nothing known")
