"""Events that the kernel could not give to a program are told, once for each program."""
import os

import pytest

from ebpf_plugin.collect import missed_events
from ebpf_plugin.groups.plugin import PLUGIN
from ebpf_plugin.kernel import bpf, tracefs
from ebpf_plugin.model import declared

PROFILE = """\
  ebpf_plugin/r_clone_1                                      0               0
  r_vfs_read_1                                    100            3
  r_vfs_write_1                                   100            0
  somebody_elses                                  7              9
"""


@pytest.fixture
def misses(monkeypatch, tmp_path):
    """misses[descriptor] is what the kernel says; a descriptor that is not there cannot be asked."""
    counts = {}

    def recursion_misses(program):
        if program not in counts:
            raise OSError(22, "Invalid argument")
        return counts[program]

    (tmp_path / "kprobe_profile").write_text(PROFILE)
    monkeypatch.setattr(bpf, "recursion_misses", recursion_misses)
    monkeypatch.setattr(bpf, "kprobe_multi_misses", recursion_misses)
    monkeypatch.setattr(tracefs, "root", lambda: str(tmp_path))
    return counts


def test_what_may_not_be_asked_is_an_error_when_privilege_is_dropped(misses, monkeypatch):
    """With kernel.unprivileged_bpf_disabled, up to 5.18: the count would stay 0."""
    def denied(program):
        raise PermissionError(1, "Operation not permitted")

    charts = missed_events.PluginCharts({"charts": (), "hooks": (1, 0), "full": 0},
                                        missed_events.MissedEvents({"a": 5, "b": 6}, {}, ()))
    misses[6] = 0
    charts.read()  # a program that cannot be asked for another reason is left out
    monkeypatch.setattr(bpf, "recursion_misses", denied)
    with pytest.raises(PermissionError):
        charts.read()


EVENTS = ("ebpf_plugin/r_vfs_read_1", "ebpf_plugin/r_vfs_write_1")


def test_all_counts(misses):
    misses.update({5: 0, 6: 2, 8: 4, 9: 1})
    found = missed_events.MissedEvents({"a": 5, "b": 6, "c": 7, "d": 8}, {"c": 9, "d": 9}, EVENTS)
    assert found.counts() == {"a": 0, "b": 2, "d": 5, "r_vfs_read_1": 3, "r_vfs_write_1": 0}


def test_what_is_not_told_any_more_stays(misses, tmp_path):
    misses.update({5: 7})
    missed = missed_events.MissedEvents({"a": 5}, {}, EVENTS)
    before = dict(missed.counts())
    misses.clear()
    (tmp_path / "kprobe_profile").write_text("")  # somebody has removed our events
    assert missed.counts() == before == {"a": 7, "r_vfs_read_1": 3, "r_vfs_write_1": 0}


def test_a_profile_of_many_pages(misses, monkeypatch, tmp_path):
    """A read of a seq_file gives as many whole lines as a page has room for."""
    lines = ["  others_%-40d %10d %10d\n" % (number, 1, 1) for number in range(300)] + PROFILE.splitlines(True)
    (tmp_path / "kprobe_profile").write_text("".join(lines))
    pread, reads = os.pread, []

    def page(file, size, offset):
        reads.append(offset)
        data = pread(file, min(size, 4096), offset)
        return data[:data.rindex(b"\n") + 1] if data else data

    monkeypatch.setattr(missed_events.os, "pread", page)
    assert missed_events.MissedEvents({}, {}, EVENTS).counts() == {"r_vfs_read_1": 3, "r_vfs_write_1": 0} and len(reads) > 3


def test_without_kretprobes_tracefs_is_not_touched(misses, monkeypatch):
    monkeypatch.setattr(tracefs, "root", lambda: pytest.fail("asked for"))
    assert missed_events.MissedEvents({}, {}, ()).counts() == {}


def test_without_tracefs(misses, monkeypatch, tmp_path):
    monkeypatch.setattr(tracefs, "root", lambda: str(tmp_path / "none"))
    assert missed_events.MissedEvents({}, {}, EVENTS).counts() == {}


def test_each_is_told_once(misses, said):
    misses.update({5: 0, 6: 2})
    found = missed_events.MissedEvents({"a": 5, "b": 6}, {}, EVENTS)
    found.tell()
    assert sorted(line.split(" has missed ")[0] for line in said) == ["b", "r_vfs_read_1"]
    misses.update({5: 1, 6: 90})
    found.tell()
    assert len(said) == 3 and said[-1].startswith("a has missed 1 events")


CHARTS = tuple(declared.Chart("plugin", chart.id, chart.title, chart.units, chart.family, chart.priority, tuple(
    declared.Dimension(dim.id, dim.algorithm) for dim in chart.dims)) for chart in PLUGIN.charts)


def test_charts_of_the_plugin_itself(misses, said):
    misses.update({5: 3, 6: 4})
    missed = missed_events.MissedEvents({"a": 5, "b": 6}, {}, ())
    charts = missed_events.PluginCharts({"charts": declared.pack(CHARTS), "hooks": (21, 1), "full": 1}, missed)
    charts.read()
    assert charts.tick(1, {"apps": (0, 9)}) == list(zip(CHARTS, [(21, 1), (7,), (9,)]))
    misses[5] = 13
    assert charts.tick(2, {"apps": None}) == list(zip(CHARTS, [(21, 1), (7,), (None,)]))
    missed.tell()
    assert charts.tick(3, {"apps": (0, 9)})[1] == (CHARTS[1], (17,))


def test_where_applications_are_not_told_apart(misses):
    charts = missed_events.PluginCharts({"charts": declared.pack(CHARTS[:2]), "hooks": (2, 0), "full": 0},
                                        missed_events.MissedEvents({}, {}, ()))
    assert [chart.id for chart, _ in charts.tick(1, {})] == ["plugin_hooks", "plugin_missed"]
