"""Newer agents, of which Debian 12 has no package: a parser by their rules stands in for them (line_parser.py)."""
import pathlib
import re

from harness.plugin_process import Plugin
from line_parser import Fault, Parser, split
import pytest

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("*.txt"))


def parsed(data):
    found = Parser()
    found.feed(data)
    found.end()
    return found


CHART = b"CHART a.b '' t u f a.b line 1 1 '' p m\nDIMENSION d '' absolute 1 1\n"


@pytest.mark.parametrize("line", [
    b"begin a.b", b"# comment", b"HOST_DEFINE x y", b"BEGIN c.d", b"SET d = 1", b"END", b"BEGIN a.b\nSET e = 1",
    b"BEGIN a.b\nBEGIN a.b", b"BEGIN a.b\nSET d = 010", b"BEGIN a.b\nSET d = 1.5", b"BEGIN a.b\nSET d = 9223372036854775808",
    b"BEGIN a.b\nSET d = 1\nSET d = 2", b"BEGIN a.b -5", b"CHART ab", b"CHART .b", b"CHART a.b '' t u f c line 1 -1",
    b"CHART a.b '' 'it''s", b"CHART a.b '' 'back\\slash' u f c line 1 1", b"CHART a.b '' '\x1b' u f c line 1 1",
    b"CHART a.b '' '%s' u f c line 1 1" % (b"x" * 15000), b"CHART a.b '' '\xff'", b"CLABEL_COMMIT", b"DIMENSION ''",
    b"DISABLE\nBEGIN a.b", b"BEGIN a.b\nEND\nDIMENSION e", b"CLABEL a b", b"CHART x.p=q '' t u f c line 1 1",
], ids=repr)
def test_the_parser_is_strict(line):
    with pytest.raises((Fault, UnicodeDecodeError, TypeError)):
        parsed(CHART + line + b"\n")


@pytest.mark.parametrize("data", [b"BEGIN a.b\nSET d = 1\nEND", b"BEGIN a.b\nSET d = 1\n"])
def test_an_end_is_demanded(data):
    with pytest.raises(Fault):
        parsed(CHART + data)


def test_the_parser_reads():
    found = parsed(CHART + b"\n  \r\nBEGIN a.b 1000000\r\nSET d=-7\nEND\nBEGIN a.b\nEND\nDISABLE\n")
    assert found.samples == [("a.b", 1000000, {"d": -7}), ("a.b", None, {})] and found.disabled
    assert split("a 'b c' \"d'e\" it's  x=y") == ["a", "b c", "d'e", "it's", "x", "y"]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path):
    """What is promised to dashboards and alarms is right for every agent."""
    text = path.read_bytes()
    found = parsed(b"".join(re.findall(rb"(?m)^(?:CHART|DIMENSION|CLABEL|CLABEL_COMMIT|BEGIN|SET|END)\b.*\n", text)))
    assert found.charts or not text.strip()  # a first tick of charts that come later is blank
    assert {chart.plugin for chart in found.charts.values()} <= {"ebpf.plugin"}
    assert all(chart.dimensions and chart.title and chart.units and chart.family for chart in found.charts.values())


def test_live_it_heeds_no_call_of_a_function_and_quits_when_told():
    """Newer agents say QUIT, without an end of line, before they kill."""
    with Plugin("1") as plugin:
        plugin.read_ticks(2)
        plugin.process.stdin.write(b'FUNCTION tx 10 "x" "0x8" "method=none"\n')
        plugin.process.stdin.flush()
        plugin.read_ticks(1)
        plugin.process.stdin.write(b"QUIT")
        plugin.process.stdin.flush()
        rest = plugin.process.stdout.read()
        assert plugin.wait_for_end()[0] == 0
        found = parsed("".join(line + "\n" for line in plugin.lines).encode() + rest)
    assert len(found.samples) > 2 * len(found.charts) and set(name for name, *_ in found.samples) == set(found.charts)
