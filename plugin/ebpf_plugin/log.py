"""The log: lines on stderr, or what the agent asks for (NETDATA_LOG_METHOD, NETDATA_LOG_FORMAT, NETDATA_LOG_LEVEL).

Without these variables, as by hand or under agents before 1.44, a line is as in the agent's own log. Each text is written
whole, in one write, and by once() only once.
"""
from __future__ import annotations

import os
import time

# Levels as in syslog(3). An error is what keeps a group or the plugin from running, a warning what is less than was wanted.
ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
NAMES = {ERROR: "error", WARNING: "warning", NOTICE: "notice", INFO: "info"}
# What NETDATA_LOG_LEVEL may be (nd_log-internals.c); anything else is info.
_LEVELS = {"emergency": 0, "emerg": 0, "alert": 1, "critical": 2, "crit": 2, "error": 3, "err": 3, "warning": 4, "warn": 4,
           "notice": 5, "info": 6, "debug": 7}
NAME = "ebpf.plugin"

_said: set[str] = set()


def printable(text: str) -> str:
    """`text` with an escape for what could end a line or move a terminal's cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def write(level: int, text: str) -> None:
    """One line, printable()."""
    if level > _LEVELS.get(os.environ.get("NETDATA_LOG_LEVEL", "").lower(), INFO):
        return
    clean = printable(text)
    method, form = os.environ.get("NETDATA_LOG_METHOD", ""), os.environ.get("NETDATA_LOG_FORMAT", "")
    line = "%s: %s %-5s : %s\n" % (time.strftime("%Y-%m-%d %H:%M:%S"), NAME, NAMES[level].upper(), clean)
    if form or method in ("journal", "syslog"):
        from . import log_methods
        if method == "journal" and log_methods.to_journal(level, clean) or \
                method == "syslog" and log_methods.to_syslog(level, clean):
            return
        line = log_methods.line(form, level, clean) if form else line
    try:
        os.write(2, line.encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # nobody to tell


def once(level: int, text: str, about: str | None = None) -> None:
    """Say it unless the same, or something `about` the same, has been said."""
    about = about or text
    if about not in _said:
        _said.add(about)
        write(level, text)
