"""Files opened and closed."""
import errno
import os
import struct

from cases.case import OPEN, OPEN_FAILS, Case, opens
from workloads import syscalls as w

EXISTING = w.opened("existing", os.O_CREAT | os.O_RDWR)
OPEN_HOW = struct.pack("=QQQ", os.O_RDONLY, 0, 0)

CASES = [
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
]

# system calls that newer architectures do without
if w.X86:
    CASES += [
        Case("open", w.repeat_on("open", "ok", EXISTING, lambda fd, i: (b"existing", 0, 0)), {**opens(), **OPEN}),
    ]
