"""Files created, read, written, deleted and synchronised."""
import errno
import os
import struct

from cases.case import (
    CREATE, CREATE_FAILS, DELETE, DELETE_FAILS, FSYNC, FSYNC_FAILS, OPEN, OPEN_FAILS, Case, opens, reads, writes
)
from workloads import syscalls as w

READ_1000 = w.buffer(1000)
EXISTING = w.opened("existing", os.O_CREAT | os.O_RDWR)
CREAT_EXCL = os.O_CREAT | os.O_EXCL | os.O_WRONLY
CREATE_HOW = struct.pack("=QQQ", os.O_CREAT | os.O_WRONLY, 0o644, 0)

CASES = [
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
]

# system calls that newer architectures do without
if w.X86:
    CASES += [
        Case("open-O_CREAT", w.repeat_on("open", "ok", w.names, lambda s, i: (s[i], CREAT_EXCL, 0o644)),
             {**opens(), **OPEN, **CREATE}),
        Case("creat", w.repeat_on("creat", "ok", w.names, lambda s, i: (s[i], 0o644)), {**opens(), **OPEN, **CREATE}),
        Case("mknod", w.repeat_on("mknod", 0, w.names, lambda s, i: (s[i], 0o100644, 0)), CREATE),
        Case("unlink", w.repeat_on("unlink", 0, lambda n: w.names(n, w.empty), lambda s, i: (s[i],)), DELETE),
        Case("unlink-ENOENT", w.repeat("unlink", -errno.ENOENT, lambda i: (b"nothing",)), system_call=DELETE_FAILS),
    ]
