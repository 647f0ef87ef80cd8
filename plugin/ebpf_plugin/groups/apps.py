"""Which application a process belongs to: no charts of its own, but a row of its own in all other groups' counters.
Pairs with bpf/apps.c."""
from __future__ import annotations

from ..model.group import Field, Group, Hook, Switch, Tracepoint
from ..model.table import ARRAY, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, HASH, LRU_HASH, Table
from .rows import MAX_APPS, TASK_TGID


def tracepoint(name: str, event: str, counters: tuple[str, ...] = ()) -> Hook:
    """The hook of a raw tracepoint; no function stands for it."""
    return Hook(name=name, counters=counters, tracepoints=(Tracepoint("apps_%s_raw" % name, (event,), raw=True),))


APPS = Group(
    name="apps",
    switch=Switch("apps", section="global", inverted=("disable apps",)),
    needed=True,
    fields=(
        Field("TASK_PID", (("task_struct", "pid"),)),
        TASK_TGID,
    ),
    counters=("apps_full", "apps_unasked", "apps_questions"),
    hooks=(
        tracepoint("newtask", "task_newtask", ("apps_full",)),
        tracepoint("rename", "task_rename", ("apps_unasked", "apps_questions")),
        tracepoint("end", "sched_process_exit"),
        # after the processes' own program on it (process.c), which asks for the row: the registry's order
        tracepoint("free", "sched_process_free"),
    ),
    charts=(),
    split=False,
    tables=(
        Table("apps_names", LRU_HASH, "=16s", "=II", 4096),
        Table("apps_asked", HASH, "=I", "=16sI", 1024, flags=BPF_F_NO_PREALLOC),
        Table("apps_rows", ARRAY, "=I", "=%ds" % MAX_APPS, 1, flags=BPF_F_MMAPABLE),
    ),
)
