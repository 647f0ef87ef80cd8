"""ebpf.d.conf and ebpf.d/*.conf, the files of Netdata's own plugin: which there are, and which options mean nothing here.

Only the user's are read: the agent's stock files would turn its defaults into the user's wishes. What is the same in both
plugins is read like ebpf.conf, with the lowest priority.
"""
from __future__ import annotations

import os
from typing import Any

from .options import YES

NAME, FOLDER = "ebpf.d.conf", "ebpf.d"
# Of the files in the folder those of programs whose charts are here, too. network.conf became socket.conf.
PROGRAM_FILES = tuple("%s.conf" % name for name in ("fd", "network", "process", "socket", "softirq", "vfs"))

# [ebpf programs]: {its name: ours}
RENAMED = {"fd": "file", "socket": "network viewer", "network connections": "network connection monitoring"}
# [ebpf programs] without a counterpart
PROGRAMS = ("cachestat", "dcstat", "disk", "dns", "filesystem", "hardirq", "mdflush", "mount", "oomkill", "shm", "swap",
            "sync")
# [global], how it does its work: nothing is shown or hidden by these
INTERNAL = ("bandwidth table size", "btf path", "collect pid", "ebpf object flavor", "ebpf type format",
            "ipv4 connection table size", "ipv6 connection table size", "life time", "lifetime", "maps per core",
            "socket monitoring table size", "udp connection table size")
SECTIONS = ("filesystem", "ipc", "syscalls")  # of programs without a counterpart


def paths(directory: str) -> list[str]:
    """The files that may be in the user's directory, the most important first."""
    return [*(os.path.join(directory, FOLDER, name) for name in PROGRAM_FILES), os.path.join(directory, NAME)]


def program_of(path: str) -> str:
    """The program that a file is of, "" if of all: its [global] says nothing of the others."""
    folder, name = os.path.split(path)
    return name[:-len(".conf")] if os.path.basename(folder) == FOLDER else ""


def is_known(section: str, key: str) -> bool:
    """Whether Netdata's own plugin has this option, and we do not."""
    return section in SECTIONS or key in {"global": INTERNAL, "ebpf programs": PROGRAMS}.get(section, ())


def is_missed(section: str, key: str, value: str) -> bool:
    """Whether the user asks with it for what is not here."""
    if section in SECTIONS or section == "global" and key in INTERNAL:
        return False
    if section == "global" and key == "ebpf co-re tracing":
        return value != "trampoline"  # which we try first, too
    return section != "ebpf programs" or key not in PROGRAMS or value.lower() in YES


def complete(found: dict[str, Any]) -> dict[str, Any]:
    """What a file of Netdata's sets, with what it means there: `process` says nothing of the programs fd and vfs."""
    return {"file": True, "vfs": True, **found} if "process" in found else found


def notice(read: list[str], missed: list[str]) -> str:
    """One line about files of Netdata's own plugin, and options without a counterpart; "" if there are none."""
    if not read and not missed:
        return ""
    without = "without a counterpart: %s" % ", ".join(dict.fromkeys(missed)) if missed else "all of them have a counterpart"
    files = "read from %s, below ebpf.conf; " % ", ".join(read) if read else ""
    return "options of Netdata's own plugin: %s%s (migration.md in the documentation)" % (files, without)
