"""Executables of any name that make exactly the given system calls, for x86-64: no C library and no dynamic linker, which
would open and read files.

A program is a list of parts, which are machine code. An argument `child` or `thread` has the parts of that task.
"""
import os
import struct
import tempfile

AT = 0x400000  # where the file is in memory
HEADERS = 64 + 56
ROOM = 65536  # of memory behind the file, for buffers and the stack of a thread
BUFFER = AT + 0x10000
STACK = BUFFER + ROOM - 16

NUMBERS = {"close": 3, "rt_sigaction": 13, "pause": 34, "getpid": 39, "clone": 56, "fork": 57, "vfork": 58, "execve": 59,
           "exit": 60, "wait4": 61, "kill": 62, "setsid": 112, "prctl": 157, "exit_group": 231, "unshare": 272,
           "clone3": 435}
SIGCHLD, SIGSTOP = 17, 19
THREAD = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000  # CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM
CLONE_NEWPID = 0x20000000


def number(value):
    return struct.pack("=Q", value & 0xffffffffffffffff)


def call(name, *arguments, times=1):
    """A system call, `times` times."""
    registers = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba")  # mov rdi, rsi, rdx, r10
    arguments += (0,) * (4 - len(arguments))
    loop = b"".join(register + number(argument) for register, argument in zip(registers, arguments))
    loop += b"\xb8" + struct.pack("=I", NUMBERS[name]) + b"\x0f\x05"  # mov eax; syscall
    # mov ebx; ...; dec ebx; jnz
    return b"\xbb" + struct.pack("=I", times) + loop + b"\xff\xcb\x0f\x85" + struct.pack("=i", -len(loop) - 8)


def put(data, at=BUFFER):
    """Write bytes to memory."""
    data += bytes(-len(data) % 8)
    # mov rax; mov [], rax
    return b"".join(b"\x48\xb8" + data[i:i + 8] + b"\x48\xa3" + number(at + i) for i in range(0, len(data), 8))


def closes(times):
    """Calls of close(2) that fail with EBADF."""
    return call("close", 1000000, times=times)


def stop():
    """The process stops itself, until SIGCONT."""
    # mov edi, eax; mov esi; mov eax; syscall
    numbers = struct.pack("=I", SIGSTOP), struct.pack("=I", NUMBERS["kill"])
    return call("getpid") + b"\x89\xc7\xbe%s\xb8%s\x0f\x05" % numbers


def end(status=0):
    return call("exit_group", status)


def branch(begin, child):
    """`begin` leaves 0 in rax in the child, which does `child` and ends."""
    child += call("exit")
    return begin + b"\x85\xc0\x0f\x85" + struct.pack("=i", len(child)) + child  # test eax, eax; jnz


def forked(child):
    return branch(call("fork"), child)


def forked_as(pid, child):
    """A child that gets this process id: clone3(2) with set_tid, for root, since 5.5."""
    arguments = struct.pack("=10Q", 0, 0, 0, 0, SIGCHLD, 0, 0, 0, BUFFER + 128, 1)
    return branch(put(arguments) + put(struct.pack("=Q", pid), BUFFER + 128) + call("clone3", BUFFER, 80), child)


def repeated(loop, times):
    """`loop`, `times` times. ebp counts, as ebx is call()'s."""
    return b"\xbd" + struct.pack("=I", times) + loop + b"\xff\xcd\x0f\x85" + struct.pack("=i", -len(loop) - 8)


def vforked(child, times=1):
    """`times` children, one after the other."""
    return repeated(branch(call("vfork"), child), times)


def threaded(thread):
    """A thread that does `thread`, while the main thread continues."""
    return branch(call("clone", THREAD, STACK), thread)


def waits(children=1):
    return call("wait4", -1, times=children)


def ignoring_children():
    """SIGCHLD is ignored: children are released as soon as they end."""
    return put(struct.pack("=4Q", 1, 0, 0, 0)) + call("rt_sigaction", SIGCHLD, BUFFER, 0, 8)  # SIG_IGN


def named(name):
    """prctl(PR_SET_NAME)"""
    return put(name.encode() + b"\0") + call("prctl", 15, BUFFER)


def executes(path, *more):
    """execve(2) of another program."""
    at, words, argv = BUFFER + 1024, b"", []
    for word in (path, *more):
        argv.append(at + len(words))
        words += word.encode() + b"\0"
    return put(words, at) + put(struct.pack("=%dQ" % (len(argv) + 1), *argv, 0)) + call("execve", at, BUFFER)


class Programs:
    """A directory of programs."""

    def __init__(self):
        self._directory = tempfile.TemporaryDirectory()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._directory.cleanup()

    def path(self, name):
        return os.path.join(self._directory.name, name)

    def write(self, name, *parts):
        """The path of a program of this name that does `parts` and ends."""
        code = b"".join(parts) + end()
        size = HEADERS + len(code)
        assert size < BUFFER - AT
        header = struct.pack("=16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, AT + HEADERS, 64, 0, 0, 64, 56, 1,
                             0, 0, 0)
        # one PT_LOAD that may be read, written and executed
        header += struct.pack("=IIQQQQQQ", 1, 7, 0, AT, AT, size, BUFFER - AT + ROOM, 4096)
        if os.path.exists(self.path(name)):
            os.unlink(self.path(name))
        descriptor = os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o755)
        os.write(descriptor, header + code)
        os.close(descriptor)
        return self.path(name)
