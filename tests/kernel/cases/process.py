"""Processes and threads that begin and end."""
import errno
import signal
import struct

from cases.case import ENDS, Case
from workloads import syscalls as w

CASES = [
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
        Case("fork", w.children(w.old_fork), {"process_thread.process": 1, **ENDS}),
        Case("vfork", w.vforks, {"process_thread.process": 1, **ENDS}),
        Case("fork-EAGAIN", w.repeat_on("fork", -errno.EAGAIN, w.no_more_processes, lambda none, i: ()),
             {"task_error.process": 1}),
    ]
