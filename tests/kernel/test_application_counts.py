"""Exactly N events, exactly N in the row of the application that made them, and none in another: on every attach method.

Loading takes most of the time, and whose row it is does not depend on the mode: for most of it, it is the one that has all
counters.
"""
import os
import pathlib
import re
import shutil
import subprocess

from cases import CASES
from harness.attached import COMM, EACH_METHOD, STOCK_KERNEL, methods_of, skip_without_method
from harness.attached_applications import (
    ALPHA, BETA, DELTA, EPSILON, NEW_NAMES, NOBODY_S, PID, TRIES, Applications, Command, Growth, Stage, as_subreaper, ends,
    exact, summed, missed_by_all_programs, closes_add, process_state, until
)
from harness.counting_sockets import V4, V6, run_pair
from harness.plugin_process import PLUGIN
import pytest
from test_counts import expected_of
from workloads import elf
from workloads import syscalls
from workloads import tcp
from workloads import udp
from workloads.messages import ANSWER, ASK, ask, expect

from ebpf_plugin.kernel import process, procfs
from ebpf_plugin.model.chart import ENTRY, RETURN
from ebpf_plugin.model.group import ATTACH_METHODS

pytestmark = pytest.mark.skipif(not syscalls.X86, reason="the programs are x86-64's")

N, M, K = 23, 37, 53
FIRST = 1
SENT_AGAIN = "bandwidth_tcp_retransmit"

# what a dimension of the host's charts is called per application
OF_HOST = {
    "file_descriptor.open": "file_open", "file_error.open": "file_open_error",
    "file_descriptor.close": "file_closed", "file_error.close": "file_close_error",
    "deleted_objects.delete": "file_deleted",
    "io.read": "vfs_read_call", "io_error.read": "vfs_read_error", "io_bytes.read": "vfs_read_bytes",
    "io.write": "vfs_write_call", "io_error.write": "vfs_write_error", "io_bytes.write": "vfs_write_bytes",
    "vfs_fsync.fsync": "vfs_fsync", "vfs_fsync_error.fsync": "vfs_fsync_error",
    "vfs_open.open": "vfs_open", "vfs_open_error.open": "vfs_open_error",
    "vfs_create.create": "vfs_create", "vfs_create_error.create": "vfs_create_error",
    "process_thread.process": "process_create", "process_thread.thread": "thread_create",
    "exit.process": "task_exit", "exit.task": "task_close",
}


@pytest.fixture(scope="module", params=EACH_METHOD)
def apps(request):
    """Loaded with a row for each application, for each attach method that this kernel has."""
    skip_without_method(request.param)
    found = Applications(request.param, RETURN)
    yield found
    found.close()


@pytest.fixture
def stage(apps):
    apps.settle()
    with Stage() as found:
        yield found


class OfHost:
    """`apps` with the attach methods of the host's dimensions, as test_counts.expected_of() asks for them."""

    def __init__(self, apps):
        self.mode = apps.mode
        self._methods = methods_of(apps.host_charts)

    def methods(self):
        return self._methods


# Of all the workloads that test_counts.py has as many as move every chart.
WORKLOADS = {
    "events": ("openat-ENXIO", "close-EBADF", "mknodat-EACCES", "preadv", "read-directory", "pwritev", "write-ENOSPC",
               "unlinkat", "fsync-EBADF", "vfork", "zombie", "clone-EAGAIN", "clone3-thread-EINVAL"),
    "threads": ("thread",),
}


def adds(apps, names):
    """{chart: what one event of each of these cases adds}"""
    found, host = {}, OfHost(apps)
    for case in CASES:
        for dimension in host.methods() if case.name in names else ():
            chart = "task_error" if dimension.startswith("task_error.") else OF_HOST.get(dimension)
            found = summed(found, {chart: expected_of(case, host, dimension)})
    return {chart: value for chart, value in found.items() if chart and value}


@pytest.mark.parametrize("names", WORKLOADS.values(), ids=WORKLOADS)
@exact
def test_workloads_count_for_their_application(apps, stage, names, tmp_path):
    count(apps, names, tmp_path)


@pytest.mark.releases
@pytest.mark.parametrize("method", ATTACH_METHODS)
def test_workloads_count_in_entry_mode(method, tmp_path):
    skip_without_method(method)
    apps = Applications(method, ENTRY)
    try:
        @exact
        def both(apps, stage):
            apps.settle()
            for names in WORKLOADS.values():
                count(apps, names, tmp_path)

        with Stage() as stage:
            both(apps=apps, stage=stage)
    finally:
        apps.close()


def count(apps, names, tmp_path):
    growth = Growth(apps)
    for case in CASES:
        if case.name in names:
            directory = tmp_path / case.name
            directory.mkdir(exist_ok=True)
            syscalls.run(case.work, COMM, N, directory)
    # threads are released later, where a tracepoint tells, when the process has another name again; see below
    late = names == WORKLOADS["threads"] and "tracepoint" in apps.methods("task_close")
    expected = {("beta", chart): N * value for chart, value in adds(apps, names).items()}
    growth.expect(expected, ("task_close",) if late else ())


def test_everything_that_is_charted_of_the_host_is_charted_of_applications(apps):
    ours = {each.id for each in apps.charts if each.group != "network"}
    of_host = methods_of(apps.host_charts)
    wanted = {chart for dimension, chart in OF_HOST.items() if dimension in of_host}
    assert ours == wanted | {"task_error"}
    assert all(each.kind == "stacked" and each.type == "apps" for each in apps.charts)
    assert set(adds(apps, sum(WORKLOADS.values(), ()))) == ours


# who belongs where

def exec_opens(apps, name):
    """execve(2) opens the program, in the name of who calls it; on system calls nobody sees that."""
    return {(name, "vfs_open"): int("tracepoint" not in apps.methods("vfs_open"))}


@exact
def test_a_name_that_the_file_has_counts_at_once(apps, stage):
    growth = Growth(apps)
    stage.play(stage.write(BETA, elf.closes(N)))
    growth.expect(summed(closes_add(beta=N), ends("beta")))


@exact
def test_a_child_counts_where_its_parent_does(apps, stage):
    growth = Growth(apps)
    stage.play(stage.write(BETA, elf.closes(N), elf.forked(elf.closes(M)), elf.waits()))
    growth.expect(summed(closes_add(beta=N + M), ends("beta", 2), {("beta", "process_create"): 1}))


@pytest.mark.parametrize("start", ["forked", "vforked"])
@exact
def test_a_child_that_executes_another_program(apps, stage, start):
    other = stage.write(BETA, elf.closes(M))
    child = elf.named(COMM) if start == "forked" else b""
    # ours is of beta as well, and not by its program's name
    forks = getattr(elf, start)(child + elf.executes(other))
    program = stage.write(NOBODY_S, elf.named(DELTA), elf.closes(N), forks, elf.waits())
    growth = Growth(apps)
    stage.play(program)
    growth.expect(summed(
        closes_add(delta=N, beta=M), ends("delta"), ends("beta"), {("delta", "process_create"): 1},
        exec_opens(apps, "beta" if child else "delta")))


@exact
def test_posix_spawn(apps, stage, tmp_path):
    other = stage.write(BETA, elf.closes(M))

    def spawns(named, n):
        with named:
            for _ in range(n):
                os.waitpid(os.posix_spawn(other, [other], {}), 0)

    growth = Growth(apps)
    syscalls.run(spawns, DELTA, N, tmp_path)
    opens = {("delta", "vfs_open"): N * exec_opens(apps, "delta")["delta", "vfs_open"]}
    growth.expect(summed(closes_add(beta=N * M), ends("beta", N), {("delta", "process_create"): N}, opens))


@exact
def test_threads_count_for_their_process_whatever_they_are_called(apps, stage):
    # the first thread may be the one that finds the signal and stops all: until then the other goes on
    thread = elf.named(DELTA) + elf.closes(M) + elf.stop() + elf.call("pause")
    growth = Growth(apps)
    pid = stage.start(stage.write(BETA, elf.closes(N), elf.threaded(thread), elf.call("pause")))
    stage.stopped(pid)
    assert {procfs.read("/proc/%d/task/%s/comm" % (pid, tid)).strip() for tid in os.listdir("/proc/%d/task" % pid)} == {
        BETA, DELTA}
    apps.settle()
    assert apps.of(pid) == "beta"
    growth.expect(summed(closes_add(beta=N + M), {("beta", "thread_create"): 1}))
    stage.kill(pid)
    growth.expect(summed(closes_add(beta=N + M), {("beta", "thread_create"): 1}, ends("beta", 2)))


@exact
def test_all_threads_of_a_process_that_ends_are_released_in_its_row(apps, stage):
    """All at once: the first one's release, with which the process is forgotten, may come before the others'."""
    rounds = 5
    threads = b"".join(elf.branch(elf.call("clone", elf.THREAD, elf.STACK - 256 * i), elf.call("pause")) for i in range(N))
    program = stage.write(BETA, threads)
    growth = Growth(apps)
    for _ in range(rounds):
        stage.play(program)
    growth.expect(summed(ends("beta", rounds * (N + 1)), {("beta", "thread_create"): rounds * N}))


@pytest.mark.parametrize("name, row", [(BETA, "beta"), (ALPHA + "-thr", "alpha"), (NOBODY_S + "-thr", "epsilon")],
                         ids=["known", "new", "of-no-group"])
@exact
def test_exec_by_a_thread_that_is_not_the_first(apps, stage, name, row):
    """The thread becomes the first one, with the process's number; and when it is gone it is known no more."""
    other = stage.write(name, elf.stop(), elf.closes(M))
    program = stage.write(EPSILON, elf.closes(N), elf.threaded(elf.executes(other)), elf.call("pause"))
    growth = Growth(apps)
    pid = stage.start(program)
    stage.stopped(pid)
    apps.settle()
    assert apps.of(pid) == row
    stage.go_on(pid)
    stage.ended(pid)
    # the first thread has to go; where the kernel tells late of releases, the process may be of the new name by then
    late = "tracepoint" in apps.methods("task_close") and ("epsilon", "task_close") not in growth.grown()
    released = row if late else "epsilon"
    growth.expect(summed(closes_add(**{"epsilon": N}), closes_add(**{row: M}), ends(row), exec_opens(apps, "epsilon"),
                         {("epsilon", "task_exit"): 1, (released, "task_close"): 1, ("epsilon", "thread_create"): 1}))
    forgotten(apps, pid)


def forgotten(apps, *pids):
    left = []
    if until(lambda: not left_of(apps, pids, left)):
        return
    if not STOCK_KERNEL and len(left) <= 1 + len(pids) // 100:
        pytest.skip("a kernel that runs BPF programs on top of every task")
    raise AssertionError("still in the table: %s" % left)


def left_of(apps, pids, left):
    left[:] = set(apps.table()).intersection(pids)
    return left


@exact
def test_a_process_that_ends_is_forgotten(apps, stage):
    growth = Growth(apps)
    pid = stage.start(stage.write(BETA, elf.closes(N)))
    stage.ended(pid)
    growth.expect(summed(closes_add(beta=N), ends("beta")))
    forgotten(apps, pid)


@exact
def test_a_daemon_counts_where_it_was_started(apps, stage):
    """Forked twice, a session of its own, its parents gone: it has a parent that is nobody's application."""
    daemon = elf.stop() + elf.closes(M)
    between = elf.call("setsid") + elf.forked(daemon)
    growth = Growth(apps)
    with as_subreaper():
        stage.play(stage.write(BETA, elf.closes(N), elf.forked(between), elf.waits()))
        pid = stage.find(BETA)
    stage.stopped(pid)
    apps.settle()
    assert apps.of(pid) == "beta"
    stage.go_on(pid)
    stage.ended(pid)
    growth.expect(summed(closes_add(beta=N + M), ends("beta", 3), {("beta", "process_create"): 2}))


@exact
def test_a_first_thread_that_takes_another_name_moves(apps, stage):
    growth = Growth(apps)
    stage.play(stage.write(BETA, elf.closes(N), elf.named(DELTA), elf.closes(M), elf.named(COMM), elf.closes(K)))
    growth.expect(summed(closes_add(beta=N + K, delta=M), ends("beta")))


@exact
def test_a_name_of_no_group_stays_where_it_is(apps, stage):
    other = stage.write(NOBODY_S + "-no", elf.closes(M), elf.stop(), elf.closes(K))
    growth = Growth(apps)
    pid = stage.start(stage.write(BETA, elf.closes(N), elf.executes(other)))
    stage.stopped(pid)
    apps.settle()
    stage.go_on(pid)
    stage.ended(pid)
    growth.expect(summed(closes_add(beta=N + M + K), ends("beta"), exec_opens(apps, "beta")))


@exact
def test_a_new_name_is_decided_at_the_next_tick_and_known_from_then_on(apps, stage):
    name = next(NEW_NAMES)
    growth = Growth(apps)
    program = stage.write(name, elf.closes(K), elf.stop(), elf.closes(N))
    pid = stage.start(stage.write(BETA, elf.executes(program)))
    stage.stopped(pid)
    assert apps.of(pid) == "beta"
    apps.settle()
    assert apps.of(pid) == "alpha"
    stage.go_on(pid)
    stage.ended(pid)
    at_first = summed(closes_add(beta=K, alpha=N), ends("alpha"), exec_opens(apps, "beta"))
    growth.expect(at_first)
    pid = stage.start(program)
    stage.stopped(pid)
    assert apps.of(pid) == "alpha"
    stage.go_on(pid)
    stage.ended(pid)
    growth.expect(summed(at_first, closes_add(alpha=K + N), ends("alpha")))


@exact
def test_the_command_line_decides(apps, stage):
    program = stage.write(DELTA, elf.closes(K), elf.stop(), elf.closes(N))
    growth = Growth(apps)
    for _ in range(2):
        pid = stage.start(program, "--like", "one-inside%d-two" % PID)
        stage.stopped(pid)
        apps.settle()
        assert apps.of(pid) == "gamma"
        stage.go_on(pid)
        stage.ended(pid)
    pid = stage.start(program, "--unlike")
    stage.stopped(pid)
    apps.settle()
    assert apps.of(pid) == "delta"
    stage.go_on(pid)
    stage.ended(pid)
    growth.expect(summed(closes_add(delta=3 * K + N, gamma=2 * N), ends("gamma", 2), ends("delta")))


@exact
def test_a_name_that_was_had_for_a_moment_is_not_what_counts(apps, stage):
    """New at first, then one of the file's: at the tick the collector is asked about a name that the process has no more."""
    name = next(NEW_NAMES)
    other = stage.write(BETA, elf.stop(), elf.closes(N))
    growth = Growth(apps)
    pid = stage.start(stage.write(name, elf.executes(other)))
    stage.stopped(pid)
    apps.settle()
    assert apps.of(pid) == "beta"
    stage.go_on(pid)
    stage.ended(pid)
    growth.expect(summed(closes_add(beta=N), ends("beta")))


def test_the_first_process_is_other(apps):
    assert apps.of(FIRST) == "other"


def test_the_kernel_s_threads_are_children_of_kthreadd(apps):
    table = apps.table()
    if procfs.read("/proc/2/comm") != "kthreadd\n":
        pytest.skip("a process id namespace that has the kernel's threads")
    threads = [pid for pid in table if procfs.read("/proc/%d/stat" % pid).rpartition(") ")[2].split()[1:2] == ["2"]]
    assert len(threads) > 10
    assert {table[pid][0] for pid in threads + [2]} == {"kernel"}


@exact
def test_a_process_in_a_namespace_of_its_own(apps, stage):
    """Its number there is 1, and that of a container's processes anything."""
    inner = elf.closes(M) + elf.forked(elf.closes(K)) + elf.waits()
    growth = Growth(apps)
    stage.play(stage.write(BETA, elf.closes(N), elf.call("unshare", elf.CLONE_NEWPID), elf.forked(inner), elf.waits()))
    growth.expect(summed(closes_add(beta=N + M + K), ends("beta", 3), {("beta", "process_create"): 2}))


@pytest.mark.parametrize("first, row", [(EPSILON, "epsilon"), (DELTA, "delta")], ids=["placed", "to-be-looked-at"])
@exact
def test_a_number_that_is_used_again_is_another_process(apps, stage, first, row):
    """At once, when the kernel has not told yet that the old process is released."""
    growth = Growth(apps)
    old = stage.start(stage.write(first, elf.closes(N)))
    stage.ended(old)
    pid = stage.start(stage.write(BETA, elf.forked_as(old, elf.stop() + elf.closes(M)), elf.waits()))
    if not until(lambda: procfs.read("/proc/%d/stat" % old).startswith("%d (%s) T %d " % (old, BETA, pid)), 5):
        pytest.skip("a machine where nobody else takes the number")
    assert apps.of(old) == "beta"
    # it is released now
    until(lambda: growth.grown().get((row, "task_close")) or growth.grown().get(("beta", "task_close")))
    assert apps.of(old) == "beta"
    apps.settle()
    assert apps.of(old) == "beta"
    stage.go_on(old)
    stage.ended(pid)
    # where the kernel tells late of the old one's release, nobody knows any more whose it was
    late = "tracepoint" in apps.methods("task_close")
    growth.expect(summed(closes_add(**{row: N, "beta": M}), ends(row), ends("beta", 2), {("beta", "process_create"): 1}),
                  ("task_close",) if late else ())


# many

@exact
def test_thousands_of_short_processes(apps, stage):
    """Sums are exact at the end, and no value ever goes back meanwhile; nothing is in `other` that was not put there."""
    n = 2003
    growth = Growth(apps)
    program = stage.write(BETA, elf.stop(), elf.ignoring_children(), elf.vforked(elf.closes(1), n))
    pid = stage.start(program)
    stage.stopped(pid)
    stage.go_on(pid)
    before, ticks = apps.values(), 0
    while process_state(pid) not in ("", "Z"):
        apps.tick()
        now = apps.values()
        assert not [key for key, value in before.items() if now[key] < value]
        host = apps.read()
        for name, reader in apps.readers.items():
            assert host[name] == tuple(map(sum, zip(*reader.values.values())))
        before, ticks = now, ticks + 1
    stage.ended(pid)
    assert ticks > 1 and apps.full() == 0
    growth.expect(summed(closes_add(beta=n), ends("beta", n + 1), {("beta", "process_create"): n}))


@exact
def test_the_sum_is_what_the_kernel_itself_has_counted(apps, stage):
    """/proc/stat has all processes and threads since the machine began. Under load, of us and of others."""
    if "tracepoint" not in apps.methods("process_create"):
        pytest.skip("an attach method that sees kthreads and io_uring's workers")

    def forks():
        return int(procfs.read("/proc/stat").partition("\nprocesses ")[2].split()[0])

    def now():
        """(forks since the machine began, what we have counted of them), of one moment."""
        while True:
            before, host = forks(), apps.read()["process"]
            if forks() == before:
                return before, sum(host[:2])

    def difference():
        forked, counted = now()
        return forked - counted

    before = difference()
    pid = stage.start(stage.write(NOBODY_S, elf.ignoring_children(), elf.vforked(b"", 1009)))
    other = stage.start(stage.write(BETA, elf.ignoring_children(), elf.vforked(b"", 1009)))
    for each in (pid, other):
        stage.ended(each)
    assert difference() == before


@exact
def test_who_is_looked_at_in_a_storm(apps, stage):
    """Two thousand processes with a name that only the command line explains begin and end between two ticks. The one that
    stays is in its group soon."""
    short = stage.write(DELTA)
    stage.play(stage.write(NOBODY_S, elf.ignoring_children(), elf.vforked(elf.executes(short), 2003)))
    pid = stage.start(stage.write("%s-in" % NOBODY_S, elf.stop()), "inside%d" % PID)
    stage.stopped(pid)
    for _ in range(10):
        apps.tick()
    assert apps.of(pid) == "gamma"
    stage.go_on(pid)
    stage.ended(pid)


# the network

def called(name, function):
    """`function` by a process of this name."""
    def work(end):
        process.set_name(name)
        function(end)
        process.set_name("not-counted")
    return work


def of_tally(name, counters):
    def total(*names):
        return sum(counters.get(each, 0) for each in names)

    return {(name, chart): value for chart, value in {
        "bandwidth_sent": total("tcp_send_bytes", "udp_send_bytes"),
        "bandwidth_recv": total("tcp_recv_bytes", "udp_recv_bytes"),
        "bandwidth_tcp_send": total("tcp_send_calls"), "bandwidth_tcp_recv": total("tcp_recv_calls"),
        "bandwidth_udp_send": total("udp_send_calls"), "bandwidth_udp_recv": total("udp_recv_calls"),
        "outbound_conn_v4": total("connect_v4"), "outbound_conn_v6": total("connect_v6")}.items()}


def push(end, n):
    """As tcp.retransmit(), by the one that has accepted."""
    listener = end.tcp(V4).serve(V4, end.port)
    end.say()
    wires = [listener.accept() for _ in range(n)]
    with end.host.cut(end.other, "neighbour"):
        for wire in wires:
            expect(wire.send(ASK), ASK)
    for wire in wires:
        expect(wire.recv_all(ANSWER), ANSWER)
        wire.close()


def pushed(end, n):
    end.hear()
    wires = [end.tcp(V4) for _ in range(n)]
    for wire in wires:
        expect(wire.connect(end.other.v4, end.port), 0)
    for wire in wires:
        expect(wire.recv_all(ASK), ASK)
        expect(wire.send(ANSWER), ANSWER)
        wire.close()


TALKS = {
    "tcp4": (tcp.client(V4, ask), tcp.server(V4, tcp.answer)),
    "tcp6": (tcp.client(V6, ask), tcp.server(V6, tcp.answer)),
    "udp4": (udp.client(V4, ask), udp.server(V4, udp.answer)),
    "udp6": (udp.client(V6, ask), udp.server(V6, udp.answer)),
    "client-retransmits": (tcp.retransmit(V4, "neighbour", False), tcp.answer_in_turn(V4)),
    "server-retransmits": (push, pushed),
    "listener-retransmits": (tcp.lose_answers(V4), tcp.request_at_once(V4)),
}


@pytest.mark.parametrize("name, where", [
    ("tcp4", "two-hosts"), ("udp6", "two-hosts"), ("client-retransmits", "two-hosts"), ("server-retransmits", "two-hosts"),
    ("listener-retransmits", "two-hosts"), ("tcp6", "loopback"), ("udp4", "loopback")])
@exact
def test_who_talks(apps, stage, pair, name, where):
    growth, segments = Growth(apps), Growth(apps, without=())
    one, other = TALKS[name]
    there = pair[1] if where == "two-hosts" else pair[0]
    whose = [(pair[0], {"beta"}), (there, {"epsilon"})] if where == "two-hosts" else [(there, {"beta", "epsilon"})]
    if "listener" in name and "tracepoint" not in apps.methods("outbound_conn_v4"):
        whose[0][1].add("other")  # functions say who listens when it accepts, the tracepoint at listen(2)
    before = [host.retransmissions() for host, _ in whose]
    port = 7700 + list(TALKS).index(name)
    outcome = run_pair(pair[0], there, port, [
        called(BETA, lambda end: one(end, N)), called(EPSILON, lambda end: other(end, N))])
    growth.expect(summed(of_tally("beta", outcome.counters), of_tally("epsilon", outcome.peer_counters)),
                  {chart.id for chart in apps.charts if chart.group != "network"} | {SENT_AGAIN})

    def sent_again():
        """[(segments that count for who is there, segments by the kernel)] of each host"""
        grown = segments.grown()
        return [(sum(grown.get((who, SENT_AGAIN), 0) for who in names), host.retransmissions() - count)
                for (host, names), count in zip(whose, before)]

    assert until(lambda: all(ours == kernels for ours, kernels in sent_again())), sent_again()
    assert sent_again()[0][1] >= (N if "retransmits" in name else 0)


# the command

def total(tick, chart):
    return sum(tick[chart].values())


OF_COMMAND = {"apps.file_open": ("ebpf.file_descriptor", "open"), "apps.file_closed": ("ebpf.file_descriptor", "close"),
              "apps.vfs_read_call": ("ebpf.io", "read"), "apps.vfs_write_bytes": ("ebpf.io_bytes", "write"),
              "apps.process_create": ("ebpf.process_thread", "process"), "apps.task_exit": ("ebpf.exit", "process")}


def test_the_command(tmp_path):
    """In load mode entry; what is loaded for the other tests is of the other one."""
    with Stage() as stage, Command(tmp_path) as plugin:
        plugin.ticks(3)
        stage.play(stage.write(BETA, elf.closes(N)))
        pid = stage.start(stage.write(ALPHA + "-cmd", elf.stop(), elf.closes(M)))
        stage.stopped(pid)
        plugin.ticks(3)
        stage.go_on(pid)
        stage.ended(pid)
        plugin.ticks(4)
        said = plugin.said()
        assert said[-1]["apps.file_closed"]["beta"] == N
        assert said[-1]["apps.file_closed"]["alpha"] == M
        assert said[-1]["apps.task_exit"]["alpha"] == said[-1]["apps.task_exit"]["beta"] == 1
        assert "apps.file_close_error" not in said[-1]
        # a dimension that is new begins at 0, and never goes back
        for before, now in zip(said, said[1:]):
            for chart in now:
                if chart.startswith("apps."):
                    assert all(value >= before[chart].get(row, 0) for row, value in now[chart].items())
                    assert not any(value for row, value in now[chart].items() if row not in before[chart])
        # else the host is the sum of its applications in every tick
        for before, now in zip(said, said[1:]):
            for chart, (host, dimension) in OF_COMMAND.items():
                if set(now[chart]) == set(before[chart]):
                    assert total(now, chart) == now[host][dimension], chart
        # what was counted while it started is in no chart: an agent's begin with the difference of the first two values
        first, second = said[:2]
        for chart, (host, dimension) in OF_COMMAND.items():
            if set(first[chart]) == set(second[chart]):
                assert total(second, chart) - total(first, chart) == second[host][dimension] - first[host][dimension], chart
        assert plugin.end() == ""


@pytest.mark.parametrize("flags, rows", [([], r"[1-9]\d*"), (["-g"], "0")], ids=["on", "-g"])
def test_without_applications_their_programs_are_not_loaded_and_no_row_is_looked_up(flags, rows):
    text = subprocess.run([PLUGIN, *flags, "--show-bpf"], check=True, capture_output=True, text=True).stdout
    assert ("group apps;" in text) == (not flags)
    assert set(re.findall(r"(?m)^ \* APPS = (\d+)$", text)) and re.search(r"(?m)^ \* APPS = %s$" % rows, text)


def test_a_table_that_is_full(tmp_path):
    """What is not in it counts as `other`: nothing is lost, and one line says so. The collector may sweep it."""
    n, times = 101, 2
    wanted = {"process_create": times * n, "file_closed": times * n * 7, "task_exit": times * (n + 1)}
    for _ in range(TRIES):
        with Stage() as stage, Command(tmp_path, options="[global]\npid table size = 64\n",
                                       environment={"EBPF_PLUGIN_TEST_COMM": BETA}) as plugin:
            plugin.ticks(2)
            missed = missed_by_all_programs()
            for _ in range(times):
                stage.play(stage.write(BETA, *[elf.forked(elf.closes(7))] * n, elf.waits(n)))
                plugin.ticks(3)
            last = plugin.said()[-1]
            counted = {chart: total(last, "apps." + chart) for chart in wanted}
            missed = missed_by_all_programs() - missed
            # this machine may have more than 64 processes to begin with
            lines = [line for line in plugin.end().splitlines() if "full at the start" not in line]
        assert len(lines) == 1 and "table of 64 processes is full" in lines[0]
        if counted == wanted or not missed:
            break
    assert counted == wanted


NETDATAS = "usr/lib/netdata/conf.d/apps_groups.conf"


@pytest.fixture(scope="module")
def netdatas(tmp_path_factory):
    """The text of the apps_groups.conf that Debian's netdata-core has."""
    if os.path.exists("/" + NETDATAS):
        return pathlib.Path("/" + NETDATAS).read_text()
    directory = tmp_path_factory.mktemp("netdata")
    if not shutil.which("apt-get") or subprocess.run(
            ["timeout", "60", "apt-get", "download", "netdata-core"], cwd=directory, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("netdata-core, installed or to be downloaded")
    package, = directory.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    return (directory / NETDATAS).read_text()


def test_netdatas_own_groups(netdatas, tmp_path):
    """A running system, and what is started then: in the groups that Netdata's users know."""
    before = {"sshd": "ssh", "nginx": "httpd", "postgres": "sql"}
    after = {"mysqld": "sql", "cron": "cron", "dhclient": "dhcp"}
    with Stage() as stage:
        running = [stage.start(stage.write(name, elf.stop(), elf.closes(N))) for name in before]
        for pid in running:
            stage.stopped(pid)
        with Command(tmp_path, conf=netdatas) as plugin:
            plugin.ticks(2)
            for pid in running:
                stage.go_on(pid)
                stage.ended(pid)
            started = [stage.start(stage.write(name, elf.stop(), elf.closes(M))) for name in after]
            plugin.ticks(3)  # a name that only a pattern of the file's fits is decided at a tick
            for pid in started:
                stage.stopped(pid)
                stage.go_on(pid)
                stage.ended(pid)
            plugin.ticks(3)
            last = plugin.said()[-1]
            counted = last["apps.file_closed"]
            expected = {}
            for names, n in ((before, N), (after, M)):
                for group in names.values():
                    expected[group] = expected.get(group, 0) + n
            assert {group: counted.get(group) for group in expected if counted.get(group, 0) < expected[group]} == {}
            assert "kernel" in counted or not os.path.exists("/proc/2/comm") or procfs.read("/proc/2/comm") != "kthreadd\n"
            assert total(last, "apps.file_closed") == last["ebpf.file_descriptor"]["close"]
            assert plugin.end() == ""
