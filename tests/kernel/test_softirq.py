"""Software interrupts: each one that the kernel counts is counted, and is in one slot of its histogram."""
import socket
import time

from harness.attached import Attached, method_param, skip_without_method
from harness.exact_counts import assert_counts, of_counters
import pytest

from ebpf_plugin.groups.softirq import DURATIONS, SOFTIRQ, VECTORS
from ebpf_plugin.model.chart import MODES

N = 997
SAMPLES = 2000


@pytest.fixture(scope="module", params=[method_param("tracepoint", mode) for mode in MODES])
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


def started_before(softirq):
    """{vector: handlers that the kernel has counted and the programs have not}, at a moment when no handler is running.

    The kernel counts a handler when it begins, the programs when it has ended. So this is the least difference of many
    samples, each of which reads the kernel's count last.
    """
    found = {}
    for _ in range(SAMPLES):
        counted = counts(softirq)
        for vector, started in of_kernel().items():
            difference = started - counted[vector.lower() + "_calls"]
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
    before, begun = started_before(softirq), counts(softirq)
    work()
    after, ended = started_before(softirq), counts(softirq)
    assert_counts(of_counters(after), of_counters(before), softirq.method, softirq.mode)
    assert ended["net_rx_calls"] - begun["net_rx_calls"] >= 1
    assert set(before) == set(VECTORS)


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
