"""The C text of a group: its prelude, and that it depends on nothing but the data and bpf/."""
import os
import re

from fakes import ROOT
import pytest

from ebpf_plugin.compile import source
from ebpf_plugin.groups import GROUPS

BPF = os.path.join(ROOT, "bpf")
every_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


def text_of(group):
    return source.text_of(group, BPF, "x86_64")


def defined(text):
    return dict(re.findall(r"(?m)^#define (\w+) (.*)$", text))


@every_group
def test_the_text_is_the_prelude_the_headers_and_the_groups_own_file(group):
    text = text_of(group).text
    assert [line for line in text.splitlines() if line.startswith("#line")] == ['#line 1 "%s.c"' % group.name]
    included = [re.search('"(.*)"', line).group(1) for line in text.splitlines() if line.startswith("#include \"")]
    assert tuple(included[:3]) == source.HEADERS
    with open(os.path.join(BPF, group.name + ".c"), encoding="utf-8") as file:
        assert text.endswith(file.read())


@every_group
def test_the_enum_is_the_counters(group):
    names = re.search(r"enum \{ (.*), COUNTERS \};", text_of(group).text).group(1)
    assert tuple(name.lower() for name in names.split(", ")) == group.counters


@every_group
def test_numbers_in_the_text_are_places_in_the_lists(group):
    text = text_of(group)
    macros = defined(text.text)
    assert {name: macros[name] for name in text.holes} == {name: "HOLE(%d)" % n for n, name in enumerate(text.holes)}
    assert [macros["MAP_" + name] for name in text.tables] == ["MAP(%d)" % n for n in range(len(text.tables))]
    assert len(set(text.holes)) == len(text.holes)
    assert macros["MAP_counters"] == "MAP_%s_counters" % group.name


@every_group
def test_fields_are_used(group):
    files = [name for name in source.files(BPF) if name == group.name + ".c" or name.endswith(".h")]
    everything = "\n".join(open(os.path.join(BPF, name), encoding="utf-8").read() for name in files)
    assert [field.macro for field in group.fields if not re.search(r"\b%s\b" % field.macro, everything)] == []


@every_group
def test_tables_of_the_data_are_those_that_the_text_gives_types(group):
    everything = "\n".join(open(os.path.join(BPF, name), encoding="utf-8").read() for name in source.files(BPF))
    typed = set(re.findall(r"(?m)^TABLE\((\w+), ", everything))
    assert {table.name for table in group.tables} <= typed
    assert typed == {table.name for table in source.TABLES} | {table.name for each in GROUPS for table in each.tables}


def test_each_file_of_bpf_is_a_groups_or_a_header():
    own = {group.name + ".c" for group in GROUPS}
    assert {name for name in source.files(BPF) if name.endswith(".c")} == own


def test_architectures_differ_in_one_definition():
    texts = [source.text_of(GROUPS[0], BPF, machine).text.splitlines() for machine in ("x86_64", "aarch64")]
    assert [pair for pair in zip(*texts) if pair[0] != pair[1]] == [
        ("#define MACHINE_x86_64 1", "#define MACHINE_aarch64 1")]


@pytest.mark.parametrize("changed", ["vfs.c", "rows.h", "include/linux/types.h"])
def test_the_digest_is_that_of_every_file(tmp_path, changed):
    for name in source.files(BPF):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(open(os.path.join(BPF, name), "rb").read())
    before = source.digest(str(tmp_path), "x86_64")
    assert before == source.digest(BPF, "x86_64")
    with open(tmp_path / changed, "a", encoding="utf-8") as file:
        file.write("\n")
    assert source.digest(str(tmp_path), "x86_64") != before
    assert source.digest(BPF, "aarch64") != before
