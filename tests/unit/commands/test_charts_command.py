"""`ebpf.plugin charts`: a table of every chart, without the kernel and without privilege."""
import os
import subprocess
import sys

from fakes import ROOT
import pytest

from ebpf_plugin.commands import charts
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.softirq import VECTORS
from ebpf_plugin.outputs import netdata

PLUGIN = os.path.join(ROOT, "plugin", "ebpf.plugin")


def printed(columns):
    """What a run prints, as nobody, to a pipe."""
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=-all", sys.executable, "-I", PLUGIN,
                           "charts"] if os.getuid() == 0 else [sys.executable, "-I", PLUGIN, "charts"],
                          env={**os.environ, "COLUMNS": str(columns)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_every_chart_is_there_with_all_that_is_known_of_it():
    text = printed(100)
    words = " ".join(text.split())
    for group in GROUPS:
        for chart in group.charts + group.connections:
            if chart.context != "ebpf.softirq_duration":
                assert "\nebpf.%s " % chart.id in text
                assert "%s. %s" % (chart.title, chart.description) in words
                assert all(dim.id in text for dim in chart.dims)
        for chart in group.apps:
            assert "\napps.%s " % chart.id in text
            assert "%s. %s" % (chart.title, chart.description) in words
    assert "\nebpf.softirq_duration_VECTOR " in text
    assert not [vector for vector in VECTORS if "handler of %s " % vector in text]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_lines_fit_the_terminal(columns):
    text = printed(columns)
    longest = max(text.splitlines(), key=len)
    assert len(longest) <= max(columns, 80), longest


def test_what_is_not_there_by_default_is_said(monkeypatch):
    texts = []
    monkeypatch.setattr(netdata, "write", texts.append)
    assert charts.show() == 0
    words = " ".join("".join(texts).split())
    assert words.count("Only with `ebpf load mode = return`.") == sum(
        chart.modes == ("return",) for group in GROUPS for chart in group.charts + group.apps)
    assert words.count("Only with `softirq = yes`.") == 3


@pytest.mark.parametrize("into, said, status", [
    ("/dev/full", "cannot write to stdout: No space left on device\n", 1), (None, "", 0)])
def test_who_does_not_listen_gets_no_traceback(into, said, status):
    """A full disk, and a pipe whose reader has gone."""
    reading, writing = os.pipe() if into is None else (os.open("/dev/null", os.O_RDONLY), os.open(into, os.O_WRONLY))
    os.close(reading)
    done = subprocess.run([sys.executable, "-I", PLUGIN, "charts"], stdout=writing, stderr=subprocess.PIPE, text=True,
                          check=False)
    os.close(writing)
    assert (done.returncode, done.stderr[-len(said):] if said else done.stderr) == (status, said)
    assert "Traceback" not in done.stderr
