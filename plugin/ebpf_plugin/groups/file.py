"""File descriptors opened and closed. Pairs with bpf/file.c."""
from __future__ import annotations

from ..model.chart import RETURN, Chart, Dimension, Metric, per_application, placed
from ..model.group import Function, Group, Hook, Switch, Tracepoint, sys_exits

CLOSES = ("close_calls", "close_file_calls")
CLOSE_ERRORS = ("close_errors", "close_file_errors")
UNSEEN = "io_uring, close_range and what the kernel closes when a process ends are not counted."

FILE = Group(
    name="file",
    switch=Switch("file", follows="process", flag="process"),
    counters=("open_calls", "open_errors", "close_calls", "close_errors", "close_file_calls", "close_file_errors"),
    hooks=(
        Hook(
            name="open",
            counters=("open_calls", "open_errors"),
            # do_sys_openat2 since 5.6; do_sys_open is still there but open(2) does not pass it any more
            functions=(Function("do_sys_openat2", ("do_sys_openat2", "do_sys_open")),),
            tracepoints=(Tracepoint("open_sys_exit", sys_exits("open", "openat", "openat2", "creat")),),
        ),
        Hook(
            name="close",
            counters=CLOSES + CLOSE_ERRORS,
            functions=(
                # close(2) up to 6.5; __close_fd before 5.11 (but stable 5.10 and RHEL 8 have the new name)
                Function("close_fd", ("close_fd", "__close_fd"), required=False),
                # close(2) since 6.6; the name file_close_fd since 6.8. Neither function calls the other.
                Function("file_close_fd", ("file_close_fd", "close_fd_get_file"), required=False),
            ),
            tracepoints=(Tracepoint("close_sys_exit", sys_exits("close")),),
        ),
    ),
    charts=placed(
        21000,
        Chart(
            id="file_descriptor",
            metric=Metric(label="operation"),
            context="filesystem.file_descriptor",
            title="Files opened and descriptors closed",
            units="calls/s",
            family="File",
            dims=(Dimension("open", ("open_calls",)), Dimension("close", CLOSES)),
            description=(
                "Calls of open, openat, openat2 and creat, and calls of close, where the kernel gives out and takes back "
                "file descriptors. Sockets and pipes are counted when they are closed, but not when they are created. " +
                UNSEEN +
                " A rise of open without work to show for it often is a program that looks for files again and again."),
        ),
        Chart(
            id="file_error",
            metric=Metric(label="operation"),
            context="filesystem.file_error",
            title="Calls to open or close a file that failed",
            units="calls/s",
            family="File",
            modes=(RETURN,),
            dims=(Dimension("open", ("open_errors",)), Dimension("close", CLOSE_ERRORS)),
            description=(
                "Calls of open and close that returned an error. Some are normal: programs look for a file in one directory "
                "after the other. A rise of open means files or permissions that are missing, or a limit of open files that "
                "is reached. A close that fails is a mistake in a program: the descriptor was not open."),
        ),
    ),
    apps=placed(
        20061,
        per_application(
            "file_open", "Files opened", "calls/s", ("open_calls",),
            "Calls of open, openat, openat2 and creat of the application's processes, failed ones included. This is not how "
            "many files are open. A rise without more work often is a program that looks for files again and again.",
            cgroup="fd_open"),
        per_application(
            "file_open_error", "Calls to open a file that failed", "calls/s", ("open_errors",),
            "Calls of open, openat, openat2 and creat that returned an error. Some are normal: programs look for a file in "
            "one directory after the other. A rise means files or permissions that are missing, or a limit of open files "
            "that is reached.", modes=(RETURN,), cgroup="fd_open_error"),
        per_application(
            "file_closed", "Descriptors closed", "calls/s", CLOSES,
            "Calls of close of the application's processes: of files, and of sockets and pipes as well. close_range, and "
            "what the kernel closes when a process ends, are not counted.", cgroup="fd_close"),
        per_application(
            "file_close_error", "Calls to close a descriptor that failed", "calls/s", CLOSE_ERRORS,
            "Calls of close that returned an error. Nearly always the descriptor was not open, which is a mistake in a "
            "program: some day it may close a file that another part of the program has opened.",
            modes=(RETURN,), cgroup="fd_close_error"),
    ),
)
