"""The texts of configuration files: read with bounds, and quoted in messages with bounds."""
from __future__ import annotations

import os
import re
import stat

LONGEST = 1 << 20  # bytes of a file
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")  # without those that are white space


def read(path: str, undecodable: str = "replace") -> str:
    """The text of a regular file; `undecodable` is the `errors` of bytes.decode(). Raises OSError; never waits for a device
    or a pipe, never reads without end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "not a regular file")
        data = os.pread(descriptor, LONGEST + 1, 0)
    finally:
        os.close(descriptor)
    if len(data) > LONGEST:
        raise OSError(None, "larger than 1 MB")
    return data.decode("utf-8", undecodable)


def not_text(text: str, path: str) -> list[str]:
    """Messages, at most one: where the first control character is. Readers take it for a blank."""
    for number, line in enumerate(text.split("\n"), 1):
        found = _CONTROL.search(line)
        if found:
            return ["%s:%d: the control character %r; expected a text file; it is read as a blank" % (
                path, number, found.group())]
    return []


def quoted(value: str) -> str:
    """For a message: as Python writes it, at most 60 characters of it."""
    return repr(value if len(value) <= 60 else value[:60] + "...")
