#!/usr/bin/python3
"""Writes the parts of the documents that the code knows.

They stand between `<!-- generated: NAME -->` and `<!-- end -->`, in the manual page between `.\\" generated: NAME` and
`.\\" end`. `docs.py` (`make docs`) writes them; `docs.py --check` prints the documents and parts that are stale.
tests/unit/tools/test_docs.py fails for the same ones. packaging/metadata.yaml and
packaging/ebpf_dashboard_info.js are written as a whole (metadata.py).
"""
import importlib
import os
import re
import sys
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "plugin"), os.path.join(ROOT, "tools")]

import metadata  # noqa: E402
from charts_of_metrics import charts_of_metrics  # noqa: E402

from ebpf_plugin.collect import cgroups  # noqa: E402
from ebpf_plugin.commands.charts import APPLICATION, CONNECTION, MACHINE, listed  # noqa: E402
from ebpf_plugin.config import ebpf_conf  # noqa: E402
from ebpf_plugin.config.options import OPTIONS, Invalid, Text, boolean  # noqa: E402
from ebpf_plugin.config.settings import GROUP_NAMES  # noqa: E402
from ebpf_plugin.groups import GROUPS  # noqa: E402
from ebpf_plugin.groups.rows import MAX_APPS  # noqa: E402
from ebpf_plugin.internals.charts import CHARTS as INTERNALS, declared as declared_internals  # noqa: E402
from ebpf_plugin.kernel.tracefs import MAXACTIVE  # noqa: E402
from ebpf_plugin.model import metric  # noqa: E402
from ebpf_plugin.model.chart import MODES  # noqa: E402
from ebpf_plugin.outputs.tfo_metrics import METRICS  # noqa: E402

DOCUMENTS = ("README.md", "packaging/docs/charts.md", "packaging/docs/configuration.md", "packaging/docs/limits.md",
             "packaging/docs/metrics.md",
             "packaging/ebpf.plugin.1")
PART = re.compile(r"""(?s)((?:<!-- |\.\\" )generated: ([\w-]+)(?: -->)?\n).*?((?:<!-- |\.\\" )end)""")
METADATA = "packaging/metadata.yaml"
DASHBOARD = "packaging/ebpf_dashboard_info.js"
STOCK = os.path.join(ROOT, "conf.d", "ebpf.conf")
WIDTH = 125


def table(head, rows):
    """Lines of a table in Markdown."""
    return "".join("| %s |\n" % " | ".join(cells) for cells in [head, ["---"] * len(head), *rows])


def modes_of(chart):
    return "both" if set(chart.modes) == set(MODES) else chart.modes[0]


def signed(dimension, multiplier):
    return dimension + (" (negative)" if multiplier < 0 else "")


def charts():
    """One row for each chart of the machine and of connections."""
    return table(["group", "chart `ebpf.`", "context", "what", "unit", "dimensions", "load mode"], [
        [each.group.name, each.chart.id, "`%s`" % each.context, each.chart.title, each.chart.units,
         ", ".join(signed(*dimension) for dimension in each.dimensions), modes_of(each.chart)]
        for scope in (MACHINE, CONNECTION) for each in listed() if each.scope == scope])


def about(scope):
    """A paragraph for each chart of a scope."""
    return "".join(
        textwrap.fill("- `%s`: %s" % (each.chart.id, each.chart.description), WIDTH, subsequent_indent="  ",
                      break_on_hyphens=False, break_long_words=False) + "\n" for each in listed() if each.scope == scope)


def summary():
    """One row for each group; what it counts is the first sentence of its module."""
    rows = []
    for group in GROUPS:
        ids = [each.chart.id.replace("VECTOR", "…") for each in listed()
               if each.group is group and each.scope != APPLICATION]
        if ids:
            what = importlib.import_module("ebpf_plugin.groups." + group.name).__doc__.split(".")[0]
            state = "" if group.switch.default else " (off by default)"
            rows.append([group.name + state, what, ", ".join(ids), "%d charts" % len(group.apps) if group.apps else "-"])
    return table(["group", "what it counts", "charts of the whole machine", "for each application"], rows)


def applications():
    """One row for each chart of applications."""
    return table(["group", "chart `apps.`", "context", "what", "unit", "load mode"], [
        [each.group.name, each.chart.id, "`%s`" % each.context, each.chart.title, each.chart.units, modes_of(each.chart)]
        for each in listed() if each.scope == APPLICATION])


def internals():
    """One row for each chart of the plugin itself."""
    metrics = {chart.id: metric.family(chart).name for chart in declared_internals(["map"]).values() if chart.metric}
    return table(["chart `netdata.`", "what", "unit", "dimensions", "metric"], [
        ["ebpf_" + id_, title, units, ", ".join(dimensions) or "maps by their names",
         "`%s`" % metrics["ebpf_" + id_] if "ebpf_" + id_ in metrics else "-"]
        for id_, title, units, dimensions, *_ in INTERNALS])


def hooks():
    """How many hooks each group has in each mode."""
    return table(["group", "hooks in load mode entry", "in load mode return"], [
        [group.name, *(str(sum(mode in hook.modes for hook in group.hooks)) for mode in MODES)] for group in GROUPS])


def descriptions():
    """{(section, key): what the comment in conf.d/ebpf.conf says of the option}"""
    with open(STOCK, encoding="utf-8") as file:
        lines = file.read().splitlines()
    found, section, comment = {}, "", []
    for line in lines:
        header, option = re.fullmatch(r"\[(.*)\]", line), re.fullmatch(r"    # ([a-z -]+) =(?: .*)?", line)
        if header:
            section = header.group(1)
        if option:
            found[section, option.group(1)] = " ".join(comment)
        comment = comment + [line.strip(" #")] if line.startswith("    #") and not option else []
    return found


def undescribed():
    """The options without a comment in conf.d/ebpf.conf, as texts."""
    described = descriptions()
    names = [(option.section, option.key) for option in OPTIONS]
    return ["[%s] %s" % name for name in names if not described.get(name)]


def accepted(option):
    """The values that an option takes, as its error message has them; "" for lists, which the description explains."""
    if option.parse is Text:
        return ""
    if option.parse is boolean:
        return "yes or no"
    try:
        option.parse("\0")
    except Invalid as refused:
        return str(refused)[len("expected "):]
    raise ValueError("%s takes anything" % option.key)


def default(option):
    defaults = ebpf_conf.load([])[0]
    value = option.field in defaults.groups if option.field in GROUP_NAMES else getattr(defaults, option.field)
    value = value.text if isinstance(value, Text) else value
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def options():
    """Every option with its default, the accepted values and its description, by section."""
    text, described, section = "", descriptions(), None
    for option in OPTIONS:
        if option.section != section:
            section = option.section
            text += "\n### `[%s]`\n\n" % section
        takes = accepted(option)
        text += "- `%s`%s\n" % (("%s = %s" % (option.key, default(option))).strip(), " (%s)" % takes if takes else "")
        text += textwrap.fill(described.get((section, option.key), ""), WIDTH, initial_indent="  ", subsequent_indent="  ",
                              break_on_hyphens=False, break_long_words=False) + "\n"
    return text + "\n"


def manual_options():
    """The same for the manual page."""
    text, described, section = "", descriptions(), None
    for option in OPTIONS:
        if option.section != section:
            section = option.section
            text += ".SS [%s]\n" % roff(section)
        takes = accepted(option)
        text += ".TP\n.B %s\n" % roff(("%s = %s" % (option.key, default(option))).strip())
        what = described.get((section, option.key), "") + (" Accepted: %s." % takes if takes else "")
        text += roff(textwrap.fill(what, WIDTH, break_on_hyphens=False, break_long_words=False)) + "\n"
    return text


def roff(text):
    """Text for a manual page. A line that begins with a dot or a quote would be a command."""
    return re.sub(r"(?m)^([.'])", r"\\&\1", text.replace("\\", "\\e").replace("-", "\\-"))


def metrics():
    """One row for each metric: the charts that have its numbers. Control groups have those of applications."""
    found = {}
    for chart, family, labels in charts_of_metrics():
        if chart.by != "cgroup":
            found.setdefault(family.name, (family, labels, []))[2].append(chart.full_id)
    return table(["metric", "type", "labels", "chart", "what"], [
        ["`%s`" % name, family.kind, ", ".join(labels) or "-",
         ids[0] if len(ids) == 1 else "%s and %d others" % (ids[0], len(ids) - 1), family.help]
        for name, (family, labels, ids) in found.items()])


def tfo_metrics():
    """One row for each metric with the names of tfo-agent."""
    return table(["metric", "by application from", "for the machine from"], [
        ["`tfo_ebpf_%s`" % name, *(", ".join(dict.fromkeys(chart for chart, _, _ in sources)) or "-" for sources in both)]
        for name, (_, *both) in METRICS.items()])


def limits():
    """Numbers that stand in the code."""
    of = {option.field: option.default for option in OPTIONS}
    flows = next(each for group in GROUPS for each in group.tables if each.name == "flows")
    return table(["what", "at most", "what happens beyond"], [
        ["connections shown in each direction", "%d (`maximum dimensions`)" % of["dimensions"], "`other`"],
        ["connections kept in the kernel", "%d, and %d more for each CPU" % (flows.entries, flows.per_cpu),
         "the oldest are dropped; totals stay exact"],
        ["processes with an application", "%d (`pid table size`)" % of["processes"], "`other`, and a message"],
        ["applications", "%d" % MAX_APPS, "a message at startup"],
        ["units and containers at a time", "%d" % (cgroups.ROWS - 1), "`other`, and a message"],
        ["control groups, including those below units", "%d" % cgroups.KNOWN, "`other`, and a message"],
        ["tasks at a time inside a function with a kretprobe", "%d" % MAXACTIVE,
         "the kernel counts the events that it misses; a message"],
    ])


def alerts():
    """One row for each alert."""
    return table(["alert", "context", "what"], [["`%s`" % name, "`%s`" % context, info]
                                                for name, context, info in metadata.alerts()])


PARTS = {"charts": charts, "about-charts": lambda: about(MACHINE), "about-connections": lambda: about(CONNECTION),
         "about-applications": lambda: about(APPLICATION), "summary": summary, "applications": applications, "hooks": hooks,
         "options": options, "manual-options": manual_options, "limits": limits, "alerts": alerts,
         "internals": internals, "metrics": metrics, "tfo-metrics": tfo_metrics}


def written(text):
    """The text of a document with its generated parts as they should be."""
    return PART.sub(lambda part: part.group(1) + PARTS[part.group(2)]() + part.group(3), text)


def stale_parts(text):
    """The names of the parts of a document that are not as they should be."""
    return [part.group(2) for part in PART.finditer(text) if part.group(0) != written(part.group(0))]


def whole_file(name, text):
    """Write a file that is generated as a whole, unless with --check; [what is stale]."""
    path, before = os.path.join(ROOT, name), ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            before = file.read()
    if "--check" not in sys.argv:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return ["%s: all of it" % name] if text != before else []


def main():
    stale = []
    if undescribed():
        print("add to conf.d/ebpf.conf, with a comment that describes it: %s" % ", ".join(undescribed()))
        return 1
    for name in DOCUMENTS:
        path = os.path.join(ROOT, name)
        with open(path, encoding="utf-8") as file:
            before = file.read()
        stale += ["%s: the generated part %s" % (name, part) for part in stale_parts(before)]
        if "--check" not in sys.argv:
            with open(path, "w", encoding="utf-8") as file:
                file.write(written(before))
    stale += whole_file(METADATA, metadata.text(descriptions(), default)) + whole_file(DASHBOARD, metadata.dashboard())
    if "--check" in sys.argv and stale:
        print("stale, run `make docs`: " + "; ".join(stale))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
