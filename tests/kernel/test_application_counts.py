"""N events add exactly N to the row of the application that made them, and nothing to another: every attach method.

Most tests are in return mode only, which has all counters: the row does not depend on the mode, and loading takes long.
"""
import os
import pathlib
import re
import shutil
import subprocess

from cases import CASES
from cases.counted import added_by
from harness.attached import COMM, STOCK_KERNEL, methods_of, skip_without_method
from harness.attached_applications import (
    ALPHA, BETA, DELTA, EPSILON, NEW_NAMES, PID, TRIES, UNGROUPED, Applications, Growth, PluginWithApplications, Processes,
    as_subreaper, closes_add, ends_add, missed_by_all_programs, process_state, repeat_if_events_were_missed, summed, until
)
from harness.counting_sockets import V4, V6, run_pair
from harness.exact_counts import assert_counts
from harness.plugin_process import PLUGIN
import pytest
from workloads import elf, syscalls, tcp, tcp_events, udp
from workloads.messages import ask

from ebpf_plugin.kernel import process, procfs
from ebpf_plugin.model.chart import ENTRY
from ebpf_plugin.model.group import ATTACH_METHODS

pytestmark = pytest.mark.skipif(not syscalls.X86, reason="the programs are x86-64's")

N, M, K = 23, 37, 53
FIRST = 1
RETRANSMITTED = "bandwidth_tcp_retransmit"

# {dimension of the host's charts: chart of applications}
APPLICATION_CHART = {
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


# enough of the cases to move every chart
WORKLOADS = {
    "events": ("openat-ENXIO", "close-EBADF", "mknodat-EACCES", "preadv", "read-directory", "pwritev", "write-ENOSPC",
               "unlinkat", "fsync-EBADF", "vfork", "zombie", "clone-EAGAIN", "clone3-thread-EINVAL"),
    "threads": ("thread",),
}


def adds(apps, names):
    """{chart: what one event of each of these cases adds}"""
    found = {}
    for case in CASES:
        for dimension, methods in methods_of(apps.host_charts).items() if case.name in names else ():
            chart = "task_error" if dimension.startswith("task_error.") else APPLICATION_CHART.get(dimension)
            found = summed(found, {chart: added_by(case, dimension, methods, apps.mode)})
    return {chart: value for chart, value in found.items() if chart and value}


@pytest.mark.parametrize("names", WORKLOADS.values(), ids=WORKLOADS)
@repeat_if_events_were_missed
def test_n_events_add_exactly_n_to_their_application(apps, processes, names, tmp_path):
    assert_events_counted(apps, names, tmp_path)


@pytest.mark.releases
@pytest.mark.parametrize("method", ATTACH_METHODS)
def test_n_events_add_exactly_n_to_their_application_in_entry_mode(method, tmp_path):
    skip_without_method(method)
    apps = Applications(method, ENTRY)
    try:
        @repeat_if_events_were_missed
        def both(apps, processes):
            apps.place_all()
            for names in WORKLOADS.values():
                assert_events_counted(apps, names, tmp_path)

        with Processes() as processes:
            both(apps=apps, processes=processes)
    finally:
        apps.close()


def assert_events_counted(apps, names, tmp_path):
    growth = Growth(apps)
    for case in CASES:
        if case.name in names:
            directory = tmp_path / case.name
            directory.mkdir(exist_ok=True)
            syscalls.run(case.work, COMM, N, directory)
    # on tracepoints a thread's release is counted later, when its process may have another name again
    late = names == WORKLOADS["threads"] and "tracepoint" in apps.methods("task_close")
    added = {("beta", chart): N * value for chart, value in adds(apps, names).items()}
    growth.assert_exactly(added, ("task_close",) if late else ())


def test_every_dimension_of_the_host_has_a_chart_of_applications(apps):
    charts = {chart.id for chart in apps.charts if chart.group != "network"}
    host_dimensions = methods_of(apps.host_charts)
    of_dimensions = {chart for dimension, chart in APPLICATION_CHART.items() if dimension in host_dimensions}
    assert charts == of_dimensions | {"task_error"}
    assert {(chart.kind, chart.type) for chart in apps.charts} == {("stacked", "apps")}
    assert set(adds(apps, sum(WORKLOADS.values(), ()))) == charts


# which application a process belongs to

def exec_opens(apps, name):
    """execve(2) opens the program file, for the application that calls it. Hooks on system calls do not see that."""
    return {(name, "vfs_open"): int("tracepoint" not in apps.methods("vfs_open"))}


@repeat_if_events_were_missed
def test_a_name_in_apps_groups_conf_counts_from_the_start(apps, processes):
    growth = Growth(apps)
    processes.run(processes.write(BETA, elf.closes(N)))
    growth.assert_exactly(summed(closes_add(beta=N), ends_add("beta")))


@repeat_if_events_were_missed
def test_a_child_counts_for_its_parent_s_application(apps, processes):
    growth = Growth(apps)
    processes.run(processes.write(BETA, elf.closes(N), elf.forked(elf.closes(M)), elf.waits()))
    growth.assert_exactly(summed(closes_add(beta=N + M), ends_add("beta", 2), {("beta", "process_create"): 1}))


@pytest.mark.parametrize("start", ["forked", "vforked"])
@repeat_if_events_were_missed
def test_a_child_that_executes_another_program_counts_for_that_program(apps, processes, start):
    other = processes.write(BETA, elf.closes(M))
    child = elf.named(COMM) if start == "forked" else b""
    # COMM is a name of beta, and not the program's
    forks = getattr(elf, start)(child + elf.executes(other))
    program = processes.write(UNGROUPED, elf.named(DELTA), elf.closes(N), forks, elf.waits())
    growth = Growth(apps)
    processes.run(program)
    growth.assert_exactly(summed(
        closes_add(delta=N, beta=M), ends_add("delta"), ends_add("beta"), {("delta", "process_create"): 1},
        exec_opens(apps, "beta" if child else "delta")))


@repeat_if_events_were_missed
def test_posix_spawn_counts_for_the_new_program(apps, processes, tmp_path):
    other = processes.write(BETA, elf.closes(M))

    def spawns(named, n):
        with named:
            for _ in range(n):
                os.waitpid(os.posix_spawn(other, [other], {}), 0)

    growth = Growth(apps)
    syscalls.run(spawns, DELTA, N, tmp_path)
    opens = {("delta", "vfs_open"): N * exec_opens(apps, "delta")["delta", "vfs_open"]}
    growth.assert_exactly(summed(closes_add(beta=N * M), ends_add("beta", N), {("delta", "process_create"): N}, opens))


@repeat_if_events_were_missed
def test_a_thread_counts_for_its_process_whatever_its_name(apps, processes):
    # either thread may be the one that handles SIGSTOP: until then the other goes on
    thread = elf.named(DELTA) + elf.closes(M) + elf.stop() + elf.call("pause")
    growth = Growth(apps)
    pid = processes.run_until_stopped(processes.write(BETA, elf.closes(N), elf.threaded(thread), elf.call("pause")))
    assert {procfs.read("/proc/%d/task/%s/comm" % (pid, tid)).strip() for tid in os.listdir("/proc/%d/task" % pid)} == {
        BETA, DELTA}
    apps.place_all()
    assert apps.application_of(pid) == "beta"
    growth.assert_exactly(summed(closes_add(beta=N + M), {("beta", "thread_create"): 1}))
    processes.kill(pid)
    growth.assert_exactly(summed(closes_add(beta=N + M), {("beta", "thread_create"): 1}, ends_add("beta", 2)))


@repeat_if_events_were_missed
def test_all_threads_of_an_ending_process_are_released_in_its_row(apps, processes):
    """The main thread's release, after which the process is not in the table, may come before the others'."""
    rounds = 5
    threads = b"".join(elf.branch(elf.call("clone", elf.THREAD, elf.STACK - 256 * i), elf.call("pause")) for i in range(N))
    program = processes.write(BETA, threads)
    growth = Growth(apps)
    for _ in range(rounds):
        processes.run(program)
    growth.assert_exactly(summed(ends_add("beta", rounds * (N + 1)), {("beta", "thread_create"): rounds * N}))


@pytest.mark.parametrize("name, row", [(BETA, "beta"), (ALPHA + "-thr", "alpha"), (UNGROUPED + "-thr", "epsilon")],
                         ids=["known", "new", "ungrouped"])
@repeat_if_events_were_missed
def test_exec_by_another_than_the_main_thread_counts_for_the_new_program(apps, processes, name, row):
    """The thread becomes the main thread and gets the process id; after its end the process is not in the table."""
    other = processes.write(name, elf.stop(), elf.closes(M))
    program = processes.write(EPSILON, elf.closes(N), elf.threaded(elf.executes(other)), elf.call("pause"))
    growth = Growth(apps)
    pid = processes.run_until_stopped(program)
    apps.place_all()
    assert apps.application_of(pid) == row
    processes.run_to_end(pid)
    # the old main thread ends; on tracepoints its release may be counted when the process has the new name already
    late = "tracepoint" in apps.methods("task_close") and ("epsilon", "task_close") not in growth.grown()
    released = row if late else "epsilon"
    growth.assert_exactly(summed(
        closes_add(**{"epsilon": N}), closes_add(**{row: M}), ends_add(row), exec_opens(apps, "epsilon"),
        {("epsilon", "task_exit"): 1, (released, "task_close"): 1, ("epsilon", "thread_create"): 1}))
    assert_not_placed(apps, pid)


def assert_not_placed(apps, *pids):
    """None of the processes is in the table any more."""
    def remaining():
        return set(apps.placed()).intersection(pids)

    if not until(lambda: not remaining()):
        if not STOCK_KERNEL and len(remaining()) <= 1 + len(pids) // 100:
            pytest.skip("a kernel that runs BPF programs in every task")
        assert remaining() == set()


@repeat_if_events_were_missed
def test_a_process_that_has_ended_is_not_in_the_table(apps, processes):
    growth = Growth(apps)
    pid = processes.start(processes.write(BETA, elf.closes(N)))
    processes.wait_until_ended(pid)
    growth.assert_exactly(summed(closes_add(beta=N), ends_add("beta")))
    assert_not_placed(apps, pid)


@repeat_if_events_were_missed
def test_a_daemon_counts_for_the_application_that_started_it(apps, processes):
    """Forked twice, in a session of its own; its new parent belongs to another application."""
    daemon = elf.stop() + elf.closes(M)
    between = elf.call("setsid") + elf.forked(daemon)
    growth = Growth(apps)
    with as_subreaper():
        processes.run(processes.write(BETA, elf.closes(N), elf.forked(between), elf.waits()))
        pid = processes.adopt_stopped(BETA)
    processes.wait_until_stopped(pid)
    apps.place_all()
    assert apps.application_of(pid) == "beta"
    processes.run_to_end(pid)
    growth.assert_exactly(summed(closes_add(beta=N + M), ends_add("beta", 3), {("beta", "process_create"): 2}))


@repeat_if_events_were_missed
def test_a_new_name_of_the_main_thread_changes_the_application(apps, processes):
    growth = Growth(apps)
    processes.run(processes.write(BETA, elf.closes(N), elf.named(DELTA), elf.closes(M), elf.named(COMM), elf.closes(K)))
    growth.assert_exactly(summed(closes_add(beta=N + K, delta=M), ends_add("beta")))


@repeat_if_events_were_missed
def test_a_program_of_no_group_stays_in_its_application(apps, processes):
    other = processes.write(UNGROUPED + "-no", elf.closes(M), elf.stop(), elf.closes(K))
    growth = Growth(apps)
    pid = processes.run_until_stopped(processes.write(BETA, elf.closes(N), elf.executes(other)))
    apps.place_all()
    processes.run_to_end(pid)
    growth.assert_exactly(summed(closes_add(beta=N + M + K), ends_add("beta"), exec_opens(apps, "beta")))


@repeat_if_events_were_missed
def test_a_name_of_a_pattern_is_placed_at_the_next_tick_and_then_at_once(apps, processes):
    name = next(NEW_NAMES)
    growth = Growth(apps)
    program = processes.write(name, elf.closes(K), elf.stop(), elf.closes(N))
    pid = processes.run_until_stopped(processes.write(BETA, elf.executes(program)))
    assert apps.application_of(pid) == "beta"
    apps.place_all()
    assert apps.application_of(pid) == "alpha"
    processes.run_to_end(pid)
    at_first = summed(closes_add(beta=K, alpha=N), ends_add("alpha"), exec_opens(apps, "beta"))
    growth.assert_exactly(at_first)
    pid = processes.run_until_stopped(program)
    assert apps.application_of(pid) == "alpha"
    processes.run_to_end(pid)
    growth.assert_exactly(summed(at_first, closes_add(alpha=K + N), ends_add("alpha")))


@repeat_if_events_were_missed
def test_the_command_line_decides_for_patterns_with_asterisks(apps, processes):
    program = processes.write(DELTA, elf.closes(K), elf.stop(), elf.closes(N))
    growth = Growth(apps)
    for _ in range(2):
        pid = processes.run_until_stopped(program, "--like", "one-inside%d-two" % PID)
        apps.place_all()
        assert apps.application_of(pid) == "gamma"
        processes.run_to_end(pid)
    pid = processes.run_until_stopped(program, "--unlike")
    apps.place_all()
    assert apps.application_of(pid) == "delta"
    processes.run_to_end(pid)
    growth.assert_exactly(summed(closes_add(delta=3 * K + N, gamma=2 * N), ends_add("gamma", 2), ends_add("delta")))


@repeat_if_events_were_missed
def test_the_name_at_the_tick_counts_not_an_earlier_one(apps, processes):
    """An unknown name first, then one of apps_groups.conf: at the tick the collector is asked about the first."""
    name = next(NEW_NAMES)
    other = processes.write(BETA, elf.stop(), elf.closes(N))
    growth = Growth(apps)
    pid = processes.run_until_stopped(processes.write(name, elf.executes(other)))
    apps.place_all()
    assert apps.application_of(pid) == "beta"
    processes.run_to_end(pid)
    growth.assert_exactly(summed(closes_add(beta=N), ends_add("beta")))


def test_process_1_is_in_other(apps):
    assert apps.application_of(FIRST) == "other"


def test_kernel_threads_are_in_the_application_of_kthreadd(apps):
    table = apps.placed()
    if procfs.read("/proc/2/comm") != "kthreadd\n":
        pytest.skip("the first process id namespace, which has the kernel's threads")
    threads = [pid for pid in table if procfs.read("/proc/%d/stat" % pid).rpartition(") ")[2].split()[1:2] == ["2"]]
    assert len(threads) > 10
    assert {table[pid][0] for pid in threads + [2]} == {"kernel"}


@repeat_if_events_were_missed
def test_a_process_id_namespace_of_its_own_changes_nothing(apps, processes):
    """The process id there is 1, as in a container."""
    inner = elf.closes(M) + elf.forked(elf.closes(K)) + elf.waits()
    growth = Growth(apps)
    unshared = elf.call("unshare", elf.CLONE_NEWPID)
    processes.run(processes.write(BETA, elf.closes(N), unshared, elf.forked(inner), elf.waits()))
    growth.assert_exactly(summed(closes_add(beta=N + M + K), ends_add("beta", 3), {("beta", "process_create"): 2}))


@pytest.mark.parametrize("first, row", [(EPSILON, "epsilon"), (DELTA, "delta")], ids=["placed", "not-placed-yet"])
@repeat_if_events_were_missed
def test_a_reused_process_id_is_another_process(apps, processes, first, row):
    """It is reused at once, before the release of the old process is counted."""
    growth = Growth(apps)
    old = processes.start(processes.write(first, elf.closes(N)))
    processes.wait_until_ended(old)
    pid = processes.start(processes.write(BETA, elf.forked_as(old, elf.stop() + elf.closes(M)), elf.waits()))
    if not until(lambda: procfs.read("/proc/%d/stat" % old).startswith("%d (%s) T %d " % (old, BETA, pid)), 5):
        pytest.skip("a machine where no other process takes the id")
    assert apps.application_of(old) == "beta"
    # now the old one is released
    until(lambda: growth.grown().get((row, "task_close")) or growth.grown().get(("beta", "task_close")))
    assert apps.application_of(old) == "beta"
    apps.place_all()
    assert apps.application_of(old) == "beta"
    processes.resume(old)
    processes.wait_until_ended(pid)
    # on tracepoints the release is counted when the old process is not in the table any more
    late = "tracepoint" in apps.methods("task_close")
    expected = summed(closes_add(**{row: N, "beta": M}), ends_add(row), ends_add("beta", 2), {("beta", "process_create"): 1})
    growth.assert_exactly(expected, ("task_close",) if late else ())


# many

@repeat_if_events_were_missed
def test_2003_short_processes_are_counted_exactly_and_no_value_decreases(apps, processes):
    """Meanwhile the rows of all applications are the host's counters in every tick."""
    n = 2003
    growth = Growth(apps)
    program = processes.write(BETA, elf.stop(), elf.ignoring_children(), elf.vforked(elf.closes(1), n))
    pid = processes.run_until_stopped(program)
    processes.resume(pid)
    before, ticks = apps.values(), 0
    while process_state(pid) not in ("", "Z"):
        apps.tick()
        now = apps.values()
        assert [key for key, value in before.items() if now[key] < value] == []
        host = apps.host_counters()
        for name, reader in apps.readers.items():
            assert host[name] == tuple(map(sum, reader.columns)), name
        before, ticks = now, ticks + 1
    processes.wait_until_ended(pid)
    assert ticks > 1
    assert apps.processes_without_room() == 0
    growth.assert_exactly(summed(closes_add(beta=n), ends_add("beta", n + 1), {("beta", "process_create"): n}))


@repeat_if_events_were_missed
def test_process_counts_are_those_of_proc_stat(apps, processes):
    """/proc/stat has the number of processes and threads since boot, of this test and all others."""
    if "tracepoint" not in apps.methods("process_create"):
        pytest.skip("an attach method that sees kernel threads and io_uring's workers")

    def forks():
        return int(procfs.read("/proc/stat").partition("\nprocesses ")[2].split()[0])

    def now():
        """(forks since boot, forks that the programs have counted), at one moment."""
        while True:
            before, host = forks(), apps.host_counters()["process"]
            if forks() == before:
                return before, sum(host[:2])

    def difference():
        forked, counted = now()
        return forked - counted

    before = difference()
    pid = processes.start(processes.write(UNGROUPED, elf.ignoring_children(), elf.vforked(b"", 1009)))
    other = processes.start(processes.write(BETA, elf.ignoring_children(), elf.vforked(b"", 1009)))
    for each in (pid, other):
        processes.wait_until_ended(each)
    assert difference() == before


@repeat_if_events_were_missed
def test_a_process_is_placed_soon_among_2003_short_ones(apps, processes):
    """They begin and end between two ticks, and have a name for which the command line decides."""
    short = processes.write(DELTA)
    processes.run(processes.write(UNGROUPED, elf.ignoring_children(), elf.vforked(elf.executes(short), 2003)))
    pid = processes.run_until_stopped(processes.write("%s-in" % UNGROUPED, elf.stop()), "inside%d" % PID)
    for _ in range(10):
        apps.tick()
    assert apps.application_of(pid) == "gamma"
    processes.run_to_end(pid)


# the network

def run_as(name, workload):
    """A function of (peer) that runs N events of the workload while the process has this name."""
    def work(peer):
        process.set_name(name)
        workload(peer, N)
        process.set_name("not-counted")
    return work


def calls_add(name, counters):
    """What the calls of a peer, {counter: count}, add to the application."""
    def total(*names):
        return sum(counters.get(each, 0) for each in names)

    return {(name, chart): value for chart, value in {
        "bandwidth_sent": total("tcp_send_bytes", "udp_send_bytes"),
        "bandwidth_recv": total("tcp_recv_bytes", "udp_recv_bytes"),
        "bandwidth_tcp_send": total("tcp_send_calls"), "bandwidth_tcp_recv": total("tcp_recv_calls"),
        "bandwidth_udp_send": total("udp_send_calls"), "bandwidth_udp_recv": total("udp_recv_calls"),
        "outbound_conn_v4": total("connect_v4"), "outbound_conn_v6": total("connect_v6")}.items()}


PAIRS = {
    "tcp4": (tcp.client(V4, ask), tcp.server(V4, tcp_events.answer)),
    "tcp6": (tcp.client(V6, ask), tcp.server(V6, tcp_events.answer)),
    "udp4": (udp.client(V4, ask), udp.server(V4, udp.answer)),
    "udp6": (udp.client(V6, ask), udp.server(V6, udp.answer)),
    "client-retransmits": (tcp.retransmit(V4, "neighbour", False), tcp.answer_in_turn(V4)),
    "server-retransmits": (tcp.retransmit_as_server(V4), tcp.answer_server(V4)),
    "listener-retransmits": (tcp.lose_answers(V4), tcp.request_at_once(V4)),
}


@pytest.mark.parametrize("name, where", [
    ("tcp4", "two-hosts"), ("udp6", "two-hosts"), ("client-retransmits", "two-hosts"), ("server-retransmits", "two-hosts"),
    ("listener-retransmits", "two-hosts"), ("tcp6", "loopback"), ("udp4", "loopback")])
@repeat_if_events_were_missed
def test_network_calls_add_exactly_to_both_applications(apps, processes, pair, name, where):
    growth, segments = Growth(apps), Growth(apps, without=())
    workload, peer_workload = PAIRS[name]
    there = pair[1] if where == "two-hosts" else pair[0]
    if where == "two-hosts":
        hosts = [(pair[0], {"beta"}), (there, {"epsilon"})]  # and the applications of their processes
    else:
        hosts = [(there, {"beta", "epsilon"})]
    if "listener" in name and "tracepoint" not in apps.methods("outbound_conn_v4"):
        hosts[0][1].add("other")  # functions set a listener's application at accept(2), the tracepoint at listen(2)
    before = [host.retransmissions() for host, _ in hosts]
    port = 7700 + list(PAIRS).index(name)
    outcome = run_pair(pair[0], there, port, [run_as(BETA, workload), run_as(EPSILON, peer_workload)])
    growth.assert_exactly(summed(calls_add("beta", outcome.counters), calls_add("epsilon", outcome.peer_counters)),
                          {chart.id for chart in apps.charts if chart.group != "network"} | {RETRANSMITTED})

    def retransmissions():
        """[(segments counted for the applications, segments counted by the kernel)] of each host"""
        grown = segments.grown()
        return [(sum(grown.get((application, RETRANSMITTED), 0) for application in applications),
                 host.retransmissions() - count) for (host, applications), count in zip(hosts, before)]

    until(lambda: all(counted == by_kernel for counted, by_kernel in retransmissions()))
    for number, (counted, by_kernel) in enumerate(retransmissions()):
        assert_counts({"%s.host %d" % (RETRANSMITTED, number): counted}, {"%s.host %d" % (RETRANSMITTED, number): by_kernel},
                      "+".join(sorted(apps.methods(RETRANSMITTED))), apps.mode)
    assert retransmissions()[0][1] >= (N if "retransmits" in name else 0)


# the command

def total(tick, chart):
    return sum(tick[chart].values())


HOST_DIMENSION = {
    "apps.file_open": ("ebpf.file_descriptor", "open"), "apps.file_closed": ("ebpf.file_descriptor", "close"),
    "apps.vfs_read_call": ("ebpf.io", "read"), "apps.vfs_write_bytes": ("ebpf.io_bytes", "write"),
    "apps.process_create": ("ebpf.process_thread", "process"), "apps.task_exit": ("ebpf.exit", "process")}


def test_the_plugin_sends_exact_counts_of_applications(tmp_path):
    """In load mode entry, with new dimensions meanwhile."""
    with Processes() as processes, PluginWithApplications(tmp_path) as plugin:
        plugin.read_ticks(3)
        processes.run(processes.write(BETA, elf.closes(N)))
        pid = processes.run_until_stopped(processes.write(ALPHA + "-cmd", elf.stop(), elf.closes(M)))
        plugin.read_ticks(3)
        processes.run_to_end(pid)
        plugin.read_ticks(4)
        ticks = plugin.complete_ticks()
        seen = {chart + "." + application: ticks[-1]["apps." + chart][application]
                for chart in ("file_closed", "task_exit") for application in ("alpha", "beta")}
        assert_counts(seen, {"file_closed.beta": N, "file_closed.alpha": M, "task_exit.alpha": 1, "task_exit.beta": 1},
                      "auto", "entry")
        assert "apps.file_close_error" not in ticks[-1]
        for before, now in zip(ticks, ticks[1:]):
            for chart in now:
                if chart.startswith("apps."):
                    values = now[chart].items()
                    assert {row: value for row, value in values if value < before[chart].get(row, 0)} == {}
                    # a new dimension begins at 0
                    assert {row: value for row, value in values if value and row not in before[chart]} == {}
        for before, now in zip(ticks, ticks[1:]):
            for chart, (host, dimension) in HOST_DIMENSION.items():
                if set(now[chart]) == set(before[chart]):  # without new dimensions the host is the sum of its applications
                    sums, expected = {chart + ".sum": total(now, chart)}, {chart + ".sum": now[host][dimension]}
                    assert_counts(sums, expected, "auto", "entry")
        # what was counted while the plugin started is in no chart: the agent begins with the second value's difference
        first, second = ticks[:2]
        for chart, (host, dimension) in HOST_DIMENSION.items():
            if set(first[chart]) == set(second[chart]):
                assert_counts({chart + ".sum": total(second, chart) - total(first, chart)},
                              {chart + ".sum": second[host][dimension] - first[host][dimension]}, "auto", "entry")
        assert plugin.terminate() == ""


@pytest.mark.parametrize("flags, rows", [([], r"[1-9]\d*"), (["-g"], "0")], ids=["on", "-g"])
def test_without_applications_their_programs_are_not_loaded_and_no_row_is_looked_up(flags, rows):
    text = subprocess.run([PLUGIN, *flags, "--show-bpf"], check=True, capture_output=True, text=True).stdout
    assert ("group apps;" in text) == (not flags)
    assert re.search(r"(?m)^ \* APPS = %s$" % rows, text)


def test_processes_without_room_in_the_table_count_as_other(tmp_path):
    """No count is lost, and one line of the log says so. The collector may remove entries of ended processes."""
    n, times = 101, 2
    expected = {"process_create": times * n, "file_closed": times * n * 7, "task_exit": times * (n + 1)}
    for _ in range(TRIES):
        with Processes() as processes, PluginWithApplications(
                tmp_path, options="[global]\npid table size = 64\n", environment={"EBPF_PLUGIN_TEST_COMM": BETA}) as plugin:
            plugin.read_ticks(2)
            missed = missed_by_all_programs()
            for _ in range(times):
                processes.run(processes.write(BETA, *[elf.forked(elf.closes(7))] * n, elf.waits(n)))
                plugin.read_ticks(3)
            last = plugin.complete_ticks()[-1]
            counted = {chart: total(last, "apps." + chart) for chart in expected}
            missed = missed_by_all_programs() - missed
            # this machine may have more than 64 processes to begin with
            lines = [line for line in plugin.terminate().splitlines() if "full at the start" not in line]
        assert len(lines) == 1, lines
        assert "table of 64 processes is full" in lines[0]
        if counted == expected or not missed:
            break
    assert_counts({chart + ".sum": value for chart, value in counted.items()},
                  {chart + ".sum": value for chart, value in expected.items()}, "auto", "entry")


NETDATA_S_FILE = "usr/lib/netdata/conf.d/apps_groups.conf"


@pytest.fixture(scope="module")
def netdata_s_groups(tmp_path_factory):
    """The text of the apps_groups.conf that Debian's netdata-core has."""
    if os.path.exists("/" + NETDATA_S_FILE):
        return pathlib.Path("/" + NETDATA_S_FILE).read_text()
    directory = tmp_path_factory.mktemp("netdata")
    if not shutil.which("apt-get") or subprocess.run(
            ["timeout", "60", "apt-get", "download", "netdata-core"], cwd=directory, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("netdata-core, installed or to be downloaded")
    package, = directory.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    return (directory / NETDATA_S_FILE).read_text()


def test_processes_are_in_the_groups_of_netdata_s_own_file(netdata_s_groups, tmp_path):
    """Processes that are older than the plugin, and some that are started later."""
    before = {"sshd": "ssh", "nginx": "httpd", "postgres": "sql"}
    after = {"mysqld": "sql", "cron": "cron", "dhclient": "dhcp"}
    with Processes() as processes:
        running = [processes.start(processes.write(name, elf.stop(), elf.closes(N))) for name in before]
        for pid in running:
            processes.wait_until_stopped(pid)
        with PluginWithApplications(tmp_path, conf=netdata_s_groups) as plugin:
            plugin.read_ticks(2)
            for pid in running:
                processes.run_to_end(pid)
            started = [processes.start(processes.write(name, elf.stop(), elf.closes(M))) for name in after]
            plugin.read_ticks(3)  # names that only a pattern fits are placed at a tick
            for pid in started:
                processes.wait_until_stopped(pid)
                processes.run_to_end(pid)
            plugin.read_ticks(3)
            last = plugin.complete_ticks()[-1]
            counted = last["apps.file_closed"]
            expected = {}
            for names, n in ((before, N), (after, M)):
                for group in names.values():
                    expected[group] = expected.get(group, 0) + n
            assert {group: counted.get(group) for group in expected if counted.get(group, 0) < expected[group]} == {}
            if os.path.exists("/proc/2/comm") and procfs.read("/proc/2/comm") == "kthreadd\n":
                assert "kernel" in counted
            assert total(last, "apps.file_closed") == last["ebpf.file_descriptor"]["close"]
            assert plugin.terminate() == ""
