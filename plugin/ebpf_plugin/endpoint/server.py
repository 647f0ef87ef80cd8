"""The process that serves metrics. It has a socket, the memory file of samples to be read, and nothing else."""
from __future__ import annotations

import marshal
import os
import resource
import signal
import socket
import sys

from .. import lifecycle, log
from ..kernel import capabilities, process
from . import pages, seccomp
from .access import Refused, access

NOBODY = 65534
DESCRIPTORS = 64  # open at a time: far more than http.CONNECTIONS
DATA = 32 << 20  # bytes of private memory, stacks of threads included, of which most is never touched
NICE = 5


def main(passed: int) -> None:
    """The beginning of the process; `passed` is the descriptor of what start.start() says. Ends when nobody holds the
    other end of the pipe `dead`."""
    for number in lifecycle.SIGNALS:  # the parent has them, too, and ends this process
        signal.signal(number, signal.SIG_IGN)
    process.set_name("ebpf-metrics")
    state = marshal.loads(os.pread(passed, os.fstat(passed).st_size, 0))
    _close_all_but(state["page"], state["socket"], state["dead"])
    try:
        allowed = access(state["web"])
    except Refused as error:
        log.write(log.ERROR, str(error))
        os._exit(1)
    # http.client imports it, which is 4 MB; if TLS is wanted it is here already
    sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
    from . import http
    from .. import log_methods  # noqa: F401  log.py wants it later, perhaps
    with socket.socket(fileno=state["socket"]) as listening:
        server = http.Server(listening, pages.Pages(state["page"], state["names"], state["version"]), allowed)
        http.warm_up()
        _give_up_everything()
        server.serve(state["dead"])
    os._exit(0)  # whoever is still being served


def _close_all_but(*kept: int) -> None:
    """Whoever started the plugin may have left descriptors open for it."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:
                pass  # that of the list itself


def _give_up_everything() -> None:
    """Files are read and libraries loaded by now."""
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        except OSError:
            pass  # a user namespace without that user: root of it, without capabilities
    capabilities.set_capabilities(0, 0)
    try:
        os.nice(NICE)
    except OSError:
        pass  # a filter of system calls of whoever started the plugin
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (DATA, DATA))
    process.no_new_privileges()
    try:
        seccomp.allow_only_serving()
    except OSError as error:
        log.write(log.INFO, "the process that serves metrics has no filter of system calls: %s" % error.strerror)
