"""From Settings to a plan: which groups are loaded, the sizes of their maps, their filters."""
from __future__ import annotations

import os
from typing import Mapping, NamedTuple

from . import running_processes
from .. import log
from ..collect import cgroups
from ..config import apps_groups, directories, network_viewer
from ..config.settings import Settings
from ..groups import GROUPS
from ..groups.apps import APPS
from ..groups.network import NETWORK
from ..kernel import privileges, procfs
from ..model.group import Group


class Plan(NamedTuple):
    """What is to be loaded. `settings` have only the groups that can be.

    sizes: {hole or size of a map: value}. viewer: what the network viewer shows, if it is loaded. applications: groups of
    apps_groups.conf, if they are told apart. cgroup_mount: where control groups are, "" if they are not told apart.
    """

    settings: Settings
    groups: tuple[Group, ...]
    sizes: dict[str, int]
    viewer: network_viewer.Viewer | None
    applications: apps_groups.Groups | None
    cgroup_mount: str


def make(settings: Settings, config: str | None, environment: Mapping[str, str]) -> Plan:
    """The plan for `settings`; `config` is the directory of --config. What cannot be done is logged, and left out."""
    sizes: dict[str, int] = {}
    viewer = applications = None
    if NETWORK.name in settings.groups:
        viewer = _viewer(settings, environment)
        if viewer is None:
            settings = settings.with_groups(set(settings.groups) - {NETWORK.name})
        else:
            sizes.update(network_viewer.sizes(viewer, settings.connections))
    if not any(group.charts for group in GROUPS if group.name in settings.groups):
        settings = settings.with_groups(set())  # what is left only serves others
    if APPS.name in settings.groups:
        applications = _applications(config, environment)
        if applications is None:
            settings = settings.with_groups(set(settings.groups) - {APPS.name})
        else:
            sizes.update(APPS=len(applications.ids), APPS_PROCESSES=settings.processes)
    mount = _cgroup_mount() if settings.cgroups and settings.groups else ""
    if mount:
        sizes.update(CGROUPS=cgroups.ROWS)
    groups = tuple(group for group in GROUPS if group.name in settings.groups)
    return Plan(settings, groups, sizes, viewer, applications, mount)


def _viewer(settings: Settings, environment: Mapping[str, str]) -> network_viewer.Viewer | None:
    """What the network viewer shows; None if it cannot be told."""
    try:
        viewer, messages = network_viewer.settle(settings, environment)
    except ImportError as error:
        log.write(log.ERROR, "no network viewer: %s (apt-get install python3-netaddr)" % error)
        return None
    for message in messages:
        log.write(log.WARNING, message)
    return viewer


def _applications(config: str | None, environment: Mapping[str, str]) -> apps_groups.Groups | None:
    """The groups of apps_groups.conf; None where processes cannot be told apart."""
    if not running_processes.are_those_of_the_machine():
        log.write(log.WARNING, "no charts of applications: this is a pid namespace of its own, where processes have other "
                  "numbers than in the kernel (start the container with --pid=host)")
        return None
    if not running_processes.are_visible():
        log.write(log.WARNING, "no charts of applications: /proc hides the processes of others (mount it without hidepid, "
                  "or with gid= of a group that the plugin is in)")
        return None
    with privileges.Unused():
        found, _, messages = apps_groups.load(application_files(config, environment))
    for message in messages:
        log.write(log.WARNING, message)
    return found


def application_files(config: str | None, environment: Mapping[str, str]) -> list[str]:
    """The paths that apps_groups.conf may have, the most important first; `config` is the directory of --config."""
    places = [*directories.configuration(config, environment), directories.data("conf.d")]
    return [os.path.join(place, apps_groups.NAME) for place in places]


def _cgroup_mount() -> str:
    mount, hidden = procfs.mount_of_version_2(procfs.read("/proc/self/mountinfo"))
    if not mount and hidden:
        log.write(log.WARNING, "no charts of control groups: cgroup2 is mounted on %s, which is hidden under another mount; "
                  "mount it where it can be seen" % " and ".join(hidden))
    elif not mount:
        log.write(log.WARNING, "no charts of control groups: only version 2 is supported, and it is not mounted "
                  "(boot with systemd.unified_cgroup_hierarchy=1)")
    return mount
