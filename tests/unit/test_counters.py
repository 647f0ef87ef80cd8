"""Sums over the CPUs that are possible."""
import ctypes
import struct

import pytest

from ebpf_plugin import counters, kernel


@pytest.mark.parametrize("text, number", [
    ("0\n", 1), ("0-3\n", 4), ("0-127\n", 128), ("0,2\n", 2), ("0-3,8\n", 5), ("0-1,4-5,7\n", 5), ("5", 1),
])
def test_possible_cpus(text, number):
    assert counters.possible_cpus(text) == number


def test_possible_cpus_of_the_kernel(monkeypatch):
    monkeypatch.setattr(kernel, "read", {"/sys/devices/system/cpu/possible": "0-11\n"}.__getitem__)
    assert counters.possible_cpus() == 12


def test_a_read_sums_the_cpus_and_sees_what_changed(monkeypatch):
    monkeypatch.setattr(kernel, "read", lambda path: "0-2\n")
    of_cpus = [[1, 2 ** 63, 0], [10, 2 ** 63, 0], [100, 1, 7]]

    def bpf(command, attributes):
        descriptor, _, key, value, flags = struct.unpack("=IIQQQ", attributes)
        assert (command, descriptor, flags) == (kernel.BPF_MAP_LOOKUP_ELEM, 9, 0)
        assert ctypes.c_uint32.from_address(key).value == 0
        data = struct.pack("=9Q", *sum(of_cpus, []))
        ctypes.memmove(value, data, len(data))

    monkeypatch.setattr(kernel, "bpf", bpf)
    reader = counters.Counters(9, 3)
    assert reader.read() == (111, 2 ** 64 + 1, 7)
    of_cpus[0][2] = 5
    assert reader.read() == (111, 2 ** 64 + 1, 12)


def test_a_read_that_fails(monkeypatch):
    def bpf(command, attributes):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(kernel, "bpf", bpf)
    with pytest.raises(OSError):
        counters.Counters(9, 3).read()
