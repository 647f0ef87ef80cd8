"""File descriptors opened and closed. Pairs with bpf/file.c."""
from __future__ import annotations

from ..model.chart import RETURN, Chart, Dimension, per_application
from ..model.group import Function, Group, Hook, Switch, Tracepoint, sys_exits

CLOSES = ("close_calls", "close_file_calls")
CLOSE_ERRORS = ("close_errors", "close_file_errors")

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
    charts=(
        Chart(
            id="file_descriptor",
            title="Open and close calls",
            units="calls/s",
            family="File",
            priority=21000,
            dims=(Dimension("open", ("open_calls",)), Dimension("close", CLOSES)),
        ),
        Chart(
            id="file_error",
            title="Open fails",
            units="calls/s",
            family="File",
            priority=21001,
            modes=(RETURN,),
            dims=(Dimension("open", ("open_errors",)), Dimension("close", CLOSE_ERRORS)),
        ),
    ),
    apps=(
        per_application("file_open", "Number of open files", "calls/s", 20061, ("open_calls",)),
        per_application("file_open_error", "Fails to open files", "calls/s", 20062, ("open_errors",), modes=(RETURN,)),
        per_application("file_closed", "Files closed", "calls/s", 20063, CLOSES),
        per_application("file_close_error", "Fails to close files", "calls/s", 20064, CLOSE_ERRORS, modes=(RETURN,)),
    ),
)
