"""What a control group is of, by its path below the mount: a container, a service of the system, or anything else.

Names are those of the agent's cgroups.plugin (1.37.1: sys_fs_cgroup.c, cgroup-name.sh), as far as a path tells them: that
plugin also asks Docker, Podman and Kubernetes what they call a container, whose path has only its id.
"""
from __future__ import annotations

import re

CONTAINER, SERVICE = "container", "service"
OTHER = ("", "", "")  # what is in none

# units without their suffix, containers by the first 12 digits of their id
BY_ID = re.compile(r"^(?:(docker|libpod|crio|cri-containerd|containerd)[-_])?([0-9a-f]{64})(?:\.scope)?$")
UNIT = re.compile(r"^(.+)\.(service|scope|socket|mount|swap)$")
PAYLOAD = re.compile(r"^lxc\.payload\.(.+)$")
MACHINE = re.compile(r"^machine-(?:(qemu|lxc)\\x2d\d+\\x2d)?(.+)\.scope$")
LONGEST = 100  # of what the agent shows of a name


def place_of(path: str) -> tuple[tuple[str, str, str], tuple[tuple[str, str], ...]]:
    """((name, kind, what the agent's charts of it are called behind `cgroup_`), labels).

    The kind is CONTAINER, SERVICE (those that the agent has in its charts `services`) or "". Only a container has the third
    and labels. What is below a unit or a container is a part of it: /system.slice/nginx.service/worker -> nginx.
    """
    parts = path.split("/")
    for place, part in enumerate(parts):
        by_id, payload, machine, unit = (pattern.match(part) for pattern in (BY_ID, PAYLOAD, MACHINE, UNIT))
        own = "/".join(parts[:place + 1])
        if by_id:
            runtime, id = by_id.group(1) or "", by_id.group(2)
            kubernetes = "kubepods" in own
            labels = (("container_id", id), *((("runtime", runtime),) if runtime else ()), ("cgroup_path", own))
            name = "%s_%s" % (runtime or "container", id[:12])
            return (name, CONTAINER, "k8s_" * kubernetes + id[:12]), labels
        if payload:
            name = _unescaped(payload.group(1))
            return (name, CONTAINER, _id(name)), (("cgroup_path", own),)
        if machine:
            kind, name = machine.group(1), _unescaped(machine.group(2))
            shown = "%s_%s" % (kind, re.sub(r"\\x2d", "", machine.group(2))) if kind else own
            return (name, CONTAINER, _id(shown)), (("cgroup_path", own),)
        if unit and not part.startswith("user@"):
            name = _unescaped(unit.group(1))
            if parts[1:2] == ["machine.slice"] and unit.group(2) == "service":  # systemd-nspawn@.service
                return (name, CONTAINER, _id(unit.group(1))), (("cgroup_path", own),)
            is_service = place == 2 and parts[1] == "system.slice" and unit.group(2) == "service"
            return (name, SERVICE if is_service else "", ""), ()
    return (path.strip("/").replace("/", "_"), "", ""), ()


def _id(text: str) -> str:
    """As the agent makes the type of a chart of a name or a path."""
    text = text.strip("/").replace(".", "-")
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in text)[:LONGEST]


def _unescaped(text: str) -> str:
    """systemd.unit(5): \\x2d is a hyphen."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match.group(1), 16)), text)
