"""The C text that is compiled and what it is compiled with."""
import os

import pytest
from fakes import GROUP, ROOT

from ebpf_plugin import source
from ebpf_plugin.groups import GROUPS


class BTF:
    """Of a kernel with do_in(a, b, c)."""

    @staticmethod
    def function(symbol):
        return (7, 3) if symbol == "do_in" else None

    @staticmethod
    def offset(struct_name, member):
        return {("file", "f_mode"): 20, ("task_struct", "comm"): 1000}[struct_name, member]


def test_the_text_names_its_files():
    text = source.text(GROUPS, os.path.join(ROOT, "bpf"))
    assert text.startswith('#include "hooks.h"\n')
    assert [line for line in text.splitlines() if line.startswith("#line")] == ['#line 1 "%s.c"' % g.name for g in GROUPS]


def test_a_group_that_is_off_is_not_compiled():
    assert "file_counters" not in source.text(GROUPS[1:], os.path.join(ROOT, "bpf"))


@pytest.mark.parametrize("mode, returns", [("entry", 0), ("return", 1)])
def test_definitions(mode, returns):
    assert source.definitions((GROUP,), mode, "x86_64", BTF) == {
        "MACHINE_x86_64": 1, "RETURN_MODE": returns, "NARGS_do_in": 3, "FILE_F_MODE_OFFSET": 20}


def test_definitions_without_btf():
    assert source.definitions((GROUP,), "entry", "aarch64") == {"MACHINE_aarch64": 1, "RETURN_MODE": 0, "NARGS_do_in": 0}


def test_the_oldest_name_counts_where_it_is_the_only_one():
    hook = GROUP.hooks[0]
    function = hook.functions[0]._replace(symbols=("do_in_newer", "do_in"))
    group = GROUP._replace(hooks=(hook._replace(functions=(function,)),))
    assert source.definitions((group,), "entry", "x86_64", BTF)["NARGS_do_in"] == 3


@pytest.mark.parametrize("comm", ["x", "exactly-fifteen", "longer than a name can be"])
def test_the_process_that_tests_look_at(comm):
    found = source.definitions((), "entry", "x86_64", BTF, comm)
    halves = [int(found["TEST_COMM_" + half][:-3], 16).to_bytes(8, "little") for half in ("LOW", "HIGH")]
    assert b"".join(halves).rstrip(b"\0") == comm.encode()[:15]
    assert found["TASK_COMM_OFFSET"] == 1000
