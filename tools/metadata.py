"""packaging/metadata.yaml: what the plugin offers, in the form of Netdata's collectors; and the texts of the dashboard.

The form is integrations/schemas/collector.json of netdata/netdata (2026). tools/docs.py writes the file.
"""
import html
import importlib
import json
import os
import re

import yaml

from ebpf_plugin.commands.charts import APPLICATION, CONNECTION, MACHINE, listed
from ebpf_plugin.config.options import OPTIONS
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.plugin import PLUGIN
from ebpf_plugin.model.chart import MODES

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ALERTS = os.path.join(ROOT, "packaging", "health.d", "ebpf.conf")
SCOPES = {
    MACHINE: ("global", "The whole machine."),
    CONNECTION: ("connection", "Charts of the whole machine with dimensions for the busiest connections, and `other`."),
    APPLICATION: ("application", "Charts with a dimension for each group of processes of `apps_groups.conf`."),
}
OF_GROUP = {"network viewer": "network", "service name": "network"}  # sections of ebpf.conf that are about one group
KEYWORDS = {"file": ("open", "close", "descriptor"), "vfs": ("read", "write", "fsync", "create", "unlink"),
            "process": ("fork", "thread", "exit"), "network": ("tcp", "udp", "connection", "retransmit"),
            "softirq": ("interrupt", "latency")}
DASHBOARD = """\
// The texts of ebpf.plugin's charts, written by tools/docs.py (make docs). To have them in the dashboard, in netdata.conf:
//
//     [web]
//         custom dashboard_info.js = ebpf_dashboard_info.js

customDashboard.menu = %s;

customDashboard.context = %s;
"""
LABELS = (("cgroup_name", "The container's name in the charts `cgroups`."),
          ("container_id", "Its id, if its path has one."), ("runtime", "What runs it, if its path says so."),
          ("cgroup_path", "Its control group, below the mount."))
METHOD = ("BPF programs count events in the kernel, at trampolines (fentry and fexit), probes or tracepoints: the first "
          "that the running kernel lets the plugin use.")
PERMISSIONS = ("Capabilities to load programs, which a launcher gives to the plugin, and which it drops when that is done: "
               "packaging/README.md explains each.")
DETECTION = ("Each hook is tried when the plugin starts. What the kernel does not let it count is not shown; `ebpf.plugin "
             "--check` says why.")
COSTS = "Each event costs some processor time: packaging/docs/costs.md has measurements."


def text(described, default):
    """The whole file. described: {(section, key): what an option does}; default(option): its default, as a text."""
    modules = [_module(group, described, default) for group in (*GROUPS, PLUGIN) if group.charts]
    return "# written by tools/docs.py (make docs)\n" + yaml.safe_dump(
        {"plugin_name": "ebpf.plugin", "modules": modules}, sort_keys=False, allow_unicode=True, width=120)


def alerts():
    """[(name, context, the line `info`)] of packaging/health.d/ebpf.conf, without those that only count for others."""
    with open(ALERTS, encoding="utf-8") as file:
        blocks = re.split(r"\n\s*\n", re.sub(r"(?m)^ *#.*\n", "", file.read()))
    found = [dict(re.findall(r"(?m)^ *(template|on|warn|info): *(.*)$", block.replace("\\\n", " "))) for block in blocks]
    return [(each["template"], each["on"], " ".join(each["info"].split())) for each in found if "warn" in each]


def _module(group, described, default):
    what = importlib.import_module("ebpf_plugin.groups." + group.name).__doc__.split(".")[0] + "."
    off = "" if group.switch.default else " It is off by default."
    contexts = {each.context for each in listed() if each.group is group}
    return {
        "meta": {
            "plugin_name": "ebpf.plugin",
            "module_name": group.name,
            "monitored_instance": {"name": "eBPF %s" % group.name, "link": "https://kernel.org/",
                                   "categories": ["data-collection.operating-systems"], "icon_filename": "ebpf.jpg"},
            "related_resources": {"integrations": {"list": [{"plugin_name": "apps.plugin", "module_name": "apps"}]}},
            "info_provided_to_referring_integrations": {"description": ""},
            "keywords": ["ebpf", "kernel", group.name, *KEYWORDS.get(group.name, ())],
        },
        "overview": {
            "data_collection": {
                "metrics_description": what + off,
                "method_description": METHOD,
            },
            "supported_platforms": {"include": ["Linux"], "exclude": []},
            "multi_instance": False,
            "additional_permissions": {"description": PERMISSIONS},
            "default_behavior": {"auto_detection": {"description": DETECTION}, "limits": {"description": ""},
                                 "performance_impact": {"description": COSTS}},
        },
        "setup": {
            "prerequisites": {"list": []},
            "configuration": {
                "file": {"name": "ebpf.conf", "description": ""},
                "options": {
                    "description": "",
                    "folding": {"title": "Config options", "enabled": True},
                    "list": [{"name": "[%s] %s" % (option.section, option.key),
                              "description": described[option.section, option.key],
                              "default_value": default(option), "required": False}
                             for option in OPTIONS if _is_of(option, group)],
                },
                "examples": {"folding": {"title": "", "enabled": True}, "list": []},
            },
        },
        "troubleshooting": {"problems": {"list": []}},
        "alerts": [{"name": name, "link": "packaging/health.d/ebpf.conf", "metric": on, "info": info}
                   for name, on, info in alerts() if on in contexts],
        "metrics": {
            "folding": {"title": "Metrics", "enabled": False},
            "description": "",
            "availability": list(MODES),
            "scopes": [scope for scope in [*(_scope(group, scope) for scope in SCOPES), *_cgroup_scopes(group)]
                       if scope["metrics"]],
        },
    }


def _is_of(option, group):
    """Whether a group's module names an option: those for all groups, its own switch, and the sections about it."""
    if option.section == "ebpf programs":
        return option.key == group.switch.key or group.name == "network" and option.key == "network connection monitoring"
    return option.section == "global" or OF_GROUP.get(option.section) == group.name


def _scope(group, scope):
    name, description = SCOPES[scope]
    return {"name": name, "description": description, "labels": [], "metrics": [
        {"name": each.context, "availability": list(each.chart.modes),
         "description": "%s. %s" % (each.chart.title, each.chart.description), "unit": each.chart.units,
         "chart_type": "line" if scope == MACHINE else "stacked",
         "dimensions": [{"name": dimension} for dimension, _ in each.dimensions]}
        for each in listed() if each.group is group and each.scope == scope]}


def _cgroup_scopes(group):
    """The charts that control groups have of what applications have."""
    for name, description, labels, kind, dimension in (
            ("cgroup", "With `cgroups = yes`: the charts of one container, in its menu.", LABELS, "line", None),
            ("service", "With `cgroups = yes`: charts with a dimension for each service of the system.", (), "stacked",
             "SERVICE")):
        prefix = "cgroup." if kind == "line" else "services."
        yield {"name": name, "description": description,
               "labels": [{"name": label, "description": what} for label, what in labels],
               "metrics": [
                   {"name": prefix + chart.cgroup, "availability": list(chart.modes),
                    "description": "%s. %s" % (chart.title, chart.description), "unit": chart.units, "chart_type": kind,
                    "dimensions": [{"name": dimension or chart.units.partition("/")[0]}]}
                   for chart in group.apps if chart.cgroup]}


def dashboard():
    """packaging/ebpf_dashboard_info.js: what stands above each chart in the dashboard of agents up to 1.x."""
    charts = {each.context: each.chart for each in listed()}
    for group in GROUPS:
        for chart in group.apps:
            if chart.cgroup:
                charts.update({kind + chart.cgroup: chart for kind in ("cgroup.", "services.")})
    infos = {context: {"info": re.sub("`(.*?)`", r"<code>\1</code>", html.escape(chart.description, quote=False))}
             for context, chart in charts.items()}
    menu = {"ebpf": {"title": "eBPF", "icon": '<i class="fas fa-bug"></i>',
                     "info": "What the kernel does with files, processes, TCP and UDP, counted by BPF programs."}}
    return DASHBOARD % (json.dumps(menu, indent=1), json.dumps(infos, indent=1))
