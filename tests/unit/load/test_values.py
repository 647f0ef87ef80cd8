"""What the holes are filled with: settings, BTF, and what nobody knows."""
from fakes import GROUP
import pytest

from ebpf_plugin.kernel import procfs
from ebpf_plugin.load import values
from ebpf_plugin.model.group import Field


class BTF:
    """Of a kernel with do_in(a, b, c)."""

    @staticmethod
    def function(symbol):
        return (7, 3) if symbol == "do_in" else None

    @staticmethod
    def bit_offset(struct_name, member):
        return {("file", "f_mode"): 160, ("task_struct", "comm"): 8000, ("task_struct", "tgid"): 640, ("net", "ns"): 64,
                ("sock", "sk_userlocks"): 4323, ("ns_common", "inum"): 128}.get((struct_name, member))

    @staticmethod
    def raw_tracepoint_arguments(name):
        return 2 if name == "out" else 0


FIELDS = GROUP._replace(fields=(
    Field("MODE", (("file", "f_mode"),)),
    Field("NET", (("net", "ns"), ("ns_common", "inum"))),
    Field("LOCKS_BIT", (("sock", "sk_userlocks"),), bits=True),
    Field("NOWHERE", (("net", "ns"), ("ns_common", "gone"))),
))


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch):
    monkeypatch.setattr(procfs, "cpu_ids", lambda: 2)


def settings(sizes=(), mode="entry", test=()):
    return values.of_settings(mode, dict(sizes), dict(test))


@pytest.mark.parametrize("mode, returns", [("entry", 0), ("return", 1)])
def test_the_mode(mode, returns):
    assert settings(mode=mode)["RETURN_MODE"] == returns


@pytest.mark.parametrize("sizes, app_rows, places", [
    ({}, 1, 2), ({"APPS": 49}, 49, 98), ({"CGROUPS": 128}, 1, 258), ({"APPS": 49, "CGROUPS": 128}, 49, 354),
])
def test_rows_of_counters(sizes, app_rows, places):
    found = settings(sizes)
    assert (found["APP_ROWS"], found["PLACES"], found["CPUS"]) == (app_rows, places, 2)


def test_what_is_switched_off_is_zero():
    assert {name: settings()[name] for name in ("APPS", "CGROUPS", "CONNECTIONS", "FILTER_PORTS", "FILTER_ADDRESSES")} == {
        "APPS": 0, "CGROUPS": 0, "CONNECTIONS": 0, "FILTER_PORTS": 0, "FILTER_ADDRESSES": 0}


@pytest.mark.parametrize("comm", ["x", "exactly-fifteen", "longer than a name can be"])
def test_the_process_that_tests_look_at(comm):
    found = settings(test={"comm": comm, "netns": ""})
    halves = [found["TEST_COMM_" + half].to_bytes(8, "little") for half in ("LOW", "HIGH")]
    assert b"".join(halves).rstrip(b"\0") == comm.encode()[:15]
    assert found["TEST_NETNS"] == 0


def test_the_network_namespace_that_tests_look_at():
    found = settings(test={"comm": "", "netns": "4026531833"})
    assert (found["TEST_NETNS"], found["TEST_COMM_LOW"]) == (4026531833, 0)
    with pytest.raises(ValueError):
        settings(test={"netns": "1; evil"})


def test_places_of_fields():
    found = values.of_kernel(FIELDS, BTF, settings())
    assert {name: found.get(name) for name in ("MODE", "NET", "LOCKS_BIT", "NOWHERE")} == {
        "MODE": 20, "NET": 24, "LOCKS_BIT": 4323, "NOWHERE": None}


def test_numbers_of_arguments():
    found = values.of_kernel(GROUP, BTF, settings())
    assert (found["NARGS_do_in"], found["NARGS_TRACE_out"]) == (3, 2)


def test_the_oldest_name_counts_where_it_is_the_only_one():
    hook = GROUP.hooks[0]
    function = hook.functions[0]._replace(symbols=("do_in_newer", "do_in"))
    group = GROUP._replace(hooks=(hook._replace(functions=(function,)),))
    assert values.of_kernel(group, BTF, settings())["NARGS_do_in"] == 3


def test_without_btf_only_what_is_switched_off_has_a_place():
    found = values.of_kernel(FIELDS, None, settings())
    assert found == {"TASK_TGID": 0, "TASK_COMM": 0, "NARGS_do_in": 0, "NARGS_TRACE_out": 0}
    found = values.of_kernel(FIELDS, None, settings({"APPS": 3}, test={"comm": "x"}))
    assert found == {"NARGS_do_in": 0, "NARGS_TRACE_out": 0}


def test_with_btf_what_tasks_have_is_where_the_kernel_has_it():
    found = values.of_kernel(GROUP, BTF, settings({"APPS": 3}, test={"comm": "x"}))
    assert (found["TASK_TGID"], found["TASK_COMM"]) == (80, 1000)


@pytest.mark.parametrize("group, btf, names", [
    (FIELDS, BTF, []),
    (FIELDS, None, []),
    (FIELDS._replace(needed=True), BTF, ["ns_common.gone"]),
    (FIELDS._replace(needed=True), None, ["file.f_mode", "ns_common.inum", "sock.sk_userlocks", "ns_common.gone"]),
    (FIELDS._replace(needed=True, fields=FIELDS.fields[:3]), BTF, []),
])
def test_what_a_group_cannot_do_without(group, btf, names):
    assert values.missing(group, btf) == names
