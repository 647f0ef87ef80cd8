"""The tables by which every group's programs find the rows of an event. Pairs with bpf/rows.h."""
from __future__ import annotations

from ..model.group import Field
from ..model.table import HASH, LRU_HASH, Table

MAX_APPS = 512  # rows of applications

TABLES = (
    Table("applications", HASH, "=I", "=IIQ", "APPS_PROCESSES", switch="APPS"),
    Table("applications_gone", LRU_HASH, "=I", "=I", 4096, switch="APPS"),
    Table("cgroup_rows", HASH, "=Q", "=I", 4096, switch="CGROUPS"),
    Table("cgroups_asked", HASH, "=Q", "=B", 256, switch="CGROUPS"),
)

TASK_TGID = Field("TASK_TGID", (("task_struct", "tgid"),))
TASK_COMM = Field("TASK_COMM", (("task_struct", "comm"),))
