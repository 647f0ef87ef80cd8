"""tools/overhead without a kernel: which figures it prints, and which not."""
import os
import re
import sys

from fakes import ROOT

from ebpf_plugin.groups import GROUPS

OVERHEAD = os.path.join(ROOT, "tools", "overhead")
sys.path.insert(0, OVERHEAD)

import overhead  # noqa: E402

sys.path.remove(OVERHEAD)


def test_the_events_and_their_hooks():
    events = re.findall(r'(?m)^\t\{ "(.*?)", ', overhead.SOURCE.read_text())
    assert set(events) == set(overhead.PASSES)
    assert set.union(*overhead.PASSES.values()) - {hook.name for group in GROUPS for hook in group.hooks} == set()


def test_what_is_on_another_method_is_named_and_has_no_figures(monkeypatch, capsys):
    def with_empty(program, groups, ladder):
        return {"write": 150.0, "udp-send+recv": 120.0}, ["tracepoint"]

    def with_plugin(program, groups, method, mode):
        return {"write": 300.0, "udp-send+recv": 240.0}, {"write": method, "udp_send": "trampoline", "tcp_close": None}

    monkeypatch.setattr(overhead, "measured", lambda program: {"write": 100.0, "udp-send+recv": 200.0})
    monkeypatch.setattr(overhead, "measured_with_empty", with_empty)
    monkeypatch.setattr(overhead, "measured_with_plugin", with_plugin)
    overhead.rows("program", "tracepoint", "entry", None, "")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["write", "tracepoint", "entry", "100.0"] + ["150.0", "(1.500)", "300.0", "(3.000", "/", "2.000)"] * 2,
        ["udp-send+recv", "tracepoint", "entry", "200.0"] + ["-"] * 4,
        "hooks on another method: udp_send (trampoline), tcp_close (not attached)".split(),
    ]
