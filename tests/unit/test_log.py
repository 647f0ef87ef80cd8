"""Lines on stderr: each whole, each one line, whatever is in it."""
import json
import os
import re
import socket
import syslog
import time
from unittest import mock

from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin import log, log_methods


@pytest.fixture(autouse=True)
def by_hand(monkeypatch):
    for name in ("METHOD", "FORMAT", "LEVEL"):
        monkeypatch.delenv("NETDATA_LOG_" + name, raising=False)


@pytest.mark.parametrize("text, shown", [
    ("a plain text, it's \"good\"", "a plain text, it's \"good\""),
    ("two\nlines\r", "two\\nlines\\r"),
    ("\x1b[2J\0", "\\x1b[2J\\x00"),
    ("\u2028", "\\u2028"),
    ("\u00e9", "\u00e9"),
    ("\udcff", "\\udcff"),
])
def test_a_line(capfd, text, shown):
    log.write(log.ERROR, text)
    line = capfd.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: ebpf\.plugin ERROR : (.*)\n", line).group(1) == shown


def test_levels_are_named(capfd):
    for level in (log.ERROR, log.WARNING, log.NOTICE, log.INFO):
        log.write(level, "x")
    named = [line.split(": ebpf.plugin ")[1] for line in capfd.readouterr().err.splitlines()]
    assert named == ["ERROR : x", "WARNING : x", "NOTICE : x", "INFO  : x"]


@pytest.mark.parametrize("asked, shown", [
    ("emergency", []), ("crit", []), ("error", [3]), ("err", [3]), ("ERROR", [3]), ("warning", [3, 4]), ("warn", [3, 4]),
    ("notice", [3, 4, 5]), ("info", [3, 4, 5, 6]), ("debug", [3, 4, 5, 6]), ("", [3, 4, 5, 6]), ("loud", [3, 4, 5, 6]),
])
def test_the_agent_asks_for_a_level(monkeypatch, asked, shown):
    written = []
    monkeypatch.setenv("NETDATA_LOG_LEVEL", asked)
    monkeypatch.setattr(log.os, "write", lambda descriptor, data: written.append(data))
    for level in (3, 4, 5, 6):
        log.write(level, "x")
    assert len(written) == len(shown)


TEXTS = ["plain", 'quotes " and \\ backslashes', "a=b c", "\u00e9", "two\nlines", "\udcff", ""]
SHOWN = {"two\nlines": "two\\nlines", "\udcff": "\\udcff"}
every_text = pytest.mark.parametrize("text", TEXTS)


@every_text
def test_json(monkeypatch, capfd, text):
    monkeypatch.setenv("NETDATA_LOG_FORMAT", "json")
    before = time.time()
    log.write(log.WARNING, text)
    line, end = capfd.readouterr().err.split("\n")
    found = json.loads(line)
    assert before - 1 < found.pop("time") / 1e6 < time.time() + 1
    assert found == {"comm": "ebpf.plugin", "source": "collector", "level": "warning", "tid": os.getpid(),
                     "msg": SHOWN.get(text, text)}
    assert end == ""


@every_text
@pytest.mark.parametrize("form", ["logfmt", "journal", "new"])
def test_logfmt(monkeypatch, capfd, text, form):
    monkeypatch.setenv("NETDATA_LOG_FORMAT", form)
    log.write(log.NOTICE, text)
    found = re.fullmatch(r'time=(\S+) comm=ebpf\.plugin source=collector level=notice tid=%d msg="((?:\\.|[^"\\])*)"\n'
                         % os.getpid(), capfd.readouterr().err)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.group(1))
    assert re.sub(r"\\(.)", r"\1", found.group(2)) == SHOWN.get(text, text)


@pytest.fixture
def journal(monkeypatch, tmp_path):
    """What stands for journald: a socket, where the agent says that it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "journal"))
        listening.settimeout(5)
        monkeypatch.setenv("NETDATA_LOG_METHOD", "journal")
        monkeypatch.setenv("NETDATA_SYSTEMD_JOURNAL_PATH", str(tmp_path / "journal"))
        yield listening


@every_text
def test_journald_gets_native_fields(journal, capfd, text):
    log.write(log.ERROR, text)
    fields = dict(line.split("=", 1) for line in journal.recv(4096).decode().splitlines())
    assert fields == {"MESSAGE": SHOWN.get(text, text), "PRIORITY": "3", "SYSLOG_IDENTIFIER": "ebpf.plugin",
                      "ND_LOG_SOURCE": "collector", "TID": str(os.getpid())}
    assert capfd.readouterr().err == ""


def test_without_a_journald_it_is_stderr(journal, monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(log_methods, "JOURNALS", ())
    monkeypatch.setenv("NETDATA_SYSTEMD_JOURNAL_PATH", str(tmp_path / "none"))
    log.write(log.ERROR, "here")
    assert "ERROR : here" in capfd.readouterr().err


def test_syslog(monkeypatch, capfd):
    sent = []
    monkeypatch.setenv("NETDATA_LOG_METHOD", "syslog")
    monkeypatch.setattr(syslog, "syslog", lambda level, text: sent.append((level, text)))
    log.write(log.WARNING, "a\udcff")
    assert sent == [(syslog.LOG_WARNING, "a\\udcff")] and capfd.readouterr().err == ""


@FUZZ
@given(text=st.text(st.characters()))
def test_any_text_is_one_write_of_one_line(text):
    with mock.patch.object(log.os, "write") as write:
        log.write(log.INFO, text)
    (descriptor, data), _ = write.call_args
    assert write.call_count == 1 and descriptor == 2 and data.endswith(b"\n") and data[:-1].decode().isprintable()


def test_once(monkeypatch):
    written = []
    monkeypatch.setattr(log, "_said", set())
    monkeypatch.setattr(log, "write", lambda *line: written.append(line))
    for text in ("a", "b", "a"):
        log.once(log.ERROR, text)
    assert written == [(log.ERROR, "a"), (log.ERROR, "b")]


def test_once_about_something(monkeypatch):
    written = []
    monkeypatch.setattr(log, "_said", set())
    monkeypatch.setattr(log, "write", lambda *line: written.append(line))
    for number in range(3):
        log.once(log.ERROR, "%d so far" % number, "the count")
    assert written == [(log.ERROR, "0 so far")]


def test_a_stderr_that_is_closed(monkeypatch):
    def write(descriptor, data):
        raise OSError(9, os.strerror(9))

    monkeypatch.setattr(log.os, "write", write)
    log.write(log.ERROR, "to nobody")
