"""What is kept of the capabilities."""
import pytest

from ebpf_plugin import log
from ebpf_plugin.kernel import capabilities, privileges, process

BPF, ADMIN, ELSE = 1 << capabilities.CAPABILITIES["bpf"], 1 << capabilities.CAPABILITIES["sys_admin"], 1 << 1


@pytest.mark.parametrize("permitted, needed, kept, said", [
    (ELSE | BPF | ADMIN, 0, 0, 0),
    (ELSE | BPF | ADMIN, BPF, BPF, 0),
    (ELSE | ADMIN, BPF, ADMIN, 0),
    (ELSE | BPF | ADMIN, ADMIN, ADMIN, 0),
    (ELSE | BPF | ADMIN, ELSE, ELSE | BPF | ADMIN, 1),
])
def test_the_least_that_reading_takes(monkeypatch, permitted, needed, kept, said):
    state = {"effective": permitted, "permitted": permitted, "sealed": False}
    lines = []

    def trial():
        # what CAP_BPF allows, CAP_SYS_ADMIN does as well
        if needed and not state["effective"] & (needed | (ADMIN if needed == BPF else 0)):
            raise PermissionError

    def set_capabilities(effective, allowed):
        assert effective & ~allowed == 0 and allowed & ~state["permitted"] == 0
        state.update(effective=effective, permitted=allowed)

    monkeypatch.setattr(capabilities, "effective_and_permitted", lambda: (state["effective"], state["permitted"]))
    monkeypatch.setattr(capabilities, "set_capabilities", set_capabilities)
    monkeypatch.setattr(process, "no_new_privileges", lambda: state.update(sealed=True))
    monkeypatch.setattr(log, "write", lambda *line: lines.append(line))
    privileges.drop(trial)
    assert (state["effective"], state["permitted"], len(lines)) == (kept, kept, said)
    assert state["sealed"] is not bool(said)


def test_nothing_to_give_up(monkeypatch):
    def refuse(*_):
        raise AssertionError("not asked for")

    monkeypatch.setattr(capabilities, "effective_and_permitted", lambda: (0, 0))
    monkeypatch.setattr(capabilities, "set_capabilities", refuse)
    privileges.drop(refuse)


def test_unused_while_files_are_read(monkeypatch):
    said = []
    monkeypatch.setattr(capabilities, "effective_and_permitted", lambda: (BPF, BPF | ADMIN))
    monkeypatch.setattr(capabilities, "inheritable", lambda: BPF, raising=False)
    monkeypatch.setattr(capabilities, "set_capabilities", lambda *sets: said.append(sets))
    with pytest.raises(ValueError):
        with privileges.Unused():
            assert said == [(0, BPF | ADMIN, BPF)]
            raise ValueError
    assert said[1:] == [(BPF, BPF | ADMIN, BPF)]
