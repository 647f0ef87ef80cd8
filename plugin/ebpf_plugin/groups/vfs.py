"""Calls into the VFS layer. Pairs with bpf/vfs.c."""
from __future__ import annotations

from ..model.chart import ENTRY, MODES, RETURN, Chart, Dimension, Metric, per_application, placed
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


def of_machine(chart: str, title: str, units: str, dims: tuple[Dimension, ...], description: str,
               modes: tuple[str, ...] = MODES) -> Chart:
    """A chart of the family VFS."""
    return Chart(id=chart, title=title, units=units, family="VFS", modes=modes, dims=dims, description=description,
                 metric=Metric("vfs_delete") if chart == "deleted_objects" else Metric(label="operation"),
                 context="filesystem." + (chart if chart.startswith("vfs_") else "vfs_" + chart))


READS, WRITES = ("read_calls", "readv_calls"), ("write_calls", "writev_calls")
UNLINKS, UNLINK_ERRORS = ("unlink_calls", "unlinkat_calls"), ("unlink_errors", "unlinkat_errors")
FSYNCS, FSYNC_ERRORS = ("fsync_calls", "fdatasync_calls"), ("fsync_errors", "fdatasync_errors")
CREATES, CREATE_ERRORS = ("create_calls", "open_create_calls"), ("create_errors", "open_create_errors")
READ_BYTES, WRITE_BYTES = ("read_bytes", "readv_bytes"), ("write_bytes", "writev_bytes")
READ_ERRORS, WRITE_ERRORS = ("read_errors", "readv_errors"), ("write_errors", "writev_errors")
UNSEEN = "I/O by io_uring, mmap, splice, sendfile and copy_file_range does not pass here."
NOT_THE_DISK = "Most of it is served from memory, so this is not the load of a disk."
BAD_OPENS = "A rise means files or permissions that are missing, or a limit of open files that is reached."

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
    charts=placed(
        21010,
        of_machine(
            "io", "VFS reads and writes", "calls/s", (Dimension("read", READS), Dimension("write", WRITES)),
            "Calls of vfs_read, vfs_readv, vfs_write and vfs_writev: on files, pipes and terminals, and on sockets that a "
            "program treats as files. " + UNSEEN + " " + NOT_THE_DISK + " A rise of calls without a rise of bytes is a "
            "program that reads or writes in small pieces."),
        of_machine(
            "io_bytes", "Bytes read and written through VFS", "bytes/s",
            (Dimension("read", READ_BYTES), Dimension("write", WRITE_BYTES, multiplier=-1)),
            "Bytes that vfs_read, vfs_readv, vfs_write and vfs_writev have moved, written ones below zero: on files, pipes "
            "and terminals, and on sockets that a program treats as files. " + UNSEEN + " " + NOT_THE_DISK),
        of_machine(
            "io_error", "VFS reads, writes and deletions that failed", "calls/s",
            (Dimension("read", READ_ERRORS), Dimension("write", WRITE_ERRORS), Dimension("delete", UNLINK_ERRORS)),
            "Calls of vfs_read, vfs_write, their variants and vfs_unlink that returned an error. Some are normal: EAGAIN "
            "says that there is nothing to read yet. A rise of write may be a full disk or a reader that is gone, one of "
            "delete a permission that is missing.", (RETURN,)),
        of_machine(
            "vfs_open", "Files opened in VFS", "calls/s", (Dimension("open", ("vfs_open_calls",)),),
            "Calls of vfs_open, for a file that was found: by programs, and by the kernel for programs that it starts. On a "
            "stacked file system (overlay) one open counts twice. By the tracepoint method, system calls that open are "
            "counted instead, found or not."),
        of_machine(
            "vfs_open_error", "Files that VFS could not open", "calls/s", (Dimension("open", ("vfs_open_errors",)),),
            "Calls of vfs_open that returned an error. A file that does not exist is not among them, except by the "
            "tracepoint method, which counts system calls. A rise means that a device or a file system refuses.", (RETURN,)),
        of_machine(
            "vfs_create", "Files created", "calls/s", (Dimension("create", CREATES),),
            "Calls of vfs_create, and of vfs_open for a file that open has just created. Directories, links and sockets are "
            "not counted. By the tracepoint method it is system calls that may create a file, even if it exists. A rise "
            "often is a program that works with temporary files, or a storm of log files."),
        of_machine(
            "vfs_create_error", "Files that could not be created", "calls/s", (Dimension("create", CREATE_ERRORS),),
            "Calls of vfs_create that returned an error; by the tracepoint method, system calls that should create a file "
            "and failed. A rise means a full disk, a permission that is missing, or a quota.", (RETURN,)),
        of_machine(
            "deleted_objects", "Calls to delete a file", "calls/s", (Dimension("delete", UNLINKS),),
            "Calls of vfs_unlink, by unlink and unlinkat. Directories are not counted. On a stacked file system (overlay) "
            "one deletion counts twice. A rise often is a program that works with temporary files, or a clean-up that is "
            "running."),
        of_machine(
            "vfs_fsync", "Calls of fsync and fdatasync", "calls/s", (Dimension("fsync", FSYNCS),),
            "System calls by which a program waits until its file is on the disk. sync, msync and files opened with O_SYNC "
            "are not counted. Each one can take milliseconds: a rise makes databases and mail servers slow on a slow disk."),
        of_machine(
            "vfs_fsync_error", "Calls of fsync and fdatasync that "
            "failed", "calls/s", (Dimension("fsync", FSYNC_ERRORS),),
            "System calls by which a program waits until its file is on the disk, and that returned an error. EINVAL is "
            "harmless: a pipe or a terminal cannot be synchronized. Anything else may be lost data: look into the kernel's "
            "log for errors of the disk.", (RETURN,)),
    ),
    apps=placed(
        20065,
        per_application(
            "vfs_read_call", "VFS reads", "calls/s", READS,
            "Calls of vfs_read and vfs_readv of the application's processes, failed ones included. " + UNSEEN +
            " " + NOT_THE_DISK, cgroup="vfs_read"),
        per_application(
            "vfs_write_call", "VFS writes", "calls/s", WRITES,
            "Calls of vfs_write and vfs_writev of the application's processes, failed ones included. " + UNSEEN +
            " " + NOT_THE_DISK, cgroup="vfs_write"),
        per_application(
            "vfs_read_bytes", "Bytes read through VFS", "bytes/s", READ_BYTES,
            "Bytes that vfs_read and vfs_readv have given to the application's processes. " + UNSEEN + " " + NOT_THE_DISK,
            cgroup="vfs_read_bytes"),
        per_application(
            "vfs_write_bytes", "Bytes written through VFS", "bytes/s", WRITE_BYTES,
            "Bytes that vfs_write and vfs_writev have taken from the application's processes. " + UNSEEN +
            " What is written is in memory first, so this is not the load of a disk.", cgroup="vfs_write_bytes"),
        per_application(
            "vfs_read_error", "VFS reads that failed", "calls/s", READ_ERRORS,
            "Calls of vfs_read and vfs_readv that returned an error. Some are normal: EAGAIN says that there is nothing to "
            "read yet. A rise may be a disk that fails, or a connection that is gone.",
            modes=(RETURN,), cgroup="vfs_read_error"),
        per_application(
            "vfs_write_error", "VFS writes that failed", "calls/s", WRITE_ERRORS,
            "Calls of vfs_write and vfs_writev that returned an error. Some are normal: EAGAIN says that there is no room "
            "yet. A rise may be a full disk, or a reader that is gone (EPIPE).", modes=(RETURN,), cgroup="vfs_write_error"),
        per_application(
            "vfs_open", "Files opened in VFS", "calls/s", ("vfs_open_calls",),
            "Calls of vfs_open, for a file that was found. By the tracepoint method, system calls that open are counted "
            "instead, found or not.", cgroup="vfs_open"),
        per_application(
            "vfs_open_error", "Files that VFS could not open", "calls/s", ("vfs_open_errors",),
            "Calls of vfs_open that returned an error; by the tracepoint method, system calls that open and failed. " +
            BAD_OPENS,
            modes=(RETURN,), cgroup="vfs_open_error"),
        per_application(
            "vfs_create", "Files created", "calls/s", CREATES,
            "Calls of vfs_create, and of vfs_open for a file that open has just created. By the tracepoint method it is "
            "system calls that may create a file, even if it exists. Directories, links and sockets are not counted.",
            cgroup="vfs_create"),
        per_application(
            "vfs_create_error", "Files that could not be created", "calls/s", CREATE_ERRORS,
            "Calls of vfs_create that returned an error; by the tracepoint method, system calls that should create a file "
            "and failed. A rise means a full disk, a permission that is missing, or a quota.",
            modes=(RETURN,), cgroup="vfs_create_error"),
        per_application(
            "file_deleted", "Calls to delete a file", "calls/s", UNLINKS,
            "Calls of vfs_unlink, by unlink and unlinkat. Directories are not counted. A rise often is a program that works "
            "with temporary files.", cgroup="vfs_unlink"),
        per_application(
            "vfs_fsync", "Calls of fsync and fdatasync", "calls/s", FSYNCS,
            "System calls by which a program waits until its file is on the disk. sync, msync and files opened with O_SYNC "
            "are not counted. Each one can take milliseconds, in which the program does nothing else.", cgroup="vfs_fsync"),
        per_application(
            "vfs_fsync_error", "Calls of fsync and fdatasync that failed", "calls/s", FSYNC_ERRORS,
            "System calls by which a program waits until its file is on the disk, and that returned an error. EINVAL is "
            "harmless: a pipe or a terminal cannot be synchronized. Anything else may be lost data.",
            modes=(RETURN,), cgroup="vfs_fsync_error"),
    ),
)
