"""What the running kernel's BTF says of functions and structures, read through libbpf's C API. Loader only."""
from __future__ import annotations

import ctypes
import struct

KIND_STRUCT, KIND_TYPEDEF, KIND_FUNC = 4, 8, 12
BTF_PATH = "/sys/kernel/btf/vmlinux"


class NoBTF(Exception):
    """The kernel has no BTF, or there is no libbpf to read it."""


class _Type(ctypes.Structure):
    name: int
    info: int
    type: int
    _fields_ = [("name", ctypes.c_uint32), ("info", ctypes.c_uint32), ("type", ctypes.c_uint32)]


class _Member(ctypes.Structure):
    name: int
    type: int
    offset: int
    _fields_ = [("name", ctypes.c_uint32), ("type", ctypes.c_uint32), ("offset", ctypes.c_uint32)]


class BTF:
    """Raises NoBTF. Ids are those of BTF, as bpf(2) takes them for attach_btf_id."""

    def __init__(self) -> None:
        for name in ("libbpf.so.1", "libbpf.so.0"):
            try:
                self._lib = ctypes.CDLL(name)
                break
            except OSError:
                continue
        else:
            raise NoBTF("libbpf is not installed: apt-get install libbpf1 (libbpf0 in Debian 11)")
        lib = self._lib
        # the older name up to libbpf 0.4 (Debian 11 has 0.3)
        load = getattr(lib, "btf__load_vmlinux_btf", None) or lib.libbpf_find_kernel_btf
        load.restype = ctypes.c_void_p
        lib.btf__find_by_name_kind.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
        lib.btf__type_by_id.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        lib.btf__type_by_id.restype = ctypes.c_void_p
        lib.btf__name_by_offset.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        lib.btf__name_by_offset.restype = ctypes.c_char_p
        pointer = load() if _readable() else None
        if not pointer or pointer > 2 ** 64 - 4096:  # NULL or, before libbpf 1.0, -errno
            raise NoBTF("no BTF: %s is missing (CONFIG_DEBUG_INFO_BTF)" % BTF_PATH)
        self._btf = pointer

    def function(self, name: str) -> tuple[int, int] | None:
        """(id, number of arguments) of a kernel function, or None."""
        number = self._find(name.encode(), KIND_FUNC)
        if number <= 0:
            return None
        prototype = self._type(self._type(number).type)
        return number, prototype.info & 0xFFFF

    def raw_tracepoint_arguments(self, name: str) -> int:
        """The number of arguments of a raw tracepoint, 0 if it is not known (btf_trace_<name>, trace/bpf_probe.h)."""
        number = self._find(b"btf_trace_" + name.encode(), KIND_TYPEDEF)
        if number <= 0:
            return 0
        prototype = self._type(self._type(self._type(number).type).type)
        return (prototype.info & 0xFFFF) - 1  # the first is the kernel's own

    def bit_offset(self, struct_name: str, member: str) -> int | None:
        """The offset of a member in bits, looked for in unnamed members as well, or None."""
        number = self._find(struct_name.encode(), KIND_STRUCT)
        return self._offset_in(number, member.encode()) if number > 0 else None

    def _find(self, name: bytes, kind: int) -> int:
        """The id of a type, not above 0 if there is none."""
        return int(self._lib.btf__find_by_name_kind(self._btf, name, kind))

    def _offset_in(self, number: int, name: bytes) -> int | None:
        address = self._lib.btf__type_by_id(self._btf, number)
        kind = _Type.from_address(address)
        members = (_Member * (kind.info & 0xFFFF)).from_address(address + ctypes.sizeof(_Type))
        for member in members:
            # with kind_flag (bit 31 of info) the upper byte is the size of a bit field
            bits = member.offset & 0xFFFFFF if kind.info >> 31 else member.offset
            found = self._lib.btf__name_by_offset(self._btf, member.name)
            if found == name:
                return bits
            if not found and self._type(member.type).info >> 24 & 0x1F in (KIND_STRUCT, KIND_STRUCT + 1):
                inner = self._offset_in(member.type, name)
                if inner is not None:
                    return bits + inner
        return None

    def _type(self, number: int) -> _Type:
        return _Type.from_address(self._lib.btf__type_by_id(self._btf, number))


def _readable() -> bool:
    try:
        with open(BTF_PATH, "rb"):
            return True
    except OSError:
        return False


def of_function(name: str) -> tuple[bytes, int]:
    """(a BTF object, the id in it) of a function `int name(void *)`; Documentation/bpf/btf.rst."""
    names = b"\0int\0context\0" + name.encode() + b"\0"
    types = struct.pack("=IIII", 1, 1 << 24, 4, 1 << 24 | 32)  # int: 4 bytes, signed, 32 bits
    types += struct.pack("=III", 0, 2 << 24, 0)  # void *
    types += struct.pack("=IIIII", 0, 13 << 24 | 1, 1, names.index(b"context"), 2)  # int (void *context)
    types += struct.pack("=III", names.index(name.encode() + b"\0", 13), KIND_FUNC << 24, 3)
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return header + types + names, 4
