"""--debug: numbers for people."""
import io
import sys

from fakes import GROUP, attached, loaded
import pytest

from ebpf_plugin.config import ebpf_conf
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.model.select import select_charts
from ebpf_plugin.outputs import netdata, terminal

CHARTS = select_charts((GROUP,), "entry", {"toy": attached(GROUP)})
SETTINGS = ebpf_conf.load([])[0]


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
    assert terminal.sparkline(values) == line


@pytest.mark.parametrize("value, text", [
    (None, "-"), (0, "0"), (-0.0, "0"), (0.4, "0"), (-0.4, "0"), (0.6, "1"), (1234567.2, "1,234,567"), (-4096, "-4,096"),
])
def test_number(value, text):
    assert terminal._number(value) == text


@pytest.fixture
def printed(monkeypatch):
    texts = []
    monkeypatch.setattr(netdata, "write", texts.append)
    return texts


def sample(values):
    return [*zip(CHARTS, values)]


def test_plain_lines(printed):
    with terminal.Plain() as view:
        view.begin(10.0, sample([(100, 50), (None,)]))
        view.show(12.0, sample([(104, 50 + 4096), (-3,)]))
        view.show(13.0, sample([(None, None), (None,)]))
        view.show(14.0, sample([(200, 5000), (None,)]))
        view.show(15.0, sample([(200, 5001), (7,)]))
    assert [[line.split() for line in text.splitlines()] for text in printed] == [
        [["toy", "flow", "in", "2"], ["toy", "flow", "out", "-2,048"], ["toy", "inside", "rest", "-3"], []],
        [["toy", "flow", "in", "-"], ["toy", "flow", "out", "-"], ["toy", "inside", "rest", "-"], []],
        [["toy", "flow", "in", "-"], ["toy", "flow", "out", "-"], ["toy", "inside", "rest", "-"], []],
        [["toy", "flow", "in", "0"], ["toy", "flow", "out", "-1"], ["toy", "inside", "rest", "7"], []],
    ]


def test_no_terminal_is_plain_lines(monkeypatch):
    monkeypatch.setattr(terminal.os, "isatty", lambda descriptor: False)
    assert type(terminal.view(CHARTS, loaded(GROUP), SETTINGS)) is terminal.Plain


@pytest.mark.parametrize("term", ["dumb", "unknown", "", None])
def test_a_terminal_that_cannot_move_its_cursor_is_plain_lines(monkeypatch, printed, term):
    monkeypatch.setattr(terminal.os, "isatty", lambda descriptor: True)
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    assert type(terminal.view(CHARTS, loaded(GROUP), SETTINGS)) is terminal.Plain


def test_a_terminal_without_rich(monkeypatch, printed):
    monkeypatch.setattr(terminal.os, "isatty", lambda descriptor: True)
    monkeypatch.setenv("TERM", "xterm")
    for name in [name for name in sys.modules if name == "rich" or name.startswith("rich.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert type(terminal.view(CHARTS, loaded(GROUP), SETTINGS)) is terminal.Plain
    assert "python3-rich" in printed[0]


def test_the_live_table(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(terminal.os, "isatty", lambda descriptor: True)
    monkeypatch.setenv("TERM", "xterm")
    view = terminal.view(CHARTS, loaded(GROUP, out=None), SETTINGS)
    drawn = []
    monkeypatch.setattr(view._live, "update", lambda drawing, refresh: drawn.append(drawing))
    view.begin(0, sample([(0, 0), (0,)]))
    for now in range(1, 100):
        view.show(now, sample([(now * 7, 0), (-now,)]))
    main = drawn[-1].renderables[-1]
    columns = [list(column.cells) for column in main.columns]
    assert columns[:4] == [
        ["toy", "", "toy"], ["flow", "", "inside"], ["in", "out", "rest"], ["7 calls/s", "0 calls/s", "-99 difference"]]
    assert [len(cell) for cell in columns[4]] == [terminal.HISTORY] * 3
    assert "out" in main.caption


def stack(*names, **named):
    """A chart whose dimensions come and go."""
    dimensions = tuple(Dimension(name, name=named.get(name, ""), start=0) for name in names)
    return Chart("net", "conns", "Who", "bytes/s", "Net", 9, dimensions, kind="stacked", by="connection")


FIXED = [*zip(CHARTS, [(1, 1), (None,)])]


def rates_of(text):
    return {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("net")}


def test_plain_lines_of_dimensions_that_come_and_go(printed):
    with terminal.Plain() as view:
        view.begin(10.0, FIXED)
        view.show(12.0, FIXED + [(stack("a", "other", a="https:TCP:host"), (0, 10))])
        view.show(14.0, FIXED + [(stack("b", "a", "other"), (0, 6, 10))])
        view.show(15.0, FIXED + [(stack("b", "other"), (5, 10))])
    assert [rates_of(text) for text in printed] == [
        {"https:TCP:host": "0", "other": "5"}, {"b": "0", "a": "3", "other": "0"}, {"b": "5", "other": "0"}]


def test_a_dimension_that_comes_back_goes_on(printed):
    view = terminal.Plain()
    view.begin(10.0, FIXED)
    for now, more in ((11.0, [(stack("a", "other"), (1000, 0))]), (12.0, [(stack("other"), (0,))]),
                      (13.0, [(stack("a", "other"), (1000, 0))]), (14.0, [(stack("a", "other"), (1003, 0))])):
        view.show(now, FIXED + more)
    assert rates_of(printed[2])["a"] in ("0", "-"), "it has not moved since"
    assert rates_of(printed[3])["a"] == "3"


def test_after_a_gap_it_is_unknown_or_the_mean(printed):
    view = terminal.Plain()
    view.begin(10.0, FIXED)
    for now, more in ((11.0, [(stack("a"), (10 ** 6,))]), (12.0, []), (13.0, [(stack("a"), (10 ** 6 + 4,))])):
        view.show(now, FIXED + more)
    assert rates_of(printed[2])["a"] in ("-", "2", "4")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2Jx", "\udcff", "\u2028", "x" * 15000])
def test_plain_names_are_printable(printed, name):
    view = terminal.Plain()
    view.begin(1.0, [])
    view.show(2.0, [(stack("a", a=name), (1,))])
    assert len(printed[0].split("\n")) == 3 and printed[0].replace("\n", "").isprintable()
    printed[0].encode()


@pytest.fixture
def drawn(monkeypatch):
    """A Live view, and what it has drawn as text."""
    console = pytest.importorskip("rich.console")
    monkeypatch.setattr(terminal.os, "isatty", lambda descriptor: True)
    monkeypatch.setenv("TERM", "xterm")
    view = terminal.view(CHARTS, loaded(GROUP), SETTINGS)
    texts = []

    def update(drawing, refresh):
        out = console.Console(width=150, color_system=None, file=io.StringIO())
        out.print(drawing)
        texts.append(out.file.getvalue())

    monkeypatch.setattr(view._live, "update", update)
    view.begin(10.0, FIXED)
    return view, texts


def test_the_busiest_come_first(drawn):
    view, texts = drawn
    names = ["d%d" % number for number in range(20)]
    view.show(11.0, FIXED + [(stack(*names), (0,) * 20)])
    view.show(12.0, FIXED + [(stack(*names), tuple(range(20)))])
    found = [word for word in texts[-1].split() if word in names]
    assert found == ["d%d" % number for number in range(19, 19 - terminal.BUSIEST, -1)]


def test_a_new_one_can_be_the_busiest(drawn):
    view, texts = drawn
    view.show(11.0, FIXED + [(stack("old"), (0,))])
    view.show(12.0, FIXED + [(stack("old", "new"), (5, 0))])
    view.show(13.0, FIXED + [(stack("old", "new"), (6, 9))])
    assert [word for word in texts[-1].split() if word in ("old", "new")] == ["new", "old"]


@pytest.mark.parametrize("name", ["[bold]x[/bold]", "[/]", "[link=http://a]b[/link]", "[red]"])
def test_markup_in_names_is_text(drawn, name):
    view, texts = drawn
    view.show(11.0, FIXED + [(stack("a", a=name), (0,))])
    view.show(12.0, FIXED + [(stack("a", a=name), (9,))])
    assert name in texts[-1]


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\udcff", "\u2028"])
def test_names_draw_nothing_but_themselves(drawn, name):
    view, texts = drawn
    view.show(11.0, FIXED + [(stack("a", a=name), (0,))])
    view.show(12.0, FIXED + [(stack("a", a=name), (9,))])
    assert "\x1b" not in texts[-1] and "\udcff" not in texts[-1]


def of_apps(chart, *names, **named):
    dimensions = tuple(Dimension(name, name=named.get(name, ""), start=0) for name in names)
    return Chart("toy", chart, "Who", "bytes/s", "ebpf syscall", 9, dimensions, "stacked", "apps", "application")


def rows_of(text):
    """The words of each row of the table of applications, which is above the others."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.split()[:1] == ["application"])
    end = next(number for number, line in enumerate(lines) if line.split()[:2] == ["chart", "dimension"])
    return [line.split() for line in lines[begin + 1:end]]


def test_applications_have_a_row_each(drawn):
    view, texts = drawn
    charts = of_apps("vfs_read_bytes", "a", "b", "idle", b="my app"), of_apps("file_open", "a", "b", "idle", b="my app"), \
        of_apps("vfs_fsync", "a", "b", "idle", b="my app")
    view.show(11.0, FIXED + [(chart, (0, 0, 0)) for chart in charts])
    view.show(13.0, FIXED + [(charts[0], (2468, 0, 0)), (charts[1], (2, 20, 0)), (charts[2], (0, 0, 1000))])
    # opens, read, written, processes, received, sent; of each its rate
    assert rows_of(texts[-1]) in [[
        ["a", "1", "1,234", "0", "0", "0", "0"], ["my", "app", "10", "0", "0", "0", "0", "0"]][::way] for way in (1, -1)]
    assert "idle" not in texts[-1] and "vfs_fsync" not in texts[-1], "what the table does not tell is not in it"


def test_the_first_look_at_applications(drawn):
    view, texts = drawn
    view.show(11.0, FIXED + [])
    assert rows_of(texts[-1]) == []
    view.show(12.0, FIXED + [(of_apps("file_open", "a"), (5,))])
    assert rows_of(texts[-1]) == [["a", "5", "0", "0", "0", "0", "0"]]


def test_applications_are_as_busy_as_where_they_stand_highest(drawn):
    view, texts = drawn
    names = tuple("app%d" % number for number in range(terminal.BUSIEST + 4))
    charts = of_apps("vfs_read_bytes", *names), of_apps("process_create", *names)
    view.show(11.0, FIXED + [(chart, (0,) * len(names)) for chart in charts])
    # the last one reads hardly anything, but starts the most processes
    read = tuple(10 ** 6 - 1000 * number for number in range(len(names) - 1)) + (1,)
    created = (0,) * (len(names) - 1) + (3,)
    view.show(12.0, FIXED + [(charts[0], read), (charts[1], created)])
    found = [row[0] for row in rows_of(texts[-1])]
    assert sorted(found[:2]) == sorted([names[0], names[-1]])
    assert found[2:] == list(names[1:terminal.BUSIEST - 1])


@pytest.mark.parametrize("name", ["[red]", "[/]", "\x1b[2J", "\udcff"])
def test_names_of_applications_are_text(drawn, name):
    view, texts = drawn
    view.show(11.0, FIXED + [(of_apps("file_open", "a", a=name), (0,))])
    view.show(12.0, FIXED + [(of_apps("file_open", "a", a=name), (9,))])
    assert "\x1b" not in texts[-1] and "\udcff" not in texts[-1]
    assert not name.isprintable() or name in texts[-1]


def test_applications_are_not_among_the_connections(drawn):
    view, texts = drawn
    for now, value in ((11.0, 0), (12.0, 9)):
        view.show(now, FIXED + [(of_apps("file_open", "nginx"), (value,)), (stack("peer"), (value,))])
    busiest = texts[-1][texts[-1].index("chart"):]
    assert "peer" in busiest and "nginx" not in busiest and [row[0] for row in rows_of(texts[-1])] == ["nginx"]
