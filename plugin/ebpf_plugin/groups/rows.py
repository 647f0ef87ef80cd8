"""The tables by which every group's programs find the rows of an event. Pairs with bpf/rows.h."""
from __future__ import annotations

from ..model.group import Field
from ..model.table import ARRAY, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, HASH, LRU_HASH, Table

MAX_APPS = 512  # rows of applications
ROW_SLOTS = 4096  # entries of row_slots, a power of two: 32 kB

TABLES = (
    Table("applications", HASH, "=I", "=II", "APPS_PROCESSES", switch="APPS", flags=BPF_F_NO_PREALLOC),
    Table("row_slots", ARRAY, "=I", "=%dQ" % ROW_SLOTS, 1, flags=BPF_F_MMAPABLE),
    Table("applications_gone", LRU_HASH, "=I", "=I", 4096, switch="APPS"),
    Table("cgroup_rows", HASH, "=Q", "=I", 4096, switch="CGROUPS", flags=BPF_F_NO_PREALLOC),
    Table("cgroups_asked", HASH, "=Q", "=B", 256, switch="CGROUPS", flags=BPF_F_NO_PREALLOC),
)

TASK_TGID = Field("TASK_TGID", (("task_struct", "tgid"),))
TASK_COMM = Field("TASK_COMM", (("task_struct", "comm"),))
