"""--debug: numbers for people."""
import sys

import pytest
from fakes import GROUP, attached, loaded

from ebpf_plugin import config, output, table
from ebpf_plugin.lineup import lineup

SHOWN = lineup((GROUP,), "entry", {"toy": attached(GROUP)})
WANTED = config.load([])[0]


@pytest.mark.parametrize("values, line", [
    ([], ""),
    ([None], " "),
    ([0], "▁"),
    ([0, None, 0], "▁ ▁"),
    ([5], "█"),
    ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
    ([-7, 0, 7], "█▁█"),
    ([0.1, 0.2], "▄█"),
    ([1, 10 ** 30], "▁█"),
])
def test_sparkline(values, line):
    assert table.sparkline(values) == line


@pytest.mark.parametrize("value, text", [
    (None, "-"), (0, "0"), (-0.0, "0"), (0.4, "0"), (-0.4, "0"), (0.6, "1"), (1234567.2, "1,234,567"), (-4096, "-4,096"),
])
def test_number(value, text):
    assert table._number(value) == text


@pytest.fixture
def printed(monkeypatch):
    texts = []
    monkeypatch.setattr(output, "write", texts.append)
    return texts


def test_plain_lines(printed):
    with table.Plain(SHOWN) as view:
        view.begin(10.0, [(100, 50), (None,)])
        view.show(12.0, [(104, 50 + 4096), (-3,)])
        view.show(13.0, [(None, None), (None,)])
        view.show(14.0, [(200, 5000), (None,)])
        view.show(15.0, [(200, 5001), (7,)])
    assert [[line.split() for line in text.splitlines()] for text in printed] == [
        [["toy", "flow", "in", "2"], ["toy", "flow", "out", "-2,048"], ["toy", "inside", "rest", "-3"], []],
        [["toy", "flow", "in", "-"], ["toy", "flow", "out", "-"], ["toy", "inside", "rest", "-"], []],
        [["toy", "flow", "in", "-"], ["toy", "flow", "out", "-"], ["toy", "inside", "rest", "-"], []],
        [["toy", "flow", "in", "0"], ["toy", "flow", "out", "-1"], ["toy", "inside", "rest", "7"], []],
    ]


def test_no_terminal_is_plain_lines(monkeypatch):
    monkeypatch.setattr(table.os, "isatty", lambda descriptor: False)
    assert type(table.view(SHOWN, loaded(GROUP), WANTED)) is table.Plain


def test_a_terminal_without_rich(monkeypatch, printed):
    monkeypatch.setattr(table.os, "isatty", lambda descriptor: True)
    for name in [name for name in sys.modules if name == "rich" or name.startswith("rich.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert type(table.view(SHOWN, loaded(GROUP), WANTED)) is table.Plain
    assert "python3-rich" in printed[0]


def test_the_live_table(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(table.os, "isatty", lambda descriptor: True)
    view = table.view(SHOWN, loaded(GROUP, out=None), WANTED)
    drawn = []
    monkeypatch.setattr(view._live, "update", lambda drawing, refresh: drawn.append(drawing))
    view.begin(0, [(0, 0), (0,)])
    for now in range(1, 100):
        view.show(now, [(now * 7, 0), (-now,)])
    columns = [list(column.cells) for column in drawn[-1].columns]
    assert columns[:4] == [
        ["toy", "", "toy"], ["flow", "", "inside"], ["in", "out", "rest"], ["7 calls/s", "0 calls/s", "-99 difference"]]
    assert [len(cell) for cell in columns[4]] == [table.HISTORY] * 3
    assert "out" in drawn[-1].caption
