"""SIGHUP: the configuration is read again, by a process of its own, while ticks go on; then what has changed is taken over.

Imported when the first SIGHUP comes. commands/reread.py is the other side.
"""
from __future__ import annotations

import _signal as signal  # as in lifecycle.py
import marshal
import os
import struct
import sys
import time

from . import lifecycle, log
from .kernel import bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable

PATIENCE = 30  # seconds for reading
EVERYTHING = (("0" * 32, 0),)  # the network of all addresses
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from ebpf_plugin.commands.reread import main; main()"


class Failed(Exception):
    """Why the configuration could not be read."""


class Reload:
    """state: commands/reread.py's for_collector(). It is changed to what holds. Raises OSError."""

    def __init__(self, state: dict[str, Any]):
        self._state = state
        self._began = time.monotonic()
        self._page = os.memfd_create("configuration", os.MFD_CLOEXEC)
        package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        try:
            self._child = os.posix_spawn(
                sys.executable, [sys.executable, "-I", "-c", START, package, *state["argv"]], os.environ,
                file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, self._page, 1)],
                setsigmask=(), setsigdef=lifecycle.SIGNALS)
        except OSError:
            os.close(self._page)
            raise

    def answer(self) -> dict[str, Any] | None:
        """What the configuration says now, None while it is being read. Raises Failed."""
        pid, status = os.waitpid(self._child, os.WNOHANG)
        if not pid:
            if time.monotonic() - self._began < PATIENCE:
                return None
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
        data = os.pread(self._page, os.fstat(self._page).st_size, 0)
        os.close(self._page)
        if not pid or status:
            raise Failed("the process that reads it %s" % (
                "ended with status %d" % os.waitstatus_to_exitcode(status) if pid else "was not done after %d s" % PATIENCE))
        found: dict[str, Any] = marshal.loads(data)
        return found

    def take_over(self, found: dict[str, Any], sources: Iterable[Any]) -> None:
        """Do what `found` asks for. Raises lifecycle.Stop if that needs a restart: the agent starts us again."""
        state, wanted = self._state, found["wanted"]
        changed = {name for name, digest in found["digests"].items() if digest != state["digests"].get(name)}
        if found["fixed"] != state["fixed"] or not self._filter(changed, wanted):
            log.write(log.NOTICE, "the configuration was read again, and what has changed needs a restart")
            raise lifecycle.Stop
        for source in sources:
            if hasattr(source, "take_over"):
                source.take_over(wanted, changed, found["processes"])
        state.update(digests=found["digests"], ports=wanted["ports"], ips=wanted["ips"])
        log.write(log.NOTICE, "the configuration was read again: %s" % (
            "taken over: " + ", ".join(sorted(changed)) if changed else "nothing has changed"))

    def _filter(self, changed: set[str], wanted: dict[str, Any]) -> bool:
        """Change the filters in the kernel. False if the programs there have none of this kind, or no room."""
        tables = self._state["tables"]
        try:
            if "ports" in changed:
                bitmap = b"\xff" * 8192 if wanted["ports"] is None else bytes.fromhex(wanted["ports"])
                for word in range(1024):
                    bpf.map_update(tables["flow_ports"], struct.pack("=I", word), bitmap[8 * word:8 * word + 8])
            if "ips" in changed:
                old, new = ({_network(address, length) for address, length in (EVERYTHING if blocks is None else blocks)}
                            for blocks in (self._state["ips"], wanted["ips"]))
                for network in new - old:
                    bpf.map_update(tables["flow_networks"], network, b"\1")
                for network in old - new:
                    bpf.map_delete(tables["flow_networks"], network)
        except (OSError, KeyError):
            return False
        return True


def _network(address: str, length: int) -> bytes:
    return struct.pack("=I", length) + bytes.fromhex(address)
