"""Where metrics are served: [ADDRESS:]PORT, unix:/PATH or fd://N."""
from __future__ import annotations

import re
from typing import NamedTuple

ACCEPTED = "[ADDRESS:]PORT, unix:/PATH or fd://N"
LOOPBACK = "127.0.0.1"


class Address(NamedTuple):
    """kind: "tcp", "unix" or "fd"; host: an address, or the path; port: the port, or the number of systemd's socket."""

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.kind == "unix":
            return "unix:" + self.host
        if self.kind == "fd":
            return "fd://%d" % self.port
        return ("[%s]:%d" if ":" in self.host else "%s:%d") % (self.host, self.port)


def parse(text: str) -> Address:
    """Raises ValueError. A port alone is that of 127.0.0.1; every other address has to be named."""
    if text.startswith("unix:/") and text.isprintable() and len(text.encode()) < 108:  # sun_path, unix(7)
        return Address("unix", text[len("unix:"):], 0)
    match = re.fullmatch(r"fd://([0-9]{1,3})", text)
    if match:
        return Address("fd", "", int(match.group(1)))
    match = re.fullmatch(r"(?:(\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):)?([0-9]{1,5})", text)
    if not match or not 0 < int(match.group(2)) < 65536:
        raise ValueError(text)
    host = (match.group(1) or LOOPBACK).strip("[]")
    return Address("tcp", LOOPBACK if host == "localhost" else host, int(match.group(2)))
