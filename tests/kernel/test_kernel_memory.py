"""The memory of maps: --check says what the kernel holds, and hashes allocate their entries only where that is safe."""
import contextlib
import os
import re
import resource
import subprocess

from harness.attached_applications import PluginWithApplications, until
from harness.leaks import NEXT_IDS, ids
from harness.plugin_process import PLUGIN

from ebpf_plugin.groups.rows import TABLES
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.load.programs import Maps
from ebpf_plugin.model.table import BPF_F_NO_PREALLOC

NEXT_MAP, MAP_BY_ID = NEXT_IDS[1], 14  # BPF_MAP_GET_NEXT_ID, BPF_MAP_GET_FD_BY_ID
KB_OF_PROCESSES = 64  # what may come and go between two looks: 72 bytes each


def kilobytes(numbers):
    """Of the maps with these ids."""
    descriptors = [bpf.bpf(MAP_BY_ID, bytearray(number.to_bytes(4, "little") + bytes(8))) for number in numbers]
    try:
        return procfs.locked_memory(descriptors) // 1024
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def kernel_log():
    """The lines of the kernel's log since boot."""
    descriptor, lines = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK), []
    try:
        while True:
            lines.append(os.read(descriptor, 8192).decode("utf-8", "replace"))
    except BlockingIOError:
        return lines
    finally:
        os.close(descriptor)


def test_check_says_how_much_memory_the_kernel_holds(clean_kernel, tmp_path):
    before = ids(NEXT_MAP)
    with PluginWithApplications(tmp_path, "-r") as plugin:
        plugin.read_ticks(2)
        held = kilobytes(ids(NEXT_MAP) - before)
        plugin.terminate()
    assert until(lambda: ids(NEXT_MAP) <= before)  # maps of an earlier test may have gone as well
    report = subprocess.run([PLUGIN, "1", "--config", str(tmp_path), "-r", "--check"], check=False, stdout=subprocess.PIPE,
                            text=True).stdout
    said = int(re.search(r"(?m)^tables in the kernel: (\d+) kB$", report).group(1))
    assert abs(said - held) < KB_OF_PROCESSES


def test_hashes_allocate_their_entries_where_the_kernel_has_an_allocator_for_programs():
    """bpf_mem_alloc, since 6.1. Before it the kernel warns of programs that use such a hash."""
    with contextlib.suppress(ValueError):  # maps are charged to it before 5.11; containers may not raise it
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    maps = Maps({table.name: table for table in TABLES}, {"APPS": 1, "APPS_PROCESSES": 64, "CGROUPS": 1})
    try:
        flags = {name: int(re.search(r"map_flags:\s*(\w+)", procfs.read("/proc/self/fdinfo/%d" % maps[name])).group(1), 16)
                 for name in ("applications", "cgroup_rows", "cgroups_asked")}
    finally:
        maps.close_others(set())
    with open("/proc/kallsyms", encoding="ascii") as file:
        has_allocator = " bpf_mem_alloc_init\n" in file.read()
    assert flags == dict.fromkeys(flags, BPF_F_NO_PREALLOC if has_allocator else 0)
    assert [line for line in kernel_log() if "run-time allocat" in line] == []
