#!/usr/bin/python3
"""Writes packaging/prometheus/grafana-dashboard.json: a panel for each chart, with the queries of its metric.

`dashboard.py` (part of `make docs`) writes it; `dashboard.py --check` prints whether it is stale.
"""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "plugin"), os.path.join(ROOT, "tools")]

from charts_of_metrics import charts_of_metrics  # noqa: E402

PATH = os.path.join(ROOT, "packaging", "prometheus", "grafana-dashboard.json")
UNITS = {"bytes": "Bps", "seconds": "percentunit", "": "ops"}  # of a rate
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = 'instance=~"$instance"'
TOP = 10  # applications, control groups and connections in a panel
WIDTH, HEIGHT = 8, 7
ABOUT = (  # title, unit, query, legend
    ("Hooks that are not attached", "none",
     "sum by (instance) (1 - ebpf_plugin_hook_attached{%s})" % CHOSEN, "{{instance}}"),
    ("Time of a tick", "s", "ebpf_plugin_tick_seconds{%s}" % CHOSEN, "{{instance}}"),
)


def query(family, labels, by):
    """(PromQL, legend, unit) of a metric's panel."""
    rate = "rate(%s{%s}[$__rate_interval])" % (family.name + ("_bucket" if family.kind == "histogram" else ""), CHOSEN)
    if family.kind == "histogram":
        others = [label for label in labels if label != "le"]
        return ("histogram_quantile(0.99, sum by (%s) (%s))" % (", ".join(["le", *others]), rate),
                " ".join("{{%s}}" % label for label in others), "s")
    if family.kind == "gauge":
        rate = "%s{%s}" % (family.name, CHOSEN)
    summed = "sum by (%s) (%s)" % (", ".join(labels), rate) if labels else "sum(%s)" % rate
    legend = " ".join("{{%s}}" % label for label in labels) or "all"
    return "topk(%d, %s)" % (TOP, summed) if by else summed, legend, "none" if family.kind == "gauge" else UNITS[family.unit]


def panel(number, title, unit, expression, legend, place):
    """A panel with one query, at the `place`-th place of its row, below what has `number` panels."""
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": SOURCE,
        "gridPos": {"x": place % 3 * WIDTH, "y": place // 3 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"fillOpacity": 10, "showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": expression, "legendFormat": legend}],
    }


def dashboard():
    """The dashboard, as Grafana's JSON model (schemaVersion 38, Grafana 9.5 and later)."""
    rows = [("The plugin", list(ABOUT))]
    seen = set()
    for chart, family, labels in charts_of_metrics():
        if family.name in seen:
            continue
        seen.add(family.name)
        expression, legend, unit = query(family, labels, chart.by)
        title = {"application": "Applications", "cgroup": "Units and containers", "connection": "Connections"}.get(
            chart.by, chart.group)
        if rows[-1][0] != title:
            rows.append((title, []))
        rows[-1][1].append((family.help, unit, expression, legend))
    panels, y = [], 0
    for title, of_row in rows:
        inside = [panel(len(panels) + place + 2, *each, place) for place, each in enumerate(of_row)]
        open_row = not panels or title not in ("Applications", "Units and containers", "softirq")
        for each in inside:
            each["gridPos"]["y"] += y + 1
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": not open_row,
                       "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": [] if open_row else inside})
        panels += inside if open_row else []
        y += 1 + ((len(inside) + 2) // 3 * HEIGHT if open_row else 0)
    numbered = 0
    for each in panels:
        for one in [each, *each.get("panels", [])]:
            numbered += 1
            one["id"] = numbered
    return {
        "title": "ebpf.plugin", "uid": "ebpf-plugin", "tags": ["ebpf"], "schemaVersion": 38, "version": 1,
        "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "editable": True, "panels": panels,
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
            {"name": "instance", "type": "query", "datasource": SOURCE, "label": "Machine", "includeAll": True,
             "multi": True,
             "allValue": ".*", "refresh": 2,
             "query": {"query": "label_values(ebpf_plugin_build_info, instance)", "refId": "A"}},
        ]},
    }


def text():
    """The file's text."""
    return json.dumps(dashboard(), indent=1) + "\n"


def main():
    if "--check" not in sys.argv:
        with open(PATH, "w", encoding="utf-8") as file:
            file.write(text())
        return 0
    with open(PATH, encoding="utf-8") as file:
        if file.read() == text():
            return 0
    print("stale, run `make docs`: %s" % os.path.relpath(PATH, ROOT))
    return 1


if __name__ == "__main__":
    sys.exit(main())
