"""Calls into the VFS layer. Pairs with bpf/vfs.c."""
from __future__ import annotations

from ..model.chart import ENTRY, MODES, RETURN, Chart, Dimension, per_application
from ..model.group import (
    AT_CALL, PROBE, TRACEPOINT, WITH_RESULT, Field, Function, Group, Hook, Note, Switch, Tracepoint, sys_enters,
    sys_exits, syscall_symbols
)
from ..model.table import HASH, Table


def moving(function: str, *calls: str) -> Hook:
    """The hook of a function that moves bytes, and of the system calls that stand for it."""
    name = function[len("vfs_"):]
    return Hook(
        name=name,
        counters=(name + "_calls", name + "_errors", name + "_bytes"),
        functions=(Function(function, (function,), WITH_RESULT),),
        tracepoints=(Tracepoint(name + "_sys_exit", sys_exits(*calls)),),
        notes=(Note(PROBE, (ENTRY,), (name + "_bytes",), "requested"),),
    )


def per_call(id: str, title: str, priority: int, dim: str, calls: tuple[str, ...], error_title: str,
             errors: tuple[str, ...]) -> tuple[Chart, Chart]:
    """A chart of calls and, in return mode, one of those that failed."""
    chart = Chart(id=id, title=title, units="calls/s", family="VFS", priority=priority, dims=(Dimension(dim, calls),))
    return chart, chart._replace(id=id + "_error", title=error_title, modes=(RETURN,), dims=(Dimension(dim, errors),))


READS, WRITES = ("read_calls", "readv_calls"), ("write_calls", "writev_calls")
UNLINKS, UNLINK_ERRORS = ("unlink_calls", "unlinkat_calls"), ("unlink_errors", "unlinkat_errors")
FSYNCS, FSYNC_ERRORS = ("fsync_calls", "fdatasync_calls"), ("fsync_errors", "fdatasync_errors")
CREATES, CREATE_ERRORS = ("create_calls", "open_create_calls"), ("create_errors", "open_create_errors")

VFS = Group(
    name="vfs",
    switch=Switch("vfs", follows="process", flag="process"),
    fields=(Field("FILE_F_MODE", (("file", "f_mode"),)),),
    tables=(Table("vfs_begun", HASH, "=Q", "=I", 4096, switch="RETURN_MODE"),),
    counters=(
        "read_calls", "read_errors", "read_bytes",
        "readv_calls", "readv_errors", "readv_bytes",
        "write_calls", "write_errors", "write_bytes",
        "writev_calls", "writev_errors", "writev_bytes",
        "unlink_calls", "unlink_errors",
        "unlinkat_calls", "unlinkat_errors",
        "fsync_calls", "fsync_errors",
        "fdatasync_calls", "fdatasync_errors",
        "vfs_open_calls", "vfs_open_errors",
        "create_calls", "create_errors",
        "open_create_calls", "open_create_errors",
    ),
    hooks=(
        moving("vfs_read", "read", "pread64"),
        moving("vfs_readv", "readv", "preadv", "preadv2"),
        moving("vfs_write", "write", "pwrite64"),
        moving("vfs_writev", "writev", "pwritev", "pwritev2"),
        Hook(
            name="unlink",
            counters=UNLINKS + UNLINK_ERRORS,
            functions=(Function("vfs_unlink", ("vfs_unlink",)),),
            tracepoints=(
                Tracepoint("unlink_sys_exit", sys_exits("unlink")),
                Tracepoint("unlinkat_sys_exit", sys_exits("unlinkat"), modes=(RETURN,)),
                Tracepoint("unlinkat_sys_enter", sys_enters("unlinkat")),
            ),
        ),
        Hook(
            name="fsync",
            counters=FSYNCS + FSYNC_ERRORS,
            # not vfs_fsync, which these have inlined (bpf/vfs.c)
            functions=tuple(Function("sys_" + call, syscall_symbols(call)) for call in ("fsync", "fdatasync")),
            tracepoints=(Tracepoint("fsync_sys_exit", sys_exits("fsync", "fdatasync")),),
        ),
        Hook(
            name="vfs_open",
            counters=("vfs_open_calls", "vfs_open_errors"),
            functions=(Function("vfs_open", ("vfs_open",)),),
            tracepoints=(Tracepoint("vfs_open_sys_exit", sys_exits("open", "openat", "openat2", "creat")),),
            notes=(Note(TRACEPOINT, MODES, ("vfs_open_calls", "vfs_open_errors"), "system calls that open"),),
        ),
        Hook(
            name="create",
            counters=CREATES + CREATE_ERRORS,
            functions=(
                Function("vfs_create", ("vfs_create",)),
                Function("vfs_open_created", ("vfs_open",), AT_CALL),
            ),
            tracepoints=(
                Tracepoint("create_sys_exit", sys_exits("open", "openat", "openat2", "creat", "mknod", "mknodat"),
                           modes=(RETURN,)),
            ) + tuple(
                Tracepoint("create_%s_sys_enter" % call, sys_enters(call))
                for call in ("open", "openat", "openat2", "creat", "mknod", "mknodat")
            ),
            notes=(Note(TRACEPOINT, MODES, CREATES + CREATE_ERRORS, "system calls that may create a file"),),
        ),
    ),
    charts=(
        Chart(
            id="deleted_objects",
            title="Remove files",
            units="calls/s",
            family="VFS",
            priority=21002,
            dims=(Dimension("delete", UNLINKS),),
        ),
        Chart(
            id="io",
            title="Calls to IO",
            units="calls/s",
            family="VFS",
            priority=21003,
            dims=(Dimension("read", READS), Dimension("write", WRITES)),
        ),
        Chart(
            id="io_bytes",
            title="Bytes written and read",
            units="bytes/s",
            family="VFS",
            priority=21004,
            dims=(
                Dimension("read", ("read_bytes", "readv_bytes")),
                Dimension("write", ("write_bytes", "writev_bytes"), multiplier=-1),
            ),
        ),
        Chart(
            id="io_error",
            title="Fails to write or read",
            units="calls/s",
            family="VFS",
            priority=21005,
            modes=(RETURN,),
            dims=(
                Dimension("read", ("read_errors", "readv_errors")),
                Dimension("write", ("write_errors", "writev_errors")),
                Dimension("delete", UNLINK_ERRORS),
            ),
        ),
    )
    + per_call("vfs_fsync", "Calls for vfs_fsync", 21005, "fsync", FSYNCS,
               "Fails to synchronize", FSYNC_ERRORS)
    + per_call("vfs_open", "Calls for vfs_open", 21005, "open", ("vfs_open_calls",),
               "Fails to open a file", ("vfs_open_errors",))
    + per_call("vfs_create", "Calls for vfs_create", 21005, "create", CREATES,
               "Fails to create a file", CREATE_ERRORS),
    apps=(
        per_application("file_deleted", "Files deleted", "calls/s", 20065, UNLINKS),
        per_application("vfs_write_call", "Write to disk", "calls/s", 20066, WRITES),
        per_application("vfs_write_error", "Fails to write", "calls/s", 20067, ("write_errors", "writev_errors"),
                        modes=(RETURN,)),
        per_application("vfs_read_call", "Read from disk", "calls/s", 20068, READS),
        per_application("vfs_read_error", "Fails to read", "calls/s", 20069, ("read_errors", "readv_errors"),
                        modes=(RETURN,)),
        per_application("vfs_write_bytes", "Bytes written on disk", "bytes/s", 20070, ("write_bytes", "writev_bytes")),
        per_application("vfs_read_bytes", "Bytes read from disk", "bytes/s", 20071, ("read_bytes", "readv_bytes")),
        per_application("vfs_fsync", "Calls for vfs_fsync", "calls/s", 20077, FSYNCS),
        per_application("vfs_fsync_error", "Fails to synchronize", "calls/s", 20077, FSYNC_ERRORS, modes=(RETURN,)),
        per_application("vfs_open", "Calls for vfs_open", "calls/s", 20078, ("vfs_open_calls",)),
        per_application("vfs_open_error", "Fails to open a file", "calls/s", 20078, ("vfs_open_errors",), modes=(RETURN,)),
        per_application("vfs_create", "Calls for vfs_create", "calls/s", 20079, CREATES),
        per_application("vfs_create_error", "Fails to create a file", "calls/s", 20079, CREATE_ERRORS, modes=(RETURN,)),
    ),
)
