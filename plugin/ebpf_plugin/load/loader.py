"""Loads the programs of a plan into the kernel and attaches them, in the process that becomes the collector."""
from __future__ import annotations

import errno
import os
import resource
from typing import NamedTuple

from . import listening_sockets, values
from .. import log
from ..compile import bytecode, source
from ..compile.bytecode import Bytecode, GroupCode
from ..config import directories
from ..groups import GROUPS
from ..groups.apps import APPS
from ..groups.network import NETWORK
from ..groups.rows import TABLES
from ..kernel import bpf, procfs, refusals, tracefs
from ..kernel.btf import BTF, NoBTF
from ..model.group import Group
from .attach import Attacher, probed_by_several
from .plan import Plan
from .programs import Maps, Programs


class LoadFailed(Exception):
    """Why nothing at all can be loaded; the text is for the user."""


class AttachedHook(NamedTuple):
    """method: by which a hook is attached, None if by none; where: places, for people; failed: (method, why) of others."""

    method: str | None
    where: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


class Loaded(NamedTuple):
    """What is in the kernel. It lives as long as the descriptors are open.

    maps: {group: descriptor of its counters}; tables: {name: descriptor} of further maps; hooks: {group: {hook:
    AttachedHook}}; broken: {group: why}; events: names of kprobe events; programs: {name: descriptor} of attached ones;
    links: {name of a program: descriptor} of those that bpf.kprobe_multi() attached; warnings: what the user should know;
    memory: bytes of all maps in the kernel; values: of the holes and sizes; origin: where the instructions are from;
    descriptors: all that have to stay open.
    """

    maps: dict[str, int]
    tables: dict[str, int]
    hooks: dict[str, dict[str, AttachedHook]]
    broken: dict[str, str]
    events: list[str]
    programs: dict[str, int]
    links: dict[str, int]
    warnings: list[str]
    memory: int
    values: dict[str, int]
    origin: str
    descriptors: list[int]


def load(plan: Plan, test: dict[str, str]) -> Loaded:
    """Load and attach. `test` as for values.of_settings(). Raises LoadFailed; a group that cannot be loaded fails alone."""
    _try_the_least()
    code, origin = instructions()
    tracefs.remove(tracefs.stale())
    btf, no_btf = None, ""
    try:
        btf = BTF()
    except NoBTF as error:
        no_btf = str(error)
    broken = {}
    for group in plan.groups:
        missing = values.missing(group, btf)
        if missing:
            broken[group.name] = no_btf or "the kernel has no %s" % ", ".join(missing)
        elif code.groups[group.name].error:
            broken[group.name] = code.groups[group.name].error
    if APPS.name in (group.name for group in plan.groups) and procfs.locked_down():
        broken[APPS.name] = refusals.LOCKDOWN  # its programs read tasks, and would keep others from being loaded
    sizes = {name: size for name, size in plan.sizes.items()
             if APPS.name not in broken or not name.startswith(APPS.name.upper())}
    filled = values.of_settings(plan.settings.mode, sizes, test)
    every_table = (*TABLES, *(table for group in GROUPS for table in (*group.tables, group.counters_table())))
    maps = Maps({table.name: table for table in every_table}, filled)
    found = Loaded({}, {}, {}, broken, [], {}, {}, [], 0, filled, origin, [])
    shared = probed_by_several(plan.groups, plan.settings.mode)
    used: set[str] = set()
    for group in plan.groups:
        if group.name not in broken:
            programs = Programs(code.groups[group.name], {**filled, **values.of_kernel(group, btf, filled)}, maps)
            attacher = Attacher(programs, plan.settings.mode, plan.settings.method, btf, no_btf, shared)
            used |= _attach(group, plan, programs, attacher, maps, found)
    maps.close_others(used)
    found.tables.update((name, maps[name]) for name in used if not name.endswith("_counters"))
    found.descriptors.extend(maps[name] for name in used)
    return found._replace(memory=procfs.locked_memory(maps[name] for name in used))


def _attach(group: Group, plan: Plan, programs: Programs, attacher: Attacher, maps: Maps, found: Loaded) -> set[str]:
    """Attach the hooks of a group and enter them into `found`. Returns the names of the tables that its programs use."""
    used = {group.counters_table().name}
    try:
        found.maps[group.name] = maps[group.counters_table().name]
        if group is NETWORK and plan.viewer:
            listening_sockets.prepare(maps, plan.viewer.ports, plan.viewer.networks)
    except OSError as error:
        found.broken[group.name] = refusals.explain("make the maps of", group.name, "", error)
        return set()
    hooks = found.hooks[group.name] = {}
    for hook in group.hooks:
        if plan.settings.mode not in hook.modes:
            continue
        method, held, failed = attacher.attach(hook)
        hooks[hook.name] = AttachedHook(method, tuple(held.where) if held else (), tuple(failed))
        if held:
            found.programs.update(held.programs)
            found.links.update(held.links)
            found.descriptors.extend((*held.programs.values(), *held.descriptors))
            found.events.extend(held.events)
            used.update(name for program in held.programs for name in programs.tables(program))
    attacher.close_unused(found.programs.values())
    if group is NETWORK and plan.viewer:
        found.warnings.extend(filter(None, [listening_sockets.enter(maps["services"])]))
    return used


def instructions() -> tuple[Bytecode, str]:
    """(bytecode, where it is from): the file, or what a child compiles now. Raises LoadFailed."""
    path, texts = directories.bytecode(bpf.MACHINE), directories.data("bpf")
    refused = ""
    try:
        return from_file(path, texts)
    except FileNotFoundError:
        why = "there is no %s" % path
    except bytecode.Refused as refusal:
        why = refused = str(refusal)
    from ..compile import child  # subprocess is a megabyte that a good file makes superfluous
    try:
        data = child.compile_all()
        code = bytecode.read(data, bpf.MACHINE)
    except (child.Failed, bytecode.Refused) as error:
        raise LoadFailed("no programs: %s, and %s" % (why, error)) from error
    if refused:
        log.write(log.WARNING, "%s; the programs were compiled instead" % refused)
    if not any(group.error for group in code.groups.values()):
        _keep(data, path)
    return _complete(code), "compiled now from %s, as %s" % (texts, why)


def from_file(path: str, texts: str) -> tuple[Bytecode, str]:
    """(bytecode, where it is from) of a file that is made from `texts`. Raises bytecode.Refused, FileNotFoundError."""
    try:
        code = bytecode.read_file(path, bpf.MACHINE)
        if os.path.isdir(texts) and code.source != source.digest(texts, bpf.MACHINE):
            raise bytecode.Refused("%s is not made from %s as it is now" % (path, texts))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise bytecode.Refused("cannot read %s: %s" % (path, error.strerror)) from error
    return _complete(code), "%s, digest %s" % (path, code.digest)


def _keep(data: bytes, path: str) -> None:
    """Make the file of `make bytecode` for the next start, if that is the one that was looked for."""
    build = os.path.dirname(path)
    if not directories.checkout() or build != os.path.join(directories.checkout(), "build"):
        return
    try:
        owner = os.stat(directories.checkout())  # we may be root, and the checkout a user's
        if not os.path.isdir(build):
            os.mkdir(build)
            os.chown(build, owner.st_uid, owner.st_gid)
        bytecode.write_file(path, data)
        os.chown(path, owner.st_uid, owner.st_gid)
    except OSError:
        pass  # then the next start compiles again


def _complete(code: Bytecode) -> Bytecode:
    """With every group; raises bytecode.Refused for a file of another version, which has others."""
    missing = [group.name for group in GROUPS if not isinstance(code.groups.get(group.name), GroupCode)]
    if missing:
        raise bytecode.Refused("the bytecode has no group %s" % ", ".join(missing))
    return code


def _try_the_least() -> None:
    """The cheapest trials of all: without /sys nobody knows the number of CPUs, without a map nothing can be loaded."""
    if not procfs.read("/sys/devices/system/cpu/possible"):
        raise LoadFailed("/sys is not mounted or not readable: mount -t sysfs nodev /sys")
    try:  # what maps were charged to before 5.11
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (ValueError, OSError):
        pass
    try:
        os.close(bpf.map_create(bpf.BPF_MAP_TYPE_ARRAY, 4, 8, 1))
        os.close(bpf.map_create(bpf.BPF_MAP_TYPE_HASH, 8, 8, 32768))  # about what all our maps take together
    except OSError as error:
        raise LoadFailed("cannot create BPF maps: %s (%s)" % (error.strerror, _why_no_map(error))) from error


def _why_no_map(error: OSError) -> str:
    cause = refusals.denied()
    if cause:
        return str(cause)
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    # the limit is for all maps of the user's processes together, so the first one may be too much
    if error.errno == errno.EPERM and limit != resource.RLIM_INFINITY:
        return ("locked memory is limited to %d kB, and maps are in it before 5.11: run as root, with CAP_SYS_RESOURCE or "
                "ulimit -l unlimited; on later kernels a security module forbids it" % (limit // 1024))
    return "the kernel may lack CONFIG_BPF_SYSCALL, or a security module forbids it"
