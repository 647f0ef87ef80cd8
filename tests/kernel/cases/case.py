"""What each workload of N events must add to the charts.

`adds` is {"chart.dimension": events or bytes for one of the N}; what is not named stays as it is. `system_call` replaces
it for dimensions whose hooks are on system calls (tracepoints), where they say something else than functions do;
the README has the table of these differences. `requested` holds for the bytes of a probe in entry mode.
"""
from typing import NamedTuple


class Case(NamedTuple):
    name: str
    work: object
    adds: dict = {}
    system_call: dict = {}
    requested: dict = {}


def opens(error=False):
    return {"file_descriptor.open": 1, "file_error.open": int(error)}


def reads(moved, requested=None, error=False):
    adds = {"io.read": 1, "io_bytes.read": moved, "io_error.read": int(error)}
    return {"adds": adds, "requested": {} if requested is None else {"io_bytes.read": requested}}


def writes(moved, requested=None, error=False):
    adds = {"io.write": 1, "io_bytes.write": moved, "io_error.write": int(error)}
    return {"adds": adds, "requested": {} if requested is None else {"io_bytes.write": requested}}


DELETE = {"deleted_objects.delete": 1}
DELETE_FAILS = {"deleted_objects.delete": 1, "io_error.delete": 1}
OPEN = {"vfs_open.open": 1}
OPEN_FAILS = {"vfs_open.open": 1, "vfs_open_error.open": 1}
CREATE = {"vfs_create.create": 1}
CREATE_FAILS = {"vfs_create.create": 1, "vfs_create_error.create": 1}
FSYNC = {"vfs_fsync.fsync": 1}
FSYNC_FAILS = {"vfs_fsync.fsync": 1, "vfs_fsync_error.fsync": 1}
ENDS = {"exit.process": 1, "exit.task": 1}
