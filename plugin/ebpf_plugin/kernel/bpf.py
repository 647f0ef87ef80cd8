"""bpf(2) and perf_event_open(2), which Python does not have. Each function raises OSError; sizes are in bytes."""
from __future__ import annotations

import fcntl
import mmap
import os
import struct

from . import procfs
from .libc import LIBC, address, call, pointer

BPF_MAP_CREATE, BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM, BPF_PROG_LOAD = 0, 1, 2, 3, 5
BPF_ANY, BPF_NOEXIST, BPF_EXIST = 0, 1, 2
BPF_OBJ_GET_INFO_BY_FD, BPF_RAW_TRACEPOINT_OPEN, BPF_MAP_LOOKUP_BATCH, BPF_LINK_CREATE = 15, 17, 24, 28
BPF_BTF_LOAD = 18
BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY = 1, 2
LONGEST_NAME = 15  # bytes of a name that the kernel keeps with a program or a map

# (bpf, perf_event_open) by architecture: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h
SYSCALLS = {"x86_64": (321, 298), "aarch64": (280, 241)}
MACHINE = os.uname().machine

BPF_TRACE_KPROBE_MULTI = 42
PERF_TYPE_TRACEPOINT = 2
PERF_FLAG_FD_CLOEXEC = 8
PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF = 0x2400, 0x40042408


def bpf(command: int, attributes: bytearray) -> int:
    """bpf(2): `attributes` begins as union bpf_attr does; the kernel may write there. Returns what the call returns."""
    return call(LIBC.syscall, SYSCALLS[MACHINE][0], command, pointer(attributes), len(attributes))


def map_create(kind: int, key_size: int, value_size: int, entries: int, flags: int = 0, name: str = "") -> int:
    """Returns the descriptor of a new map of this BPF_MAP_TYPE. Of `name` 15 characters are kept (4.15)."""
    return bpf(BPF_MAP_CREATE, bytearray(struct.pack(
        "=7I16s", kind, key_size, value_size, entries, flags, 0, 0, name.encode()[:15])))


def map_memory(descriptor: int, size: int, protection: int = mmap.PROT_READ) -> mmap.mmap:
    """The values of an array that was made with BPF_F_MMAPABLE (5.5), each rounded up to 8 bytes."""
    return mmap.mmap(descriptor, size, mmap.MAP_SHARED, protection)


def element(descriptor: int, key: bytearray, value: bytearray | None = None, flags: int = 0) -> bytearray:
    """The attributes of bpf(2) for an element of a map; they have the addresses of `key` and `value`."""
    return bytearray(struct.pack("=IIQQQ", descriptor, 0, address(key), address(value) if value else 0, flags))


def map_lookup(descriptor: int, key: bytes, size: int) -> bytes:
    """The `size` bytes that a map has at `key`. Raises FileNotFoundError if it is not there."""
    wanted, value = bytearray(key), bytearray(size)
    bpf(BPF_MAP_LOOKUP_ELEM, element(descriptor, wanted, value))
    return bytes(value)


def map_delete(descriptor: int, key: bytes) -> None:
    """Take `key` out; nothing happens if it is not there."""
    unwanted = bytearray(key)
    try:
        bpf(BPF_MAP_DELETE_ELEM, element(descriptor, unwanted))
    except FileNotFoundError:
        pass


def map_update(descriptor: int, key: bytes, value: bytes, flags: int = BPF_ANY) -> None:
    """Put `value` at `key`, both of the map's sizes. Raises FileExistsError with BPF_NOEXIST, FileNotFoundError with
    BPF_EXIST, and E2BIG if the map is full."""
    place, content = bytearray(key), bytearray(value)
    bpf(BPF_MAP_UPDATE_ELEM, element(descriptor, place, content, flags))


class Rejected(OSError):
    """The verifier did not take a program; the text has its last words."""


def prog_load(kind: int, name: str, instructions: bytes, expected_attach_type: int = 0, attach_btf_id: int = 0) -> int:
    """Returns the descriptor of a verified program of this BPF_PROG_TYPE. Of `name` 15 characters are kept, and the whole
    in BTF, if the kernel takes that: for bpftool, and for `ebpf.plugin programs`.

    Raises Rejected if the verifier has something to say, else OSError.
    """
    if len(name) > LONGEST_NAME:
        try:
            return _load_with_btf(kind, name, instructions, expected_attach_type, attach_btf_id)
        except OSError:
            pass  # then without
    try:
        return _prog_load(kind, name, instructions, expected_attach_type, attach_btf_id)
    except OSError as error:
        log = bytearray(1 << 20)
        try:
            return _prog_load(kind, name, instructions, expected_attach_type, attach_btf_id, log)
        except OSError:
            said = [line for line in log.partition(b"\0")[0].decode("ascii", "replace").splitlines()
                    if line and not line.startswith(("processed ", "verification time", "stack depth"))]
            raise Rejected(error.errno, "verifier: " + said[-1]) if said else error from None


def _load_with_btf(kind: int, name: str, instructions: bytes, expected_attach_type: int, attach_btf_id: int) -> int:
    from .btf import of_function  # only the loader has it
    data, function = of_function(name)
    text = bytearray(data)
    btf = bpf(BPF_BTF_LOAD, bytearray(struct.pack("=QQIIII", address(text), 0, len(data), 0, 0, 0)))
    try:
        return _prog_load(kind, name, instructions, expected_attach_type, attach_btf_id, None, (btf, function))
    finally:
        os.close(btf)  # the program holds it


def _prog_load(kind: int, name: str, instructions: bytes, expected_attach_type: int, attach_btf_id: int,
               log: bytearray | None = None, btf: tuple[int, int] | None = None) -> int:
    """`btf` is the descriptor of a BTF object, and the id of the program's function in it."""
    code, license_text = bytearray(instructions), bytearray(b"GPL\0")
    # struct bpf_func_info: the function begins with the first instruction
    functions = bytearray(struct.pack("=II", 0, btf[1])) if btf else bytearray()
    attributes = struct.pack(
        "=IIQQIIQII16sIIIIQIIQIII",
        kind, len(instructions) // 8, address(code), address(license_text),
        1 if log else 0, len(log) if log else 0, address(log) if log else 0, _version(), 0, name.encode()[:15],
        0, expected_attach_type, btf[0] if btf else 0, len(functions), address(functions) if btf else 0, 1 if btf else 0,
        0, 0, 0, attach_btf_id, 0,
    )
    return bpf(BPF_PROG_LOAD, bytearray(attributes))


def _version() -> int:
    """LINUX_VERSION_CODE of the running kernel, which kprobe programs had to name before 5.0."""
    numbers = os.uname().release.split("-")[0].split(".")[:3]
    major, minor, patch = (int(number) if number.isdigit() else 0 for number in (numbers + ["0", "0"])[:3])
    return (major << 16) + (minor << 8) + min(patch, 255)


def recursion_misses(program: int) -> int:
    """How often the kernel did not run `program` because it was running on that CPU already (5.12; before that, 0)."""
    return _info(program, 216, 208)


def kprobe_multi_misses(link: int) -> int:
    """How often ftrace did not enter the program of a kprobe_multi() because it was in use already (6.7; before that, 0)."""
    return _info(link, 48, 32)


def _info(descriptor: int, size: int, offset: int) -> int:
    """The u64 at `offset` in `size` bytes of struct bpf_prog_info or bpf_link_info; 0 if the kernel's is shorter."""
    info = bytearray(size)
    bpf(BPF_OBJ_GET_INFO_BY_FD, bytearray(struct.pack("=IIQ", descriptor, size, address(info))))
    value, = struct.unpack_from("=Q", info, offset)
    return int(value)


def raw_tracepoint_open(name: str | None, program: int) -> int:
    """Attach a raw tracepoint program by name, or (None) a trampoline where it was loaded for. Returns the link."""
    text = bytearray(name.encode() + b"\0") if name else None
    return bpf(BPF_RAW_TRACEPOINT_OPEN, bytearray(struct.pack("=QII", address(text) if text else 0, program, 0)))


def kprobe_multi(symbol: str, program: int) -> int:
    """Attach a kprobe program, loaded for BPF_TRACE_KPROBE_MULTI, at calls of a function (5.18, CONFIG_FPROBE). Returns the
    link. ESRCH, ENOENT: the function is not there, or ftrace does not reach it."""
    text = bytearray(symbol.encode() + b"\0")
    symbols = bytearray(struct.pack("=Q", address(text)))
    return bpf(BPF_LINK_CREATE, bytearray(struct.pack(
        "=IIIIIIQQQ", program, 0, BPF_TRACE_KPROBE_MULTI, 0, 0, 1, address(symbols), 0, 0)))


def perf_event_open(kind: int, config: int, config1: int = 0, config2: int = 0) -> int:
    """Returns the descriptor of a system-wide event for BPF, disabled; `config` is the id of a tracepoint, or what else
    struct perf_event_attr says for this PERF_TYPE. It is opened on one CPU; its program runs on all of them, as the programs
    of an event belong to the event, not to a CPU (kernel/trace/trace_event_perf.c, kernel/events/core.c, 4.7)."""
    # type, size, config, sample_period, sample_type, read_format, flags (disabled), wakeup_events, bp_type, config1, config2
    attributes = struct.pack("=IIQQQQQIIQQ40x", kind, 112, config, 1, 0, 0, 1, 1, 0, config1, config2)
    return call(LIBC.syscall, SYSCALLS[MACHINE][1], attributes, -1, procfs.first_cpu(), -1, PERF_FLAG_FD_CLOEXEC)


def perf_event_run(event: int, program: int) -> None:
    """Let `program` run at `event`; both are descriptors."""
    fcntl.ioctl(event, PERF_EVENT_IOC_SET_BPF, program)
    fcntl.ioctl(event, PERF_EVENT_IOC_ENABLE, 0)
