#!/usr/bin/python3
"""Writes the parts of the documents that the code knows: between `<!-- generated: NAME -->` and `<!-- end -->`.

`docs.py` writes them, `docs.py --check` says which are not as they should be (`make docs`; tests/unit/tools/test_docs.py).
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "plugin"))

from ebpf_plugin.collect import cgroups, connections  # noqa: E402
from ebpf_plugin.config import ebpf_conf  # noqa: E402
from ebpf_plugin.config.options import OPTIONS, Text  # noqa: E402
from ebpf_plugin.config.settings import GROUP_NAMES  # noqa: E402
from ebpf_plugin.groups import GROUPS  # noqa: E402
from ebpf_plugin.groups.rows import MAX_APPS  # noqa: E402
from ebpf_plugin.kernel.tracefs import MAXACTIVE  # noqa: E402
from ebpf_plugin.model.chart import MODES  # noqa: E402

DOCUMENTS = ("README.md", "packaging/docs/charts.md", "packaging/docs/configuration.md", "packaging/docs/limits.md")
PART = re.compile(r"(?s)(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)")
HISTOGRAM = "softirq_duration_"  # charts of one kind are one row


def table(head, rows):
    """Lines of a table in Markdown."""
    return "".join("| %s |\n" % " | ".join(cells) for cells in [head, ["---"] * len(head), *rows])


def modes_of(chart):
    return "both" if set(chart.modes) == set(MODES) else chart.modes[0]


def charts():
    """One row for each chart of the machine."""
    rows, seen = [], False
    for group in GROUPS:
        for chart in group.charts:
            name = chart.id
            if name.startswith(HISTOGRAM):
                if seen:
                    continue
                name, seen = HISTOGRAM + "VECTOR", True
            rows.append([group.name, name, chart.title.replace("HI ", ""), chart.units,
                         ", ".join(dim.id for dim in chart.dims), modes_of(chart)])
    for id_, title, units, _, _, measures in connections.CHARTS:
        dims = ", ".join("CONNECTION" + end for _, end, _ in measures)
        rows.append(["network", id_, title, units, dims, "both"])
    return table(["group", "chart `ebpf.`", "what", "unit", "dimensions", "load mode"], rows)


def summary():
    """One row for each group."""
    rows = []
    for group in GROUPS:
        ids = [chart.id for chart in group.charts if not chart.id.startswith(HISTOGRAM)]
        if any(chart.id.startswith(HISTOGRAM) for chart in group.charts):
            ids.append(HISTOGRAM + "…")
        if group.name == "network":
            ids += [chart[0] for chart in connections.CHARTS]
        if ids:
            switch = group.switch
            state = "" if switch.default else " (off by default)"
            rows.append(["%s%s" % (group.name, state), ", ".join(ids), "%d" % len(group.apps) if group.apps else "-"])
    return table(["group", "charts of the machine", "charts of each application"], rows)


def applications():
    """One row for each chart of applications."""
    return table(["group", "chart `apps.`", "what", "unit", "load mode"], [
        [group.name, chart.id, chart.title, chart.units, modes_of(chart)] for group in GROUPS for chart in group.apps])


def hooks():
    """How many hooks each group has in each mode."""
    return table(["group", "hooks in load mode entry", "in load mode return"], [
        [group.name, *(str(sum(mode in hook.modes for hook in group.hooks)) for mode in MODES)] for group in GROUPS])


def options():
    """Every option with its default."""
    defaults = ebpf_conf.load([])[0]
    rows = []
    for option in OPTIONS:
        value = option.field in defaults.groups if option.field in GROUP_NAMES else getattr(defaults, option.field)
        value = value.text if isinstance(value, Text) else value
        value = ("yes" if value else "no") if isinstance(value, bool) else value
        older = ", ".join("`%s`" % key for key, _ in option.also)
        rows.append(["`[%s]`" % option.section, "`%s`" % option.key, "`%s`" % value, older])
    return table(["section", "option", "default", "older spelling"], rows)


def limits():
    """Numbers that stand in the code."""
    of = {option.field: option.default for option in OPTIONS}
    flows = next(each for group in GROUPS for each in group.tables if each.name == "flows")
    return table(["what", "at most", "what happens beyond"], [
        ["connections that are shown in each direction", "%d (`maximum dimensions`)" % of["dimensions"], "`other`"],
        ["connections that the kernel keeps", "%d, and %d for each CPU" % (flows.entries, flows.per_cpu),
         "the oldest make room; totals stay exact"],
        ["processes that are told apart", "%d (`pid table size`)" % of["processes"], "`other`, and one line on stderr"],
        ["applications", "%d" % MAX_APPS, "a message at the start"],
        ["units and containers at a time", "%d" % (cgroups.ROWS - 1), "`other`, and one line on stderr"],
        ["control groups, those below units included", "%d" % cgroups.KNOWN, "`other`, and one line on stderr"],
        ["tasks inside one function with a kretprobe", "%d" % MAXACTIVE, "the kernel counts what it misses; one line on stderr"],
    ])


PARTS = {"charts": charts, "summary": summary, "applications": applications, "hooks": hooks, "options": options,
         "limits": limits}


def written(text):
    """The text of a document with its generated parts as they should be."""
    return PART.sub(lambda part: part.group(1) + PARTS[part.group(2)]() + part.group(3), text)


def main():
    stale = []
    for name in DOCUMENTS:
        path = os.path.join(ROOT, name)
        with open(path, encoding="utf-8") as file:
            before = file.read()
        after = written(before)
        if after != before:
            stale.append(name)
            if "--check" not in sys.argv:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(after)
    if "--check" in sys.argv and stale:
        print("not as the code has it: %s; run `make docs`" % ", ".join(stale))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
