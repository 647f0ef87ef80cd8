"""Samples by the memory file: what is read is what was written, whole, and never waited for."""
import os
import struct
import threading

from fakes import GROUP, attached
import pytest

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.model.select import select_charts
from ebpf_plugin.outputs import sample_page
from ebpf_plugin.outputs.sample_page import Writer, read


def as_metrics_see(chart):
    """Without what only other outputs need."""
    return chart.replaced(family="", priority=0, kind="line", context="", dimensions=tuple(
        Dimension(each.id, each.algorithm, each.multiplier, labels=each.labels, divisor=each.divisor)
        for each in chart.dimensions))


CHARTS = [as_metrics_see(chart) for groups in ((GROUP,), GROUPS)
          for chart in select_charts(groups, "return", {group.name: attached(group) for group in groups})]
SAMPLE = [(chart, tuple(range(len(chart.dimensions)))) for chart in CHARTS]


@pytest.fixture
def page():
    descriptor = os.memfd_create("page", 0)
    yield descriptor
    os.close(descriptor)


def test_before_the_first_sample_there_is_none(page):
    assert read(page) is None


def test_what_is_read_is_what_was_written(page):
    writer = Writer(page)
    for number in range(1, 5):
        sample = SAMPLE + [(CHARTS[0].replaced(id="more", dimensions=()), ()), (CHARTS[1], (None,)), (CHARTS[1], (2 ** 70,))]
        writer.write(number, number + 0.5, 2, sample)
        found = read(page)
        assert (found.sequence, found.now, found.written, found.every) == (number, number, number + 0.5, 2)
        assert list(found.sample()) == sample


def test_a_chart_that_has_changed_is_written_as_it_is_now(page):
    writer = Writer(page)
    one = Chart("toy", "flow", "", "", "", 0, (Dimension("a"),))
    both = one.replaced(dimensions=(Dimension("a"), Dimension("b")))
    for chart in (one, both, one):
        sample = [(chart, (1,) * len(chart.dimensions))]
        writer.write(0, 0, 1, sample)
        assert list(read(page).sample()) == sample


def test_a_sample_of_many_charts(page):
    charts = [CHARTS[0].replaced(id="chart_%d" % number, dimensions=(Dimension("a"),)) for number in range(2000)]
    sample = [(chart, (number,)) for number, chart in enumerate(charts)]
    Writer(page).write(0, 0, 1, sample)
    assert list(read(page).sample()) == sample


def test_a_sample_that_has_no_room_is_refused_and_the_last_one_stays(page, monkeypatch):
    writer = Writer(page)
    writer.write(1, 1, 1, SAMPLE)
    monkeypatch.setattr(sample_page, "ROOM", 100)
    with pytest.raises(OSError, match="a sample of"):
        writer.write(2, 2, 1, SAMPLE)
    monkeypatch.undo()
    assert read(page).now == 1


def test_a_sample_that_is_being_written_is_not_read(page):
    """Of the place that is written to, nothing is read until the number of samples says so."""
    writer = Writer(page)
    writer.write(1, 1, 1, SAMPLE)
    os.pwrite(page, b"\xff" * 5000, sample_page.FIRST)  # the place of the next one
    assert list(read(page).sample()) == SAMPLE
    os.pwrite(page, struct.pack("=Q", 3), 0)  # and this one is said to be in the place of the first, but is not
    assert read(page) is None


def test_a_first_sample_that_is_being_written_is_not_read(page):
    os.pwrite(page, b"\xff", sample_page.FIRST + sample_page.ROOM)
    assert read(page) is None


def test_reading_while_samples_are_written(page):
    """Every value of a sample is the same number: a mixture of two would be seen."""
    writer, stop = Writer(page), threading.Event()
    chart = Chart("toy", "flow", "", "", "", 0, tuple(Dimension("d%d" % place) for place in range(500)))

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            writer.write(number, number, 1, [(chart, (number,) * 500)])
    thread = threading.Thread(target=write)
    thread.start()
    try:
        seen = set()
        while len(seen) < 50:
            found = read(page)
            if found:
                (_, values), = found.sample()
                assert set(values) == {found.sequence}
                seen.add(found.sequence)
    finally:
        stop.set()
        thread.join()
