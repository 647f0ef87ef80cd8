"""The charts of what BPF programs cost."""
import errno
import marshal
from types import SimpleNamespace

import pytest

from ebpf_plugin import log
from ebpf_plugin.outputs import metrics
from ebpf_plugin.programs import charts, objects, statistics


class Kernel:
    """Programs {id: [type, name, runs, time]}; ours have descriptors 1000 + id."""

    def __init__(self):
        self.programs, self.fails = {}, False

    def run(self, number, runs, time, name="other", kind="kprobe"):
        program = self.programs.setdefault(number, [kind, name, 0, 0])
        program[2] += runs
        program[3] += time

    def program(self, descriptor):
        if self.fails:
            raise OSError(errno.EIO, "Input/output error")
        number = descriptor - 1000
        kind, name, runs, time = self.programs[number]
        return SimpleNamespace(id=number, type=kind, name=name[:15], runs=runs, run_time=time, btf_id=0)

    def all(self):
        return iter([self.program(1000 + number) for number in sorted(self.programs)])


@pytest.fixture
def kernel(monkeypatch):
    found = Kernel()
    monkeypatch.setattr(objects, "program", found.program)
    monkeypatch.setattr(objects, "programs", found.all)
    monkeypatch.setattr(objects, "with_descriptor", lambda *_: ((), 0))
    monkeypatch.setattr(log, "_said", set())
    return found


def source(is_all=False, **ours):
    state = {"programs": {name: 1000 + number for name, number in ours.items()}, "all": is_all}
    return charts.ProgramCharts(marshal.loads(marshal.dumps(state)))


def values(sample):
    """{chart: {dimension: value}}"""
    return {chart.id: dict(zip([dimension.name for dimension in chart.dimensions], found)) for chart, found in sample}


def ticks(found, kernel, *steps):
    """Tick before, and after each of the steps, which are functions; what the last tick has shown."""
    sample = found.tick(0.0)
    for second, step in enumerate(steps, 1):
        step()
        sample = found.tick(float(second))
    return values(sample)


def test_runs_and_time_are_the_kernels(kernel):
    kernel.run(1, 1000, 10 ** 6)  # before the first tick
    kernel.run(2, 0, 0)
    shown = ticks(source(vfs_read_fexit=1, vfs_write_fexit=2), kernel,
                  lambda: kernel.run(1, 23, 4600), lambda: (kernel.run(1, 7, 1400), kernel.run(2, 5, 500)))
    assert shown["programs_runs"] == {"vfs_read_fexit": 30, "vfs_write_fexit": 5, "other": 0}
    assert shown["programs_time"] == {"vfs_read_fexit": 6000, "vfs_write_fexit": 500, "other": 0}
    assert shown["programs_average"] == {"vfs_read_fexit": 200, "vfs_write_fexit": 100, "other": None}


def test_a_program_that_did_not_run_has_no_average(kernel):
    kernel.run(1, 0, 0)
    shown = ticks(source(one=1), kernel, lambda: kernel.run(1, 23, 4600), lambda: None)
    assert shown["programs_average"] == {"one": None, "other": None}
    assert shown["programs_runs"] == {"one": 23, "other": 0}


def test_time_is_shown_in_milliseconds(kernel):
    kernel.run(1, 0, 0)
    found = source(one=1)
    ticks(found, kernel, lambda: kernel.run(1, 1, 1))
    time = found.tick(9.0)[1][0]
    assert time.units == "milliseconds/s"
    assert [dimension.divisor for dimension in time.dimensions] == [10 ** 6, 10 ** 6]


def test_metrics_are_in_base_units(kernel):
    kernel.run(1, 0, 0)
    found = source(one=1)
    ticks(found, kernel, lambda: kernel.run(1, 4, 3000))
    lines = "".join(metrics.texts(found.tick(9.0))).splitlines()
    labels = '{program="one",type="kprobe"}'
    assert "ebpf_program_runs_total%s 4" % labels in lines
    assert "ebpf_program_run_seconds_total%s 3e-06" % labels in lines
    assert {"# TYPE ebpf_program_runs_total counter", "# TYPE ebpf_program_run_seconds_total counter"} <= set(lines)


def test_programs_of_one_name_and_type_are_one_series(kernel):
    found = source(True)
    ticks(found, kernel, lambda: kernel.run(1, 3, 30, "sd_devices"), lambda: kernel.run(2, 4, 400, "sd_devices"),
          lambda: (kernel.run(3, 1, 1, "sd_devices", "xdp")))
    chart, runs = found.tick(9.0)[0]
    assert dict(zip([dimension.id for dimension in chart.dimensions], runs)) == {
        "sd_devices": 7, "sd_devices_2": 1, "other": 0}
    assert {dimension.labels for dimension in chart.dimensions} == {
        (("program", "sd_devices"), ("type", "kprobe")), (("program", "sd_devices"), ("type", "xdp")),
        (("program", "other"),)}


def test_sums_do_not_fall_when_a_program_goes_and_comes_back(kernel):
    found = source(True)
    shown = ticks(found, kernel, lambda: kernel.run(1, 23, 230, "one"), kernel.programs.clear,
                  lambda: kernel.run(2, 7, 70, "one"))
    assert shown["programs_runs"] == {"one": 30, "other": 0}


def test_what_is_not_shown_is_other(kernel, monkeypatch):
    monkeypatch.setattr(charts, "SHOWN", 1)
    for number in (1, 2, 3):
        kernel.run(number, 0, 0)
    shown = ticks(source(one=1, two=2, three=3), kernel, lambda: (kernel.run(1, 10, 10 ** 6), kernel.run(2, 3, 30)),
                  lambda: kernel.run(3, 4, 100))
    assert shown["programs_runs"] == {"one": 10, "other": 7}
    assert shown["programs_average"] == {"one": None, "other": 25}


def test_of_all_programs_ours_have_their_whole_names(kernel):
    kernel.run(1, 0, 0, "a_name_that_is_longer", "tracing")
    kernel.run(2, 0, 0, "sd_devices")
    shown = ticks(source(True, a_name_that_is_longer=1), kernel,
                  lambda: (kernel.run(1, 1, 1), kernel.run(2, 1, 1), kernel.run(3, 1, 1, "")))
    assert set(shown["programs_runs"]) == {"a_name_that_is_longer", "sd_devices", "kprobe", "other"}


def test_ids_are_safe_whatever_the_name(kernel):
    kernel.run(1, 0, 0)
    found = source(True)
    ticks(found, kernel, lambda: kernel.run(2, 1, 1, "x'; \n."))
    assert [dimension.id for dimension in found.tick(9.0)[0][0].dimensions] == ["x_____", "other"]


def test_what_cannot_be_read_is_a_gap(kernel, capfd):
    kernel.run(1, 0, 0)
    found = source(one=1)
    found.tick(0.0)
    kernel.run(1, 23, 230)
    kernel.fails = True
    assert found.tick(1.0) == found.tick(2.0) == []
    assert capfd.readouterr().err.count("cannot read what BPF programs cost: Input/output error") == 1
    with pytest.raises(OSError):
        found.read()
    kernel.fails = False
    assert values(found.tick(3.0))["programs_runs"] == {"one": 23, "other": 0}


def refuse():
    raise statistics.Refused("they are refused")


def test_statistics_are_held_for_the_charts(kernel, said, monkeypatch):
    monkeypatch.setattr(statistics, "enable", lambda: 99)
    assert statistics.for_charts(False, {"one": 7}) == ({"programs": {"one": 7}, "all": False}, [99])
    assert statistics.for_charts(True, {}) == ({"programs": {}, "all": True}, [99])
    assert said == []


def test_without_statistics_there_are_no_charts(said, monkeypatch):
    monkeypatch.setattr(statistics, "enable", refuse)
    monkeypatch.setattr(statistics, "are_on", lambda: False)
    assert statistics.for_charts(False, {}) == (None, [])
    assert said == ["no charts of BPF programs: they are refused"]


def test_what_the_user_has_switched_on_is_enough(said, monkeypatch):
    monkeypatch.setattr(statistics, "enable", refuse)
    monkeypatch.setattr(statistics, "are_on", lambda: True)
    assert statistics.for_charts(False, {}) == ({"programs": {}, "all": False}, [])
    assert said == []


def test_who_may_not_list_others_has_charts_of_ours(kernel, said, monkeypatch):
    def no_list():
        raise PermissionError(errno.EPERM, "Operation not permitted")
        yield
    monkeypatch.setattr(statistics, "enable", lambda: 99)
    monkeypatch.setattr(objects, "programs", no_list)
    assert statistics.for_charts(True, {}) == ({"programs": {}, "all": False}, [99])
    line, = said
    assert "CAP_SYS_ADMIN" in line
