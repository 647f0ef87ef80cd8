"""What is left in the kernel: programs, maps and kprobe events."""
import errno
import os

from harness.attached import missing_feature

from ebpf_plugin.kernel import bpf, tracefs

NEXT_IDS = (11, 12)  # BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID


def left_in_kernel():
    """The ids of all programs and maps, and the names of our kprobe events."""
    if not missing_feature("probe"):
        os.close(os.open(tracefs.root() + "/kprobe_events", os.O_RDONLY))  # ours() takes an error for "none"
    return [ids(command) for command in NEXT_IDS] + [set(tracefs.ours())]


def ids(command):
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


def more_than(before):
    return [now - was for now, was in zip(left_in_kernel(), before)]
