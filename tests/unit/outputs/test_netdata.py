"""The view for the agent: one write for each tick, and durations that hold over gaps."""
import errno
import os

from fakes import GROUP, attached
from pluginsd import Agent
import pytest

from ebpf_plugin import lifecycle, log
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.model.select import select_charts
from ebpf_plugin.outputs import netdata

CHARTS = select_charts((GROUP,), "entry", {"toy": attached(GROUP)})


@pytest.fixture
def writes(monkeypatch):
    """What each write(2) on stdout got."""
    written = []

    def write(descriptor, data):
        assert descriptor == 1
        written.append(bytes(data).decode())
        return len(data)

    monkeypatch.setattr(netdata.os, "write", write)
    return written


@pytest.fixture
def output(writes):
    return netdata.Netdata(1, CHARTS)


def test_the_declaration_is_one_write(writes):
    netdata.declare(CHARTS, 5)
    assert [line.split()[0] for line in writes[0].splitlines()] == ["CHART", "DIMENSION", "DIMENSION", "CHART", "DIMENSION"]
    assert len(writes) == 1


def test_one_write_for_each_tick(output, writes):
    output.begin(0, sample([(1, 1), (1,)]))
    assert writes == []
    with output:
        for now in range(3):
            output.show(now, sample([(now, 1), (1,)]))
    assert len(writes) == 3
    assert all(text.count("BEGIN") == text.count("END\n") == 2 for text in writes)


def sample(values):
    return [*zip(CHARTS, values)]


def begins(text):
    return [line[len("BEGIN ebpf."):] for line in text.splitlines() if line.startswith("BEGIN")]


def test_durations_are_each_charts_own(output, writes):
    known, gap = (1, 1), (None, None)
    for now, flow, rest in ((10.0, known, None), (11.0, known, 1), (12.25, gap, 1), (13.0, gap, None), (14.5, known, 1)):
        output.show(now, sample([flow, (rest,)]))
    assert [begins(text) for text in writes] == [
        ["flow"],
        ["flow 1000000", "inside"],
        ["inside 1250000"],
        [],
        ["flow 3500000", "inside 2250000"],
    ]


def test_a_gap_in_one_dimension_is_not_one_of_the_chart(output, writes):
    for now in (1, 2, 3):
        output.show(now, sample([(None if now == 2 else 1, 1), (None,)]))
    assert [begins(text) for text in writes] == [["flow"], ["flow 1000000"], ["flow 1000000"]]
    assert writes[1] == "BEGIN ebpf.flow 1000000\nSET out = 1\nEND\n"


def stack(*names, start=None, **renamed):
    """A chart whose dimensions come and go, with these ones; `start` is that of the first."""
    dimensions = tuple(Dimension(name, name=renamed.get(name, ""), start=start if name == names[0] else None)
                       for name in names)
    return Chart("net", "conns", "Who", "bytes/s", "Net", 9, dimensions, kind="stacked", by="peer")


def test_dimensions_that_come_and_go(output, writes):
    fixed = sample([(1, 1), (1,)])
    first, second, third = stack("a", "other"), stack("b", "other", a="A"), stack("b", "a", "other", a="A")
    for now, more in enumerate((
            [(first, (1, 2))], [(first, (2, 3))], [], [(second, (0, 3))], [(third, (1, 1, 3))]), 1):
        output.show(now, fixed + more)
    declared = [[line for line in text.splitlines() if line.split()[0] in ("CHART", "DIMENSION")] for text in writes]
    chart = "CHART ebpf.conns '' 'Who' 'bytes/s' 'Net' 'ebpf.conns' stacked 9 1 '' 'ebpf.plugin' 'net'"
    assert declared == [
        [chart, "DIMENSION a '' incremental 1 1", "DIMENSION other '' incremental 1 1"],
        [],
        [],
        [chart, "DIMENSION b '' incremental 1 1", "DIMENSION a '' incremental 1 1 'obsolete'"],
        [chart, "DIMENSION a 'A' incremental 1 1"],
    ]
    assert [[begin for begin in begins(text) if "conns" in begin] for text in writes] == [
        ["conns"], ["conns 1000000"], [], ["conns 2000000"], ["conns 1000000"]]
    assert len(writes) == 5
    assert writes[-1].endswith("SET b = 1\nSET a = 1\nSET other = 3\nEND\n")
    agent = Agent()
    agent.charts = {"ebpf.flow": {"in": ["in", None, False], "out": ["out", None, False]},
                    "ebpf.inside": {"rest": ["rest", None, False]}}
    for text in writes:
        agent.take(text)
    assert {name: of[2] for name, of in agent.charts["ebpf.conns"].items()} == {"a": False, "b": False, "other": False}


def sets_of(text):
    return [line for line in text.splitlines() if line.startswith("SET")]


def test_a_dimension_that_appears_begins_where_it_began_and_has_its_value_a_tick_later(writes):
    """The agent takes the first value for the beginning of the counter."""
    output, chart = netdata.Netdata(), stack("b", "a", start=7)
    output.show(1, [(stack("a"), (1,))])
    output.show(2, [(chart, (9, 2))])
    output.show(3, [(chart, (9, 3))])
    assert [sets_of(text) for text in writes] == [["SET a = 1"], ["SET b = 7", "SET a = 2"], ["SET b = 9", "SET a = 3"]]


def test_a_chart_that_is_made_anew_and_is_the_same_is_not_declared_again(writes):
    output = netdata.Netdata()
    output.show(1, [(stack("a", start=0), (1,))])
    output.show(2, [(stack("a", start=0), (2,))])
    assert writes[1] == "BEGIN ebpf.conns 1000000\nSET a = 2\nEND\n"


def test_the_interval_is_declared(writes):
    netdata.Netdata(7).show(1, [(stack("a"), (1,))])
    assert writes[0].splitlines()[0].split()[9] == "7"


def test_a_tick_of_gaps_keeps_the_agent_listening(output, writes):
    output.show(1, sample([(None, None), (None,)]))
    assert writes == ["\n"]


def test_a_pipe_that_takes_little(monkeypatch):
    taken = []

    def write(_, data):
        taken.append(bytes(data[:7]))
        return len(taken[-1])

    monkeypatch.setattr(netdata.os, "write", write)
    netdata.write("a text that is longer, \u00e9\n")
    assert b"".join(taken).decode() == "a text that is longer, \u00e9\n"


@pytest.mark.parametrize("number, status, said", [
    (errno.EPIPE, 0, []),
    (errno.ENOSPC, 1, ["cannot write to stdout: No space left on device"]),
])
def test_nobody_takes_it(monkeypatch, number, status, said):
    def write(_, data):
        raise OSError(number, os.strerror(number))

    lines = []
    monkeypatch.setattr(netdata.os, "write", write)
    monkeypatch.setattr(log, "write", lambda level, text: lines.append(text))
    with pytest.raises(lifecycle.Stop) as stopped:
        netdata.write("\n")
    assert stopped.value.status == status and lines == said
