"""Processes and threads that begin and end."""
import errno
import signal
import struct

from cases.case import Call, Case, repeated
from workloads import syscalls as w

ENDS = Call("exit_group")
THREAD = ("CLONE_THREAD",)

CASES = [
    Case("clone", w.children(w.fork), (Call("clone"), ENDS)),
    Case("clone3", w.children(w.clone3), (Call("clone3"), ENDS)),
    Case("posix_spawn", w.spawns, (Call("clone"), Call("execve", -errno.ENOENT), ENDS)),
    Case("thread", w.threads, (Call("clone", flags=THREAD), Call("exit"))),
    Case("zombie", w.zombies, (Call("clone"), ENDS)),
    repeated("clone-EAGAIN", "clone", -errno.EAGAIN, lambda none, i: (signal.SIGCHLD, 0, 0, 0, 0), w.no_more_processes),
    repeated("clone-thread-EINVAL", "clone", -errno.EINVAL, lambda i: (w.CLONE_THREAD, 0, 0, 0, 0), flags=THREAD),
    repeated("clone3-thread-EINVAL", "clone3", -errno.EINVAL,
             lambda i: (struct.pack("=8Q", w.CLONE_THREAD, *[0] * 7), 64), flags=THREAD),
]

if w.X86:  # system calls that newer architectures do without
    CASES += [
        Case("fork", w.children(w.old_fork), (Call("fork"), ENDS)),
        Case("vfork", w.vforks, (Call("vfork"), ENDS)),
        repeated("fork-EAGAIN", "fork", -errno.EAGAIN, lambda none, i: (), w.no_more_processes),
    ]
