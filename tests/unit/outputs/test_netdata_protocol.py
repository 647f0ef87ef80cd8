"""Lines for the agent: whatever the texts and numbers are, the agent splits them into the words that were meant."""
import re
import unicodedata

from fakes import FUZZ, GROUP, attached
from hypothesis import example, given
from hypothesis import strategies as st
from pluginsd import check_line, words
import pytest

from ebpf_plugin.model.declared import Dimension
from ebpf_plugin.model.select import select_charts
from ebpf_plugin.outputs import netdata_protocol

# surrogates as well: they come from file names and environment that are not UTF-8
ANY = st.text(st.characters())
HOSTILE = "it's \"a\" = \\'x\\\n\r\nDISABLE\0\x1b[2J\x7f\x85\u2028\u00e9\udcff" + "\U0001f600" * 4000

FLOW = select_charts((GROUP,), "entry", {"toy": attached(GROUP)})[0]


@pytest.mark.parametrize("line, expected", [
    ("SET a = 1\n", ["SET", "a", "1"]),
    ("SET a=1", ["SET", "a", "1"]),
    ("CHART x.p '' 'a = b' \"it's\"", ["CHART", "x.p", "", "a = b", "it's"]),
    ("'a'b ma'x", ["a", "b", "ma'x"]),
    ("'a\\' b' c", ["a\\' b", "c"]),
])
def test_the_splitter_of_this_test(line, expected):
    assert words(line) == expected


def sample(chart, values, microseconds):
    """The lines of a block."""
    block = netdata_protocol.Block(chart)
    block.set(tuple(values))
    since = "" if microseconds is None else " %d" % microseconds
    return (block.begin + since + block.sets).splitlines(True) if block.sets else []


@FUZZ
@given(ANY)
@example(HOSTILE)
@example("\x80\x9f")
def test_quoted_holds_nothing_that_ends_it(text):
    quoted = netdata_protocol.quoted(text)
    assert quoted[0] == quoted[-1] == "'"
    inside = quoted[1:-1]
    assert not set(inside) & set("'\\")
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in inside)
    assert words("A %s B" % quoted) == ["A", inside, "B"]


@pytest.mark.parametrize("text, expected", [
    ("Open and close calls", "'Open and close calls'"),
    ("", "''"),
    ("it's", "'it`s'"),
    ("a\\b\nc", "'a/b c'"),
    ("x" * 5000, "'%s'" % ("x" * netdata_protocol.LONGEST_TEXT)),
])
def test_quoted(text, expected):
    assert netdata_protocol.quoted(text) == expected


@FUZZ
@given(ANY, ANY, ANY, ANY, st.integers(1, 3600))
@example(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 1)
def test_chart_lines_stay_whole(title, units, family, module, every):
    shown = FLOW.replaced(group=module, title=title, units=units, family=family)
    lines = list(netdata_protocol.chart(shown, every))
    for line in lines:
        check_line(line)
    chart, *dimensions = map(words, lines)
    assert len(chart) == 13
    assert chart[:3] == ["CHART", "ebpf.flow", ""] and chart[6:11] == ["ebpf.flow", "line", "1", str(every), ""]
    assert "'%s'" % chart[3] == netdata_protocol.quoted(title)
    assert "'%s'" % chart[12] == netdata_protocol.quoted(module)
    assert dimensions == [
        ["DIMENSION", "in", "", "incremental", "1", "1"], ["DIMENSION", "out", "", "incremental", "-1", "1"]]


@FUZZ
@example([1, 2 ** 63], None)
@given(st.lists(st.none() | st.integers(), min_size=2, max_size=2), st.none() | st.integers(0, 2 ** 63 - 1))
def test_sample_lines(values, microseconds):
    lines = sample(FLOW, values, microseconds)
    known = [(name, value) for name, value in zip(("in", "out"), values) if value is not None]
    if not known:
        assert lines == []
        return
    for line in lines:
        check_line(line)
    begin, *sets, end = map(words, lines)
    assert begin == ["BEGIN", "ebpf.flow"] + ([] if microseconds is None else [str(microseconds)])
    assert end == ["END"]
    assert [word[:2] for word in sets] == [["SET", name] for name, _ in known]
    for (_, _, text), (_, value) in zip(sets, known):
        assert re.fullmatch(r"0|-?[1-9][0-9]*", text)
        assert -2 ** 63 <= int(text) < 2 ** 63 and (int(text) - value) % 2 ** 64 == 0


@pytest.mark.parametrize("value, sent", [
    (0, 0), (-1, -1), (2 ** 63 - 1, 2 ** 63 - 1), (-2 ** 63, -2 ** 63),
    (2 ** 63, -2 ** 63), (2 ** 64 - 1, -1), (2 ** 64, 0), (-2 ** 63 - 1, 2 ** 63 - 1),
])
def test_numbers_wrap_at_64_bits(value, sent):
    assert "SET in = %d\n" % sent in sample(FLOW, (value, None), None)


def test_a_gap_is_no_set():
    assert sample(FLOW, (None, 0), 7) == ["BEGIN ebpf.flow 7\n", "SET out = 0\n", "END\n"]


@pytest.mark.parametrize("name", [
    "", " ", "a b", "a=b", "a'b", 'a"b', "a\\b", "a\n", "\0", "a/b", "\u00e9", "\u0661", "\udcff", "x" * 151,
])
def test_ids_are_demanded(name):
    for chart in (FLOW.replaced(id=name), FLOW.replaced(dimensions=(Dimension(name),))):
        with pytest.raises(ValueError):
            list(netdata_protocol.chart(chart, 1))
        with pytest.raises(ValueError):
            netdata_protocol.Block(chart)


def test_the_longest_id_is_within_the_agents_limit():
    assert len(words(next(netdata_protocol.chart(FLOW.replaced(id="x" * 145), 1)))[1]) == 150 < 199


def test_a_word_of_its_own():
    assert words(netdata_protocol.DISABLE) == ["DISABLE"] and words(netdata_protocol.KEEP_ALIVE) == []


IN, OUT = Dimension("in", name="https:TCP:host"), Dimension("out", multiplier=-1, name="it's")
STACKED = FLOW.replaced(kind="stacked", type="netdata", id="out", dimensions=(IN, OUT))


def test_kind_type_and_names():
    assert list(netdata_protocol.chart(STACKED, 1)) == [
        "CHART netdata.out '' 'In and out' 'calls/s' 'Toys' 'netdata.out' stacked 1 1 '' 'ebpf.plugin' 'toy'\n",
        "DIMENSION in 'https:TCP:host' incremental 1 1\n",
        "DIMENSION out 'it`s' incremental -1 1\n"]
    assert sample(STACKED, (1, 2), None)[0] == "BEGIN netdata.out\n"


@pytest.mark.parametrize("before, after, dimensions", [
    ((IN,), (IN,), []),
    ((IN,), (IN, OUT), ["out 'it`s' incremental -1 1"]),
    ((IN, OUT), (OUT, IN), []),
    ((IN, OUT), (OUT,), ["in 'https:TCP:host' incremental 1 1 'obsolete'"]),
    ((IN,), (OUT,), ["out 'it`s' incremental -1 1", "in 'https:TCP:host' incremental 1 1 'obsolete'"]),
    ((IN,), (Dimension("in", name="other"),), ["in 'other' incremental 1 1"]),
    ((IN,), (Dimension("in"),), ["in '' incremental 1 1"]),
    ((), (Dimension("in"),), ["in '' incremental 1 1"]),
    ((IN, OUT), (), ["in 'https:TCP:host' incremental 1 1 'obsolete'", "out 'it`s' incremental -1 1 'obsolete'"]),
])
def test_only_what_has_changed_is_declared_again(before, after, dimensions):
    lines = list(netdata_protocol.chart(STACKED.replaced(dimensions=after), 1, STACKED.replaced(dimensions=before)))
    assert lines[0].startswith("CHART netdata.out ")
    assert lines[1:] == ["DIMENSION %s\n" % text for text in dimensions]


MANY = FLOW.replaced(dimensions=tuple(Dimension("d%d" % number) for number in range(3 * netdata_protocol.PIECE + 1)))


@FUZZ
@given(st.lists(st.dictionaries(st.integers(0, len(MANY.dimensions) - 1), st.none() | st.integers(-2 ** 64, 2 ** 64)),
                max_size=5))
def test_lines_that_are_kept_are_those_of_the_values(changes):
    """Whatever has changed, a block is what a new one with these values would be."""
    block, values = netdata_protocol.Block(MANY), [0] * len(MANY.dimensions)
    for change in changes:
        for place, value in change.items():
            values[place] = value
        block.set(tuple(values))
        new = netdata_protocol.Block(MANY)
        new.set(tuple(values))
        assert block.sets == new.sets
        assert [line.split()[1] for line in block.sets.splitlines()[1:-1]] == [
            "d%d" % place for place, value in enumerate(values) if value is not None]
