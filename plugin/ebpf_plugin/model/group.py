"""What a group may say: hooks in the kernel, counters, charts. All of it is frozen data; the engine is elsewhere.

A program in bpf/ is named `<program>_<way>`: `vfs_read_fexit` is what is run when a trampoline sees vfs_read return.
"""
from __future__ import annotations

from typing import NamedTuple

from .chart import ENTRY, MODES, Chart
from .table import Table, counters_table

TRAMPOLINE, PROBE, TRACEPOINT = ATTACH_METHODS = ("trampoline", "probe", "tracepoint")


class ProgramTypes(NamedTuple):
    """The programs that a function takes, by attach method and mode; several are attached in this order."""

    trampoline_entry: tuple[str, ...] = ("fentry",)
    trampoline_return: tuple[str, ...] = ("fexit",)
    probe_entry: tuple[str, ...] = ("kprobe",)
    probe_return: tuple[str, ...] = ("kretprobe",)

    def of(self, method: str, mode: str) -> tuple[str, ...]:
        """Those of TRAMPOLINE or PROBE in ENTRY or RETURN mode."""
        if method == TRAMPOLINE:
            return self.trampoline_entry if mode == ENTRY else self.trampoline_return
        return self.probe_entry if mode == ENTRY else self.probe_return


BY_MODE = ProgramTypes()
AT_CALL = ProgramTypes(trampoline_return=("fentry",), probe_return=("kprobe",))
# Only the result says how many bytes were moved, and a trampoline has it for little more than a call costs.
WITH_RESULT = ProgramTypes(trampoline_entry=("fexit",))
# A result that means something only together with an argument: probes save the argument at the call.
WITH_ARGUMENT = ProgramTypes(("fexit",), ("fexit",), ("kretprobe", "kprobe"), ("kretprobe", "kprobe"))


class Function(NamedTuple):
    """A kernel function. `symbols` are its names in different kernels, the newest first; the first that exists is hooked.

    A function that is not `required` may be missing as long as another function of the hook exists. `only_with` is a path
    that exists where the kernel has what the function belongs to; elsewhere it is not missed.
    """

    program: str
    symbols: tuple[str, ...]
    program_types: ProgramTypes = BY_MODE
    required: bool = True
    only_with: str = ""


class Tracepoint(NamedTuple):
    """`events` are names as in tracefs (`syscalls:sys_exit_read`), or with `raw` the bare name of a raw tracepoint.

    `program` is the whole name of the program. A system call that the kernel or the architecture does not have is left
    out; the others of its hook stand for it.
    """

    program: str
    events: tuple[str, ...]
    modes: tuple[str, ...] = MODES
    raw: bool = False


class Field(NamedTuple):
    """A member of a kernel structure whose place a program needs: `macro` is its offset in bytes, added up over `path`,
    pairs of structure and member; with `bits` in bits, for bit fields. From the running kernel's BTF."""

    macro: str
    path: tuple[tuple[str, str], ...]
    bits: bool = False


class Note(NamedTuple):
    """What `counters` mean on an attach method, in these modes, where that is not the usual: `text` goes into titles."""

    method: str
    modes: tuple[str, ...]
    counters: tuple[str, ...]
    text: str


class Hook(NamedTuple):
    """One kind of event: attached as a whole on one attach method, or not at all, so that a sum is never a part.

    `counters` are those that its programs write on any attach method; they stay 0 on those that do not use them. `first`
    is the method that is tried before the others unless the user chose an order.
    """

    name: str
    counters: tuple[str, ...]
    functions: tuple[Function, ...] = ()
    tracepoints: tuple[Tracepoint, ...] = ()
    modes: tuple[str, ...] = MODES
    first: str = ""
    notes: tuple[Note, ...] = ()


def sys_exits(*calls: str) -> tuple[str, ...]:
    """The tracepoints at the end of these system calls."""
    return tuple("syscalls:sys_exit_" + call for call in calls)


def sys_enters(*calls: str) -> tuple[str, ...]:
    """The tracepoints at the beginning of these system calls."""
    return tuple("syscalls:sys_enter_" + call for call in calls)


def syscall_symbols(call: str) -> tuple[str, ...]:
    """The function of a system call: with the prefix of the architecture since 4.17, plain before."""
    return tuple(prefix + "sys_" + call for prefix in ("__x64_", "__arm64_", ""))


class Switch(NamedTuple):
    """The option of ebpf.conf that turns a group on and off: `key` in `section`, `default` unless a file sets it.

    A group that `follows` another is as that one is unless it is set itself. `flag` is the one of -p and -n that asks for
    the group. `inverted` are older keys that say the contrary.
    """

    key: str
    section: str = "ebpf programs"
    default: bool = True
    follows: str = ""
    flag: str = ""
    inverted: tuple[str, ...] = ()


class Group(NamedTuple):
    """What is compiled, loaded and charted together, and fails alone. bpf/<name>.c has its programs.

    switch: the option that turns it on and off. counters: the u64 values of the map <name>_counters, in this order; with
    `split` for each application and control group. apps: charts of type `apps`, whose one dimension stands for those of all
    applications. connections: charts whose dimensions stand for those of each connection, and whose counters are the totals.
    fields: what its programs read of kernel structures; if they are `needed`, the group cannot be loaded without. tables:
    its further maps.
    """

    name: str
    switch: Switch
    counters: tuple[str, ...]
    hooks: tuple[Hook, ...]
    charts: tuple[Chart, ...]
    apps: tuple[Chart, ...] = ()
    connections: tuple[Chart, ...] = ()
    fields: tuple[Field, ...] = ()
    needed: bool = False
    tables: tuple[Table, ...] = ()
    split: bool = True

    def counters_table(self) -> Table:
        """The map of its counters."""
        return counters_table(self.name, self.counters, self.split)


def hook_of(group: Group, counter: str) -> Hook:
    """The hook that writes `counter`; validate() makes sure that there is one."""
    return next(hook for hook in group.hooks if counter in hook.counters)
