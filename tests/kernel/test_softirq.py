"""Software interrupts: each one that the kernel counts is counted, and is in one slot of its histogram."""
import contextlib
import socket
import time

from harness import ftrace
from harness.attached import STOCK_KERNEL, Attached, skip_without_method
from harness.exact_counts import assert_counts, of_counters
import pytest

from ebpf_plugin.groups.softirq import DURATIONS, SOFTIRQ, VECTORS

N = 997
SAMPLES = 2000


@pytest.fixture(scope="module", params=["return", pytest.param("entry", marks=pytest.mark.releases)])
def softirq(request):
    """The group, for all processes: software interrupts interrupt any task."""
    skip_without_method("tracepoint")
    found = Attached("auto", request.param, (SOFTIRQ,), {"comm": ""})
    yield found
    found.close()


def counts(softirq):
    """{counter: value}"""
    return dict(zip(SOFTIRQ.counters, softirq.readers["softirq"].read()))


def of_kernel():
    """{vector: how often its handler was started}, the sum of all CPUs in /proc/softirqs."""
    with open("/proc/softirqs", encoding="ascii") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    return {words[0].rstrip(":"): sum(map(int, words[1:])) for words in lines}


def started_before(ended):
    """{vector: handlers that the kernel has counted and `ended` has not}, at a moment when no handler is running.

    `ended()` is {vector: handlers}. The kernel counts a handler when it begins, others when it has ended. So this is the
    least difference of many samples, each of which reads the kernel's count last.
    """
    found = {}
    for _ in range(SAMPLES):
        counted = ended()
        for vector, started in of_kernel().items():
            difference = started - counted[vector]
            found[vector] = min(found.get(vector, difference), difference)
    return found


def work():
    """Packets, timers and RCU callbacks."""
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 0))
        for number in range(N):
            sender.sendto(b"x", receiver.getsockname())
            receiver.recv(1)
            if number % 100 == 0:
                time.sleep(0.01)


def test_every_handler_that_the_kernel_counts_is_counted(softirq):
    with contextlib.ExitStack() as stack:
        events = {vector: stack.enter_context(ftrace.FtraceEvents("irq/softirq_exit", "vec == %d" % number))
                  for number, vector in enumerate(VECTORS)}

        def of_programs():
            found = counts(softirq)
            return {vector: found[vector.lower() + "_calls"] for vector in VECTORS}

        def of_ftrace():
            return {vector: event.count() for vector, event in events.items()}

        before, received = started_before(of_programs), of_programs()["NET_RX"]
        traced = {} if STOCK_KERNEL else started_before(of_ftrace)
        work()
        after = started_before(of_programs)
        if traced and after != before and started_before(of_ftrace) == traced:
            ftrace.skip_programs_did_not_run(sum(after.values()) - sum(before.values()))
    assert set(before) == set(VECTORS)
    assert_counts(of_counters(after), of_counters(before), softirq.method, softirq.mode)
    assert of_programs()["NET_RX"] - received >= 1


def test_each_handler_is_in_one_slot_of_its_histogram(softirq):
    work()
    found = counts(softirq)
    sums = {vector: sum(found[counter] for counter in histogram.counters()) for vector, histogram in zip(VECTORS, DURATIONS)}
    calls = {vector: found[vector.lower() + "_calls"] for vector in VECTORS}
    assert_counts(of_counters(sums), of_counters(calls), softirq.method, softirq.mode)


def test_the_time_is_within_the_bounds_of_the_slots(softirq):
    work()
    found = counts(softirq)
    for vector, histogram in zip(VECTORS, DURATIONS):
        slots, bounds = [found[counter] for counter in histogram.counters()], histogram.lower_bounds()
        least = sum(slot * bound * 1000 for slot, bound in zip(slots, bounds))
        spent = found[vector.lower() + "_ns"]
        assert least <= spent, vector
        if not slots[-1]:
            assert spent <= sum(slot * bound * 1000 for slot, bound in zip(slots, (*bounds[1:], 0))), vector


def test_a_vector_that_the_kernel_does_not_use_stays_at_0(softirq):
    """IRQ_POLL is used by few drivers."""
    if of_kernel()["IRQ_POLL"] == 0:
        assert counts(softirq)["irq_poll_calls"] == 0
