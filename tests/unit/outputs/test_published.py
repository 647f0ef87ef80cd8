"""The output that hands samples to the process that serves metrics."""
import contextlib
import os
import time
from types import SimpleNamespace

import pytest

from ebpf_plugin import lifecycle
from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.outputs import metrics, sample_page
from ebpf_plugin.outputs.published import Published

IO = Chart("vfs", "io", "Calls to IO", "calls/s", "VFS", 0, (Dimension("read"),))


class Other:
    """Another output, which notes what it is told."""

    def __init__(self):
        self.told = []

    def __enter__(self):
        self.told.append("enter")
        return self

    def __exit__(self, *_):
        self.told.append("exit")
        return False

    def begin(self, now, sample):
        self.told.append(("begin", now, sample))

    def show(self, now, sample):
        self.told.append(("show", now, sample))

    def still_here(self):
        self.told.append("still here")


@pytest.fixture
def state():
    """What run.py says, with a server that waits to be killed."""
    page = os.memfd_create("page", 0)
    pid = os.fork()
    if not pid:
        time.sleep(600)
        os._exit(0)
    dead, alive = os.pipe()
    yield {"page": page, "server": pid, "alive": alive, "hooks": (("vfs", "vfs_read", "tracepoint"), ("vfs", "fsync", "")),
           "counters": {}}
    end(pid)
    for descriptor in (page, dead, alive):
        with contextlib.suppress(OSError):  # `alive` is closed at the end of an output
            os.close(descriptor)


def end(pid):
    try:
        os.kill(pid, 9)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except (ProcessLookupError, ChildProcessError):
        pass


def text(state):
    return "".join(metrics.texts(sample_page.read(state["page"]).sample()))


def test_every_sample_is_handed_over_before_it_is_shown(state):
    other, sample = Other(), [(IO, (23,))]
    with Published(state, 1, other) as output:
        output.begin(1, sample)
        assert 'ebpf_vfs_io_calls_total 23\n' in text(state)
        output.show(2, [(IO, (29,))])
        assert 'ebpf_vfs_io_calls_total 29\n' in text(state)
        output.still_here()
    assert other.told == ["enter", ("begin", 1, sample), ("show", 2, [(IO, (29,))]), "still here", "exit"]


def test_alone_there_is_no_other_output(state):
    with Published(state, 1, None) as output:
        output.begin(1, [(IO, (23,))])
        output.show(2, [(IO, (29,))])
        output.still_here()
    assert 'ebpf_vfs_io_calls_total 29\n' in text(state)


def test_the_plugin_itself(state):
    output = Published(state, 1, None)
    output.show(time.monotonic(), [])
    lines = text(state).splitlines()
    assert 'ebpf_plugin_hook_attached{group="vfs",hook="vfs_read",method="tracepoint"} 1' in lines
    assert 'ebpf_plugin_hook_attached{group="vfs",hook="fsync",method=""} 0' in lines
    seconds = next(float(line.split()[1]) for line in lines if line.startswith("ebpf_plugin_tick_seconds "))
    assert 0 <= seconds < 5


def test_what_others_show_once_more_is_no_metric(state):
    once_more = [(IO.replaced(type="services", by="cgroup"), (23,)), (IO.replaced(type="cgroup_x"), (23,))]
    Published(state, 1, None).show(1, once_more)
    assert "ebpf_vfs_io" not in text(state) and "ebpf_cgroup" not in text(state)


def test_rows_as_the_kernel_has_them_are_no_metrics(state):
    output = Published({**state, "counters": {"vfs": ("read_calls", "read_errors")}}, 1, None)
    readers = {"vfs": SimpleNamespace(columns=[[5, 0, 23], [1, 0, 0]]), "file": SimpleNamespace(columns=[[1]])}
    output.watch(readers)
    output.show(time.monotonic(), [(IO, (23,))])
    page = sample_page.read(state["page"])
    assert list(page.rows()) == [("vfs", 0, "read_calls", 5), ("vfs", 0, "read_errors", 1), ("vfs", 2, "read_calls", 23),
                                 ("vfs", 2, "read_errors", 0)]
    assert "raw" not in text(state) and "read_calls" not in text(state)


def test_a_server_that_has_ended_is_told_once_and_charts_go_on(state, said):
    other = Other()
    output = Published(state, 1, other)
    end(state["server"])
    for now in range(3):
        output.show(now, [(IO, (23,))])
    assert said == ["the process that serves metrics has ended with status -9: there are no metrics until the plugin is "
                    "started again"]
    assert len(other.told) == 3


def test_a_server_that_has_ended_ends_a_plugin_that_has_nothing_else_to_do(state, said):
    output = Published(state, 1, None)
    end(state["server"])
    with pytest.raises(lifecycle.Stop) as stop:
        output.show(1, [(IO, (23,))])
    assert stop.value.status == 1 and len(said) == 1


def test_a_sample_that_cannot_be_handed_over_is_told_once_and_charts_go_on(state, said, monkeypatch):
    other = Other()
    output = Published(state, 1, other)
    monkeypatch.setattr(sample_page, "ROOM", 100)
    for now in range(3):
        output.show(now, [(IO, (23,))])
    assert len(said) == 1 and said[0].startswith("cannot hand samples to the process that serves metrics: a sample of ")
    assert len(other.told) == 3
