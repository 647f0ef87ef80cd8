"""Files opened and closed."""
import errno
import os
import struct

from cases.case import repeated
from workloads import syscalls as w

EXISTING = w.opened("existing", os.O_CREAT | os.O_RDWR)
OPEN_HOW = struct.pack("=QQQ", os.O_RDONLY, 0, 0)

CASES = [
    repeated("openat", "openat", "ok", lambda fd, i: (w.AT_FDCWD, b"existing", 0, 0), EXISTING),
    repeated("openat2", "openat2", "ok", lambda fd, i: (w.AT_FDCWD, b"existing", OPEN_HOW, 24), EXISTING),
    repeated("openat-ENOENT", "openat", -errno.ENOENT, lambda i: (w.AT_FDCWD, b"nothing", 0, 0)),
    repeated("openat-EFAULT", "openat", -errno.EFAULT, lambda i: (w.AT_FDCWD, 0, 0, 0)),
    repeated("openat-ENXIO", "openat", -errno.ENXIO,
             lambda none, i: (w.AT_FDCWD, b"pipe", os.O_WRONLY | os.O_NONBLOCK, 0), lambda n: os.mkfifo("pipe"),
             reaches=("vfs_open",)),
    repeated("close", "close", 0, lambda fds, i: (fds[i],), w.descriptors),
    repeated("close-EBADF", "close", -errno.EBADF, lambda i: (1000000 + i,)),
]

if w.X86:  # system calls that newer architectures do without
    CASES += [
        repeated("open", "open", "ok", lambda fd, i: (b"existing", 0, 0), EXISTING),
    ]
