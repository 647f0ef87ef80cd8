"""What the charts of the plugin itself need of what was loaded."""
from __future__ import annotations

from typing import Any, Sequence

from ..groups import GROUPS
from ..groups.rows import TABLES
from ..internals.charts import METHODS, REASONS
from ..kernel import procfs, refusals
from ..load.loader import AttachedHook, Loaded
from ..model.group import Group
from ..model.table import HASH, LRU_HASH


def plan(groups: Sequence[Group], mode: str, loaded: Loaded, seconds: float) -> dict[str, Any]:
    """For Internals and marshal; `seconds` is how long loading took."""
    hooks = [hook for of_group in loaded.hooks.values() for hook in of_group.values()]
    refused = [reason_of(hook) for hook in hooks if not hook.method]
    for group in groups:
        if group.name not in loaded.hooks:  # the whole group could not be loaded
            of_mode = [hook for hook in group.hooks if mode in hook.modes]
            refused += [refusals.reason(loaded.broken.get(group.name, ""))] * len(of_mode)
    tables = {table.name: table for table in (*TABLES, *(table for group in GROUPS for table in group.tables))}
    hashes = []
    for name, descriptor in sorted(loaded.tables.items()):
        table = tables[name]
        entries = table.entries_with(loaded.values, procfs.possible_cpus())
        if table.kind in (HASH, LRU_HASH) and entries > 1:  # one that nobody uses here has one entry
            hashes.append((name, descriptor, table.key_size(), table.value_size(), entries))
    return {
        "hooks": tuple(sum(hook.method == method for hook in hooks) for method in METHODS),
        "refused": tuple(refused.count(reason) for reason in REASONS),
        "programs": len(set(loaded.programs.values())),
        "maps": tuple(sorted({*loaded.maps.values(), *loaded.tables.values()})),
        "hashes": tuple(hashes), "loading": round(seconds * 1e6),
        "kretprobes": tuple(name.partition("/")[2] for name in loaded.events),
    }


def reason_of(hook: AttachedHook) -> str:
    """One of REASONS: of the methods that the hook could have, what the first one was refused for."""
    reasons = [refusals.reason(why) for _, why in hook.failed]
    return next((reason for reason in reasons if reason != "missing"), "missing")
