"""One tick: counters become values, and what is unknown stays unknown."""
from fakes import GROUP, Reader, attached
import pytest

from ebpf_plugin import log
from ebpf_plugin.collect.collector import Collector
from ebpf_plugin.model.select import select_charts

CHARTS = select_charts((GROUP,), "entry", {"toy": attached(GROUP)})


@pytest.fixture(autouse=True)
def said(monkeypatch):
    """The lines that were logged."""
    lines = []
    monkeypatch.setattr(log, "_said", set())
    monkeypatch.setattr(log, "write", lambda level, text: lines.append((level, text)))
    return lines


def run(times, samples, every=1):
    """For each tick (in, out, rest): two counters and a difference that is absolute."""
    collector = Collector(CHARTS, {"toy": Reader(*samples)}, every)
    return [flow + inside for (_, flow), (_, inside) in map(collector.tick, times)]


def test_counters_are_sent_as_they_are_and_differences_per_tick(said):
    samples = [(10, 0, 4), (13, 0, 4), (13, 0, 9), (2 ** 70, 0, 9)]
    assert run([0, 1, 2, 3], samples) == [
        (10, 4, None), (13, 4, 3), (13, 9, -5), (2 ** 70, 9, 2 ** 70 - 13)]
    assert said == []


@pytest.mark.parametrize("every, second, known", [
    (1, 1.0, True), (1, 1.4, True), (1, 0.6, True), (1, 1.5, False), (1, 0.5, False), (1, 3.0, False), (1, 0.001, False),
    (10, 14.0, True), (10, 16.0, False), (10, 1.0, False),
])
def test_a_tick_that_is_late_or_early(every, second, known):
    _, ticked = run([100, 100 + second], [(1, 0, 0), (8, 0, 2)], every)
    assert ticked == (8, 2, 5 if known else None)


def test_the_tick_after_a_late_one_is_as_usual():
    assert run([0, 3, 4], [(1, 0, 0), (2, 0, 0), (4, 0, 0)])[2] == (4, 0, 2)


def test_a_failed_read_is_a_gap(said):
    samples = [(1, 0, 1), None, None, (5, 0, 1), (7, 0, 1)]
    assert run(range(5), samples) == [
        (1, 1, None), (None,) * 3, (None,) * 3,
        (5, 1, None),  # nobody knows which part of the change was of this tick
        (7, 1, 2)]
    assert said == [(log.ERROR, "toy: cannot read the counters: Input/output error; its charts have a gap")]


def test_a_group_fails_alone():
    other = GROUP._replace(name="other", charts=GROUP.charts[:1])
    charts = CHARTS + select_charts((other,), "entry", {"other": attached(other)})
    collector = Collector(charts, {"toy": Reader(None), "other": Reader((1, 2, 3))}, 1)
    assert [values for _, values in collector.tick(0)] == [(None, None), (None,), (1, 3)]


def test_charts_of_sources_come_behind_the_fixed_ones_and_get_the_counters():
    got = []

    class Source:
        def tick(self, now, counters):
            got.append((now, counters))
            return [("chart", (now,))]

    collector = Collector(CHARTS, {"toy": Reader((1, 0, 1), None)}, 1, (Source(), Source()))
    assert [chart for chart, _ in collector.tick(5)] == [*CHARTS, "chart", "chart"]
    collector.tick(6)
    assert got == [(5, {"toy": (1, 0, 1)})] * 2 + [(6, {"toy": None})] * 2


def test_what_is_to_be_looked_at_first_is_looked_at_before_the_counters_are_read():
    order = []
    reader = Reader((1, 0, 1))
    read = reader.read
    reader.read = lambda: order.append("read") or read()
    Collector(CHARTS, {"toy": reader}, 1, (), lambda: order.append("refresh")).tick(0)
    assert order == ["refresh", "read"]
