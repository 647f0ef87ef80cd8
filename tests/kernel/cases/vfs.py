"""Files created, read, written, deleted and synchronised."""
import errno
import os
import struct

from cases.case import repeated
from workloads import syscalls as w

READ_1000 = w.buffer(1000)
EXISTING = w.opened("existing", os.O_CREAT | os.O_RDWR)
CREAT_EXCL = os.O_CREAT | os.O_EXCL | os.O_WRONLY
CREATE_HOW = struct.pack("=QQQ", os.O_CREAT | os.O_WRONLY, 0o644, 0)
BAD = 1000000  # a descriptor that is not open

CASES = [
    # create
    repeated("create-O_EXCL", "openat", "ok", lambda names, i: (w.AT_FDCWD, names[i], CREAT_EXCL, 0o644), w.names,
             flags=("O_CREAT",)),
    repeated("create-O_CREAT", "openat", "ok", lambda names, i: (w.AT_FDCWD, names[i], os.O_CREAT, 0o644), w.names,
             flags=("O_CREAT",)),
    repeated("create-openat2", "openat2", "ok", lambda names, i: (w.AT_FDCWD, names[i], CREATE_HOW, 24), w.names,
             flags=("O_CREAT",)),
    # nothing is created: the kernel gets to the opening alone
    repeated("create-existing", "openat", "ok", lambda fd, i: (w.AT_FDCWD, b"existing", os.O_CREAT, 0), EXISTING,
             flags=("O_CREAT",), reaches=("vfs_open",)),
    repeated("create-EEXIST", "openat", -errno.EEXIST, lambda fd, i: (w.AT_FDCWD, b"existing", CREAT_EXCL, 0o644), EXISTING,
             flags=("O_CREAT",)),
    repeated("mknodat", "mknodat", 0, lambda names, i: (w.AT_FDCWD, names[i], 0o100644, 0), w.names, flags=("S_IFREG",)),
    # a type of 0 is a regular file
    repeated("mknodat-EEXIST", "mknodat", -errno.EEXIST, lambda fd, i: (w.AT_FDCWD, b"existing", 0o644, 0), EXISTING,
             flags=("S_IFREG",)),
    repeated("mknodat-EACCES", "mknodat", -errno.EACCES,
             lambda names, i: (w.AT_FDCWD, b"locked/" + names[i], 0o100644, 0), w.as_nobody(w.names),
             flags=("S_IFREG",), reaches=("vfs_create",)),
    repeated("mknodat-fifo", "mknodat", 0, lambda names, i: (w.AT_FDCWD, names[i], 0o010644, 0), w.names),
    # read
    repeated("read", "read", 1000, lambda fd, i: (fd, READ_1000, 1000), w.opened("/dev/zero", os.O_RDONLY)),
    repeated("pread64-short", "pread64", 10, lambda fd, i: (fd, READ_1000, 1000, 0), w.file_of(10), requested=1000),
    repeated("read-end", "read", 0, lambda fd, i: (fd, READ_1000, 1000), w.file_of(0), requested=1000),
    repeated("read-directory", "read", -errno.EISDIR, lambda fd, i: (fd, READ_1000, 1000), w.opened(".", os.O_RDONLY),
             requested=1000, reaches=("vfs_read",)),
    repeated("read-EBADF", "read", -errno.EBADF, lambda i: (BAD, READ_1000, 1000), requested=1000),
    repeated("readv", "readv", 600, lambda fd, i: (fd, *w.vectors(100, 200, 300)), w.opened("/dev/zero", os.O_RDONLY)),
    repeated("preadv", "preadv", 10, lambda fd, i: (fd, *w.vectors(100, 200), 0, 0), w.file_of(10), requested=300),
    repeated("preadv2", "preadv2", 10, lambda fd, i: (fd, *w.vectors(7, 100), 0, 0, 0), w.file_of(10), requested=107),
    # write
    repeated("write", "write", 1000, lambda fd, i: (fd, READ_1000, 1000), w.file_of(0)),
    repeated("pwrite64", "pwrite64", 33, lambda fd, i: (fd, READ_1000, 33, 0), w.file_of(0)),
    repeated("write-ENOSPC", "write", -errno.ENOSPC, lambda fd, i: (fd, READ_1000, 1000),
             w.opened("/dev/full", os.O_WRONLY), requested=1000, reaches=("vfs_write",)),
    repeated("write-EBADF", "write", -errno.EBADF, lambda i: (BAD, READ_1000, 1000), requested=1000),
    repeated("writev", "writev", 600, lambda fd, i: (fd, *w.vectors(100, 200, 300)), w.file_of(0)),
    repeated("pwritev", "pwritev", 150, lambda fd, i: (fd, *w.vectors(100, 50), 0, 0), w.file_of(0)),
    repeated("pwritev2", "pwritev2", 150, lambda fd, i: (fd, *w.vectors(100, 50), 0, 0, 0), w.file_of(0)),
    # unlink
    repeated("unlinkat", "unlinkat", 0, lambda names, i: (w.AT_FDCWD, names[i], 0), lambda n: w.names(n, w.empty)),
    repeated("unlinkat-directory", "unlinkat", 0, lambda names, i: (w.AT_FDCWD, names[i], 0x200),
             lambda n: w.names(n, os.mkdir), flags=("AT_REMOVEDIR",)),
    repeated("unlinkat-ENOENT", "unlinkat", -errno.ENOENT, lambda i: (w.AT_FDCWD, b"nothing", 0)),
    repeated("unlinkat-EACCES", "unlinkat", -errno.EACCES, lambda none, i: (w.AT_FDCWD, b"locked/file", 0),
             w.as_nobody(lambda n: w.empty("locked/file")), reaches=("vfs_unlink",)),
    # fsync
    repeated("fsync", "fsync", 0, lambda fd, i: (fd,), w.file_of(10)),
    repeated("fdatasync", "fdatasync", 0, lambda fd, i: (fd,), w.file_of(10)),
    repeated("fsync-EINVAL", "fsync", -errno.EINVAL, lambda fd, i: (fd,), w.opened("/dev/null", os.O_RDONLY)),
    repeated("fsync-EBADF", "fsync", -errno.EBADF, lambda i: (BAD,)),
    repeated("fdatasync-EBADF", "fdatasync", -errno.EBADF, lambda i: (BAD,)),
]

if w.X86:  # system calls that newer architectures do without
    CASES += [
        repeated("open-O_CREAT", "open", "ok", lambda names, i: (names[i], CREAT_EXCL, 0o644), w.names, flags=("O_CREAT",)),
        repeated("creat", "creat", "ok", lambda names, i: (names[i], 0o644), w.names),
        repeated("mknod", "mknod", 0, lambda names, i: (names[i], 0o100644, 0), w.names, flags=("S_IFREG",)),
        repeated("unlink", "unlink", 0, lambda names, i: (names[i],), lambda n: w.names(n, w.empty)),
        repeated("unlink-ENOENT", "unlink", -errno.ENOENT, lambda i: (b"nothing",)),
    ]
