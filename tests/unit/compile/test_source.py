"""The C text that is compiled and what it is compiled with."""
import os

from fakes import GROUP, ROOT
import pytest

from ebpf_plugin.compile import source
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.model.group import Field


class BTF:
    """Of a kernel with do_in(a, b, c)."""

    @staticmethod
    def function(symbol):
        return (7, 3) if symbol == "do_in" else None

    @staticmethod
    def bit_offset(struct_name, member):
        return {("file", "f_mode"): 160, ("task_struct", "comm"): 8000, ("sock", "sk_userlocks"): 4323, ("net", "ns"): 64,
                ("ns_common", "inum"): 128}.get((struct_name, member))

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
    monkeypatch.setattr(source.procfs, "possible_cpus", lambda: 2)


def files_of(text):
    return [line for line in text.splitlines() if line.startswith("#line")]


def test_the_text_names_its_files():
    text = source.text(GROUPS, os.path.join(ROOT, "bpf"))
    assert text.startswith('#include "hooks.h"\n')
    base = [name for group in GROUPS for name in group.base]
    rest = [name for group in GROUPS for name in group.parts + (group.name,)]
    assert files_of(text) == ['#line 1 "%s.c"' % name for name in base + rest]


def test_parts_come_before_their_group(tmp_path):
    for name in ("base", "more", "toy"):
        (tmp_path / (name + ".c")).write_text("/* %s */" % name)
    (tmp_path / "first.c").write_text("/* first */")
    groups = (GROUP._replace(parts=("more",)), GROUP._replace(name="first", base=("base",)))
    text = source.text(groups, str(tmp_path))
    order = ("base", "more", "toy", "first")
    assert files_of(text) == ['#line 1 "%s.c"' % name for name in order]
    assert sorted(order, key=lambda name: text.index("/* %s */" % name)) == list(order)


def test_control_groups_come_before_all_others():
    directory = os.path.join(ROOT, "bpf")
    found = source.text(GROUPS, directory, {"CGROUPS": 128})
    files = files_of(source.text(GROUPS, directory))
    assert files_of(found) == ['#line 1 "cgroup_rows.c"'] + files and '#line 1 "cgroup_rows.c"' not in files
    assert files_of(source.text((), directory, {"CGROUPS": 128})) == ['#line 1 "cgroup_rows.c"']


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_group_that_is_off_is_not_compiled(group):
    text = source.text([each for each in GROUPS if each is not group], os.path.join(ROOT, "bpf"))
    assert group.name + "_counters" not in text
    assert not set(files_of(text)) & {'#line 1 "%s.c"' % name for name in group.parts + (group.name,)}


@pytest.mark.parametrize("mode, returns", [("entry", 0), ("return", 1)])
def test_definitions(mode, returns):
    assert source.definitions((GROUP,), mode, "x86_64", BTF) == {
        "MACHINE_x86_64": 1, "RETURN_MODE": returns, "CPUS": 2, "NARGS_do_in": 3, "NARGS_TRACE_out": 2}


def test_definitions_without_btf():
    assert source.definitions((FIELDS,), "entry", "aarch64") == {
        "MACHINE_aarch64": 1, "RETURN_MODE": 0, "CPUS": 2, "NARGS_do_in": 0, "NARGS_TRACE_out": 0}


def test_places_of_fields():
    found = source.definitions((FIELDS,), "entry", "x86_64", BTF)
    assert {name: found.get(name) for name in ("MODE", "NET", "LOCKS_BIT", "NOWHERE")} == {
        "MODE": 20, "NET": 24, "LOCKS_BIT": 4323, "NOWHERE": None}


@pytest.mark.parametrize("group, btf, names", [
    (FIELDS, BTF, []),
    (FIELDS, None, []),
    (FIELDS._replace(needed=True), BTF, ["ns_common.gone"]),
    (FIELDS._replace(needed=True), None, ["file.f_mode", "ns_common.inum", "sock.sk_userlocks", "ns_common.gone"]),
    (FIELDS._replace(needed=True, fields=FIELDS.fields[:3]), BTF, []),
])
def test_what_a_group_cannot_do_without(group, btf, names):
    assert source.missing(group, btf) == names


def test_sizes_of_maps():
    sizes = {"FLOWS_MAX": 4352, "CONNECTIONS": 1}
    found = source.definitions((GROUP,), "entry", "x86_64", BTF, sizes)
    assert found.items() >= sizes.items() and sizes == {"FLOWS_MAX": 4352, "CONNECTIONS": 1}


def test_the_oldest_name_counts_where_it_is_the_only_one():
    hook = GROUP.hooks[0]
    function = hook.functions[0]._replace(symbols=("do_in_newer", "do_in"))
    group = GROUP._replace(hooks=(hook._replace(functions=(function,)),))
    assert source.definitions((group,), "entry", "x86_64", BTF)["NARGS_do_in"] == 3


@pytest.mark.parametrize("comm", ["x", "exactly-fifteen", "longer than a name can be"])
def test_the_process_that_tests_look_at(comm):
    found = source.definitions((), "entry", "x86_64", BTF, {}, {"comm": comm, "netns": ""})
    halves = [int(found["TEST_COMM_" + half][:-3], 16).to_bytes(8, "little") for half in ("LOW", "HIGH")]
    assert b"".join(halves).rstrip(b"\0") == comm.encode()[:15]
    assert found["TASK_COMM_OFFSET"] == 1000 and "TEST_NETNS" not in found


def test_the_network_namespace_that_tests_look_at():
    found = source.definitions((), "entry", "x86_64", BTF, {}, {"comm": "", "netns": "4026531833"})
    assert found["TEST_NETNS"] == "4026531833U" and "TEST_COMM_LOW" not in found
    with pytest.raises(ValueError):
        source.definitions((), "entry", "x86_64", BTF, {}, {"netns": "1; evil"})


def test_nobody_is_left_out_in_earnest():
    for test in (None, {}, {"comm": "", "netns": ""}):
        found = source.definitions(GROUPS, "entry", "x86_64", BTF, {}, test)
        assert not [name for name in found if name.startswith("TEST_")]
