"""The C text that is compiled, and the definitions that it is compiled with. Pure: --show-bpf prints it anywhere."""
from __future__ import annotations

import os

from ..kernel import procfs
from ..model.chart import RETURN


def text(groups, bpf_directory, sizes=()):
    """One C text of all groups; `sizes` as for definitions(). The line directives make the compiler name each file."""
    parts = ['#include "hooks.h"']
    names = ["cgroup_rows"] if "CGROUPS" in sizes else []
    names += [name for group in groups for name in group.base]
    names += [name for group in groups for name in group.parts + (group.name,)]
    for name in names:
        with open(os.path.join(bpf_directory, name + ".c"), encoding="utf-8") as file:
            parts.append('#line 1 "%s.c"\n%s' % (name, file.read()))
    return "\n".join(parts) + "\n"


def definitions(groups, mode, machine, btf=None, sizes=None, test=None):
    """{macro: value}. Without BTF the numbers of arguments are 0: no trampoline can be attached then.

    `sizes` is {macro: value} of maps; `test` may have "comm" and "netns", of the only process name and network namespace
    whose events count.
    """
    found = {"MACHINE_" + machine: 1, "RETURN_MODE": int(mode == RETURN), "CPUS": procfs.possible_cpus(), **(sizes or {})}
    for group in groups:
        for hook in group.hooks:
            for function in hook.functions:
                known = _known(function, btf)
                found["NARGS_" + function.program] = known[1] if known else 0
            for event in (event for tracepoint in hook.tracepoints if tracepoint.raw for event in tracepoint.events):
                found["NARGS_TRACE_" + event] = btf.raw_tracepoint_arguments(event) if btf else 0
        found.update(_offsets(group.fields, btf))
    found.update(_only(test or {}, btf))
    return found


def missing(group, btf):
    """The names of fields that `group` cannot do without and BTF does not have."""
    found = _offsets(group.fields, btf)
    return [".".join(field.path[-1]) for field in group.fields if field.macro not in found] if group.needed else []


def _offsets(fields, btf):
    """{macro: offset} of the fields that BTF knows."""
    found = {}
    for field in fields if btf else ():
        bits = [btf.bit_offset(*step) for step in field.path]
        if None not in bits:
            found[field.macro] = sum(bits) if field.bits else sum(bits) // 8
    return found


def _only(test, btf):
    found = {}
    if test.get("comm"):
        name = test["comm"].encode()[:15].ljust(16, b"\0")
        for half, word in (("LOW", name[:8]), ("HIGH", name[8:])):
            found["TEST_COMM_" + half] = "0x%xULL" % int.from_bytes(word, "little")
        found["TASK_COMM_OFFSET"] = btf.bit_offset("task_struct", "comm") // 8 if btf else 0
    if test.get("netns"):
        found["TEST_NETNS"] = "%dU" % int(test["netns"])
    return found


def _known(function, btf):
    """(id, number of arguments) of the first symbol of `function` that BTF has, or None."""
    candidates = (btf.function(symbol) for symbol in function.symbols) if btf else ()
    return next((known for known in candidates if known), None)
