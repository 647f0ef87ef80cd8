"""The log: lines on stderr, or what the agent asks for (NETDATA_LOG_METHOD, NETDATA_LOG_FORMAT, NETDATA_LOG_LEVEL).

Without these variables, as by hand or under agents before 1.44, a line is as in the agent's own log. Each text is written
whole, in one write, and by once() only once.
"""
from __future__ import annotations

import os
import time

# Levels as in syslog(3). An error is what keeps a group or the plugin from running, a warning what is less than was wanted.
ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
_NAMES = {ERROR: "error", WARNING: "warning", NOTICE: "notice", INFO: "info"}
# What NETDATA_LOG_LEVEL may be (nd_log-internals.c); anything else is info.
_LEVELS = {"emergency": 0, "emerg": 0, "alert": 1, "critical": 2, "crit": 2, "error": 3, "err": 3, "warning": 4, "warn": 4,
           "notice": 5, "info": 6, "debug": 7}
_JOURNALS = ("/run/systemd/journal.netdata/socket", "/run/systemd/journal/socket")
_NAME = "ebpf.plugin"

_said: set[str] = set()


def write(level: int, text: str) -> None:
    """One line; what could end it or move a terminal's cursor is shown as an escape."""
    if level > _LEVELS.get(os.environ.get("NETDATA_LOG_LEVEL", "").lower(), INFO):
        return
    clean = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    method = os.environ.get("NETDATA_LOG_METHOD", "")
    if method == "journal" and _to_journal(level, clean):
        return
    if method == "syslog":
        _to_syslog(level, clean)
        return
    try:
        os.write(2, _line(level, clean).encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # nobody to tell


def once(level: int, text: str, about: str | None = None) -> None:
    """Say it unless the same, or something `about` the same, has been said."""
    about = about or text
    if about not in _said:
        _said.add(about)
        write(level, text)


def _line(level: int, text: str) -> str:
    form, now = os.environ.get("NETDATA_LOG_FORMAT", ""), time.time()
    if not form:
        return "%s: %s %-5s : %s\n" % (time.strftime("%Y-%m-%d %H:%M:%S"), _NAME, _NAMES[level].upper(), text)
    quoted = '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')
    if form == "json":
        return '{"time":%d,"comm":"%s","source":"collector","level":"%s","tid":%d,"msg":%s}\n' % (
            now * 1e6, _NAME, _NAMES[level], os.getpid(), quoted)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return "time=%s.%03dZ comm=%s source=collector level=%s tid=%d msg=%s\n" % (
        stamp, now % 1 * 1000, _NAME, _NAMES[level], os.getpid(), quoted)


def _to_journal(level: int, text: str) -> bool:
    """By journald's native protocol, with the fields that the agent gives its own messages. Whether somebody took it."""
    from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, socket  # socket itself costs half a megabyte
    fields = (("MESSAGE", text), ("PRIORITY", level), ("SYSLOG_IDENTIFIER", _NAME), ("ND_LOG_SOURCE", "collector"),
              ("TID", os.getpid()))
    data = "".join("%s=%s\n" % field for field in fields).encode("utf-8", "backslashreplace")
    for path in (os.environ.get("NETDATA_SYSTEMD_JOURNAL_PATH", ""), *_JOURNALS):
        try:
            journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC)
            try:
                journal.sendto(data, path)
            finally:
                journal.close()
            return True
        except OSError:
            continue
    return False


def _to_syslog(level: int, text: str) -> None:
    import syslog
    syslog.openlog(_NAME, syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(level, text.encode("utf-8", "backslashreplace").decode())
