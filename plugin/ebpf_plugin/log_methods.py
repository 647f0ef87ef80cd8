"""How the agent wants to have the log: JSON or logfmt on stderr, journald, syslog. Imported only if it says so."""
from __future__ import annotations

import os
import time
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, socket  # socket itself costs half a megabyte

from .log import NAME, NAMES

JOURNALS = ("/run/systemd/journal.netdata/socket", "/run/systemd/journal/socket")


def line(form: str, level: int, text: str) -> str:
    """One line in the format of NETDATA_LOG_FORMAT: json, or logfmt for all others, as in the agent's plugins."""
    now, quoted = time.time(), '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')
    if form == "json":
        return '{"time":%d,"comm":"%s","source":"collector","level":"%s","tid":%d,"msg":%s}\n' % (
            now * 1e6, NAME, NAMES[level], os.getpid(), quoted)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    return "time=%s.%03dZ comm=%s source=collector level=%s tid=%d msg=%s\n" % (
        stamp, now % 1 * 1000, NAME, NAMES[level], os.getpid(), quoted)


def to_journal(level: int, text: str) -> bool:
    """By journald's native protocol, with the fields that the agent gives its own messages. Whether somebody took it."""
    fields = (("MESSAGE", text), ("PRIORITY", level), ("SYSLOG_IDENTIFIER", NAME), ("ND_LOG_SOURCE", "collector"),
              ("TID", os.getpid()))
    data = "".join("%s=%s\n" % field for field in fields).encode("utf-8", "backslashreplace")
    for path in (os.environ.get("NETDATA_SYSTEMD_JOURNAL_PATH", ""), *JOURNALS):
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


def to_syslog(level: int, text: str) -> bool:
    """By syslog(3). True: nobody knows whether somebody took it."""
    import syslog
    syslog.openlog(NAME, syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(level, text.encode("utf-8", "backslashreplace").decode())
    return True
