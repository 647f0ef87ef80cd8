"""The attach methods: three ways to attach a hook, tried one after the other until one takes it."""
from __future__ import annotations

import ctypes
import errno
import os
from collections import Counter
from typing import Any, Callable, Iterable

from ..compile import bytecode
from ..kernel import bpf, procfs, refusals, tracefs
from ..kernel.btf import BTF
from ..model.group import ATTACH_METHODS, PROBE, TRACEPOINT, TRAMPOLINE, Function, Group, Hook, Tracepoint
from .programs import Programs

PROG_KPROBE, PROG_TRACEPOINT, PROG_RAW_TRACEPOINT, PROG_TRACING = 2, 5, 17, 26
TRACE_FENTRY, TRACE_FEXIT = 24, 25

PMU = "/sys/bus/event_source/devices/kprobe"


class NotAttached(Exception):
    """Why an attach method did not take a hook, for people."""


class Attached:
    """What holds one hook in the kernel: descriptors and the names of kprobe events, closed together if a method fails.

    `where` tells people where it is, `programs` is {name: descriptor} of the programs that run there, `links` {name of a
    program: descriptor} of those that bpf.kprobe_multi() has attached.
    """

    def __init__(self) -> None:
        self.descriptors: list[int] = []
        self.events: list[str] = []
        self.where: list[str] = []
        self.programs: dict[str, int] = {}
        self.links: dict[str, int] = {}

    def undo(self) -> None:
        """Detach, and remove the events."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        tracefs.remove(self.events)


def probed_by_several(groups: Iterable[Group], mode: str) -> frozenset[str]:
    """The functions at which the probes of `groups` have more than one program."""
    symbols = Counter(symbol for group in groups for hook in group.hooks if mode in hook.modes for function in hook.functions
                      for _ in function.program_types.of(PROBE, mode) for symbol in function.symbols)
    return frozenset(symbol for symbol, count in symbols.items() if count > 1)


class Attacher:
    """Attaches hooks of a group, whose `programs` are a programs.Programs; `btf` may be None, and then `no_btf` says why.
    `shared` are functions as of probed_by_several()."""

    _has_cleaner = False

    def __init__(self, programs: Programs, mode: str, choice: str, btf: BTF | None, no_btf: str = "",
                 shared: frozenset[str] = frozenset()):
        self.programs, self.mode, self.choice, self.btf, self.no_btf = programs, mode, choice, btf, no_btf
        self.shared = shared
        self._has_kprobe_multi = True  # until a trial fails
        self._loaded: dict[tuple[str, int, int], int] = {}

    def order(self, hook: Hook) -> tuple[str, ...]:
        """The attach methods in the order in which they are tried for `hook`."""
        preferred = hook.first if self.choice == "auto" else self.choice
        return tuple(sorted(ATTACH_METHODS, key=lambda method: (method != preferred, ATTACH_METHODS.index(method))))

    def attach(self, hook: Hook) -> tuple[str | None, Attached | None, list[tuple[str, str]]]:
        """(attach method, Attached, [(attach method, why not)]); attach method is None if no attach method took the hook."""
        failed: list[tuple[str, str]] = []
        for method in self.order(hook):
            held = Attached()
            try:
                self._try(method, hook, held)
                return method, held, failed
            except (NotAttached, tracefs.NoTracefs) as error:
                held.undo()
                failed.append((method, str(error)))
        return None, None, failed

    def _try(self, method: str, hook: Hook, held: Attached) -> None:
        if method == TRACEPOINT:
            if not hook.tracepoints:
                raise NotAttached("no tracepoint stands for it")
            for tracepoint in hook.tracepoints:
                if self.mode in tracepoint.modes:
                    self._tracepoint(tracepoint, held)
            if not held.descriptors:
                raise NotAttached("the kernel has none of its tracepoints")
            return
        if not hook.functions:
            raise NotAttached("no function stands for it")
        if procfs.read("/proc/sys/kernel/ftrace_enabled").strip() == "0":
            # both would attach and never run (seen on 6.1): they enter functions by ftrace
            raise NotAttached("ftrace is off: sysctl kernel.ftrace_enabled=1")
        attach = self._trampoline if method == TRAMPOLINE else self._probe
        for function in hook.functions:
            if not function.only_with or os.path.exists(function.only_with):
                attach(function, held)
        if not held.descriptors:
            raise NotAttached("the kernel has no function %s" % " or ".join(f.symbols[0] for f in hook.functions))

    def _trampoline(self, function: Function, held: Attached) -> None:
        btf = self.btf
        if btf is None:
            raise NotAttached(self.no_btf)
        found = next(((symbol, known) for symbol in function.symbols if (known := btf.function(symbol))), None)
        if found is None:
            self._missing(function)
            return
        symbol, (number, arguments) = found
        for way in function.program_types.of(TRAMPOLINE, self.mode):
            kind = TRACE_FENTRY if way == "fentry" else TRACE_FEXIT
            program = self._program(held, function.program + "_" + way, PROG_TRACING, kind, number, arguments)
            held.descriptors.append(self._do("attach to", symbol, TRAMPOLINE, bpf.raw_tracepoint_open, None, program))
            held.where.append("%s:%s" % (way, symbol))

    def _probe(self, function: Function, held: Attached) -> None:
        for way in function.program_types.of(PROBE, self.mode):
            for symbol in function.symbols:
                if way == "kprobe" and self._kprobe_multi(function.program + "_" + way, symbol, held):
                    break
                try:
                    event = self._probe_event(way == "kretprobe", function.program, symbol, held)
                except OSError as error:
                    if way == "kretprobe" and error.errno in (errno.EACCES, errno.EROFS):
                        raise NotAttached("%s/kprobe_events: %s; only root may make kretprobes there"
                                          % (tracefs.root(), error.strerror)) from error
                    # the kernel's words for "no such symbol" differ: ENOENT, EADDRNOTAVAIL since 5.10 or so, EINVAL (7.2)
                    if error.errno in (errno.ENOENT, errno.EADDRNOTAVAIL) and refusals.has_kprobes() or \
                            error.errno == errno.EINVAL and refusals.lacks_symbol(symbol):
                        continue
                    raise NotAttached(refusals.explain("attach to", symbol, PROBE, error)) from error
                held.descriptors.append(event)
                program = self._program(held, function.program + "_" + way, PROG_KPROBE)
                self._do("attach to", symbol, PROBE, bpf.perf_event_run, event, program)
                held.where.append("%s:%s" % (way, symbol))
                break
            else:
                self._missing(function)
                return

    def _kprobe_multi(self, name: str, symbol: str, held: Attached) -> bool:
        """Attach by ftrace without a kprobe, which costs an event less. False if that is not to be.

        Only where a program is alone at the function: beside a second one, ftrace asks all that it has at any function
        (Linux 6.12), and that costs more than it saves.
        """
        if symbol in self.shared or not self._has_kprobe_multi:
            return False
        try:
            program = self._program(held, name, PROG_KPROBE, bpf.BPF_TRACE_KPROBE_MULTI)
            held.links[name] = bpf.kprobe_multi(symbol, program)
        except (NotAttached, OSError) as error:
            held.programs.pop(name, None)
            self._has_kprobe_multi = isinstance(error, OSError) and error.errno in (errno.ESRCH, errno.ENOENT)
            return False
        held.descriptors.append(held.links[name])
        held.where.append("kprobe.multi:" + symbol)
        return True

    def _probe_event(self, at_return: bool, program: str, symbol: str, held: Attached) -> int:
        """The descriptor of a perf event for it. Raises OSError."""
        if at_return:
            # never on the PMU: it gives few instances, and the kernel tells nobody which returns they miss
            self._start_cleaner()
            name = tracefs.add_kretprobe(program, symbol)
            held.events.append(name)
            number = tracefs.event_id(name.replace("/", ":"))
            if number is None:
                raise OSError(errno.ENODEV, "the event has been removed by somebody else")
            return bpf.perf_event_open(bpf.PERF_TYPE_TRACEPOINT, number)
        kind = procfs.read(PMU + "/type")
        if not kind:
            raise OSError(errno.ENOENT, "no kprobe events")
        text = ctypes.create_string_buffer(symbol.encode())
        return bpf.perf_event_open(int(kind), 0, ctypes.addressof(text))

    @classmethod
    def _start_cleaner(cls) -> None:
        """Before the first kretprobe: what is made must not stay, whenever this process is killed."""
        if not cls._has_cleaner:
            tracefs.start_cleaner()
            cls._has_cleaner = True

    def _tracepoint(self, tracepoint: Tracepoint, held: Attached) -> None:
        for event in tracepoint.events:
            if tracepoint.raw:
                program = self._program(held, tracepoint.program, PROG_RAW_TRACEPOINT)
                held.descriptors.append(
                    self._do("attach to", event, TRACEPOINT, bpf.raw_tracepoint_open, event, program))
            else:
                number = tracefs.event_id(event)
                if number is None:
                    if not tracefs.has_category("syscalls"):
                        raise NotAttached("kernel without tracepoints of system calls: CONFIG_FTRACE_SYSCALLS")
                    continue
                program = self._program(held, tracepoint.program, PROG_TRACEPOINT)
                perf_event = self._do("open", event, TRACEPOINT, bpf.perf_event_open,
                                      bpf.PERF_TYPE_TRACEPOINT, number)
                held.descriptors.append(perf_event)
                self._do("attach to", event, TRACEPOINT, bpf.perf_event_run, perf_event, program)
            held.where.append(event)

    def _missing(self, function: Function) -> None:
        if function.required:
            raise NotAttached("the kernel has no function %s" % " or ".join(function.symbols))

    def _program(self, held: Attached, name: str, kind: int, attach_type: int = 0, btf_id: int = 0,
                 arguments: int = -1) -> int:
        """The descriptor of a loaded program; each is loaded once for each place that it is verified for."""
        key = (name, attach_type, btf_id)
        if key not in self._loaded:
            method = {PROG_KPROBE: PROBE, PROG_TRACING: TRAMPOLINE}.get(kind, TRACEPOINT)
            try:
                code = self.programs.instructions(name, arguments)
            except bytecode.Refused as refusal:
                why = "%s (%s)" % (refusal, self.no_btf) if self.no_btf else refusal
                raise NotAttached("cannot load %s: %s" % (name, why)) from refusal
            except OSError as error:
                raise NotAttached(refusals.explain("make the maps of", name, method, error)) from error
            self._loaded[key] = self._do("load", name, method, bpf.prog_load, kind, name, code, attach_type, btf_id)
        held.programs[name] = self._loaded[key]
        return self._loaded[key]

    def close_unused(self, programs: Iterable[int]) -> None:
        """Close the descriptors of programs that are loaded and not among `programs`, those that are attached."""
        for program in set(self._loaded.values()).difference(programs):
            os.close(program)

    @staticmethod
    def _do(operation: str, target: str, method: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except OSError as error:
            raise NotAttached(refusals.explain(operation, target, method, error)) from error
