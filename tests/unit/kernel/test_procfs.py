"""What /proc tells of processes."""
import io

import pytest

from ebpf_plugin.kernel import procfs


class Proc:
    """/proc as {path in it: text}; what is not in it cannot be read."""

    def __init__(self, monkeypatch, files):
        self._files = {"/proc/" + path: text for path, text in files.items()}
        monkeypatch.setattr(procfs, "open", self._open, raising=False)
        monkeypatch.setattr(procfs.os, "listdir", lambda path: sorted({name.split("/")[2] for name in self._files}))

    def _open(self, path, mode):
        if path not in self._files:
            raise FileNotFoundError(path)
        return io.BytesIO(self._files[path])


@pytest.mark.parametrize("stat, comm, name", [
    (b"7 (sh) S 3 7 7", None, b"sh"), (b"7 (a) b (c)) S 3 7 7", None, b"a) b (c)"), (b"7 () S 3", None, b""),
    (b"7 (C:\\\\x.exe) S 3 7", b"C:\\x.exe\n", b"C:\\x.exe"),  # proc_task_name() escapes \ and the end of line
    (b"7 (a\\nb) S 3 7", b"a\nb\n", b"a\nb"),
    # a kernel thread's is longer in /proc than what the kernel's programs see
    (b"7 (kworker/u8:2-events_unbound) S 3", None, b"kworker/u8:2-ev"),
    (b"7 (kworker\\u8:2-events_unbound) S 3", b"kworker\\u8:2-events_unbound\n", b"kworker\\u8:2-ev"),
])
def test_names_and_parents_of_everybody(monkeypatch, stat, comm, name):
    files = {"7/stat": stat, "self/stat": b"no number", "meminfo": b"", **({} if comm is None else {"7/comm": comm})}
    Proc(monkeypatch, files)
    assert procfs.processes() == {7: (name, 3)}


def test_who_ends_while_everybody_is_looked_at_is_left_out(monkeypatch):
    Proc(monkeypatch, {"6/comm": b"its stat is gone\n", "7/stat": b"7 (a\\\\b) S 1", "8/stat": b"8 (sh) S 1"})
    assert procfs.processes() == {8: (b"sh", 1)}


def test_command_lines(monkeypatch):
    Proc(monkeypatch, {"7/cmdline": b"java\0-jar\0", "8/cmdline": b"x" * 99999})
    assert procfs.command_line(7) == b"java\0-jar\0" and procfs.command_line(9) is None
    assert len(procfs.command_line(8)) == 16384
