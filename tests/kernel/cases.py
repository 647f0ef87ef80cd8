"""What each workload of N events must add to the charts.

`adds` is {"chart.dimension": events or bytes for one of the N}; what is not named stays as it is. `system_call` replaces
it for dimensions whose hooks are on system calls (tracepoints), where they say something else than functions do;
the README has the table of these differences. `requested` holds for the bytes of a probe in entry mode.
"""
import errno
import os
import signal
import struct
from typing import NamedTuple

import workload as w


class Case(NamedTuple):
    name: str
    work: object
    adds: dict = {}
    system_call: dict = {}
    requested: dict = {}


def opens(error=False):
    return {"file_descriptor.open": 1, "file_error.open": int(error)}


def reads(moved, requested=None, error=False):
    adds = {"io.read": 1, "io_bytes.read": moved, "io_error.read": int(error)}
    return {"adds": adds, "requested": {} if requested is None else {"io_bytes.read": requested}}


def writes(moved, requested=None, error=False):
    adds = {"io.write": 1, "io_bytes.write": moved, "io_error.write": int(error)}
    return {"adds": adds, "requested": {} if requested is None else {"io_bytes.write": requested}}


DELETE = {"deleted_objects.delete": 1}
DELETE_FAILS = {"deleted_objects.delete": 1, "io_error.delete": 1}
OPEN = {"vfs_open.open": 1}
OPEN_FAILS = {"vfs_open.open": 1, "vfs_open_error.open": 1}
CREATE = {"vfs_create.create": 1}
CREATE_FAILS = {"vfs_create.create": 1, "vfs_create_error.create": 1}
FSYNC = {"vfs_fsync.fsync": 1}
FSYNC_FAILS = {"vfs_fsync.fsync": 1, "vfs_fsync_error.fsync": 1}
ENDS = {"exit.process": 1, "exit.task": 1}

READ_1000 = w.buffer(1000)
EXISTING = w.opened("existing", os.O_CREAT | os.O_RDWR)
CREAT_EXCL = os.O_CREAT | os.O_EXCL | os.O_WRONLY
OPEN_HOW = struct.pack("=QQQ", os.O_RDONLY, 0, 0)
CREATE_HOW = struct.pack("=QQQ", os.O_CREAT | os.O_WRONLY, 0o644, 0)

CASES = [
    # open and close
    Case("openat", w.repeat_on("openat", "ok", EXISTING, lambda fd, i: (w.AT_FDCWD, b"existing", 0, 0)),
         {**opens(), **OPEN}),
    Case("openat2", w.repeat_on("openat2", "ok", EXISTING, lambda fd, i: (w.AT_FDCWD, b"existing", OPEN_HOW, 24)),
         {**opens(), **OPEN}),
    Case("openat-ENOENT", w.repeat("openat", -errno.ENOENT, lambda i: (w.AT_FDCWD, b"nothing", 0, 0)),
         opens(error=True), system_call=OPEN_FAILS),
    Case("openat-EFAULT", w.repeat("openat", -errno.EFAULT, lambda i: (w.AT_FDCWD, 0, 0, 0)),
         opens(error=True), system_call=OPEN_FAILS),
    Case("openat-ENXIO", w.repeat_on("openat", -errno.ENXIO, lambda n: os.mkfifo("pipe"),
                                     lambda none, i: (w.AT_FDCWD, b"pipe", os.O_WRONLY | os.O_NONBLOCK, 0)),
         {**opens(error=True), **OPEN_FAILS}),
    Case("close", w.repeat_on("close", 0, w.descriptors, lambda fds, i: (fds[i],)), {"file_descriptor.close": 1}),
    Case("close-EBADF", w.repeat("close", -errno.EBADF, lambda i: (1000000 + i,)),
         {"file_descriptor.close": 1, "file_error.close": 1}),
    # create
    Case("create-O_EXCL", w.repeat_on("openat", "ok", w.names, lambda s, i: (w.AT_FDCWD, s[i], CREAT_EXCL, 0o644)),
         {**opens(), **OPEN, **CREATE}),
    Case("create-O_CREAT", w.repeat_on("openat", "ok", w.names, lambda s, i: (w.AT_FDCWD, s[i], os.O_CREAT, 0o644)),
         {**opens(), **OPEN, **CREATE}),
    Case("create-openat2", w.repeat_on("openat2", "ok", w.names, lambda s, i: (w.AT_FDCWD, s[i], CREATE_HOW, 24)),
         {**opens(), **OPEN, **CREATE}),
    Case("create-existing", w.repeat_on("openat", "ok", EXISTING, lambda fd, i: (w.AT_FDCWD, b"existing", os.O_CREAT, 0)),
         {**opens(), **OPEN}, system_call=CREATE),
    Case("create-EEXIST", w.repeat_on("openat", -errno.EEXIST, EXISTING,
                                      lambda fd, i: (w.AT_FDCWD, b"existing", CREAT_EXCL, 0o644)),
         opens(error=True), system_call={**OPEN_FAILS, **CREATE_FAILS}),
    Case("mknodat", w.repeat_on("mknodat", 0, w.names, lambda s, i: (w.AT_FDCWD, s[i], 0o100644, 0)), CREATE),
    Case("mknodat-EEXIST", w.repeat_on("mknodat", -errno.EEXIST, EXISTING,
                                       lambda fd, i: (w.AT_FDCWD, b"existing", 0o644, 0)),
         system_call=CREATE_FAILS),
    Case("mknodat-EACCES", w.repeat_on("mknodat", -errno.EACCES, w.as_nobody(w.names),
                                       lambda s, i: (w.AT_FDCWD, b"locked/" + s[i], 0o100644, 0)), CREATE_FAILS),
    Case("mknodat-fifo", w.repeat_on("mknodat", 0, w.names, lambda s, i: (w.AT_FDCWD, s[i], 0o010644, 0))),
    # read
    Case("read", w.repeat_on("read", 1000, w.opened("/dev/zero", os.O_RDONLY), lambda fd, i: (fd, READ_1000, 1000)),
         **reads(1000)),
    Case("pread64-short", w.repeat_on("pread64", 10, w.file_of(10), lambda fd, i: (fd, READ_1000, 1000, 0)),
         **reads(10, requested=1000)),
    Case("read-end", w.repeat_on("read", 0, w.file_of(0), lambda fd, i: (fd, READ_1000, 1000)),
         **reads(0, requested=1000)),
    Case("read-directory", w.repeat_on("read", -errno.EISDIR, w.opened(".", os.O_RDONLY),
                                       lambda fd, i: (fd, READ_1000, 1000)),
         **reads(0, requested=1000, error=True)),
    Case("read-EBADF", w.repeat("read", -errno.EBADF, lambda i: (1000000, READ_1000, 1000)),
         system_call=reads(0, error=True)["adds"]),
    Case("readv", w.repeat_on("readv", 600, w.opened("/dev/zero", os.O_RDONLY),
                              lambda fd, i: (fd, *w.vectors(100, 200, 300))),
         **reads(600)),
    Case("preadv", w.repeat_on("preadv", 10, w.file_of(10), lambda fd, i: (fd, *w.vectors(100, 200), 0, 0)),
         **reads(10, requested=300)),
    Case("preadv2", w.repeat_on("preadv2", 10, w.file_of(10), lambda fd, i: (fd, *w.vectors(7, 100), 0, 0, 0)),
         **reads(10, requested=107)),
    # write
    Case("write", w.repeat_on("write", 1000, w.file_of(0), lambda fd, i: (fd, READ_1000, 1000)), **writes(1000)),
    Case("pwrite64", w.repeat_on("pwrite64", 33, w.file_of(0), lambda fd, i: (fd, READ_1000, 33, 0)), **writes(33)),
    Case("write-ENOSPC", w.repeat_on("write", -errno.ENOSPC, w.opened("/dev/full", os.O_WRONLY),
                                     lambda fd, i: (fd, READ_1000, 1000)), **writes(0, requested=1000, error=True)),
    Case("write-EBADF", w.repeat("write", -errno.EBADF, lambda i: (1000000, READ_1000, 1000)),
         system_call=writes(0, error=True)["adds"]),
    Case("writev", w.repeat_on("writev", 600, w.file_of(0), lambda fd, i: (fd, *w.vectors(100, 200, 300))), **writes(600)),
    Case("pwritev", w.repeat_on("pwritev", 150, w.file_of(0), lambda fd, i: (fd, *w.vectors(100, 50), 0, 0)), **writes(150)),
    Case("pwritev2", w.repeat_on("pwritev2", 150, w.file_of(0), lambda fd, i: (fd, *w.vectors(100, 50), 0, 0, 0)),
         **writes(150)),
    # unlink
    Case("unlinkat", w.repeat_on("unlinkat", 0, lambda n: w.names(n, w.empty), lambda s, i: (w.AT_FDCWD, s[i], 0)), DELETE),
    Case("unlinkat-directory", w.repeat_on("unlinkat", 0, lambda n: w.names(n, os.mkdir),
                                           lambda s, i: (w.AT_FDCWD, s[i], 0x200))),
    Case("unlinkat-ENOENT", w.repeat("unlinkat", -errno.ENOENT, lambda i: (w.AT_FDCWD, b"nothing", 0)),
         system_call=DELETE_FAILS),
    Case("unlinkat-EACCES", w.repeat_on("unlinkat", -errno.EACCES, w.as_nobody(lambda n: w.empty("locked/file")),
                                        lambda none, i: (w.AT_FDCWD, b"locked/file", 0)), DELETE_FAILS),
    # fsync
    Case("fsync", w.repeat_on("fsync", 0, w.file_of(10), lambda fd, i: (fd,)), FSYNC),
    Case("fdatasync", w.repeat_on("fdatasync", 0, w.file_of(10), lambda fd, i: (fd,)), FSYNC),
    Case("fsync-EINVAL", w.repeat_on("fsync", -errno.EINVAL, w.opened("/dev/null", os.O_RDONLY), lambda fd, i: (fd,)),
         FSYNC_FAILS),
    Case("fsync-EBADF", w.repeat("fsync", -errno.EBADF, lambda i: (1000000,)), FSYNC_FAILS),
    Case("fdatasync-EBADF", w.repeat("fdatasync", -errno.EBADF, lambda i: (1000000,)), FSYNC_FAILS),
    # processes and threads
    Case("clone", w.children(w.fork), {"process_thread.process": 1, **ENDS}),
    Case("clone3", w.children(w.clone3), {"process_thread.process": 1, **ENDS}),
    Case("posix_spawn", w.spawns, {"process_thread.process": 1, **ENDS}),
    Case("thread", w.threads, {"process_thread.thread": 1, **ENDS}),
    Case("zombie", w.zombies, {"process_thread.process": 1, **ENDS}),
    Case("clone-EAGAIN", w.repeat_on("clone", -errno.EAGAIN, w.no_more_processes,
                                     lambda none, i: (signal.SIGCHLD, 0, 0, 0, 0)),
         {"task_error.process": 1}),
    Case("clone-thread-EINVAL", w.repeat("clone", -errno.EINVAL, lambda i: (w.CLONE_THREAD, 0, 0, 0, 0)),
         {"task_error.thread": 1}),
    Case("clone3-thread-EINVAL", w.repeat("clone3", -errno.EINVAL,
                                          lambda i: (struct.pack("=8Q", w.CLONE_THREAD, *[0] * 7), 64)),
         {"task_error.thread": 1}),
]

# system calls that newer architectures do without
if w.X86:
    CASES += [
        Case("open", w.repeat_on("open", "ok", EXISTING, lambda fd, i: (b"existing", 0, 0)), {**opens(), **OPEN}),
        Case("open-O_CREAT", w.repeat_on("open", "ok", w.names, lambda s, i: (s[i], CREAT_EXCL, 0o644)),
             {**opens(), **OPEN, **CREATE}),
        Case("creat", w.repeat_on("creat", "ok", w.names, lambda s, i: (s[i], 0o644)), {**opens(), **OPEN, **CREATE}),
        Case("mknod", w.repeat_on("mknod", 0, w.names, lambda s, i: (s[i], 0o100644, 0)), CREATE),
        Case("unlink", w.repeat_on("unlink", 0, lambda n: w.names(n, w.empty), lambda s, i: (s[i],)), DELETE),
        Case("unlink-ENOENT", w.repeat("unlink", -errno.ENOENT, lambda i: (b"nothing",)), system_call=DELETE_FAILS),
        Case("fork", w.children(w.old_fork), {"process_thread.process": 1, **ENDS}),
        Case("vfork", w.vforks, {"process_thread.process": 1, **ENDS}),
        Case("fork-EAGAIN", w.repeat_on("fork", -errno.EAGAIN, w.no_more_processes, lambda none, i: ()),
             {"task_error.process": 1}),
    ]
