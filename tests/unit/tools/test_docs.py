"""The documents say what the code does."""
import os
import re
import subprocess
import sys

from fakes import ROOT
import pytest

from ebpf_plugin.collect import applications, daemon
from ebpf_plugin.config.options import OPTIONS
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.kernel import tracefs

TOOLS = os.path.join(ROOT, "tools")
sys.path.insert(0, TOOLS)

import docs  # noqa: E402

sys.path.remove(TOOLS)

PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "packaging/README.md", "tools/vm/README.md"] + [
    "packaging/docs/" + name for name in sorted(os.listdir(os.path.join(ROOT, "packaging", "docs")))]


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("page", docs.DOCUMENTS)
def test_generated_parts_are_as_the_code_has_them(page):
    stale = docs.stale_parts(text(page))
    assert not stale, "%s: the generated part %s is stale: run `make docs`" % (page, ", ".join(stale))


def test_every_generated_part_stands_somewhere():
    used = {name for page in docs.DOCUMENTS for _, name, _ in docs.PART.findall(text(page))}
    assert used == set(docs.PARTS)


def test_check_names_the_stale_document_and_part(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(docs, "ROOT", str(tmp_path))
    monkeypatch.setattr(docs, "DOCUMENTS", ("page.md",))
    monkeypatch.setattr(docs, "METADATA", "all.yaml")
    monkeypatch.setattr(docs, "DASHBOARD", "all.js")
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- generated: hooks -->\nold\n<!-- end -->\nb\n")
    monkeypatch.setattr(sys, "argv", ["docs.py", "--check"])
    assert docs.main() == 1
    assert capsys.readouterr().out == (
        "stale, run `make docs`: page.md: the generated part hooks; all.yaml: all of it; all.js: all of it\n")
    monkeypatch.setattr(sys, "argv", ["docs.py"])
    assert docs.main() == 0
    written = page.read_text()
    assert "old" not in written
    assert written.startswith("a\n<!-- generated: hooks -->\n| group |")
    assert written.endswith("|\n<!-- end -->\nb\n")
    monkeypatch.setattr(sys, "argv", ["docs.py", "--check"])
    assert docs.main() == 0


def test_the_readme_is_short():
    assert len(text("README.md").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    base = os.path.dirname(os.path.join(ROOT, page))
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text(page)) if "://" not in link]
    assert [link for link in links if link and not os.path.exists(os.path.join(base, link))] == []


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_are_named_exist(page):
    """Paths in backticks, from the top or from the package."""
    package = os.path.join(ROOT, "plugin", "ebpf_plugin")
    folders = {"plugin", "bpf", "conf.d", "tests", "tools", "packaging", *os.listdir(package)}
    named = [name for name in re.findall(r"`([\w.]+/[\w./-]*\w)`", text(page)) if name.split("/")[0] in folders]
    missing = [name for name in named if not any(
        os.path.exists(os.path.join(ROOT, top, name)) for top in ("", "plugin/ebpf_plugin"))]
    assert missing == []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.key)
def test_every_option_is_described(option):
    described = docs.descriptions().get((option.section, option.key), "")
    assert described.endswith("."), "conf.d/ebpf.conf: [%s] %s has no description" % (option.section, option.key)
    assert "`%s =" % option.key in text("packaging/docs/configuration.md")
    assert "\n.B %s =" % docs.roff(option.key) in text("packaging/ebpf.plugin.1")


def test_an_option_without_a_description_is_named(monkeypatch, capsys):
    monkeypatch.setattr(docs, "descriptions", lambda: {})
    monkeypatch.setattr(docs, "OPTIONS", OPTIONS[:1])
    assert docs.main() == 1
    assert capsys.readouterr().out == "add to conf.d/ebpf.conf, with a comment that describes it: [global] ebpf load mode\n"


def test_older_spellings_are_on_the_page_of_options():
    page = text("packaging/docs/configuration.md")
    assert [older for option in OPTIONS for older, _ in option.also if "`%s`" % older not in page] == []


def test_the_manual_cannot_be_taken_for_commands():
    assert docs.roff(".a\n'b\n-c\\d") == "\\&.a\n\\&'b\n\\-c\\ed"


def test_every_flag_is_in_the_manual():
    manual = text("packaging/ebpf.plugin.1").replace("\\-", "-")
    helped = subprocess.run([sys.executable, "-I", os.path.join(ROOT, "plugin", "ebpf.plugin"), "--help"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", helped))
    assert len(flags) > 10
    assert [flag for flag in sorted(flags) if flag not in manual] == []


@pytest.mark.parametrize("group", [group for group in GROUPS if group.charts], ids=lambda group: group.name)
def test_every_chart_is_on_the_page_of_charts_and_in_the_readme(group):
    page, readme = text("packaging/docs/charts.md"), text("README.md")
    charts = [each.chart.id for each in docs.listed() if each.group is group and each.scope != docs.APPLICATION]
    assert [chart for chart in charts if "| %s |" % chart not in page] == []
    assert [chart for chart in charts if not re.search(r"\b%s" % chart.replace("VECTOR", "…"), readme)] == []
    assert [chart.id for chart in group.apps if "| %s |" % chart.id not in page] == []


def test_measured_figures_say_how_they_are_measured():
    """The maintainer finds them by this comment after a measurement."""
    commands = re.findall(r"<!-- measured: (.*?) -->", text("README.md") + text("packaging/docs/costs.md"))
    assert commands
    files = [name for command in commands for name in command.split(", ")]
    assert [name for name in files if not os.path.exists(os.path.join(ROOT, name))] == []


def test_hooks_and_workloads_of_the_page_of_kernels():
    """The number of hooks of the groups that its table is about, and of workloads, as the code and the tests have them."""
    page = text("packaging/docs/kernels.md")
    counted = [group for group in GROUPS if group.name in ("file", "vfs", "process", "network")]
    for mode, sentence in (("entry", "of %d hooks in entry mode"), ("return", "of %d in return mode")):
        number = sum(mode in hook.modes for group in counted for hook in group.hooks)
        assert sentence % number in page, "kernels.md: %d hooks in load mode %s" % (number, mode)
    counting = "import cases, cases.network; print(len(cases.CASES), len(cases.network.CASES))"
    path = os.pathsep.join(os.path.join(ROOT, *names) for names in (("plugin",), ("tests", "kernel")))
    printed = subprocess.run([sys.executable, "-B", "-c", counting], env={**os.environ, "PYTHONPATH": path},
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    calls, network = map(int, printed.split())
    for sentence, number in (("The tests run %d workloads", calls + network), ("%d are about files", calls),
                             ("%d are about the network", network), ("%d of %d exact", (calls + network, calls + network))):
        assert sentence % number in " ".join(page.split()), "kernels.md does not say %r" % (sentence % number)


@pytest.mark.parametrize("page, sentence, number", [
    ("README.md", "the busiest %d in each direction", next(
        option.default for option in OPTIONS if option.field == "dimensions")),
    ("packaging/docs/charts.md", "%d in each direction by default", next(
        option.default for option in OPTIONS if option.field == "dimensions")),
    ("ARCHITECTURE.md", "at most %d questions a tick", applications.MAX_PER_TICK),
    ("ARCHITECTURE.md", "Every %d ticks", daemon.MISSED_TICKS),
    ("ARCHITECTURE.md", "with %d instances", tracefs.MAXACTIVE),
])
def test_numbers_in_sentences(page, sentence, number):
    assert sentence % number in " ".join(text(page).split()), "%s does not say %r" % (page, sentence % number)
