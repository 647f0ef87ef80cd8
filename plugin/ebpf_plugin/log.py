"""Lines on stderr as the agent's own log has them. A text is written whole, in one write, and by once() only once."""
from __future__ import annotations

import os
import time

INFO, ERROR = "INFO", "ERROR"

_said: set[str] = set()


def printable(text: str) -> str:
    """`text` with an escape for what could end a line or move a terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def write(level: str, text: str) -> None:
    """One line, printable(); `level` is INFO or ERROR."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    try:
        os.write(2, ("%s: ebpf.plugin %-5s : %s\n" % (stamp, level, printable(text))).encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # nobody to tell


def once(level: str, text: str, about: str | None = None) -> None:
    """Say it unless the same, or something `about` the same, has been said."""
    about = about or text
    if about not in _said:
        _said.add(about)
        write(level, text)
