"""Which application a process belongs to: no charts of its own, but a row of its own in all other groups' counters.
Pairs with bpf/apps.c, and with bpf/rows.c that comes before everything."""
from ..model.group import Field, Group, Hook, Switch, Tracepoint


def tracepoint(name, event, counters=()):
    return Hook(name=name, counters=counters, tracepoints=(Tracepoint("apps_%s_raw" % name, (event,), raw=True),))


APPS = Group(
    name="apps",
    switch=Switch("apps", section="global", inverted=("disable apps",)),
    base=("rows",),
    needed=True,
    fields=(
        Field("TASK_PID", (("task_struct", "pid"),)),
        Field("TASK_TGID", (("task_struct", "tgid"),)),
    ),
    counters=("apps_full", "apps_unasked"),
    hooks=(
        tracepoint("newtask", "task_newtask", ("apps_full",)),
        tracepoint("rename", "task_rename", ("apps_unasked",)),
        # after the processes' own program on it (process.c), which asks for the row: the registry's order
        tracepoint("free", "sched_process_free"),
    ),
    charts=(),
    tables=("applications", "apps_names", "apps_asked", "apps_rows"),
)
