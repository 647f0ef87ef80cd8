"""A real kernel: the programs are loaded once for each method and mode, and see only processes of a name of our own."""
import os
import shutil
import tempfile
import time

from harness import network_namespaces
from harness.attached import EACH_METHOD_AND_MODE, STOCK_KERNEL, Attached, skip_without_method
from harness.leaks import objects_in_kernel, added_since
from harness.plugin_process import PATIENCE, ROOT
import pytest

hooks, cases = {}, {}  # by attach method and mode: [(attached there, all) of each test]; outcomes of the exact tests


def pytest_runtest_logreport(report):
    for test in ("test_counts.py::test_counts[", "test_network_counts.py::test_network["):
        _, found, name = report.nodeid.partition(test)
        if found and report.when == "call":  # one that is skipped here is one of all, and not exact
            cases.setdefault("-".join(name.split("-")[:2]), []).append(report.outcome)


def pytest_terminal_summary(terminalreporter):
    """The table of the README, a kernel's part."""
    for attached_on, outcomes in cases.items():
        terminalreporter.write_line("%s | %s | %d of %d hooks | %d of %d workloads exact" % (
            os.uname().release, attached_on.replace("-", " | "), *map(sum, zip(*hooks[attached_on])),
            outcomes.count("passed"), len(outcomes)))


def note_hooks(name, attached):
    """For the summary: `name` is RUNG-MODE."""
    methods = [hook.method for of_group in attached.loaded.hooks.values() for hook in of_group.values()]
    hooks.setdefault(name, []).append((methods.count(attached.method), len(methods)))


@pytest.fixture(scope="session", params=EACH_METHOD_AND_MODE)
def attached(request):
    """Attached for each attach method that this kernel has, in both modes."""
    method, mode = request.param.split("-")
    skip_without_method(method)
    found = Attached(method, mode)
    note_hooks(request.param, found)
    yield found
    found.close()


@pytest.fixture(scope="session")
def plugin_readable_by_all():
    """The command in a place where everybody may read it: a checkout may be in root's own directory."""
    with tempfile.TemporaryDirectory() as directory:
        for part in ("plugin", "bpf", "conf.d"):
            shutil.copytree(ROOT / part, directory + "/" + part)
        shutil.chown(directory, 65534)
        yield directory + "/plugin/ebpf.plugin"


@pytest.fixture
def clean_kernel():
    """At the end of the test the kernel holds nothing that it did not hold at the beginning.

    The process is gone at once; the kernel takes tracepoints down one after the other, for seconds.
    """
    before = objects_in_kernel()
    yield
    deadline = time.monotonic() + PATIENCE
    while any(added_since(before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert added_since(before) == [set(), set(), set()]


@pytest.fixture(scope="module")
def pair():
    """Two hosts that nobody else talks to (network_namespaces.py)."""
    try:
        with network_namespaces.network("here", "there") as found:
            yield found
    except network_namespaces.NotAvailable as error:
        if STOCK_KERNEL:
            raise
        pytest.skip(str(error))
