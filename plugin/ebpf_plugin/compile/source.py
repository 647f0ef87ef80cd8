"""The C text of a group: a prelude of generated definitions, the headers, and bpf/<group>.c. Pure: needs no kernel.

Each group is a text of its own, so that one group's mistake is its own. What differs from kernel to kernel and from
configuration to configuration is not in the text: maps are numbers, and values are holes (bpf/hooks.h), both in the order of
the lists here. The loader fills them in.
"""
from __future__ import annotations

import os
from typing import NamedTuple

from ..groups import GROUPS
from ..groups.rows import MAX_APPS, ROW_SLOTS, TABLES, TASK_COMM, TASK_TGID
from ..model.group import Field, Group
from ..model.table import Table
from .bytecode import digest_of

HEADERS = ("hooks.h", "maps.h", "rows.h")

# Values that do not come from BTF. APPS and CGROUPS are numbers of rows, 0 if events are not told apart by them; APP_ROWS is
# the number of rows before those of control groups; CPUS the number of possible CPUs. The last three are for tests.
SWITCHES = ("RETURN_MODE", "CONNECTIONS", "APPS", "APP_ROWS", "CGROUPS", "CPUS", "FILTER_PORTS", "FILTER_ADDRESSES",
            "TEST_COMM_LOW", "TEST_COMM_HIGH", "TEST_NETNS")


class Text(NamedTuple):
    """The C text of a group. tables and holes: the names of what the numbers in it mean."""

    text: str
    tables: tuple[str, ...]
    holes: tuple[str, ...]


def tables_of(group: Group) -> tuple[Table, ...]:
    """All tables that the group's programs may refer to; its counters are the last."""
    return (*TABLES, *(table for each in GROUPS for table in each.tables), group.counters_table())


def fields_of(group: Group) -> tuple[Field, ...]:
    """All members of kernel structures that the group's programs may read."""
    return tuple(dict.fromkeys((TASK_TGID, TASK_COMM, *group.fields)))


def argument_counts_of(group: Group) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(programs of functions, raw tracepoints) whose numbers of arguments the text may ask for."""
    functions = [function.program for hook in group.hooks for function in hook.functions]
    raw = [tracepoint for hook in group.hooks for tracepoint in hook.tracepoints if tracepoint.raw]
    events = [event for tracepoint in raw for event in tracepoint.events]
    return tuple(dict.fromkeys(functions)), tuple(dict.fromkeys(events))


def text_of(group: Group, directory: str, machine: str) -> Text:
    """The text for an architecture (uname -m); `directory` is bpf/. Raises OSError."""
    tables = tables_of(group)
    functions, events = argument_counts_of(group)
    holes = (*SWITCHES, *(field.macro for field in fields_of(group)), *("NARGS_" + name for name in functions),
             *("NARGS_TRACE_" + name for name in events))
    lines = [
        "#define MACHINE_%s 1" % machine,
        "#define MAP(number) ((void *)bpf_pseudo_fd(1, number))",  # BPF_PSEUDO_MAP_FD; LLVM's llvm.bpf.pseudo
        "#define VALUE(number) ((void *)bpf_pseudo_fd(2, number))",  # BPF_PSEUDO_MAP_VALUE
        "#define HOLE(number) bpf_pseudo_fd(9, number)",  # no kernel takes a 9: a hole that is left is refused
        "#define MAX_APPS %d" % MAX_APPS,
        "#define ROW_SLOTS %d" % ROW_SLOTS,
    ]
    lines += ["#define %s HOLE(%d)" % (name, number) for number, name in enumerate(holes)]
    for number, table in enumerate(tables):
        lines += ["#define MAP_%s MAP(%d)" % (table.name, number), "#define VALUE_%s VALUE(%d)" % (table.name, number),
                  "#define KEY_SIZE_%s %d" % (table.name, table.key_size()),
                  "#define VALUE_SIZE_%s %d" % (table.name, table.value_size())]
    lines += ["#define MAP_counters MAP_%s_counters" % group.name,
              "enum { %s, COUNTERS };" % ", ".join(counter.upper() for counter in group.counters)]
    lines += ['#include "%s"' % header for header in HEADERS]
    with open(os.path.join(directory, group.name + ".c"), encoding="utf-8") as file:
        lines += ['#line 1 "%s.c"' % group.name, file.read()]
    return Text("\n".join(lines), tuple(table.name for table in tables), holes)


def files(directory: str) -> list[str]:
    """The paths below `directory` that a text is made of, in order."""
    found = []
    for folder, _, names in os.walk(directory):
        found += [os.path.relpath(os.path.join(folder, name), directory) for name in names if name.endswith((".c", ".h"))]
    return sorted(found)


def digest(directory: str, machine: str) -> str:
    """The digest of all texts and headers: what bytecode depends on. Raises OSError."""
    parts = [text_of(group, directory, machine).text.encode() for group in GROUPS]
    for path in files(directory):
        if path.endswith(".h"):
            with open(os.path.join(directory, path), "rb") as file:
                parts += [path.encode(), file.read()]
    return digest_of(*parts)
