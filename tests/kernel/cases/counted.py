"""The table of what each attach method counts of a system call. A new group adds its rows here; the cases stay as they are.

A call counts where the hook of its row sees it. Hooks on system calls (tracepoints) see every call of these names. Hooks on
functions (trampolines, probes) see a call only if the kernel gets to the function. The README says the same of the charts.
"""
from typing import Callable, NamedTuple

from ebpf_plugin.model.chart import ENTRY

OPENING = {"open", "creat", "openat", "openat2"}
READING = {"read", "pread64", "readv", "preadv", "preadv2"}
WRITING = {"write", "pwrite64", "writev", "pwritev", "pwritev2"}
FORKING = {"fork", "vfork", "clone", "clone3"}
ENDING = {"exit", "exit_group"}


def makes_regular_file(call):
    return call.name == "creat" or not {"O_CREAT", "S_IFREG"}.isdisjoint(call.flags)


def makes_thread(call):
    return "CLONE_THREAD" in call.flags


class Counted(NamedTuple):
    """System calls, and the dimensions ("chart.dimension") that they move: `calls` by 1 for each, `successes` and `errors`
    by 1 for each that succeeds or fails, `bytes` by what it moved. `function` is the function that hooks stand on, "" if
    every call gets there. `only` leaves out calls by their flags."""
    system_calls: set
    calls: str = ""
    successes: str = ""
    errors: str = ""
    bytes: str = ""
    function: str = ""
    only: Callable = lambda call: True

    def sees(self, call, on_system_calls):
        seen = on_system_calls or not self.function or call.reached(self.function)
        return seen and call.name in self.system_calls and self.only(call)


COUNTED = (
    # file
    Counted(OPENING, calls="file_descriptor.open", errors="file_error.open"),
    Counted({"close"}, calls="file_descriptor.close", errors="file_error.close"),
    # vfs
    Counted(OPENING, calls="vfs_open.open", errors="vfs_open_error.open", function="vfs_open"),
    Counted(OPENING | {"mknod", "mknodat"}, calls="vfs_create.create", errors="vfs_create_error.create",
            function="vfs_create", only=makes_regular_file),
    Counted(READING, calls="io.read", errors="io_error.read", bytes="io_bytes.read", function="vfs_read"),
    Counted(WRITING, calls="io.write", errors="io_error.write", bytes="io_bytes.write", function="vfs_write"),
    Counted({"unlink", "unlinkat"}, calls="deleted_objects.delete", errors="io_error.delete", function="vfs_unlink",
            only=lambda call: "AT_REMOVEDIR" not in call.flags),
    Counted({"fsync", "fdatasync"}, calls="vfs_fsync.fsync", errors="vfs_fsync_error.fsync"),
    # process
    Counted(FORKING, successes="process_thread.process", errors="task_error.process",
            only=lambda call: not makes_thread(call)),
    Counted(FORKING, successes="process_thread.thread", errors="task_error.thread", only=makes_thread),
    Counted(ENDING, calls="exit.process"),
    Counted(ENDING, calls="exit.task"),
)


def added_by(case, dimension, methods, mode):
    """What one event of the case adds to the dimension, whose hooks are attached by `methods`, in this load mode."""
    found = 0
    for row in COUNTED:
        for call in case.calls:
            if row.sees(call, "tracepoint" in methods):
                found += adds(row, call, only_requested="probe" in methods and mode == ENTRY).get(dimension, 0)
    return found


def adds(row, call, only_requested):
    """{dimension: what the call adds}. A probe at the beginning of a function knows only the bytes that are requested."""
    moved = max(call.result, 0)
    if only_requested and call.requested is not None:
        moved = call.requested
    return {row.calls: 1, row.successes: int(not call.failed()), row.errors: int(call.failed()), row.bytes: moved}
