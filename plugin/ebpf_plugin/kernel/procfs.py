"""Small files of /proc and /sys, and the processes in /proc."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

# mangle() of fs/proc_namespace.c
ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\"))
MAX_COMM = 15  # bytes of a process's name that the kernel keeps
MAX_COMMAND_LINE = 16384  # bytes of a command line that the agent reads


def read(path: str) -> str:
    """The text of a file of the kernel's; "" if there is none that we may read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def mount_path(text: str) -> str:
    """A path as it stands in /proc/self/mounts and /proc/self/mountinfo, where a blank is \\040, without the escapes."""
    for escaped, character in ESCAPES:
        text = text.replace(escaped, character)
    return text


def fdinfo(pid: int | str, number: int | str) -> dict[str, int]:
    """The whole numbers of /proc/PID/fdinfo/N by their names; empty if it is gone."""
    pairs = [line.split(":", 1) for line in read("/proc/%s/fdinfo/%s" % (pid, number)).splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].strip().isdigit()}


def mount_at(path: str) -> int | None:
    """The id (as in /proc/self/mountinfo) of the mount that a path leads to; None if there is no such path."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return fdinfo("self", descriptor).get("mnt_id")
    finally:
        os.close(descriptor)


def mount_of_version_2(mounts: str, at: Callable[[str], int | None] = mount_at) -> tuple[str, tuple[str, ...]]:
    """(where cgroup2 is or "", where it is hidden under another mount), by the text of /proc/self/mountinfo.

    at(path) is the id of the mount that a path leads to. A mount of the whole tree is taken before one of a part of it.
    """
    seen, hidden = [], []
    for line in mounts.splitlines():
        words, _, kind = line.partition(" - ")
        fields = words.split()
        if kind.split()[:1] == ["cgroup2"] and len(fields) > 5:
            path = mount_path(fields[4])
            if str(at(path)) == fields[0]:
                seen.append((fields[3] != "/", path))
            else:
                hidden.append(path)
    return min(seen, key=lambda mount: mount[0])[1] if seen else "", tuple(hidden)


def first_cpu() -> int:
    """The lowest number of a CPU that is online."""
    return int(read("/sys/devices/system/cpu/online").replace("-", ",").split(",")[0])


def locked_down() -> bool:
    """Whether lockdown(7) keeps everybody from reading kernel memory: no kprobes, no tracefs, no helper that reads it."""
    return "[confidentiality]" in read("/sys/kernel/security/lockdown")


def cpu_ids() -> int:
    """One more than the highest number that a CPU may have; more than possible_cpus() where numbers are left out."""
    ranges = (read("/sys/devices/system/cpu/possible") or "0").strip().split(",")
    return max(int(part.split("-")[-1]) for part in ranges) + 1


def possible_cpus(text: str | None = None) -> int:
    """The number of CPUs in a list such as "0-3,8"; by default of the kernel's possible ones. 1 if nobody knows: the loader
    says that /sys is missing."""
    ranges = (text or read("/sys/devices/system/cpu/possible") or "0").strip().split(",")
    ends = [part.split("-") for part in ranges]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)


def online_cpus() -> int:
    """The number of CPUs that are online."""
    return possible_cpus(read("/sys/devices/system/cpu/online"))


def locked_memory(descriptors: Iterable[int]) -> int:
    """Bytes that these maps of ours take in the kernel, as it says itself (map_fdinfo, `memlock`)."""
    return sum([fdinfo("self", descriptor).get("memlock", 0) for descriptor in descriptors])


def command_line(pid: int) -> bytes | None:
    """/proc/PID/cmdline in bytes; None if the process is gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read(MAX_COMMAND_LINE)
    except OSError:
        return None


def comm_of(pid: int) -> bytes | None:
    """/proc/PID/comm in bytes, as much of it as the kernel's programs see; None if the process is gone."""
    try:
        with open("/proc/%d/comm" % pid, "rb") as file:
            return file.read()[:-1][:MAX_COMM]
    except OSError:
        return None


def processes() -> dict[int, tuple[bytes, int]]:
    """{pid: (comm in bytes, parent's pid)} of /proc now. Raises OSError if /proc cannot be listed."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, "rb") as file:
                text = file.read()
            # "pid (comm) state ppid ...", and comm may hold anything; what a terminal might mind is escaped here
            begin, end = text.index(b"(") + 1, text.rindex(b")")
        except OSError:
            continue
        comm = comm_of(int(pid)) if b"\\" in text[begin:end] else text[begin:end][:MAX_COMM]
        if comm is not None:
            found[int(pid)] = comm, int(text[end + 2:].split()[1])
    return found
