"""The documents say what the code does."""
import os
import re
import subprocess
import sys

from fakes import ROOT
import pytest

from ebpf_plugin.config.options import OPTIONS
from ebpf_plugin.groups import GROUPS

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
    assert docs.written(text(page)) == text(page), "%s is stale: run `make docs`" % page


def test_every_generated_part_stands_somewhere():
    used = {name for page in docs.DOCUMENTS for _, name, _ in docs.PART.findall(text(page))}
    assert used == set(docs.PARTS)


def test_what_is_stale_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(docs, "ROOT", str(tmp_path))
    monkeypatch.setattr(docs, "DOCUMENTS", ("page.md",))
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- generated: hooks -->\nold\n<!-- end -->\nb\n")
    monkeypatch.setattr(sys, "argv", ["docs.py", "--check"])
    assert docs.main() == 1
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
    named = re.findall(r"`((?:plugin|bpf|conf\.d|tests|tools|packaging|config|model|kernel|compile|load|collect|series|outputs|"
                       r"commands|groups)/[\w./-]*\w)`", text(page))
    missing = [name for name in named if not any(
        os.path.exists(os.path.join(ROOT, top, name)) for top in ("", "plugin/ebpf_plugin"))]
    assert missing == []


def test_every_option_is_in_the_manual_or_the_configuration_page():
    page = text("packaging/docs/configuration.md")
    assert [option.key for option in OPTIONS if "`%s`" % option.key not in page] == []


def test_every_flag_is_in_the_manual():
    manual = text("packaging/ebpf.plugin.1").replace("\\-", "-")
    helped = subprocess.run([sys.executable, "-I", os.path.join(ROOT, "plugin", "ebpf.plugin"), "--help"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout
    flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", helped))
    assert len(flags) > 10
    assert [flag for flag in sorted(flags) if flag not in manual] == []


@pytest.mark.parametrize("group", [group.name for group in GROUPS if group.charts])
def test_every_chart_is_on_the_page_of_charts(group):
    page = text("packaging/docs/charts.md")
    charts = next(found for found in GROUPS if found.name == group).charts
    assert [chart.id for chart in charts if "| %s |" % chart.id not in page and not chart.id.startswith(docs.HISTOGRAM)] == []
