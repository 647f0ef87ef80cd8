"""Opens what metrics are served on, and starts the process that serves them, before anything is loaded into the kernel.

So that process never had a descriptor of BPF. It gives up every capability before it accepts a connection.
"""
from __future__ import annotations

import errno
import fcntl
import marshal
import os
import socket
import stat
import sys
from typing import Any, Mapping

from .. import VERSION
from ..config.listen_address import Address

BACKLOG = 64
FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)
F_ADD_SEALS, F_SEAL_SEAL, F_SEAL_SHRINK = 1033, 1, 2
START = "import sys; sys.path.insert(0, sys.argv[1]); from ebpf_plugin.endpoint.server import main; main(int(sys.argv[2]))"
# glibc: one heap for all threads, and what is free goes back to the kernel
MEMORY = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}


LOG = ("NETDATA_LOG_LEVEL", "NETDATA_LOG_FORMAT")  # what log.py takes on stderr: the server can open no other way


class CannotListen(Exception):
    """Why; the text is for the user."""


def start(address: Address, options: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """{"page": descriptor of the memory file that the process serves, "server": its process id, "alive": a descriptor that
    the process ends without}. Raises CannotListen.

    options: {"web": what web_config.read() says, or {}, "names": "ebpf" or "tfo"}.
    """
    try:
        with _listen(address, environment) as listening:
            return _serve(listening, options, {**MEMORY, **{name: environment[name] for name in LOG if name in environment}})
    except OSError as error:
        raise CannotListen("cannot serve metrics on %s: %s" % (address, error.strerror)) from error


def _serve(listening: socket.socket, options: Mapping[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """What start() returns. Raises OSError."""
    page = os.memfd_create("metrics", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.fcntl(page, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL)
    readable = os.open("/proc/self/fd/%d" % page, os.O_RDONLY | os.O_CLOEXEC)
    # no signal at the parent's death: a collector without CAP_KILL cannot send one to another user's process
    dead, alive = os.pipe()
    state = {**options, "page": readable, "socket": listening.fileno(), "version": VERSION, "dead": dead}
    passed = os.memfd_create("state", 0)
    os.write(passed, marshal.dumps(state))
    for descriptor in (readable, listening.fileno(), dead):
        os.set_inheritable(descriptor, True)
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    server = os.posix_spawn(
        sys.executable, [sys.executable, "-I", "-S", "-c", START, package, str(passed)], environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                      (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    for descriptor in (readable, passed, dead):
        os.close(descriptor)
    return {"page": page, "server": server, "alive": alive}


def _listen(address: Address, environment: Mapping[str, str]) -> socket.socket:
    """The listening socket. Raises OSError."""
    if address.kind == "fd":
        return _passed_by_systemd(address.port, environment)
    if address.kind == "unix":
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _remove_stale(address.host)
        mask = os.umask(0o117)
        try:
            found.bind(address.host)
        finally:
            os.umask(mask)
    else:
        found = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((address.host, address.port))
        except socket.gaierror as error:
            raise OSError(None, error.strerror) from None
    found.listen(BACKLOG)
    return found


def _passed_by_systemd(number: int, environment: Mapping[str, str]) -> socket.socket:
    """The socket with this number of a unit's, counted from 0: sd_listen_fds(3)."""
    count = environment.get("LISTEN_FDS", "")
    is_number = count.isascii() and count.isdigit()
    if environment.get("LISTEN_PID") != str(os.getpid()) or not is_number or int(count) <= number:
        raise OSError(None, "systemd has passed no such socket (LISTEN_PID, LISTEN_FDS)")
    found = socket.socket(fileno=FIRST_DESCRIPTOR + number)
    if found.type != socket.SOCK_STREAM or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(None, "this is no listening stream socket")
    os.set_inheritable(found.fileno(), False)
    return found


def _remove_stale(path: str) -> None:
    """Remove a socket that a process has left which is gone. Raises OSError if it is in use, or something else."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(None, "there is a file with this name")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        os.unlink(path)
        return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
