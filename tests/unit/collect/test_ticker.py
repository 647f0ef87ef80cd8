"""When the plugin ticks and when it stops."""
import os
import socket
import time
from types import SimpleNamespace

import pytest

from ebpf_plugin import lifecycle
from ebpf_plugin.collect import ticker

EVERY = 0.05


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    ends = {"reading": reading, "writing": writing}
    yield ends
    for descriptor in ends.values():
        os.close(descriptor)


def test_end_of_stdin_stops(pipe):
    os.close(pipe.pop("writing"))
    with pytest.raises(lifecycle.Stop):
        ticker.Ticker(60, pipe["reading"]).wait()


@pytest.mark.parametrize("said", [b"QUIT", b"QUIT\n", b"QUIT\r\n", b"FUNCTION x 10 \"y\"\nQUIT\n", b"\n\nQUIT"])
def test_quit_stops(pipe, said):
    os.write(pipe["writing"], said)
    with pytest.raises(lifecycle.Stop):
        ticker.Ticker(60, pipe["reading"]).wait()


@pytest.mark.parametrize("said", [b"\n", b"FUNCTION x 10 \"y\"\n", b"quit\n", b"QUITE\n", b"\0\xff" * 5000])
def test_other_words_are_not_for_us(pipe, said):
    os.write(pipe["writing"], said)
    pulse = ticker.Ticker(EVERY, pipe["reading"])
    for _ in range(2):
        pulse.wait()


def test_a_socket_is_watched_as_well():
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(lifecycle.Stop):
            ticker.Ticker(60, ours.fileno()).wait()


@pytest.mark.parametrize("path", ["/dev/null", __file__])
def test_what_says_nothing_never_stops(path):
    with open(path, "rb") as stdin:
        ticker.Ticker(EVERY, stdin.fileno()).wait()


def test_a_stdin_that_is_closed():
    descriptor = os.dup(0)
    os.close(descriptor)
    ticker.Ticker(EVERY, descriptor).wait()


class Clock:
    """A wall clock and a monotonic one that go together. poll() sleeps as it is told; `delays` pass before each look."""

    def __init__(self, wall, delays=()):
        self._now, self._wall, self._delays = 500.0, wall, list(delays)

    def _look(self):
        self._now += self._delays.pop(0) if self._delays else 0
        return self._now

    def monotonic(self):
        return self._look()

    def time(self):
        return self._wall + self._look() - 500.0

    def poll(self, milliseconds):
        self._now += milliseconds / 1000
        return []


def wall_after_wait(monkeypatch, clock, every):
    monkeypatch.setattr(ticker, "time", clock)
    monkeypatch.setattr(ticker, "select", SimpleNamespace(poll=lambda: clock, POLLIN=1))
    with open("/dev/null", "rb") as stdin:
        ticker.Ticker(every, stdin.fileno()).wait()
    return clock.time()


@pytest.mark.parametrize("every, wall, tick", [
    (1, 1000.25, 1001), (1, 1000.999, 1001), (1, 1000.0, 1001), (2, 1001.5, 1002), (5, 1001, 1005), (10, 1009.5, 1010),
])
def test_ticks_are_whole_multiples_of_the_wall_clock(monkeypatch, every, wall, tick):
    assert wall_after_wait(monkeypatch, Clock(wall), every) == pytest.approx(tick, abs=1e-6)


@pytest.mark.parametrize("delays", [(0.01,), (0, 0.01), (0, 0, 0.01)])
def test_a_tick_never_comes_before_its_time(monkeypatch, delays):
    # niced as the agent runs us, we can lose the processor between any two looks at a clock; a tick that came 10 ms early
    # would be followed by a second one 10 ms later
    assert 1001 - 1e-6 <= wall_after_wait(monkeypatch, Clock(1000.25, delays), 1) < 1001.1


def test_how_late_a_tick_is_and_how_long_it_takes(monkeypatch):
    # the clock is looked at three times in a wait: before, when to wake up, and then
    clock = Clock(1000.25, (0, 0, 0, 0.01, 0.3))
    monkeypatch.setattr(ticker, "time", clock)
    monkeypatch.setattr(ticker, "select", SimpleNamespace(poll=lambda: clock, POLLIN=1))
    with open("/dev/null", "rb") as stdin:
        pulse = ticker.Ticker(1, stdin.fileno())
        assert (pulse.late, pulse.took) == (0, 0)
        pulse.wait()
        assert (pulse.late, pulse.took) == (pytest.approx(0.01), 0)
        pulse.wait()
        assert (pulse.late, pulse.took) == (pytest.approx(0), pytest.approx(0.3))


def test_real_ticks_are_an_interval_apart():
    with open("/dev/null", "rb") as stdin:
        pulse = ticker.Ticker(EVERY, stdin.fileno())
        pulse.wait()
        began = time.monotonic()
        for _ in range(3):
            pulse.wait()
        assert time.monotonic() - began > 2 * EVERY


def test_in_a_long_wait_it_tells_that_it_is_there(monkeypatch):
    """An agent that hears nothing for two minutes stops us."""
    monkeypatch.setattr(ticker, "QUIET", 0.05)
    called = []
    ticker.Ticker(0.4, still_here=lambda: called.append(time.monotonic())).wait()
    ticker.Ticker(0.4, still_here=lambda: called.append(time.monotonic())).wait()
    assert 5 <= len(called) <= 15
