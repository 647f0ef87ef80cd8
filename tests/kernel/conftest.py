"""Fixtures of a real kernel, and the summary of how exact it counts."""
import os
import shutil
import tempfile
import time

from harness import network_namespaces, summary
from harness.attached import EACH_METHOD, EACH_METHOD_AND_MODE, STOCK_KERNEL, Attached, skip_without_method
from harness.attached_applications import Applications, Processes
from harness.leaks import objects_in_kernel, added_since
from harness.plugin_process import PATIENCE, ROOT
import pytest

from ebpf_plugin.model.chart import RETURN

EXACT_TESTS = ("test_counts.py::test_n_events_add_exactly_n[",
               "test_network_counts.py::test_n_network_events_add_exactly_n[")

outcomes = {}  # {METHOD-MODE: outcomes of the exact tests}; the hooks are in harness/summary.py


def pytest_runtest_logreport(report):
    for test in EXACT_TESTS:
        _, found, name = report.nodeid.partition(test)
        if found and report.when == "call":  # a test that is skipped here counts as one that is not exact
            outcomes.setdefault("-".join(name.split("-")[:2]), []).append(report.outcome)


def pytest_terminal_summary(terminalreporter):
    """A line of the README's table of kernels for each attach method and mode."""
    for method_and_mode, found in outcomes.items():
        attached_hooks, all_hooks = summary.hooks(method_and_mode)
        terminalreporter.write_line("%s | %s | %d of %d hooks | %d of %d workloads exact" % (
            os.uname().release, method_and_mode.replace("-", " | "), attached_hooks, all_hooks, found.count("passed"),
            len(found)))


@pytest.fixture(scope="session", params=EACH_METHOD_AND_MODE)
def attached(request):
    """Attached for each attach method that this kernel has, in both modes; it counts processes named COMM."""
    method, mode = request.param.split("-")
    skip_without_method(method)
    found = Attached(method, mode)
    summary.note_hooks(request.param, found)
    yield found
    found.close()


@pytest.fixture(scope="module", params=EACH_METHOD)
def apps(request):
    """Applications, for each attach method that this kernel has."""
    skip_without_method(request.param)
    found = Applications(request.param, RETURN)
    yield found
    found.close()


@pytest.fixture
def processes(apps):
    """Processes that a test starts; all others have been placed."""
    apps.place_all()
    with Processes() as found:
        yield found


@pytest.fixture(scope="session")
def plugin_readable_by_all():
    """The path of the command in a directory that every user may read: a checkout may be in root's own."""
    with tempfile.TemporaryDirectory() as directory:
        for part in ("plugin", "bpf", "conf.d"):
            shutil.copytree(ROOT / part, directory + "/" + part)
        shutil.chown(directory, 65534)
        yield directory + "/plugin/ebpf.plugin"


@pytest.fixture
def clean_kernel():
    """After the test the kernel has no program, map or kprobe event that it did not have before.

    A process ends at once; then the kernel detaches its tracepoints one after the other, for seconds.
    """
    before = objects_in_kernel()
    yield
    deadline = time.monotonic() + PATIENCE
    while any(added_since(before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert added_since(before) == [set(), set(), set()]


@pytest.fixture(scope="module")
def pair():
    """Two hosts (network_namespaces.py) with no other traffic than a test's."""
    try:
        with network_namespaces.network("here", "there") as found:
            yield found
    except network_namespaces.NotAvailable as error:
        if STOCK_KERNEL:
            raise
        pytest.skip(str(error))
