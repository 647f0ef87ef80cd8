"""packaging/metadata.yaml: valid YAML, with the keys that Netdata's collectors have, as the code has the charts."""
import json
import os
import re
import sys

from fakes import ROOT
import pytest
import yaml

from ebpf_plugin.config.options import OPTIONS
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.plugin import PLUGIN

TOOLS = os.path.join(ROOT, "tools")
sys.path.insert(0, TOOLS)

import docs  # noqa: E402
import metadata  # noqa: E402

sys.path.remove(TOOLS)

# "required" of integrations/schemas/collector.json in netdata/netdata
REQUIRED = {
    "": ("meta", "overview", "setup", "troubleshooting", "alerts", "metrics"),
    "meta": ("plugin_name", "module_name", "monitored_instance", "keywords", "related_resources",
             "info_provided_to_referring_integrations"),
    "meta.monitored_instance": ("name", "link", "categories", "icon_filename"),
    "meta.related_resources.integrations": ("list",),
    "overview": ("data_collection", "supported_platforms", "multi_instance", "additional_permissions", "default_behavior"),
    "overview.data_collection": ("metrics_description", "method_description"),
    "overview.supported_platforms": ("include", "exclude"),
    "overview.default_behavior": ("auto_detection", "limits", "performance_impact"),
    "setup": ("prerequisites", "configuration"),
    "setup.configuration": ("file", "options", "examples"),
    "troubleshooting.problems": ("list",),
    "metrics": ("folding", "description", "availability", "scopes"),
}
OF_LISTS = {
    "metrics.scopes": ("name", "description", "labels", "metrics"),
    "metrics.scopes.metrics": ("name", "description", "unit", "chart_type", "dimensions"),
    "metrics.scopes.metrics.dimensions": ("name",),
    "setup.configuration.options.list": ("name", "description", "default_value", "required"),
    "alerts": ("name", "link", "metric", "info"),
}


@pytest.fixture(scope="module")
def found():
    with open(os.path.join(ROOT, docs.METADATA), encoding="utf-8") as file:
        return yaml.safe_load(file)


def at(module, path):
    """What stands at a path of keys, in all elements of the lists on the way."""
    here = [module]
    for key in path.split(".") if path else ():
        here = [each[key] for each in here]
        here = [one for each in here for one in (each if isinstance(each, list) else [each])]
    return here


def test_it_is_as_the_code_has_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["docs.py", "--check"])
    stale = docs.whole_file(docs.METADATA, metadata.text(docs.descriptions(), docs.default))
    assert stale == [], "run `make docs`"


def test_every_key_that_is_needed_is_there(found):
    assert found["plugin_name"] == "ebpf.plugin"
    for module in found["modules"]:
        for path, keys in {**REQUIRED, **OF_LISTS}.items():
            for each in at(module, path):
                assert set(keys) <= set(each), (module["meta"]["module_name"], path)


def test_modules_are_the_groups_with_charts(found):
    assert [module["meta"]["module_name"] for module in found["modules"]] == [
        group.name for group in GROUPS if group.charts] + [PLUGIN.name]


def test_every_context_is_listed_once_with_a_unit_and_a_description(found):
    metrics = [metric for module in found["modules"] for metric in at(module, "metrics.scopes.metrics")]
    names = [metric["name"] for metric in metrics]
    assert sorted(set(names)) == sorted(names)
    of_cgroups = {kind + chart.cgroup for group in GROUPS for chart in group.apps if chart.cgroup
                  for kind in ("cgroup.", "services.")}
    assert set(names) == {each.context for each in docs.listed()} | of_cgroups
    assert all(metric["unit"] and metric["dimensions"] and len(metric["description"]) > 50 for metric in metrics)


def test_every_alert_is_with_the_module_of_its_context(found):
    named = {alert["name"]: alert["metric"] for module in found["modules"] for alert in module["alerts"]}
    assert named == {name: context for name, context, _ in metadata.alerts()} and len(named) == 6
    assert all(info.endswith(".") for _, _, info in metadata.alerts())


def test_texts_of_the_dashboard(monkeypatch):
    """A script of two assignments, each of an object in JSON, which cannot break the page."""
    monkeypatch.setattr(sys, "argv", ["docs.py", "--check"])
    assert docs.whole_file(docs.DASHBOARD, metadata.dashboard()) == [], "run `make docs`"
    found = re.fullmatch(r"(?s)(?://.*?\n)+\ncustomDashboard.menu = (.*?);\n\ncustomDashboard.context = (.*);\n",
                         metadata.dashboard())
    menu, contexts = map(json.loads, found.groups())
    assert set(menu) == {"ebpf"} and {each.context for each in docs.listed()} < set(contexts)
    assert "cgroup.fd_open" in contexts and "services.vfs_write" in contexts
    assert not [text for text in contexts.values() if re.search(r"<(?!/?code>)|&(?!amp;|lt;|gt;)|`", text["info"])]


def test_every_option_is_with_a_module(found):
    named = {each["name"] for module in found["modules"] for each in at(module, "setup.configuration.options.list")}
    assert named == {"[%s] %s" % (option.section, option.key) for option in OPTIONS}
