"""Tasks created, ended and released. Pairs with bpf/process.c."""
from __future__ import annotations

from ..model.chart import RETURN, Chart, Dimension, Metric, per_application, placed
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
    charts=placed(
        21030,
        Chart(
            id="process_thread",
            metric=Metric("process_start", "type"),
            context="system.process_thread",
            title="Processes and threads created",
            units="tasks/s",
            family="Process",
            dims=(Dimension("process", ("processes",)), Dimension("thread", ("threads",))),
            description=(
                "New tasks, at the end of the creation in the kernel: a task in an existing thread group is a thread, any "
                "other a process. Programs that replace a process by exec are not counted. Many new processes that live for "
                "a moment cost processor time that no list of running processes shows: look for scripts that start programs "
                "in a loop."),
        ),
        Chart(
            id="exit",
            metric=Metric(label="type", help="Tasks that exited (process) and that were released (task)"),
            context="system.exit",
            title="Tasks ended and released",
            units="tasks/s",
            family="Process",
            dims=(Dimension("process", ("exits",)), Dimension("task", ("releases",))),
            description=(
                "Processes and threads that end (dimension process, in do_exit), and those whose last traces the kernel "
                "removes (dimension task, in release_task). A task that has ended and is not released is a zombie: its "
                "parent has not asked for its status. By the tracepoint method a release is counted up to 10 seconds late."),
        ),
        Chart(
            id="process_status",
            metric=Metric("process_not_closed", "state", "Change since the tick before of the tasks that have not exited "
                          "(process) and of those that have exited and are not released (zombie)"),
            context="system.process_status",
            title="Tasks created less ended, and ended less released",
            units="tasks",
            family="Process",
            dims=(
                Dimension("process", ("processes", "threads"), ("exits",), "absolute"),
                Dimension("zombie", ("exits",), ("releases",), "absolute"),
            ),
            description=(
                "By how much the number of tasks has grown in the interval (process), and the number of zombies (zombie). "
                "Both are below zero when more tasks go than come. They swing around zero; one that stays above it means "
                "tasks that do not end, or parents that do not wait for their children."),
        ),
        Chart(
            id="task_error",
            metric=Metric("process_start_error", "type"),
            context="system.task_error",
            title="Processes and threads that could not be created",
            units="calls/s",
            family="Process",
            modes=(RETURN,),
            dims=(Dimension("process", ("process_errors",)), Dimension("thread", ("thread_errors",))),
            description=(
                "Calls of fork, vfork, clone and clone3 that returned an error. On a healthy machine there are next to "
                "none: those that a signal interrupted, which are begun again. A rise means that a limit is reached (ulimit "
                "-u, pids.max of a control group, kernel.pid_max), or memory."),
        ),
    ),
    apps=placed(
        20078,
        per_application(
            "process_create", "Processes created", "processes/s", ("processes",),
            "New processes, in the application of the process that created them. Programs that replace a process by exec "
            "are not counted. A rise often is a script that starts programs in a loop.", cgroup="process_create"),
        per_application(
            "thread_create", "Threads created", "threads/s", ("threads",),
            "New tasks in an existing thread group. A program that creates threads all the time pays for it: a pool of "
            "threads would not.", cgroup="thread_create"),
        per_application(
            "task_close", "Tasks released", "tasks/s", ("releases",),
            "Processes and threads whose last traces the kernel has removed, in the application that they were in. By the "
            "tracepoint method a release is counted up to 10 seconds late. If it stays below the number of tasks that end, "
            "zombies are left."),
        per_application(
            "task_exit", "Tasks ended", "tasks/s", ("exits",),
            "Processes and threads that end, in do_exit: by themselves, or by a signal. A service whose tasks end and are "
            "created anew all the time may be crashing.", cgroup="task_exit"),
        per_application(
            "task_error", "Processes and threads that could not be created", "calls/s",
            ("process_errors", "thread_errors"),
            "Calls of fork, vfork, clone and clone3 that returned an error. On a healthy machine there are next to none: "
            "those that a signal interrupted, which are begun again. A rise means that a limit is reached (ulimit -u, "
            "pids.max of a control group, kernel.pid_max), or memory.",
            modes=(RETURN,), cgroup="task_error"),
    ),
)
