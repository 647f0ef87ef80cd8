"""Small files of /proc and /sys."""
from __future__ import annotations


def read(path):
    """The text of a file of the kernel's; "" if there is none that we may read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def first_cpu():
    return int(read("/sys/devices/system/cpu/online").replace("-", ",").split(",")[0])


def locked_down():
    """Whether lockdown(7) keeps everybody from reading kernel memory: no kprobes, no tracefs, no helper that reads it."""
    return "[confidentiality]" in read("/sys/kernel/security/lockdown")


def cpu_ids():
    """One more than the highest number that a CPU may have; more than possible_cpus() where numbers are left out."""
    ranges = (read("/sys/devices/system/cpu/possible") or "0").strip().split(",")
    return max(int(part.split("-")[-1]) for part in ranges) + 1


def possible_cpus(text=None):
    """The number of CPUs in a list such as "0-3,8"; by default of the kernel's possible ones. 1 if nobody knows: the loader
    says that /sys is missing."""
    ranges = (text or read("/sys/devices/system/cpu/possible") or "0").strip().split(",")
    ends = [part.split("-") for part in ranges]
    return sum(int(end[-1]) - int(end[0]) + 1 for end in ends)
