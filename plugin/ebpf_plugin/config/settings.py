"""Settings: what the user wants, as one value."""
from __future__ import annotations

from typing import Any, NamedTuple

from ..groups import GROUPS
from .options import OPTIONS, Text

GROUP_NAMES = tuple(group.name for group in GROUPS)
FIELDS = tuple(option.field for option in OPTIONS if option.field not in GROUP_NAMES)


class Settings(NamedTuple):
    """`groups` are the names of the enabled ones, in the order of the registry; `services` is {port: name}."""

    mode: str
    every: int
    cgroups: bool
    processes: int
    program_statistics: str
    method: str
    listen: str
    web_config: str
    connections: bool
    dimensions: int
    ports: Text
    ips: Text
    resolve_hosts: bool
    hostnames: Text
    resolve_services: bool
    groups: tuple[str, ...]
    services: dict[int, str]

    def with_groups(self, names: frozenset[str] | set[str]) -> Settings:
        """The same with exactly these groups."""
        return self._replace(groups=tuple(name for name in GROUP_NAMES if name in names))

    def only_flagged(self, flags: set[str]) -> Settings:
        """The same with those groups that one of `flags` asks for, and those that no flag speaks of."""
        flagged = {group.name for group in GROUPS if group.switch.flag in flags}
        unflagged = {group.name for group in GROUPS if not group.switch.flag and group.name in self.groups}
        return self.with_groups(flagged | unflagged)


def settle(chosen: dict[str, Any], services: dict[int, str]) -> Settings:
    """Settings from {field or group: value} of all OPTIONS; a group without a value of its own follows another's."""
    enabled = set()
    for group in GROUPS:
        value = chosen[group.name]
        if chosen[group.switch.follows or group.name] if value is None else value:
            enabled.add(group.name)
    settings = Settings(groups=(), services=services, **{field: chosen[field] for field in FIELDS})
    return settings.with_groups(enabled)
