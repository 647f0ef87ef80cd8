"""The configuration for a collector that runs: what it can take over, and what needs a restart. See reload.py."""
from __future__ import annotations

from _blake2 import blake2b  # hashlib would bring OpenSSL into the loader
import marshal
import os
import signal
import sys
from typing import Any

from . import arguments
from .. import VERSION
from ..collect.application_matcher import Matcher
from ..kernel import privileges, process, procfs
from ..load import plan as planning
from ..load import running_processes
from ..load.plan import Plan

# Of Settings: what shows in what_holds()["wanted"], or in what is loaded
NOT_FIXED = ("dimensions", "ports", "ips", "resolve_hosts", "hostnames", "resolve_services", "services", "groups")


def what_holds(plan: Plan) -> dict[str, Any]:
    """For marshal: "fixed" is a digest of what needs a restart if it is another one; "wanted" is the rest, {name for
    people: value}, and "digests" has those of it."""
    viewer, applications = plan.viewer, plan.applications
    fixed = {name: value for name, value in plan.settings._asdict().items() if name not in NOT_FIXED}
    # the collector would import modules of another version, and not know what it is told
    fixed.update(version=VERSION, loaded=[group.name for group in plan.groups], viewer=viewer is not None,
                 mount=plan.cgroup_mount, applications=applications and (applications.names, applications.ids))
    wanted = {
        "ports": viewer and viewer.ports, "ips": viewer and viewer.networks,
        "maximum dimensions": viewer.dimensions if viewer else 0,
        "names of services": tuple(sorted(viewer.names.items())) if viewer else (),
        "resolve hostnames": bool(viewer and viewer.hosts), "hostnames": viewer.hostnames if viewer else ((), ()),
        "patterns of applications": applications and applications.rules}
    return {"fixed": _digest(fixed), "wanted": wanted, "digests": {name: _digest(value) for name, value in wanted.items()}}


def for_collector(plan: Plan, tables: dict[str, int]) -> dict[str, Any]:
    """What reload.py wants to have at the start; `tables` are the descriptors of all maps, by name."""
    found = what_holds(plan)
    return {"argv": tuple(sys.argv[1:]), "fixed": found["fixed"], "digests": found["digests"],
            "ports": found["wanted"]["ports"], "ips": found["wanted"]["ips"],
            "tables": {name: tables[name] for name in ("flow_ports", "flow_networks") if name in tables}}


def _digest(value: Any) -> str:
    return str(blake2b(repr(value).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest())


def main() -> None:
    """The child of the collector: what_holds() now, and "processes": pairs of pid and row, to stdout."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the collector's programs must not live in us
    process.die_with_parent(signal.SIGKILL)
    args = arguments.parse(sys.argv[1:])
    with privileges.Unused():
        settings = arguments.settings(args, os.environ)
    plan = planning.make(settings, args.config, os.environ)
    found = what_holds(plan)
    rows = running_processes.placed(Matcher(plan.applications.rules), procfs.processes()) if plan.applications else {}
    found["processes"] = tuple(rows.items())
    data = marshal.dumps(found)
    while data:
        data = data[os.write(1, data):]
