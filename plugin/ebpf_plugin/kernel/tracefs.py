"""tracefs: the ids of tracepoints, and kprobe events of our own.

A kretprobe holds one instance for each task inside the function; what finds none free is lost. perf_event_open(2) makes
kretprobes with the kernel's default, ten or so for the whole machine, and a dozen daemons asleep in vfs_read() use them
up. Only tracefs takes a number (`maxactive`). Events made there outlive us, so a cleaner process removes them.
"""
from __future__ import annotations

import fcntl
import os
import _signal as signal
import time

from . import procfs
from .. import lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable
GROUP = "ebpf_plugin"
MAXACTIVE = 4096  # KRETPROBE_MAXACTIVE_MAX, kernel/trace/trace_kprobe.c

MOUNTS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")


class NoTracefs(Exception):
    """tracefs is not mounted, or not ours to read."""


def root() -> str:
    """Where tracefs is mounted. Raises NoTracefs."""
    for path in MOUNTS:
        try:
            os.listdir(path + "/events")
            return path
        except PermissionError as error:
            remedy = "kernel lockdown: boot without it" if procfs.locked_down() else "run as root or give the user access"
            raise NoTracefs("%s/events: %s; %s" % (path, error.strerror, remedy)) from error
        except OSError:
            continue
    if procfs.locked_down():
        raise NoTracefs("tracefs is empty: kernel lockdown is in confidentiality mode")
    raise NoTracefs("tracefs is not mounted: mount -t tracefs nodev /sys/kernel/tracing")


def event_id(event: str) -> int | None:
    """The id of "category:name" for perf_event_open(2), or None if the kernel has no such event. Raises NoTracefs."""
    base = root()
    try:
        with open("%s/events/%s/id" % (base, event.replace(":", "/", 1)), encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoTracefs("%s/events/%s: %s" % (base, event, error.strerror)) from error


def has_category(name: str) -> bool:
    """Whether the kernel has any tracepoint of this category. Raises NoTracefs."""
    return os.path.isdir("%s/events/%s" % (root(), name))


def add_kretprobe(program: str, symbol: str) -> str:
    """Make a kretprobe event with many instances for `program` and return its name. Raises OSError and NoTracefs.

    The name has the id of the process that holds it, by which start_cleaner() finds it.
    """
    name = "%s/r_%s_%d" % (GROUP, program, os.getpid())
    _append("r%d:%s %s" % (MAXACTIVE, name, symbol))
    return name


def remove(names: Iterable[str], events: int | None = None) -> list[str]:
    """Remove events; those in use or gone already are passed over. Returns the names that are no more.

    `events` is a descriptor of kprobe_events, for who may not be able to open it now.
    """
    done = []
    for name in names:
        try:
            _append("-:" + name, events)
            done.append(name)
        except FileNotFoundError:
            done.append(name)
        except (OSError, NoTracefs):
            continue
    return done


def stale() -> list[str]:
    """The names of our events whose process is gone."""
    return [name for name in ours() if not os.path.exists("/proc/%s" % _holder(name))]


def made_by(process: int, listing: int | None = None) -> list[str]:
    """The names of the events of the process with this id; `listing` as for ours()."""
    return [name for name in ours(listing) if _holder(name) == str(process)]


def _holder(name: str) -> str:
    return name.rsplit("_", 1)[1]


def ours(listing: int | None = None) -> list[str]:
    """The names of our kprobe events, of every running plugin. `listing` is a descriptor of kprobe_events to read from."""
    try:
        if listing is None:
            with open(root() + "/kprobe_events", encoding="ascii", errors="replace") as file:
                text = file.read()
        else:
            os.lseek(listing, 0, os.SEEK_SET)
            data = b""
            while part := os.read(listing, 1 << 16):
                data += part
            text = data.decode("ascii", "replace")
    except (OSError, NoTracefs):
        return []
    defined = [line.split(" ", 1)[0].split(":", 1)[-1] for line in text.splitlines()]
    return [name for name in defined if name.startswith(GROUP + "/")]


def _append(text: str, events: int | None = None) -> None:
    descriptor = _events() if events is None else events
    try:
        os.write(descriptor, text.encode() + b"\n")
    finally:
        if events is None:
            os.close(descriptor)


def _events() -> int:
    # Opening with truncation would ask the kernel to remove everybody's events (kernel/trace/trace_kprobe.c, probes_open).
    return os.open(root() + "/kprobe_events", os.O_WRONLY | os.O_APPEND)


def start_cleaner() -> None:
    """Fork a process that removes the kprobe events of this one when it is gone, however it went. It shares our pages
    and only waits.

    What tells it is the end of a pipe whose writing end this process keeps open as long as it lives. kprobe_events is opened
    now: tracefs may have been unmounted by then. Raises OSError and NoTracefs.
    """
    held_by = os.getpid()
    events = _events()
    listing = os.open(root() + "/kprobe_events", os.O_RDONLY)
    reading, writing = os.pipe()
    if lifecycle.fork():
        for descriptor in (reading, events, listing):
            os.close(descriptor)
        os.set_inheritable(writing, True)
        return
    try:
        os.setsid()  # a signal to our process group is not for the cleaner
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        null = os.open("/dev/null", os.O_RDWR)
        # out of the way first: who was started with a closed stdin has one of them there
        moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 4) for descriptor in (reading, events, null, listing)]
        for place, descriptor in enumerate(moved):
            os.dup2(descriptor, place)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        os.read(0, 1)
        names = made_by(held_by, 3)
        for _ in range(600):  # an event is in use until the kernel is through with what the dead had open
            gone = remove(names, 1)
            names = [name for name in names if name not in gone]
            if not names:
                break
            time.sleep(0.1)
    finally:
        os._exit(0)
