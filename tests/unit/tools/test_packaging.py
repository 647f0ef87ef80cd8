"""What is packaged for machines without an agent: units, container, dashboard, alerts."""
import json
import os
import re
import shutil
import subprocess
import sys

from fakes import ROOT
import pytest
import yaml

sys.path.insert(0, os.path.join(ROOT, "tools"))

import dashboard  # noqa: E402
from charts_of_metrics import charts_of_metrics  # noqa: E402

PACKAGING = os.path.join(ROOT, "packaging")
UNIT = os.path.join(PACKAGING, "systemd", "ebpf-plugin.service")
EXPOSURE = 2.1  # of systemd-analyze 252; the documents have the same number

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
OURS = re.compile(r"\bebpf_[a-z0-9_]+")
ABOUT = {"ebpf_plugin_" + name for name in (
    "build_info", "hook_attached", "tick_seconds")}
OF_CHARTS = {family.name for _, family, _ in charts_of_metrics()}


def read(*path):
    with open(os.path.join(PACKAGING, *path), encoding="utf-8") as file:
        return file.read()


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_unit_is_as_hard_as_the_documents_say():
    said = run("systemd-analyze", "security", "--offline=true", UNIT)
    found = re.search(r"Overall exposure level for ebpf-plugin.service: ([0-9.]+)", said.stdout)
    if not found:
        pytest.skip("this systemd-analyze has no --offline: " + said.stdout[:200])
    assert float(found.group(1)) <= EXPOSURE
    assert "`systemd-analyze security` rates it %s" % EXPOSURE in read("docs", "metrics.md")


def test_unit_and_socket_belong_together():
    assert "--listen fd://0" in read("systemd", "ebpf-plugin.service")
    assert re.search(r"(?m)^ListenStream=127\.0\.0\.1:9435$", read("systemd", "ebpf-plugin.socket"))


def test_the_daemon_set():
    found = yaml.safe_load(read("container", "daemonset.yaml"))
    pod = found["spec"]["template"]["spec"]
    container, = pod["containers"]
    assert (found["kind"], pod["hostPID"]) == ("DaemonSet", True)
    assert found["spec"]["selector"]["matchLabels"].items() <= found["spec"]["template"]["metadata"]["labels"].items()
    assert container["args"] == ["--listen", "0.0.0.0:9435"] and container["ports"][0]["containerPort"] == 9435
    unit = re.search(r"(?m)^AmbientCapabilities=(.*)$", read("systemd", "ebpf-plugin.service")).group(1)
    assert container["securityContext"]["capabilities"] == {
        "drop": ["ALL"], "add": [name[len("CAP_"):] for name in unit.split()]}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_what_the_container_copies_is_there():
    lines = read("container", "Containerfile").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert copied and all(os.path.exists(os.path.join(ROOT, name)) for names in copied for name in names)
    assert lines[-1].startswith("CMD ") and json.loads(lines[-1][len("CMD "):]) == ["--listen", "0.0.0.0:9435"]
    entry = json.loads(next(line for line in lines if line.startswith("ENTRYPOINT"))[len("ENTRYPOINT "):])
    assert os.access(os.path.join(ROOT, *entry[0].split("/")[3:]), os.X_OK)


def test_the_dashboard_is_up_to_date():
    assert read("prometheus", "grafana-dashboard.json") == dashboard.text(), "run `make docs`"


def panels():
    found = dashboard.dashboard()["panels"]
    return [panel for outer in found for panel in [outer, *outer.get("panels", [])]]


def test_every_metric_has_a_panel_and_every_panel_a_place_of_its_own():
    named = {name for panel in panels() for target in panel.get("targets", ()) for name in OURS.findall(target["expr"])}
    assert named - ABOUT == {family.name + ("_bucket" if family.kind == "histogram" else "")
                             for _, family, _ in charts_of_metrics()}
    assert len({panel["id"] for panel in panels()}) == len(panels())
    shown = [panel for panel in dashboard.dashboard()["panels"]]
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in shown}) == len(shown)


@needs_promtool
def test_prometheus_understands_every_query_of_the_dashboard(tmp_path):
    queries = [target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
               for panel in panels() for target in panel.get("targets", ())]
    rules = [{"record": "query:%d" % number, "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = run("promtool", "check", "rules", str(tmp_path / "rules.yml"))
    assert checked.returncode == 0 and "%d rules found" % len(queries) in checked.stdout, checked.stdout


@needs_promtool
def test_every_alert_fires_for_what_it_is_for():
    directory = os.path.join(PACKAGING, "prometheus")
    checked = run("promtool", "check", "rules", "alerts.yml", cwd=directory)
    assert checked.returncode == 0 and "SUCCESS" in checked.stdout, checked.stdout
    tested = run("promtool", "test", "rules", "alerts_test.yml", cwd=directory)
    assert tested.returncode == 0, tested.stdout


def test_every_alert_is_tested_and_asks_for_metrics_that_exist():
    rules = yaml.safe_load(read("prometheus", "alerts.yml"))["groups"][0]["rules"]
    tests = yaml.safe_load(read("prometheus", "alerts_test.yml"))["tests"][0]["alert_rule_test"]
    tested = [each["alertname"] for each in tests if each.get("exp_alerts")]
    assert sorted(set(tested)) == sorted(rule["alert"] for rule in rules)
    named = {name for rule in rules for name in OURS.findall(rule["expr"])}
    assert named <= ABOUT | OF_CHARTS
    assert all("`%s`" % name in read("docs", "metrics.md") for name in ABOUT)
