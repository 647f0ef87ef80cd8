"""Why the kernel refused, told apart, and what the user can do."""
from __future__ import annotations

import errno
import os
import re

from . import bpf, capabilities, procfs, tracefs
from ..model.group import PROBE, TRAMPOLINE

LOCKDOWN = "kernel lockdown is in confidentiality mode: boot with lockdown=integrity or without it"
ENOTSUPP = 524  # include/linux/errno.h; Python and libc have no name for it


def explain(operation: str, target: str, method: str, error: OSError) -> str:
    """One line: operation, target, errno, then what is the matter as far as the machine tells. `method` is the attach
    method, "" if it does not matter."""
    name = errno.errorcode.get(error.errno, "ENOTSUPP" if error.errno == ENOTSUPP else str(error.errno))
    cause = _verdict(error.strerror) if isinstance(error, bpf.Rejected) else _cause(method, error.errno)
    return "cannot %s %s: %s (%s)" % (operation, target, name, cause)


def reason(why: str) -> str:
    """In a word, why a method was refused: "denied", "rejected" by the verifier, "missing" in the kernel, or "other".
    `why` is what explain() or load/attach.py says of it."""
    if "lockdown" in why:
        return "denied"
    if "verifier: " in why:
        return "rejected"
    if any(word in why for word in (": EPERM", ": EACCES", "only root")):
        return "denied"
    if any(word in why for word in (": ENOENT", "kernel has no", "kernel without", "no BTF", "stands for it")):
        return "missing"
    return "other"


def cause(line: str) -> str:
    """What a line of explain() says is the matter, without operation and target; another line is the matter itself."""
    explained = re.fullmatch(r"cannot [a-z ]+ \S+: (\w+) \((.*)\)", line)
    return "%s (%s)" % (explained.group(2), explained.group(1)) if explained else line


def _verdict(text: str) -> str:
    """The verifier's, and why it refuses a helper that reads kernel memory: "unknown func bpf_probe_read_kernel#113" (6.1),
    "program of this type cannot use helper bpf_probe_read_kernel#113" (6.12)."""
    return "%s: %s" % (text, LOCKDOWN) if " bpf_probe_read" in text and procfs.locked_down() else text


def _cause(method: str, number: int) -> str:
    if number in (errno.EPERM, errno.EACCES):
        return denied() or _paranoid(method) or {
            TRAMPOLINE: "the kernel refuses trampolines on its functions",
            PROBE: "the kernel refuses kprobes",
        }.get(method, "a security module or the kernel's configuration forbids it")
    if method == PROBE and not has_kprobes():
        return "kernel without kprobes: CONFIG_KPROBES, CONFIG_KPROBE_EVENTS"
    if method == TRAMPOLINE and number in (ENOTSUPP, errno.EOPNOTSUPP, errno.EINVAL, errno.EBUSY):
        return "this kernel or architecture does not do it for this function"
    if number == errno.ENOENT:
        return "the kernel does not have it"
    return os.strerror(number)


def denied() -> str:
    """Why a privileged operation is refused for every program of the plugin, or ""."""
    if procfs.locked_down():
        return LOCKDOWN
    if not capabilities.has_capability("sys_admin"):
        missing = [name for name in ("bpf", "perfmon") if not capabilities.has_capability(name)]
        if missing:
            remedy = "run as root or grant them"
            if not all(capabilities.bounded_by(name) for name in missing):
                remedy = "the service or container forbids them: CapabilityBoundingSet of systemd, --cap-add of docker"
            return "missing capability %s; %s" % (" and ".join("CAP_" + m.upper() for m in missing), remedy)
    return ""


def _paranoid(method: str) -> str:
    """Debian's kernels know kernel.perf_event_paranoid=3, where perf_event_open(2) takes CAP_SYS_ADMIN."""
    level = procfs.read("/proc/sys/kernel/perf_event_paranoid").strip()
    if method != TRAMPOLINE and level.isdigit() and int(level) > 2 and not capabilities.has_capability("sys_admin"):
        return "kernel.perf_event_paranoid is %s: sysctl kernel.perf_event_paranoid=2, or run as root" % level
    return ""


def has_kprobes() -> bool:
    """Whether the kernel has kprobe events at all. False only if that is certain."""
    if os.path.exists("/sys/bus/event_source/devices/kprobe"):
        return True
    try:
        return os.path.exists(tracefs.root() + "/kprobe_events")
    except tracefs.NoTracefs:
        return os.path.exists("/sys/kernel/debug/kprobes")


def lacks_symbol(symbol: str) -> bool:
    """Whether /proc/kallsyms certainly has no such function: it can be read, and has others."""
    names = {line.split()[2] for line in procfs.read("/proc/kallsyms").splitlines()}
    return bool(names) and symbol not in names
