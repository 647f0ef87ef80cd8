"""What the charts of the plugin itself show."""
import os
from types import SimpleNamespace

from fakes import GROUP, attached, loaded
import pytest

from ebpf_plugin.commands import internals as command
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.internals import charts, source
from ebpf_plugin.kernel import procfs
from ebpf_plugin.model import metric
from ebpf_plugin.outputs import metrics, netdata_protocol

STATE = {"hooks": (5, 3, 2), "refused": (1, 0, 4, 0), "programs": 17, "maps": (7, 8, 9),
         "hashes": (("flows", 7, 20, 48, 1000), ("services", 8, 4, 4, 64)), "loading": 258770, "kretprobes": ("p_vfs_read",)}


class Hash:
    """A map with `rows` of each descriptor; None cannot be counted."""

    rows = {7: 25, 8: 0}
    counts = 0

    def __init__(self, descriptor, key_size, value, room):
        self._descriptor = descriptor

    def count(self):
        Hash.counts += 1
        if self.rows[self._descriptor] is None:
            raise OSError(1, "?")
        return self.rows[self._descriptor]


@pytest.fixture
def machine(monkeypatch):
    """What there is to be read, which a test may change."""
    found = SimpleNamespace(pulse=SimpleNamespace(late=0.0, took=0.0), missed={"vfs_read_kprobe": 3, "p_vfs_read": 4},
                            rows=(11, 0), memory=40960, used=1234567)
    monkeypatch.setattr(source, "HashMap", Hash)
    monkeypatch.setattr(Hash, "rows", dict(Hash.rows))
    monkeypatch.setattr(Hash, "counts", 0)
    monkeypatch.setattr(procfs, "locked_memory", lambda maps: found.memory if maps == (7, 8, 9) else None)
    monkeypatch.setattr(source.time, "process_time_ns", lambda: found.used)
    return found


def internals(machine, connections=True):
    rows = SimpleNamespace(rows_in_other=lambda: machine.rows) if connections else None
    return source.Internals(STATE, machine.pulse, lambda: machine.missed, rows)


def shown(found):
    """{"chart.dimension": value} of a tick"""
    return {"%s.%s" % (chart.id, dimension.id): value for chart, values in found.tick(0)
            for dimension, value in zip(chart.dimensions, values)}


def test_all_values(machine):
    found = internals(machine)
    found.tick(0)
    found.tick(1)
    machine.pulse.took, machine.pulse.late = 0.00085, 0.0123456
    values = shown(found)
    assert values.pop("ebpf_memory.resident") > values.pop("ebpf_memory.anonymous") > 0
    assert values == {
        "ebpf_hooks.trampoline": 5, "ebpf_hooks.probe": 3, "ebpf_hooks.tracepoint": 2,
        "ebpf_hooks_refused.missing": 1, "ebpf_hooks_refused.denied": 0, "ebpf_hooks_refused.rejected": 4,
        "ebpf_hooks_refused.other": 0, "ebpf_objects.programs": 17, "ebpf_objects.maps": 3,
        "ebpf_kernel_memory.memory_locked": 40960, "ebpf_map_fill.flows": 250, "ebpf_map_fill.services": 0,
        "ebpf_missed_events.programs": 3, "ebpf_missed_events.kretprobes": 4, "ebpf_other_rows.outbound": 11,
        "ebpf_other_rows.inbound": 0, "ebpf_tick.duration": 850, "ebpf_tick.lateness": 12346, "ebpf_cpu.used": 1234,
        "ebpf_load_time.loading": 258770}


def test_the_first_tick_has_none_before_it(machine):
    found = internals(machine)
    values = shown(found)
    assert values["ebpf_tick.duration"] is None and values["ebpf_tick.lateness"] is None


def test_the_second_tick_does_not_know_how_long_the_first_took(machine):
    """The first sample is taken before the first wait(), which is what measures."""
    found = internals(machine)
    found.tick(0)
    machine.pulse.late = 0.001
    values = shown(found)
    assert (values["ebpf_tick.duration"], values["ebpf_tick.lateness"]) == (None, 1000)


def test_what_takes_system_calls_is_read_now_and_then(machine):
    found = internals(machine)
    for _ in range(source.LOOK_TICKS):
        values = shown(found)
    assert Hash.counts == 2 and values["ebpf_map_fill.flows"] == 250
    Hash.rows[7], machine.missed, machine.rows, machine.memory = 1000, {"p_vfs_read": 9}, (0, 1), 8192
    values = shown(found)
    assert Hash.counts == 4
    assert (values["ebpf_map_fill.flows"], values["ebpf_missed_events.kretprobes"], values["ebpf_other_rows.inbound"],
            values["ebpf_kernel_memory.memory_locked"]) == (10000, 9, 1, 8192)


def test_what_the_kernel_does_not_tell_is_a_gap(machine, monkeypatch):
    monkeypatch.setattr(source, "SMAPS", "/nowhere")
    machine.memory, Hash.rows[7] = 0, None
    values = shown(internals(machine))
    assert [values[name] for name in ("ebpf_memory.resident", "ebpf_memory.anonymous", "ebpf_kernel_memory.memory_locked",
                                      "ebpf_map_fill.flows", "ebpf_map_fill.services")] == [None, None, None, None, 0]


def test_without_connections_there_is_no_chart_of_their_rows(machine):
    assert not [name for name in shown(internals(machine, False)) if "other_rows" in name]


def test_reading_is_tried(machine):
    internals(machine).read()
    Hash.rows[8] = None
    with pytest.raises(OSError):
        internals(machine).read()


def test_without_hash_maps_there_is_no_chart_of_them():
    assert "map_fill" not in charts.declared(())
    assert [dimension.id for dimension in charts.declared(("flows",))["map_fill"].dimensions] == ["flows"]


def test_they_are_declared_in_netdatas_own_menu():
    lines = [line for chart in charts.declared(("flows",)).values() for line in netdata_protocol.chart(chart, 1)]
    heads = [line.split() for line in lines if line.startswith("CHART")]
    assert len(heads) == len(charts.CHARTS)
    assert all(head[1].startswith("netdata.ebpf_") for head in heads)


def test_the_plan_of_what_was_loaded():
    found = loaded(GROUP, out=None)
    failed = (("trampoline", "no BTF here"), ("probe", "cannot attach to x: EPERM (it is refused)"))
    found.hooks["toy"]["out"] = found.hooks["toy"]["out"]._replace(failed=failed)
    broken = GROUP._replace(name="broken")
    found = found._replace(broken={"broken": "the kernel has no struct"}, programs={"a": 5, "b": 6, "c": 6},
                           events=["ebpf_1/p_vfs_read"], maps={"toy": 3}, tables={"flows": 4, "services": 5, "apps_rows": 6},
                           values={**found.values, "CONNECTIONS": 0})
    made = command.plan((GROUP, broken), "entry", found, 0.25)
    assert dict(zip(charts.METHODS, made["hooks"])) == {"trampoline": 1, "probe": 0, "tracepoint": 0}
    assert dict(zip(charts.REASONS, made["refused"])) == {"missing": 2, "denied": 1, "rejected": 0, "other": 0}
    assert (made["programs"], made["maps"], made["loading"]) == (2, (3, 4, 5, 6), 250000)
    assert made["kretprobes"] == ("p_vfs_read",)
    # what nobody uses here has one entry, and is no map to be filled; apps_rows is an array
    assert "apps_rows" not in [each[0] for each in made["hashes"]]
    assert all(entries > 1 for *_, entries in made["hashes"])


def test_a_hook_is_refused_for_what_can_be_changed():
    hook = attached(GROUP)["in"]._replace(method=None)
    assert command.reason_of(hook) == "missing"
    why = (("trampoline", "the kernel has no function x"), ("probe", "cannot load x: EINVAL (verifier: no)"))
    assert command.reason_of(hook._replace(failed=why)) == "rejected"


def test_the_memory_is_what_the_kernel_says():
    """/proc/self/smaps_rollup of this process."""
    found = source.Internals({**STATE, "hashes": ()}, None, dict)
    resident, anonymous = found._memory()
    assert resident % os.sysconf("SC_PAGESIZE") == anonymous % os.sysconf("SC_PAGESIZE") == 0
    assert resident > anonymous > 2 ** 20


def test_no_group_has_an_id_of_theirs():
    assert charts.GROUP not in [group.name for group in GROUPS]


def test_metrics_have_names_of_their_own():
    shown = [metric.family(chart) for chart in charts.declared(["flows", "services"]).values() if chart.metric]
    assert {family.name for family in shown} == {
        "ebpf_plugin_refused_hooks", "ebpf_plugin_bpf_objects", "ebpf_plugin_map_memory_bytes", "ebpf_plugin_map_fill_ratio",
        "ebpf_plugin_other_rows", "ebpf_plugin_last_tick_seconds", "ebpf_plugin_cpu_seconds_total",
        "ebpf_plugin_memory_bytes", "ebpf_plugin_load_seconds"}


def test_values_of_metrics_are_in_base_units(machine):
    found = internals(machine)
    found.tick(0)
    machine.pulse.took, machine.pulse.late = 0.00085, 0.0123456
    found.tick(1)
    sample = [each for each in found.tick(2) if each[0].metric]
    lines = "".join(metrics.texts(sample)).splitlines()
    assert 'ebpf_plugin_map_fill_ratio{map="flows"} 0.025' in lines
    assert 'ebpf_plugin_last_tick_seconds{time="duration"} 0.00085' in lines
    assert "ebpf_plugin_cpu_seconds_total 0.001234" in lines
    assert "ebpf_plugin_load_seconds 0.25877" in lines
    assert 'ebpf_plugin_refused_hooks{reason="rejected"} 4' in lines
    assert 'ebpf_plugin_other_rows{direction="outbound"} 11' in lines
