"""What a group may say: hooks in the kernel, counters, charts. All of it is frozen data; the engine is elsewhere.

A program in bpf/ is named `<program>_<way>`: `vfs_read_fexit` is what is run when a trampoline sees vfs_read return.
"""
from __future__ import annotations

from typing import NamedTuple

ENTRY, RETURN = MODES = ("entry", "return")
TRAMPOLINE, PROBE, TRACEPOINT = ATTACH_METHODS = ("trampoline", "probe", "tracepoint")


class ProgramTypes(NamedTuple):
    """The programs that a function takes, by attach method and mode; several are attached in this order."""

    trampoline_entry: tuple = ("fentry",)
    trampoline_return: tuple = ("fexit",)
    probe_entry: tuple = ("kprobe",)
    probe_return: tuple = ("kretprobe",)

    def of(self, method, mode):
        return getattr(self, "%s_%s" % (method, mode))


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
    symbols: tuple
    program_types: ProgramTypes = BY_MODE
    required: bool = True
    only_with: str = ""


class Tracepoint(NamedTuple):
    """`events` are names as in tracefs (`syscalls:sys_exit_read`), or with `raw` the bare name of a raw tracepoint.

    `program` is the whole name of the program. A system call that the kernel or the architecture does not have is left
    out; the others of its hook stand for it.
    """

    program: str
    events: tuple
    modes: tuple = MODES
    raw: bool = False


class Field(NamedTuple):
    """A member of a kernel structure whose place a program needs: `macro` is its offset in bytes, added up over `path`,
    pairs of structure and member; with `bits` in bits, for bit fields. From the running kernel's BTF."""

    macro: str
    path: tuple
    bits: bool = False


class Note(NamedTuple):
    """What `counters` mean on an attach method, in these modes, where that is not the usual: `text` goes into titles."""

    method: str
    modes: tuple
    counters: tuple
    text: str


class Hook(NamedTuple):
    """One kind of event: attached as a whole on one attach method, or not at all, so that a sum is never a part.

    `counters` are those that its programs write on any attach method; they stay 0 on those that do not use them. `first`
    is the method that is tried before the others unless the user chose an order.
    """

    name: str
    counters: tuple
    functions: tuple = ()
    tracepoints: tuple = ()
    modes: tuple = MODES
    first: str = ""
    notes: tuple = ()


def sys_exits(*calls):
    """The tracepoints at the end of these system calls."""
    return tuple("syscalls:sys_exit_" + call for call in calls)


def sys_enters(*calls):
    """The tracepoints at the beginning of these system calls."""
    return tuple("syscalls:sys_enter_" + call for call in calls)


def syscall_symbols(call):
    """The function of a system call: with the prefix of the architecture since 4.17, plain before."""
    return tuple(prefix + "sys_" + call for prefix in ("__x64_", "__arm64_", ""))


class Dimension(NamedTuple):
    """A dimension: `id` is shown as it is. `plus` and `minus` are counters whose sums make the value.

    It is declared if every hook that writes them is attached.
    """

    id: str
    plus: tuple
    minus: tuple = ()
    algorithm: str = "incremental"
    multiplier: int = 1


class Chart(NamedTuple):
    """A chart of type `ebpf`. `units` are per second where the dimensions are incremental.

    An `absolute` dimension is sent as its change since the tick before, so it needs two ticks on time.
    """

    id: str
    title: str
    units: str
    family: str
    priority: int
    dims: tuple
    modes: tuple = MODES


def per_application(chart, title, units, priority, counters, family="ebpf syscall", modes=MODES):
    """A chart for Group.apps."""
    return Chart(id=chart, title=title, units=units, family=family, priority=priority, modes=modes,
                 dims=(Dimension("application", counters),))


class Group(NamedTuple):
    """`counters` are the slots of the per-CPU array <name>_counters, in the order of the enum in bpf/<name>.c.

    `apps` are charts of type `apps`: their one dimension stands for those of all applications. `parts` are C files that
    come before that one in the text, `base` those before the text of all groups. `fields` are offsets that its programs use
    if BTF has them; if they are `needed`, the group cannot be compiled without. `tables` are further maps that the collector
    reads.
    """

    name: str
    counters: tuple
    hooks: tuple
    charts: tuple
    apps: tuple = ()
    base: tuple = ()
    parts: tuple = ()
    fields: tuple = ()
    needed: bool = False
    tables: tuple = ()


def hook_of(group, counter):
    """The hook that writes `counter`; validate() makes sure that there is one."""
    return next(hook for hook in group.hooks if counter in hook.counters)


def validate(groups):
    """Raise ValueError for data that the engine or the agent could not take. Called when the registry is imported."""
    for charts in ([chart.id for group in groups for chart in group.charts],
                   [chart.id for group in groups for chart in group.apps]):
        _demand(len(charts) == len(set(charts)), "two charts of the same id: %s" % charts)
    for group in groups:
        written = [counter for hook in group.hooks for counter in hook.counters]
        _demand(sorted(written) == sorted(group.counters), "%s: each counter is written by one hook" % group.name)
        names = [hook.name for hook in group.hooks]
        _demand(len(names) == len(set(names)), "%s: two hooks of the same name" % group.name)
        for hook in group.hooks:
            where = "%s/%s" % (group.name, hook.name)
            _demand(hook.first in ("",) + ATTACH_METHODS and set(hook.modes) <= set(MODES),
                    where + ": unknown attach method or mode")
            for note in hook.notes:
                _demand(set(note.counters) <= set(hook.counters), where + ": a note on another's counters")
            _demand(hook.functions or hook.tracepoints, where + ": nothing to attach")
        for chart in group.charts + group.apps:
            where = "%s/%s" % (group.name, chart.id)
            ids = [dim.id for dim in chart.dims]
            _demand(chart.title and chart.units and chart.family, where + ": an empty text")
            _demand(_plain(chart.id) and all(map(_plain, ids)), where + ": an id that the protocol cannot carry")
            _demand(ids and len(ids) == len(set(ids)), where + ": no dimensions, or two of the same id")
            for dim in chart.dims:
                _demand(dim.plus and set(dim.plus + dim.minus) <= set(group.counters), where + ": unknown counter")
                _demand(dim.algorithm in ("incremental", "absolute"), where + ": unknown algorithm")


def _plain(text):
    return text.isascii() and text.replace("_", "").isalnum()


def _demand(condition, message):
    if not condition:
        raise ValueError(message)
