"""Histograms as data: slots, bounds, dimensions."""
import re

from fakes import ROOT
import pytest

from ebpf_plugin.groups import GROUPS
from ebpf_plugin.model.histogram import Histogram


@pytest.mark.parametrize("slots, bounds", [
    (2, (0, 1)), (5, (0, 1, 2, 4, 8)), (12, (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024))])
def test_each_slot_begins_where_the_one_before_ends(slots, bounds):
    histogram = Histogram("wait", "us", slots)
    assert histogram.lower_bounds() == bounds
    assert histogram.counters() == tuple("wait_us_%d" % slot for slot in range(slots))
    assert [(dimension.id, dimension.plus) for dimension in histogram.dimensions()] == [
        ("us_%d" % bound, (counter,)) for bound, counter in zip(bounds, histogram.counters())]


def slot_of(value, slots):
    """bpf/histogram.h in Python."""
    slot = 0
    for i in range(63):
        if i >= slots - 1 or not value >> i:
            break
        slot = i + 1
    return slot


@pytest.mark.parametrize("value, slot", [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11), (2 ** 63, 11)])
def test_the_slot_of_a_value_is_the_one_whose_bounds_it_is_in(value, slot):
    bounds = Histogram("wait", "us", 12).lower_bounds()
    assert slot_of(value, 12) == slot == max(place for place, bound in enumerate(bounds) if bound <= value)


def test_counters_of_softirq_stand_in_the_order_that_its_programs_count_in():
    softirq = next(group for group in GROUPS if group.name == "softirq")
    with open(ROOT + "/bpf/softirq.c", encoding="utf-8") as file:
        text = file.read()
    vectors = int(re.search(r"#define VECTORS (\d+)", text).group(1))
    names = [counter.rsplit("_", 1)[0] for counter in softirq.counters[:vectors]]
    assert softirq.counters[vectors:2 * vectors] == tuple(name + "_ns" for name in names)
    slots = softirq.counters.index("timer_us_0") - softirq.counters.index("hi_us_0")
    assert softirq.counters[2 * vectors:] == tuple("%s_us_%d" % (name, slot) for name in names for slot in range(slots))
