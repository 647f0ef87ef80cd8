"""seccomp(2): which system calls a process can make from now on. For the process that serves metrics, which needs few."""
from __future__ import annotations

import ctypes
import errno
import os
import struct

from ..kernel.libc import LIBC, call

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
RET_ALLOW, RET_ERRNO, RET_KILL_PROCESS = 0x7fff0000, 0x00050000, 0x80000000
# of classic BPF: load a word of struct seccomp_data, compare it, return. include/uapi/linux/bpf_common.h
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # places in struct seccomp_data, include/uapi/linux/seccomp.h
CLONE_THREAD, FIONBIO, PROT_EXEC = 0x10000, 0x5421, 4
AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # include/uapi/linux/audit.h

# Numbers by architecture (x86_64, aarch64), None where it does not have the call: arch/x86/entry/syscalls/syscall_64.tbl,
# include/uapi/asm-generic/unistd.h.
CALLS = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "lseek": (8, 62),
    "close": (3, 57), "fstat": (5, 80), "fcntl": (72, 25), "poll": (7, None), "ppoll": (271, 73), "select": (23, None),
    "pselect6": (270, 72), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206), "recvfrom": (45, 207),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "shutdown": (48, 210), "getsockname": (51, 204), "getpeername": (52, 205),
    "setsockopt": (54, 208), "getsockopt": (55, 209), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "madvise": (28, 233), "futex": (202, 98), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99), "rseq": (334, 293), "membarrier": (324, 283), "getrandom": (318, 278),
    "clock_gettime": (228, 113), "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169),
    "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "restart_syscall": (219, 128), "exit": (60, 93),
    "exit_group": (231, 94),
}
# With a look at an argument: its place, the comparison, its operand, whether a match allows the call.
LIMITED = {
    "clone": ((56, 220), (0, JUMP_SET, CLONE_THREAD, True)),
    "ioctl": ((16, 29), (1, JUMP_EQUAL, FIONBIO, True)),
    "mmap": ((9, 222), (2, JUMP_SET, PROT_EXEC, False)),
    "mprotect": ((10, 226), (2, JUMP_SET, PROT_EXEC, False)),
}
CLONE3 = 435  # everywhere; its flags stand in memory. ENOSYS makes libc take clone(2).


def allow_only_serving() -> None:
    """From now on this process can serve what it has open, with threads, and nothing else: other system calls fail with
    EPERM. Wants no_new_privileges(). Raises OSError where the kernel or the architecture has no such filter."""
    program = filter_program(os.uname().machine)
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))  # struct sock_fprog
    call(LIBC.prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0)


def filter_program(machine: str) -> bytes:
    """The instructions, struct sock_filter each. Raises OSError for an architecture whose numbers are not known."""
    if machine not in AUDIT_ARCHITECTURES:
        raise OSError(errno.ENOSYS, "no list of system calls for " + machine)
    place = tuple(AUDIT_ARCHITECTURES).index(machine)
    denied = RET_ERRNO | errno.EPERM
    code = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_EQUAL, 1, 0, AUDIT_ARCHITECTURES[machine]), (RETURN, 0, 0, RET_KILL_PROCESS),
            (LOAD, 0, 0, NUMBER), (JUMP_EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, RET_ERRNO | errno.ENOSYS)]
    for number in [numbers[place] for numbers in CALLS.values()]:
        if number is not None:
            code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, RET_ALLOW)]
    for numbers, (argument, comparison, operand, allows) in LIMITED.values():
        code += [(JUMP_EQUAL, 0, 4, numbers[place]), (LOAD, 0, 0, ARGUMENTS + 8 * argument),  # its low half: little endian
                 (comparison, 0, 1, operand), (RETURN, 0, 0, RET_ALLOW if allows else denied),
                 (RETURN, 0, 0, denied if allows else RET_ALLOW)]
    code.append((RETURN, 0, 0, denied))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)
