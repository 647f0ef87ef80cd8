"""Series of rows: sums that never go back, ids that are each once, and what is kept of those that have left."""
import contextlib

from fakes import FUZZ
from hypothesis import example, given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.series.table import SeriesTable


def table(remembered=10):
    """Of series whose id is their key without its last character."""
    found = SeriesTable(lambda key: (key[:-1], key.upper(), (("key", key),)), remembered)
    found.begin_tick()
    return found


def test_what_a_row_has_when_it_is_added_is_not_counted():
    found = table()
    series = found.add("a1", 0, {"rows": (5, 7)})
    found.update(series, "rows", (6, 9))
    assert series.sums == {"rows": (1, 2)}


def test_a_source_that_was_not_there_is_counted_whole():
    found = table()
    series = found.add("a1", 0, {})
    found.update(series, "rows", (6, 9))
    assert series.sums == {"rows": (6, 9)}


def test_a_row_that_begins_anew_is_counted_on():
    found = table()
    series = found.add("a1", 0, {"rows": (100,)}, epoch=1)
    found.update(series, "rows", (130,), epoch=1)
    found.update(series, "rows", (7,), epoch=2)
    assert series.sums == {"rows": (37,)}


def test_name_and_labels_are_those_of_the_key():
    series = table().add("a1", 0, {})
    assert (series.id, series.name, series.labels) == ("a", "A1", (("key", "a1"),))


def test_ids_are_each_once():
    found = table(remembered=1)
    assert [found.add(key, 0, {}).id for key in ("a1", "a2", "a3")] == ["a", "a_2", "a_3"]
    for key in ("a1", "a2"):
        found.remove(found.live[key])
    assert found.add("a4", 0, {}).id == "a", "the id of a forgotten one is free"
    assert found.add("a5", 0, {}).id == "a_4", "that of one that is remembered is not"


def test_a_key_that_comes_back_goes_on_where_it_was():
    found = table()
    series = found.add("a1", 0, {"rows": (0,)})
    found.update(series, "rows", (5,))
    found.begin_tick()
    found.begin_tick()
    found.remove(series)
    again = found.add("a1", 9, {"rows": (3,)})
    assert again is series
    assert (again.sums, again.start) == ({"rows": (5,)}, {"rows": (5,)})
    found.update(again, "rows", (10,))
    assert again.sums == {"rows": (12,)}


def test_what_was_moved_in_the_tick_in_which_a_series_leaves_is_given_back():
    found = table()
    series = found.add("a1", 0, {"rows": (0,)})
    found.update(series, "rows", (5,))
    for _ in range(2):
        found.begin_tick()
    found.update(series, "rows", (12,))
    assert found.remove(series) == {"rows": (7,)}
    assert series.sums == {"rows": (5,)}


@pytest.mark.parametrize("ticks, back", [(0, 5), (1, 5), (2, 0)])
def test_a_series_that_leaves_after_one_tick_gives_back_all(ticks, back):
    """An output has taken its first value for where it began."""
    found = table()
    series = found.add("a1", 0, {"rows": (0,)})
    found.update(series, "rows", (5,))
    for _ in range(ticks):
        found.begin_tick()
    assert found.remove(series).get("rows", (0,)) == (back,)
    assert series.sums["rows"] == (5 - back,)


def test_a_key_whose_sums_were_taken_back_does_not_come_back_at_the_same_tick():
    found = table()
    series = found.add("a1", 0, {"rows": (0,)})
    found.update(series, "rows", (5,))
    found.begin_tick()
    found.remove(series)
    with pytest.raises(ValueError, match="'a1' was removed at this tick"):
        found.add("a1", 0, {})
    found.begin_tick()
    assert found.add("a1", 0, {"rows": (5,)}).sums == {"rows": (0,)}


def test_those_that_have_changed_are_known_by_source_until_the_next_tick():
    found = table()
    one, two = found.add("a1", 0, {}), found.add("b1", 0, {})
    found.update(one, "rows", (1,))
    found.update(two, "others", (1,))
    assert found.changed == {"rows": {one}, "others": {two}}
    found.begin_tick()
    assert found.changed == {}


def test_the_version_changes_with_what_is_there_and_with_names():
    found = table()
    versions = [found.version]
    series = found.add("a1", 0, {})
    versions.append(found.version)
    found.rename([(series, "other")])
    versions.append(found.version)
    found.remove(series)
    versions.append(found.version)
    assert sorted(set(versions)) == versions
    found.update(series, "rows", (1,))
    assert found.version == versions[-1]


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("add", "move", "restart", "remove", "tick")),
                           st.integers(0, 1000)), max_size=60)


@FUZZ
@given(STEPS)
@example([("b", "add", 0), ("b", "move", 1), ("a", "tick", 0), ("b", "remove", 0), ("b", "add", 0)])
def test_no_sum_goes_back_and_nothing_is_lost_or_counted_twice(steps):
    """Given back and summed up are together what the rows have moved while they had a series."""
    found = table(remembered=100)
    raw, epoch, moved, back, last = dict.fromkeys("abc", 0), 0, 0, 0, {}
    for name, step, amount in steps:
        key = name + "1"
        series = found.live.get(key)
        if step == "add" and series is None:
            with contextlib.suppress(ValueError):  # it was removed at this tick
                found.add(key, 0, {"rows": (raw[name],)}, epoch)
        elif step == "tick":
            found.begin_tick()
            last = {key: series.sums.get("rows", (0,)) for key, series in found.live.items()}
        elif step == "remove" and series is not None:
            back += found.remove(series).get("rows", (0,))[0]
        elif step in ("move", "restart") and series is not None:
            epoch += step == "restart"
            before = raw[name] if step == "move" else 0
            raw[name] = before + amount
            series_epoch = epoch if step == "restart" else series.epoch
            found.update(series, "rows", (raw[name],), series_epoch)
            moved += amount
        for key, series in found.live.items():
            assert series.sums.get("rows", (0,)) >= last.get(key, (0,))
    everything = [*found.live.values(), *found._retired.values()]
    assert sum(series.sums.get("rows", (0,))[0] for series in everything) + back == moved
