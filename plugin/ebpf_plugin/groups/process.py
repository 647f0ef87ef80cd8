"""Tasks created, ended and released. Pairs with bpf/process.c."""
from __future__ import annotations

from ..model.chart import RETURN, Chart, Dimension, per_application
from ..model.group import (
    AT_CALL, TRACEPOINT, WITH_ARGUMENT, Function, Group, Hook, Switch, Tracepoint, sys_enters, sys_exits
)
from ..model.table import LRU_HASH, Table

# kernel_clone since 5.10. There is one body for both; bpf/process.c says how it tells their arguments apart.
CLONE = ("kernel_clone", "_do_fork")

PROCESS = Group(
    name="process",
    switch=Switch("process", flag="process"),
    # What was begun and never seen to end makes room (LRU). Each CPU keeps 128 free entries to itself (LOCAL_FREE_TARGET in
    # kernel/bpf/bpf_lru_list.c), and those of others would make room for them.
    tables=(
        Table("clone_begun", LRU_HASH, "=Q", "=Q", 1024, per_cpu=128),
        Table("clone_error_begun", LRU_HASH, "=Q", "=Q", 1024, per_cpu=128),
    ),
    counters=("processes", "threads", "process_errors", "thread_errors", "exits", "releases"),
    hooks=(
        Hook(
            name="clone",
            counters=("processes", "threads"),
            functions=(Function("clone", CLONE, WITH_ARGUMENT),),
            tracepoints=(Tracepoint("task_newtask_raw", ("task_newtask",), raw=True),),
            # First, because it has the flags and is reached only by a creation that succeeded, whoever asked for it
            # (io_uring's workers do not pass kernel_clone), and because its arguments have not changed since 3.4.
            first=TRACEPOINT,
        ),
        Hook(
            name="clone_error",
            counters=("process_errors", "thread_errors"),
            modes=(RETURN,),
            functions=(Function("clone_error", CLONE, WITH_ARGUMENT),),
            tracepoints=(
                Tracepoint("clone_sys_exit", sys_exits("clone", "clone3")),
                Tracepoint("fork_sys_exit", sys_exits("fork", "vfork")),
                Tracepoint("clone_sys_enter", sys_enters("clone")),
                Tracepoint("clone3_sys_enter", sys_enters("clone3")),
            ),
        ),
        Hook(
            name="exit",
            counters=("exits",),
            functions=(Function("do_exit", ("do_exit",), AT_CALL),),
            tracepoints=(Tracepoint("sched_process_exit_raw", ("sched_process_exit",), raw=True),),
            # First, because it stands in do_exit(), once for each task, in every kernel, and costs less than a probe.
            first=TRACEPOINT,
        ),
        Hook(
            name="release",
            counters=("releases",),
            functions=(Function("release_task", ("release_task",), AT_CALL),),
            # comes late: after an RCU grace period, which an idle kernel with CONFIG_RCU_LAZY (6.2) puts off for up to 10 s
            tracepoints=(Tracepoint("sched_process_free_raw", ("sched_process_free",), raw=True),),
        ),
    ),
    charts=(
        Chart(
            id="process_thread",
            title="Start process",
            units="calls/s",
            family="Process",
            priority=21006,
            dims=(Dimension("process", ("processes",)), Dimension("thread", ("threads",))),
        ),
        Chart(
            id="exit",
            title="Exit process",
            units="calls/s",
            family="Process",
            priority=21007,
            dims=(Dimension("process", ("exits",)), Dimension("task", ("releases",))),
        ),
        Chart(
            id="process_status",
            title="Process not closed",
            units="difference",
            family="Process",
            priority=21008,
            dims=(
                Dimension("process", ("processes", "threads"), ("exits",), "absolute"),
                Dimension("zombie", ("exits",), ("releases",), "absolute"),
            ),
        ),
        Chart(
            id="task_error",
            title="Fails to create process",
            units="calls/s",
            family="Process",
            priority=21009,
            modes=(RETURN,),
            dims=(Dimension("process", ("process_errors",)), Dimension("thread", ("thread_errors",))),
        ),
    ),
    apps=(
        per_application("process_create", "Process started", "calls/s", 20072, ("processes",)),
        per_application("thread_create", "Threads started", "calls/s", 20073, ("threads",)),
        per_application("task_close", "Tasks closed", "calls/s", 20074, ("releases",)),
        per_application("task_exit", "Tasks exited", "calls/s", 20075, ("exits",)),
        per_application("task_error", "Fails to create process", "calls/s", 20076, ("process_errors", "thread_errors"),
                        modes=(RETURN,)),
    ),
)
