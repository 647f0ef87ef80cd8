"""--check: its exit status, and that it says why."""
from types import SimpleNamespace

from fakes import GROUP, loaded
import pytest

from ebpf_plugin.commands import check
from ebpf_plugin.outputs import netdata

ENTRY = SimpleNamespace(mode="entry", program_statistics="no")
OTHER = GROUP._replace(name="other")


@pytest.fixture
def printed(monkeypatch):
    texts = []
    monkeypatch.setattr(netdata, "write", texts.append)
    return lambda: "".join(texts)


@pytest.mark.parametrize("methods, status, said", [
    ({}, 0, "trampoline"),
    ({"out": None}, 0, "chart flow is shown without out"),
    ({"in": None, "out": None}, 1, "NOT SHOWN"),
])
def test_status(printed, methods, status, said):
    assert check.report((GROUP,), ENTRY, loaded(GROUP, **methods)) == status
    assert said in printed()


def test_every_group_has_to_run(printed):
    found = loaded(GROUP)._replace(broken={"other": "a mistake in other.c"})
    assert check.report((GROUP, OTHER), ENTRY, found) == 1
    assert "not loaded: a mistake in other.c" in printed()


@pytest.mark.parametrize("wanted, said", [("no", "off ([global] program statistics)"), ("ours", "ours"), ("all", "all")])
def test_whether_programs_are_charted(printed, wanted, said):
    check.report((GROUP,), SimpleNamespace(mode="entry", program_statistics=wanted), loaded(GROUP))
    assert "charts of what BPF programs cost: %s\n" % said in printed()


def test_every_reason_is_told(printed):
    found = loaded(GROUP)
    failed = (("trampoline", "no BTF here"), ("probe", "no kprobes here"))
    found.hooks["toy"]["in"] = found.hooks["toy"]["in"]._replace(failed=failed)
    check.report((GROUP,), ENTRY, found)
    assert "not trampoline: no BTF here" in printed() and "not probe: no kprobes here" in printed()
