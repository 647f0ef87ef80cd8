"""Charts of a table's series: dimensions, values, and what is made anew only when it must be."""
import pytest

from ebpf_plugin.model.declared import Chart
from ebpf_plugin.series.charts import Part, RowCharts, SeriesChart
from ebpf_plugin.series.table import SeriesTable

COMMON = Chart("toy", "moved", "Moved", "bytes/s", "Toys", 7, (), "stacked", by="toy")
SENT, RECEIVED = Part((0,), "_sent", -1, (("way", "out"),)), Part((1, 2), "_recv")
OTHER = ("other", "others", (("key", "the rest"),))


@pytest.fixture
def table():
    found = SeriesTable(lambda key: (key, key.upper(), (("key", key),)), 10)
    found.begin_tick()
    return found


def dimensions(chart):
    return [(dimension.id, dimension.name, dimension.multiplier) for dimension in chart.dimensions]


def test_each_series_has_its_parts_and_the_rest_comes_last(table):
    found = SeriesChart(table, "rows", COMMON, (SENT, RECEIVED), other=OTHER)
    table.update(table.add("a", 0, {}), "rows", (1, 20, 300))
    chart, values = found.values((7, 8, 9))
    assert dimensions(chart) == [
        ("a_sent", "A_sent", -1), ("a_recv", "A_recv", 1),
        ("other_sent", "others_sent", -1), ("other_recv", "others_recv", 1)]
    assert values == (1, 320, 7, 17)
    assert [dict(dimension.labels) for dimension in chart.dimensions] == [
        {"key": "a", "way": "out"}, {"key": "a"}, {"key": "the rest", "way": "out"}, {"key": "the rest"}]


def test_without_a_rest_only_series_are_shown(table):
    table.update(table.add("a", 0, {}), "rows", (1, 20, 300))
    chart, values = SeriesChart(table, "rows", COMMON, (RECEIVED,)).values()
    assert dimensions(chart) == [("a_recv", "A_recv", 1)]
    assert values == (320,)


def test_a_series_may_have_some_of_the_parts(table):
    table.add("a", 0, {})
    table.add("b", 0, {})
    parts = {"a": (SENT,), "b": (RECEIVED,)}
    found = SeriesChart(table, "rows", COMMON, (SENT, RECEIVED), lambda series: parts[series.key])
    assert [name for name, _, _ in dimensions(found.values()[0])] == ["a_sent", "b_recv"]


def test_the_chart_is_the_same_object_until_its_series_change(table):
    found = SeriesChart(table, "rows", COMMON, (SENT,))
    series = table.add("a", 0, {})
    first, _ = found.values()
    table.update(series, "rows", (5, 0, 0))
    second, values = found.values()
    assert second is first
    assert values == (5,)
    table.rename([(series, "other name")])
    assert found.values()[0].dimensions[0].name == "other name_sent"
    table.remove(series)
    assert found.values() == (COMMON, ())


def test_only_what_is_counted_by_its_source_is_its_value(table):
    found = SeriesChart(table, "rows", COMMON, (SENT,))
    series = table.add("a", 0, {})
    table.update(series, "others", (5, 0, 0))
    assert found.values()[1] == (0,)


def test_where_a_dimension_began(table):
    found = SeriesChart(table, "rows", COMMON, (SENT,), other=OTHER)
    first = table.add("a", 0, {"rows": (3, 0, 0)})
    for _ in range(3):
        table.begin_tick()
    table.update(first, "rows", (8, 0, 0))
    table.add("b", 0, {})
    starts = {dimension.id: dimension.start for dimension in found.values((0, 0, 0))[0].dimensions}
    # of what was there at the first tick nobody knows; `other` has always been there
    assert starts == {"a_sent": None, "b_sent": 0, "other_sent": None}
    for _ in range(2):
        table.begin_tick()
    table.remove(first)
    table.add("a", 0, {"rows": (50, 0, 0)})
    starts = {dimension.id: dimension.start for dimension in found.values((0, 0, 0))[0].dimensions}
    assert starts == {"b_sent": 0, "a_sent": 5, "other_sent": None}


class Counters:
    """Of five rows, as collect/rows.py has them."""

    def __init__(self):
        self.columns, self.moved = [[10, 11, 12, 13, 14], [20, 21, 22, 23, 24], [0] * 5], set()


LARGE = COMMON.replaced(id="large")


@pytest.fixture
def rows(table):
    """(Counters, RowCharts) of series whose names are their rows."""
    counters = Counters()
    return counters, RowCharts(table, counters, [(COMMON, (0,)), (LARGE, (1, 2))])


def shown(charts):
    return {chart.id: values for chart, values in charts.values()}


def test_a_value_is_the_sum_of_columns_in_the_row_of_a_series(table, rows):
    counters, charts = rows
    assert shown(charts) == {"moved": (), "large": ()}
    table.add("3", 0, {})
    assert shown(charts) == {"moved": (13,), "large": (23,)}
    table.add("1", 0, {})
    counters.columns[2][1], counters.moved = 100, {2}
    assert shown(charts) == {"moved": (13, 11), "large": (23, 121)}


def test_only_charts_of_what_has_moved_are_made_anew(table, rows):
    counters, charts = rows
    table.add("3", 0, {})
    (_, moved), (_, large) = charts.values()
    counters.columns[2][3], counters.moved = 7, {2}
    (_, still), (_, larger) = charts.values()
    assert still is moved and larger == (30,)


def test_what_a_series_has_above_its_row_is_added(table, rows):
    """Here a row that another one had before, and a name that comes back."""
    counters, charts = rows
    table.add("2", 0, {"toy": (12, 22, 0)})
    assert shown(charts) == {"moved": (0,), "large": (0,)}
    counters.columns[0][2], counters.columns[1][2], counters.moved = 15, 122, {0, 1}
    assert shown(charts) == {"moved": (3,), "large": (100,)}
    table.update(table.live["2"], "toy", (15, 122, 0))
    for _ in range(2):
        table.begin_tick()
    table.remove(table.live["2"])
    table.add("2", 0, {"toy": (15, 122, 0)})
    (chart, values), (_, large) = charts.values()
    assert (values, large) == ((3,), (100,)) and [dimension.start for dimension in chart.dimensions] == [3]
