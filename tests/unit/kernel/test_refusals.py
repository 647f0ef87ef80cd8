"""Why the kernel refused: each cause in its own words."""
import errno

import pytest

from ebpf_plugin.kernel import bpf, procfs, refusals, tracefs

LOCKED = "none integrity [confidentiality]\n"


@pytest.fixture
def machine(monkeypatch):
    """Sets up what reasons.py sees of a machine."""
    def set_up(capabilities=("sys_admin",), lockdown="", paths=("/sys/bus/event_source/devices/kprobe",), mounted=True,
               bounded=True):
        def root():
            if not mounted:
                raise tracefs.NoTracefs("tracefs is not mounted")
            return "/tracing"

        monkeypatch.setattr(procfs, "read", lambda path: lockdown if path == "/sys/kernel/security/lockdown" else "")
        monkeypatch.setattr(refusals.capabilities, "has_capability", lambda *names: bool(set(names) & set(capabilities)))
        monkeypatch.setattr(refusals.capabilities, "bounded_by", lambda name: bounded)
        monkeypatch.setattr(refusals.os.path, "exists", lambda path: path in paths)
        monkeypatch.setattr(tracefs, "root", root)
    return set_up


@pytest.mark.parametrize("seen, cause", [
    ({}, ""),
    ({"lockdown": "[none] integrity confidentiality\n"}, ""),
    ({"lockdown": "none [integrity] confidentiality\n"}, ""),
    ({"lockdown": LOCKED}, "kernel lockdown is in confidentiality mode: boot with lockdown=integrity or without it"),
    ({"lockdown": LOCKED, "capabilities": ()},
     "kernel lockdown is in confidentiality mode: boot with lockdown=integrity or without it"),
    ({"capabilities": ("bpf", "perfmon")}, ""),
    ({"capabilities": ("bpf",)}, "missing capability CAP_PERFMON; run as root or grant them"),
    ({"capabilities": ("perfmon",)}, "missing capability CAP_BPF; run as root or grant them"),
    ({"capabilities": ()}, "missing capability CAP_BPF and CAP_PERFMON; run as root or grant them"),
    ({"capabilities": ("bpf",), "bounded": False}, "missing capability CAP_PERFMON; the service or container forbids "
     "them: CapabilityBoundingSet of systemd, --cap-add of docker"),
])
def test_denied(machine, seen, cause):
    machine(**seen)
    assert refusals.denied() == cause


NO_KPROBES = {"paths": ()}


@pytest.mark.parametrize("seen, method, number, text", [
    ({"lockdown": LOCKED}, "trampoline", errno.EPERM, "EPERM (kernel lockdown"),
    ({"lockdown": LOCKED}, "probe", errno.EACCES, "EACCES (kernel lockdown"),
    ({"capabilities": ()}, "tracepoint", errno.EPERM, "EPERM (missing capability CAP_BPF and CAP_PERFMON"),
    ({}, "trampoline", errno.EPERM, "EPERM (the kernel refuses trampolines on its functions)"),
    ({}, "probe", errno.EPERM, "EPERM (the kernel refuses kprobes)"),
    ({}, "tracepoint", errno.EACCES, "EACCES (a security module or the kernel's configuration forbids it)"),
    (NO_KPROBES, "probe", errno.ENOENT, "ENOENT (kernel without kprobes: CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)"),
    (NO_KPROBES, "trampoline", errno.EINVAL, "EINVAL (this kernel or architecture does not do it for this function)"),
    ({}, "trampoline", refusals.ENOTSUPP, "ENOTSUPP (this kernel or architecture does not do it for this function)"),
    ({}, "trampoline", errno.EBUSY, "EBUSY (this kernel or architecture does not do it for this function)"),
    ({}, "trampoline", errno.ENOENT, "ENOENT (the kernel does not have it)"),
    ({}, "probe", errno.ENOENT, "ENOENT (the kernel does not have it)"),
    ({}, "probe", errno.EINVAL, "EINVAL (Invalid argument)"),
    ({}, "tracepoint", errno.ENOMEM, "ENOMEM (Cannot allocate memory)"),
    ({}, "tracepoint", 4242, "4242 (Unknown error 4242)"),
])
def test_explain(machine, seen, method, number, text):
    machine(**seen)
    explained = refusals.explain("attach to", "vfs_read", method, OSError(number, "?"))
    assert explained.startswith("cannot attach to vfs_read: " + text)


def test_the_verifier_has_the_last_word(machine):
    machine(capabilities=())
    error = bpf.Rejected(errno.EACCES, "verifier: R1 invalid mem access")
    assert refusals.explain("load", "x", "probe", error) == "cannot load x: EACCES (verifier: R1 invalid mem access)"


@pytest.mark.parametrize("lockdown", [LOCKED, "none [integrity] confidentiality\n"])
@pytest.mark.parametrize("said", ["unknown func bpf_probe_read_kernel#113",
                                  "program of this type cannot use helper bpf_probe_read_kernel#113"], ids=["6.1", "6.12"])
def test_what_lockdown_takes_from_programs(machine, lockdown, said):
    machine(lockdown=lockdown)
    error = bpf.Rejected(errno.EINVAL, "verifier: " + said)
    text = refusals.explain("load", "do_it", "tracepoint", error)
    assert said in text and (refusals.LOCKDOWN in text) == (lockdown == LOCKED)


@pytest.mark.parametrize("why, reason", [
    ("cannot attach to vfs_read: EPERM (the kernel refuses trampolines on its functions)", "denied"),
    ("cannot load x: EACCES (a security module or the kernel's configuration forbids it)", "denied"),
    ("cannot load x: EINVAL (verifier: unknown func bpf_probe_read_kernel#113: %s)" % refusals.LOCKDOWN, "denied"),
    (refusals.LOCKDOWN, "denied"),
    ("/sys/kernel/tracing/kprobe_events: Read-only file system; only root may make kretprobes there", "denied"),
    ("cannot load x: EACCES (verifier: R1 invalid mem access)", "rejected"),
    ("cannot attach to vfs_read: ENOENT (the kernel does not have it)", "missing"),
    ("the kernel has no function vfs_read", "missing"),
    ("the kernel has none of its tracepoints", "missing"),
    ("no function stands for it", "missing"),
    ("kernel without tracepoints of system calls: CONFIG_FTRACE_SYSCALLS", "missing"),
    ("no BTF: /sys/kernel/btf/vmlinux is missing (CONFIG_DEBUG_INFO_BTF)", "missing"),
    ("cannot attach to vfs_read: EBUSY (this kernel or architecture does not do it for this function)", "other"),
    ("ftrace is off: sysctl kernel.ftrace_enabled=1", "other"),
    ("", "other"),
])
def test_the_reason_in_a_word(why, reason):
    assert refusals.reason(why) == reason


@pytest.mark.parametrize("seen, known", [
    ({}, True),
    ({"paths": ("/tracing/kprobe_events",)}, True),
    ({"paths": ("/sys/kernel/debug/kprobes",), "mounted": False}, True),
    ({"paths": ()}, False),
    ({"paths": (), "mounted": False}, False),
])
def test_has_kprobes(machine, seen, known):
    machine(**seen)
    assert refusals.has_kprobes() is known


KALLSYMS = """0000000000000000 T vfs_read
0000000000000000 t do_fault_around
0000000000000000 t nf_nat_masquerade\t[nf_nat]
"""


@pytest.mark.parametrize("text, symbol, lacking", [
    (KALLSYMS, "vfs_read", False),
    (KALLSYMS, "nf_nat_masquerade", False),
    (KALLSYMS, "vfs_rea", True),
    (KALLSYMS, "[nf_nat]", True),
    # a kernel without CONFIG_KALLSYMS, or a file that we may not read: nobody knows
    ("", "vfs_rea", False),
])
def test_a_symbol_that_is_certainly_not_there(monkeypatch, text, symbol, lacking):
    monkeypatch.setattr(procfs, "read", lambda path: {"/proc/kallsyms": text}[path])
    assert refusals.lacks_symbol(symbol) is lacking


def test_symbols_of_this_kernel():
    if not procfs.read("/proc/kallsyms"):
        pytest.skip("this kernel tells no symbols")
    assert refusals.lacks_symbol("no_kernel_has_this_function") and not refusals.lacks_symbol("do_exit")
