"""The C text that is compiled, and the definitions that it is compiled with. Pure: --show-bpf prints it anywhere."""
from __future__ import annotations

import os

from .group import RETURN


def text(groups, bpf_directory):
    """One C text of all groups. The line directives make the compiler name the group's own file."""
    parts = ['#include "hooks.h"']
    for group in groups:
        path = os.path.join(bpf_directory, group.name + ".c")
        with open(path, encoding="utf-8") as file:
            parts.append('#line 1 "%s.c"\n%s' % (group.name, file.read()))
    return "\n".join(parts) + "\n"


def definitions(groups, mode, machine, btf=None, test_comm=""):
    """{macro: value}. Without BTF the numbers of arguments are 0: no trampoline can be attached then."""
    found = {"MACHINE_" + machine: 1, "RETURN_MODE": int(mode == RETURN)}
    for group in groups:
        for hook in group.hooks:
            for function in hook.functions:
                known = _known(function, btf)
                found["NARGS_" + function.program] = known[1] if known else 0
    offset = btf.offset("file", "f_mode") if btf else None
    if offset is not None:
        found["FILE_F_MODE_OFFSET"] = offset
    if test_comm:
        name = test_comm.encode()[:15].ljust(16, b"\0")
        for half, word in (("LOW", name[:8]), ("HIGH", name[8:])):
            found["TEST_COMM_" + half] = "0x%xULL" % int.from_bytes(word, "little")
        found["TASK_COMM_OFFSET"] = btf.offset("task_struct", "comm") if btf else 0
    return found


def _known(function, btf):
    """(id, number of arguments) of the first symbol of `function` that BTF has, or None."""
    candidates = (btf.function(symbol) for symbol in function.symbols) if btf else ()
    return next((known for known in candidates if known), None)
