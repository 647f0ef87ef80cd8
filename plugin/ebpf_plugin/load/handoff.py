"""The socket between collector and loader: a plan goes out, progress, a manifest and descriptors come back.

Messages are JSON objects, one each: {"stage": name} while the loader works, {"error": text} if it cannot, and at the end
{"manifest": ..., "descriptors": N}, followed by messages that carry N descriptors (SCM_RIGHTS).
"""
from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from typing import NamedTuple

from .. import lifecycle
from ..kernel import tracefs

# Seconds without a sign of life: a disk that is busy as the machine boots takes its time with 100 MB of libraries. Tests on
# an emulated machine are more patient.
PATIENCE = float(os.environ.get("EBPF_PLUGIN_TEST_PATIENCE", 60))
BATCH = 200  # descriptors in one message; the kernel takes 253 (SCM_MAX_FD)
LONGEST = 1 << 18  # a plan with the most networks that filters.py lets through takes half of it

START = "import sys; sys.path.insert(0, sys.argv[1]); from ebpf_plugin.load.loader import main; main(int(sys.argv[2]))"


class LoaderFailed(Exception):
    """One line that says what the loader could not do."""


class Loaded(NamedTuple):
    """What the loader left in the kernel. It lives as long as the descriptors are open.

    maps: {group: descriptor}; tables: {name: descriptor} of further maps; hooks: {group: {hook: {"method", "where",
    "failed"}}}; broken: {group: why}; events: names of kprobe events to be removed at the end; programs: {name: descriptor}
    of the attached ones; warnings: what the user should know; memory: bytes of all maps in the kernel.
    """

    maps: dict
    tables: dict
    hooks: dict
    broken: dict
    events: list
    programs: dict
    warnings: list
    memory: int
    descriptors: list


def load(plan, patience=PATIENCE, start=START):
    """Run the loader on `plan` (a dict for JSON) and return Loaded. Raises LoaderFailed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    log = os.memfd_create("loader-stderr")
    os.set_inheritable(theirs.fileno(), True)
    # a signal may end us as soon as there is a process to end
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, lifecycle.SIGNALS)
    process = os.posix_spawn(
        sys.executable, [sys.executable, "-I", "-c", start, package, str(theirs.fileno())], os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, log, 2), (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                      (os.POSIX_SPAWN_DUP2, log, 1)],
        setsigmask=unblocked,
    )
    loaded = None
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
        theirs.close()
        with ours:
            loaded = _exchange(ours, plan, patience)
        return loaded
    except LoaderFailed as failure:
        raise LoaderFailed(_last_words(str(failure), log)) from None
    finally:
        os.kill(process, signal.SIGKILL)  # it has nothing more to do, or has failed to
        os.waitpid(process, 0)
        os.close(log)
        if loaded is None:
            tracefs.remove(tracefs.made_for(os.getpid()))


def _exchange(sock, plan, patience):
    stage = "start"
    try:
        sock.send(json.dumps(plan).encode())
    except OSError as error:
        raise LoaderFailed("the loader died after stage %r" % stage) from error
    while True:
        message, _ = _message(sock, patience, stage)
        if "error" in message:
            raise LoaderFailed(message["error"])
        if "manifest" in message:
            break
        stage = message["stage"]
    descriptors = []
    while len(descriptors) < message["descriptors"]:
        descriptors += _message(sock, patience, "hand over")[1]
    manifest = message["manifest"]
    maps, tables, programs = ({name: descriptors[index] for name, index in manifest[kind].items()}
                              for kind in ("maps", "tables", "programs"))
    return Loaded(maps, tables, manifest["hooks"], manifest["broken"], manifest["events"], programs,
                  manifest["warnings"], manifest["memory"], descriptors)


def _message(sock, patience, stage):
    """(JSON object, descriptors) of the next message."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(patience * 1000):
        raise LoaderFailed("the loader was silent for %d seconds after stage %r, and was killed" % (patience, stage))
    try:
        data, descriptors, _, _ = socket.recv_fds(sock, LONGEST, BATCH)
    except OSError:  # reset, with something of ours unread
        data = b""
    if not data:
        raise LoaderFailed("the loader died after stage %r" % stage)
    try:
        return json.loads(data), descriptors
    except ValueError as error:
        raise LoaderFailed("the loader said something else than JSON after stage %r" % stage) from error


def _last_words(failure, log):
    """`failure` and the last line that the loader or a library in it printed."""
    lines = os.pread(log, os.fstat(log).st_size, 0).decode("utf-8", "replace").strip().splitlines()
    return "%s; its last words: %s" % (failure, lines[-1].strip()) if lines else failure


def tell(sock, **message):
    """Loader's side: send one message."""
    sock.send(json.dumps(message).encode())


def hand_over(sock, manifest, descriptors):
    """Loader's side: the end of a success."""
    tell(sock, manifest=manifest, descriptors=len(descriptors))
    for first in range(0, len(descriptors), BATCH):
        socket.send_fds(sock, [b"{}"], descriptors[first:first + BATCH])
