"""The values of the holes in the instructions: what the running kernel's BTF says, and what the user wants."""
from __future__ import annotations

from typing import Iterable, Mapping

from ..compile import source
from ..kernel import procfs
from ..kernel.btf import BTF
from ..model.chart import RETURN
from ..model.group import Field, Function, Group


def of_settings(mode: str, sizes: Mapping[str, int], test: Mapping[str, str]) -> dict[str, int]:
    """{hole or size: value} of all but what BTF says.

    `sizes` are those of the plan; `test` may have "comm" and "netns", of the only process name and network namespace whose
    events count. PLACES is the number of counters' places, rows x CPUs.
    """
    values = dict.fromkeys(source.SWITCHES, 0)
    values.update(sizes)
    values.update(RETURN_MODE=int(mode == RETURN), CPUS=procfs.cpu_ids(), APP_ROWS=max(1, values["APPS"]))
    values["PLACES"] = (values["APP_ROWS"] + values["CGROUPS"]) * values["CPUS"]
    if test.get("comm"):
        name = test["comm"].encode()[:15].ljust(16, b"\0")
        values.update(TEST_COMM_LOW=int.from_bytes(name[:8], "little"), TEST_COMM_HIGH=int.from_bytes(name[8:], "little"))
    if test.get("netns"):
        values["TEST_NETNS"] = int(test["netns"])
    return values


def of_kernel(group: Group, btf: BTF | None, values: Mapping[str, int]) -> dict[str, int]:
    """{hole: value} of what BTF knows for a group. What only switched off branches use is 0 if it is not known."""
    found = {} if values["APPS"] else {"TASK_TGID": 0}
    if not values["TEST_COMM_LOW"]:
        found["TASK_COMM"] = 0
    functions, events = source.argument_counts_of(group)
    found.update(dict.fromkeys(["NARGS_" + name for name in functions] + ["NARGS_TRACE_" + name for name in events], 0))
    if btf is None:
        return found
    found.update(_offsets(source.fields_of(group), btf))
    for hook in group.hooks:
        for function in hook.functions:
            known = known_function(function, btf)
            found["NARGS_" + function.program] = known[1] if known else 0
    found.update(("NARGS_TRACE_" + event, btf.raw_tracepoint_arguments(event)) for event in events)
    return found


def missing(group: Group, btf: BTF | None) -> list[str]:
    """The members of structures that `group` cannot do without and BTF does not have."""
    if not group.needed:
        return []
    found = _offsets(group.fields, btf) if btf else {}
    return [".".join(field.path[-1]) for field in group.fields if field.macro not in found]


def known_function(function: Function, btf: BTF) -> tuple[int, int] | None:
    """(id, number of arguments) of the first symbol of `function` that BTF has."""
    candidates = (btf.function(symbol) for symbol in function.symbols)
    return next((known for known in candidates if known), None)


def _offsets(fields: Iterable[Field], btf: BTF) -> dict[str, int]:
    """{hole: offset} of the fields that BTF knows: in bytes, or bits for those that ask for it."""
    found = {}
    for field in fields:
        bits = [btf.bit_offset(*step) for step in field.path]
        known = [offset for offset in bits if offset is not None]
        if len(known) == len(bits):
            found[field.macro] = sum(known) if field.bits else sum(known) // 8
    return found
