"""Software interrupts: every one that the kernel counts is counted, and each is in one slot of its histogram."""
import socket
import time

from harness.attached import Attached, of_method, skip_without
import pytest

from ebpf_plugin.groups.softirq import DURATIONS, SOFTIRQ, VECTORS
from ebpf_plugin.model.chart import MODES

N = 997
SAMPLES = 2000


@pytest.fixture(scope="module", params=[of_method("tracepoint", mode) for mode in MODES])
def softirq(request):
    """The group, with nobody's events left out: software interrupts run on top of any task."""
    skip_without("tracepoint")
    found = Attached("auto", request.param, (SOFTIRQ,), {"comm": ""})
    yield found
    found.close()


def counts(softirq):
    """{counter: value}"""
    return dict(zip(SOFTIRQ.counters, softirq.readers["softirq"].read()))


def of_kernel():
    """{vector: how often its handler was started}, on all CPUs: /proc/softirqs."""
    with open("/proc/softirqs", encoding="ascii") as file:
        lines = [line.split() for line in file.readlines()[1:]]
    return {words[0].rstrip(":"): sum(map(int, words[1:])) for words in lines}


def ahead(softirq):
    """{vector: by how much the kernel's count is ahead of ours}, at a moment at which no handler is running.

    The kernel counts a handler when it begins, we when it has ended: so it is the least of many looks, each of which has the
    kernel's count after ours.
    """
    found = {}
    for _ in range(SAMPLES):
        ours = counts(softirq)
        for vector, started in of_kernel().items():
            behind = started - ours[vector.lower() + "_calls"]
            found[vector] = min(found.get(vector, behind), behind)
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


def test_every_handler_that_the_kernel_has_started_is_counted(softirq):
    before, begun = ahead(softirq), counts(softirq)
    work()
    after, ended = ahead(softirq), counts(softirq)
    assert after == before, "the kernel counts more than we have seen"
    assert ended["net_rx_calls"] - begun["net_rx_calls"] >= 1
    assert set(before) == set(VECTORS)


def test_each_is_in_one_slot_of_its_histogram(softirq):
    work()
    found = counts(softirq)
    for vector, histogram in zip(VECTORS, DURATIONS):
        slots = [found[counter] for counter in histogram.counters()]
        assert (vector, sum(slots)) == (vector, found[vector.lower() + "_calls"])


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


def test_a_vector_without_work_stays_at_zero_or_as_the_kernel_says(softirq):
    """IRQ_POLL is used by few drivers: where the kernel has none of them, we have none, either."""
    if of_kernel()["IRQ_POLL"] == 0:
        assert counts(softirq)["irq_poll_calls"] == 0
