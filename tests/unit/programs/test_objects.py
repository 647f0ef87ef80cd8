"""Programs by their ids, as the kernel gives them."""
import ctypes
import errno
import os
import struct

import pytest

from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.programs import objects


def info(**fields):
    """struct bpf_prog_info as bytes."""
    values = [0] * len(objects.FIELDS)
    values[objects.FIELDS["tag"]] = values[objects.FIELDS["name"]] = b""
    for name, value in fields.items():
        values[objects.FIELDS[name]] = value
    return objects.INFO.pack(*values)


class Kernel:
    """Has programs {id: struct bpf_prog_info}. The program `vanishing` is in the list, but nobody gets a descriptor."""

    def __init__(self, programs, vanishing=None):
        self.programs, self.vanishing, self.opened = programs, vanishing, {}

    def bpf(self, command, attributes):
        if command == objects.BPF_PROG_GET_NEXT_ID:
            after = [number for number in sorted(self.programs) if number > struct.unpack_from("=I", attributes)[0]]
            if not after:
                raise FileNotFoundError(errno.ENOENT, "no more")
            struct.pack_into("=I", attributes, 4, after[0])
            return 0
        if command == objects.BPF_PROG_GET_FD_BY_ID:
            number = struct.unpack_from("=I", attributes)[0]
            if number == self.vanishing:
                raise FileNotFoundError(errno.ENOENT, "gone")
            descriptor = os.open("/dev/null", os.O_RDONLY)
            self.opened[descriptor] = number
            return descriptor
        assert command == bpf.BPF_OBJ_GET_INFO_BY_FD
        descriptor, size, address = struct.unpack("=IIQ", attributes)
        data = self.programs[self.opened[descriptor]]
        ctypes.memmove(address, data, min(size, len(data)))
        return 0


def of(monkeypatch, programs, vanishing=None):
    kernel = Kernel(programs, vanishing)
    monkeypatch.setattr(bpf, "bpf", kernel.bpf)
    return kernel


def test_a_program_as_the_kernel_describes_it(monkeypatch):
    of(monkeypatch, {7: info(id=7, type=26, name=b"vfs_read_fexit", run_cnt=23, run_time_ns=4601, recursion_misses=2,
                             load_time=99, uid=5, map_count=3, btf_id=11, attach_btf_object=1, attach_btf_id=2000)})
    found, = objects.programs()
    assert (found.id, found.type, found.name, found.runs, found.run_time, found.missed, found.loaded, found.uid) == (
        7, "tracing", "vfs_read_fexit", 23, 4601, 2, 99, 5)
    assert (found.map_count, found.btf_id, found.target) == (3, 11, (1, 2000))


def test_the_offsets_are_those_of_the_kernels_header():
    """include/uapi/linux/bpf.h: run_time_ns is at 192, run_cnt at 200, recursion_misses at 208."""
    data = info(run_time_ns=1, run_cnt=2, recursion_misses=3, map_count=4, function_size=8)
    assert struct.unpack_from("=QQQ", data, 192) == (1, 2, 3)
    assert struct.unpack_from("=I", data, objects.MAPS_AT) == (4,)
    assert struct.unpack_from("=I", data, objects.FUNCTIONS_AT) == (8,)


def test_a_kernel_that_knows_less_leaves_the_rest_zero(monkeypatch):
    of(monkeypatch, {7: info(id=7, type=2, run_cnt=23, recursion_misses=9)[:208]})  # 5.10
    found, = objects.programs()
    assert (found.runs, found.missed, found.target) == (23, 0, (0, 0))


def test_a_type_that_is_newer_has_its_number(monkeypatch):
    of(monkeypatch, {7: info(id=7, type=99)})
    assert [each.type for each in objects.programs()] == ["type_99"]


def test_a_program_that_vanishes_is_left_out(monkeypatch):
    kernel = of(monkeypatch, {number: info(id=number, type=1) for number in (3, 5, 7)}, vanishing=5)
    assert [each.id for each in objects.programs()] == [3, 7]
    for descriptor in kernel.opened:  # nothing keeps others' programs alive
        with pytest.raises(OSError):
            os.fstat(descriptor)


def test_who_may_not_list_programs_is_told(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")
    monkeypatch.setattr(bpf, "bpf", refuse)
    with pytest.raises(PermissionError):
        list(objects.programs())


def test_whole_numbers_of_fdinfo():
    descriptor = os.open("/dev/null", os.O_RDONLY)
    found = procfs.fdinfo("self", descriptor)
    os.close(descriptor)
    assert found["pos"] == 0
    assert procfs.fdinfo("self", descriptor) == {}
