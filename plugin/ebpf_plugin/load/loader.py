"""The loader: a short-lived process, the only one that imports bcc. It compiles, attaches, hands over and is gone."""
from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import socket

from . import handoff, listening_sockets
from ..compile import source
from ..groups import GROUPS
from ..groups.apps import APPS
from ..kernel import bpf, process, procfs, refusals, tracefs
from ..kernel.btf import BTF, NoBTF
from .attach import Attacher

CGROUP_TABLES = ("cgroup_rows", "cgroups_asked")


class Refused(Exception):
    """Nothing can be loaded at all; the text is for the user."""


def main(descriptor):
    """Serve one plan on the socket `descriptor` and leave without running anybody's clean-up: BCC would detach all."""
    process.die_with_parent(signal.SIGKILL)
    sock = socket.socket(fileno=descriptor)
    try:
        _serve(sock, json.loads(sock.recv(handoff.LONGEST)))
    except Refused as refusal:
        handoff.tell(sock, error=str(refusal))
    except Exception as error:  # pylint: disable=broad-except
        handoff.tell(sock, error="the loader failed: %s: %s" % (type(error).__name__, error))
    os._exit(0)


def _serve(sock, plan):
    _try_the_least()
    handoff.tell(sock, stage="import")
    bcc = _import_bcc()
    tracefs.remove(tracefs.stale())
    handoff.tell(sock, stage="compile")
    btf, no_btf = None, ""
    try:
        btf = BTF()
    except NoBTF as error:
        no_btf = str(error)
    groups = [group for group in GROUPS if group.name in plan["groups"]]
    broken = {group.name: no_btf or "the kernel has no %s" % ", ".join(source.missing(group, btf))
              for group in groups if source.missing(group, btf)}
    if procfs.locked_down():  # their programs read tasks, and would keep others from being loaded
        broken["apps"] = refusals.LOCKDOWN
    modules, failed = _compile(bcc, [group for group in groups if group.name not in broken], plan, btf)
    broken.update(failed)
    manifest = {"maps": {}, "tables": {}, "hooks": {}, "broken": broken, "events": [], "programs": {},
                "warnings": [], "memory": sum(_memory(bcc, module) for module in set(modules.values()))}
    descriptors = []
    of_cgroups = CGROUP_TABLES if "CGROUPS" in plan["sizes"] and not failed else ()
    for group in groups:
        if group.name in broken:
            continue
        handoff.tell(sock, stage="attach " + group.name)
        module = modules[group.name]
        ladder = Attacher(lambda name: _instructions(bcc, module, name), plan["mode"], plan["method"], btf, no_btf)
        manifest["maps"][group.name] = len(descriptors)
        descriptors.append(bcc.lib.bpf_table_fd(module, group.name.encode() + b"_counters"))
        for table in group.tables + of_cgroups:
            manifest["tables"][table] = len(descriptors)
            descriptors.append(bcc.lib.bpf_table_fd(module, table.encode()))
        of_cgroups = ()
        if group.name == "network":
            listening_sockets.prepare(lambda name: bcc.lib.bpf_table_fd(module, name), plan["filters"])
        hooks = manifest["hooks"][group.name] = {}
        for hook in group.hooks:
            if plan["mode"] not in hook.modes:
                continue
            method, held, failed = ladder.attach(hook)
            hooks[hook.name] = {"method": method, "where": held.where if held else [], "failed": failed}
            if held:
                for name, program in held.programs.items():
                    manifest["programs"][name] = len(descriptors)
                    descriptors.append(program)
                descriptors += held.descriptors
                manifest["events"] += held.events
        if group.name == "network":
            manifest["warnings"] += filter(None, [listening_sockets.seen(bcc.lib.bpf_table_fd(module, b"services"))])
    handoff.hand_over(sock, manifest, descriptors)


def _try_the_least():
    """The cheapest trials of all: without /sys nobody knows the number of CPUs, without a map nothing can be loaded."""
    if not procfs.read("/sys/devices/system/cpu/possible"):
        raise Refused("/sys is not mounted or not readable: mount -t sysfs nodev /sys")
    try:  # what maps were charged to before 5.11
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        pass
    try:
        os.close(bpf.map_create(bpf.BPF_MAP_TYPE_ARRAY, 4, 8, 1))
        os.close(bpf.map_create(bpf.BPF_MAP_TYPE_HASH, 8, 8, 32768))  # about what all our maps take together
    except OSError as error:
        raise Refused("cannot create BPF maps: %s (%s)" % (error.strerror, _why_no_map(error))) from error


def _why_no_map(error):
    cause = refusals.denied()
    if cause:
        return cause
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # the limit is for all maps of the user's processes together, so the first one may be too much
    if error.errno == errno.EPERM and limit != resource.RLIM_INFINITY:
        return ("locked memory is limited to %d kB, and maps are in it before 5.11: run as root, with CAP_SYS_RESOURCE or "
                "ulimit -l unlimited; on later kernels a security module forbids it" % (limit // 1024))
    return "the kernel may lack CONFIG_BPF_SYSCALL, or a security module forbids it"


def _import_bcc():
    try:
        import bcc
    except ImportError as error:
        raise Refused("cannot import bcc: %s (apt-get install python3-bpfcc)" % error) from error

    class Quiet(bcc.BPF):
        """Loads and attaches nothing by itself."""

        def _trace_autoload(self):
            pass

    bcc.Quiet = Quiet
    return bcc


def _compile(bcc, groups, plan, btf):
    """({group: module}, {group: why not}). One compile for all; if it fails, one for each, so that a group fails alone."""
    directory = plan["bpf"]
    os.chdir(directory)  # BCC looks for included files in the working directory first
    os.environ["BCC_KERNEL_SOURCE"] = directory

    def compiled(some):
        # what counts in rows takes all groups in one text: who places events there answers the tables of one
        without = {prefix for prefix, has in (("APPS", APPS in some), ("CGROUPS", some == groups)) if not has}
        sizes = {name: size for name, size in plan["sizes"].items() if name.partition("_")[0] not in without}
        found = source.definitions(some, plan["mode"], bpf.MACHINE, btf, sizes, plan["test"])
        flags = ["-D%s=%s" % item for item in found.items()]
        flags += ["-Wno-unused-function", "-Werror=implicit-function-declaration"]
        program = bcc.Quiet(text=source.text(some, directory, sizes), cflags=flags)
        _programs.append(program)
        return program.module

    if not groups:
        return {}, {}
    try:
        module = compiled(groups)
        return {group.name: module for group in groups}, {}
    except Exception as error:  # pylint: disable=broad-except  # BCC raises nothing better
        if len(groups) == 1:
            return {}, {groups[0].name: str(error)}
    modules, broken = {}, {}
    for group in groups:
        if group is APPS:
            broken[group.name] = "it takes all the other groups in one text"
            continue
        try:
            modules[group.name] = compiled([group])
        except Exception as error:  # pylint: disable=broad-except
            broken[group.name] = str(error)
    return modules, broken


def _memory(bcc, module):
    """Bytes that the maps of a module take in the kernel, as it says itself (map_fdinfo, `memlock`)."""
    descriptors = [bcc.lib.bpf_table_fd_id(module, number) for number in range(bcc.lib.bpf_num_tables(module))]
    lines = [line for descriptor in descriptors for line in procfs.read("/proc/self/fdinfo/%d" % descriptor).splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("memlock:"))


_programs = []  # BCC closes the maps of a program when its object goes


def _instructions(bcc, module, name):
    """The bytes of a compiled program, or None if the text does not have it."""
    size = bcc.lib.bpf_function_size(module, name.encode())
    if not size:
        return None
    return ctypes.string_at(bcc.lib.bpf_function_start(module, name.encode()), size)
