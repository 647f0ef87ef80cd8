"""Workloads of exactly N events. Each runs in a child process, which has the name that is counted only while it makes the
events: preparation and cleaning up run under another name.

System calls are made by syscall(2): a wrapper of the C library may make other calls.
"""
import _thread
import ctypes
import mmap
import os
import platform
import resource
import signal
import struct
import sys

X86 = platform.machine() == "x86_64"
NOBODY = 65534
AT_FDCWD = -100
CLONE_THREAD = 0x10000

# arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h
NUMBERS = {
    "read": (0, 63), "write": (1, 64), "open": (2, None), "close": (3, 57), "pread64": (17, 67), "pwrite64": (18, 68),
    "readv": (19, 65), "writev": (20, 66), "clone": (56, 220), "fork": (57, None), "vfork": (58, None),
    "fsync": (74, 82), "fdatasync": (75, 83), "creat": (85, None), "unlink": (87, None), "mknod": (133, None),
    "exit_group": (231, 94), "openat": (257, 56), "mknodat": (259, 33), "unlinkat": (263, 35), "preadv": (295, 69),
    "pwritev": (296, 70), "preadv2": (327, 286), "pwritev2": (328, 287), "clone3": (435, 435), "openat2": (437, 437),
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def call(name, *args):
    """The result of a system call, negative errno if it failed. Ints and bytes only, so that nothing is converted."""
    number = NUMBERS[name][0 if X86 else 1]
    result = _libc.syscall(number, *(ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args))
    return -ctypes.get_errno() if result < 0 else result


class Named:
    """The process has the name that is counted inside this block, and another one outside."""

    def __init__(self, comm):
        self._comm = comm.encode()

    def __enter__(self):
        _libc.prctl(15, self._comm, 0, 0, 0)

    def __exit__(self, *_):
        _libc.prctl(15, b"not-counted", 0, 0, 0)


def run(work, comm, n, directory):
    """Run work(Named, n) in a child with this working directory; raise its error if it fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _libc.prctl(15, b"not-counted", 0, 0, 0)
            os.chdir(directory)
            work(Named(comm), n)
            status = 0
        except BaseException as error:  # pylint: disable=broad-except
            os.write(writing, repr(error).encode())
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        failure = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    if status:
        raise AssertionError("workload %s: status %d %s" % (work.__name__, status, failure))


def repeat(name, expect, make):
    """A workload: N times the system call `name` with the arguments make(i). Each result must be `expect`: a number, or "ok"
    for any that is no error."""
    def work(named, n):
        arguments = [make(i) for i in range(n)]
        results = []
        with named:
            for each in arguments:
                results.append(call(name, *each))
        wrong = [r for r in results if (r < 0 if expect == "ok" else r != expect)]
        assert not wrong, "%s gave %s" % (name, wrong[:3])
    work.__name__ = name
    return work


def prepared(prepare, work):
    """`work` after prepare(n), which runs under the other name; its result is the third argument of work."""
    def both(named, n):
        return work(named, n, prepare(n))
    both.__name__ = work.__name__
    return both


def repeat_on(name, expect, prepare, make):
    """As repeat(), with arguments make(what prepare(n) returned, i)."""
    def work(named, n, given):
        repeat(name, expect, lambda i: make(given, i))(named, n)
    work.__name__ = name
    return prepared(prepare, work)


def file_of(size):
    def prepare(_n):
        with open("data", "wb") as file:
            file.write(b"x" * size)
        return os.open("data", os.O_RDWR)
    return prepare


def opened(path, flags):
    return lambda _n: os.open(path, flags)


def names(n, make=None):
    """N names of files; made if `make`."""
    found = [b"name%d" % i for i in range(n)]
    for name in found if make else ():
        make(name)
    return found


def empty(name):
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0o644))


def descriptors(n):
    # no other part of the process uses these
    return [os.open("/dev/null", os.O_RDONLY) for _ in range(n)]


def vectors(*sizes):
    """A struct iovec array over fresh buffers, and its length. The buffers live as long as the process."""
    buffers = [ctypes.create_string_buffer(size) for size in sizes]
    _alive.extend(buffers)
    data = b"".join(struct.pack("=QQ", ctypes.addressof(b), size) for b, size in zip(buffers, sizes))
    return data, len(sizes)


_alive = []


def buffer(size):
    found = ctypes.create_string_buffer(size)
    _alive.append(found)
    return found


def as_nobody(prepare):
    """prepare(n), then the process has the user nobody, who may not write to the directory locked."""
    def both(n):
        os.chmod(".", 0o755)
        os.mkdir("locked", 0o755)
        given = prepare(n)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return given
    return both


def no_more_processes(_n):
    os.setgroups([])
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    os.setresuid(NOBODY - 7, NOBODY - 7, NOBODY - 7)


def children(start):
    """N children, one after the other, that end at once; each is waited for. start() is 0 in the child."""
    def work(named, n):
        with named:
            for _ in range(n):
                child = start()
                if child == 0:
                    call("exit_group", 0)
                assert child > 0, os.strerror(-child)
                os.waitpid(child, 0)
    work.__name__ = start.__name__
    return work


def fork():
    return call("clone", signal.SIGCHLD, 0, 0, 0, 0)


def old_fork():
    return call("fork")


def clone3():
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    return call("clone3", struct.pack("=8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)


def spawn_fails():
    """glibc's posix_spawn: clone(CLONE_VM|CLONE_VFORK) or clone3; the child cannot execute anything and ends."""
    try:
        os.posix_spawn("/nonexistent", ["x"], {})
    except FileNotFoundError:
        return
    raise AssertionError("/nonexistent exists")


def spawns(named, n):
    with named:
        for _ in range(n):
            spawn_fails()


# vfork(2) returns twice on one stack, so what follows in the child must not touch it:
# mov eax, 58; syscall; test eax, eax; jnz +9; xor edi, edi; mov eax, 231; syscall; ret
VFORK_AND_EXIT = bytes.fromhex("b83a0000000f0585c0750931ffb8e70000000f05c3")


def vforks(named, n):
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(VFORK_AND_EXIT)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    with named:
        for _ in range(n):
            child = function()
            assert child > 0
            os.waitpid(child, 0)


def thread():
    """Start a thread and wait until its task is gone, which is later than what Python waits for."""
    lock = _thread.allocate_lock()
    lock.acquire()
    _thread.start_new_thread(lock.release, ())
    lock.acquire()
    # stat opens nothing; st_nlink is 2 + the number of threads (fs/proc/base.c, proc_task_getattr)
    while os.stat("/proc/self/task").st_nlink > 3:
        pass


def threads(named, n):
    """N threads, one after the other."""
    thread()  # glibc before 2.34 loads libgcc_s at the first one's end
    with named:
        for _ in range(n):
            thread()


def zombies(named, n):
    """N children that are released after the process has its other name: they have the counted name all the same."""
    with named:
        for _ in range(n):
            child = fork()
            if child == 0:
                call("exit_group", 0)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    os._exit(0)  # init or a subreaper adopts and releases the zombies


if __name__ == "__main__":
    # syscalls.py COMM N: N opens of /dev/null, for looking at a plugin by hand
    with Named(sys.argv[1]):
        for _ in range(int(sys.argv[2])):
            call("close", call("openat", AT_FDCWD, b"/dev/null", os.O_RDONLY, 0))
