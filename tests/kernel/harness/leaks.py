"""Programs, maps and kprobe events in the kernel: a test that leaks some fails."""
import errno
import os

from harness.attached import missing_feature

from ebpf_plugin.kernel import bpf, tracefs

NEXT_IDS = (11, 12)  # BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID


def objects_in_kernel():
    """[ids of all programs, ids of all maps, names of the plugin's kprobe events]"""
    if not missing_feature("probe"):
        os.close(os.open(tracefs.root() + "/kprobe_events", os.O_RDONLY))  # ours() takes an error for "none"
    return [ids(command) for command in NEXT_IDS] + [set(tracefs.ours())]


def ids(command):
    """All ids, by BPF_PROG_GET_NEXT_ID or BPF_MAP_GET_NEXT_ID."""
    found, last = set(), 0
    while True:
        attributes = bytearray(last.to_bytes(4, "little") + bytes(8))
        try:
            bpf.bpf(command, attributes)
        except OSError as error:
            assert error.errno == errno.ENOENT
            return found
        last = int.from_bytes(attributes[4:8], "little")
        found.add(last)


def added_since(before):
    """As objects_in_kernel(), without those of `before`."""
    return [now - old for now, old in zip(objects_in_kernel(), before)]
