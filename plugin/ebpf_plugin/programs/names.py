"""Names of functions, from BTF (Documentation/bpf/btf.rst).

They are those of programs, which the kernel cuts to 15 bytes elsewhere, and of what programs are attached to."""
from __future__ import annotations

import struct

from . import objects
from ..kernel import bpf

MAGIC = 0xEB9F
KIND_FUNC = 12
# bytes behind the 12 of each type: (once, for each member); include/uapi/linux/btf.h of 6.18. Of other kinds none.
SIZES = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0),
         19: (0, 12)}
LAST_KIND = 19
KERNEL = "vmlinux"


class Functions:
    """The functions of a BTF object. That of a module goes on where the kernel's, `base`, ends.

    names: {id: name}; what is damaged or not known ends the list. count: ids up to here; length: bytes of all names.
    """

    def __init__(self, data: bytes, base: Functions | None = None):
        self.count: int = base.count if base else 1
        self.length: int = base.length if base else 0
        self.names: dict[int, str] = {}
        try:
            self._read(data, self.length)
        except (struct.error, ValueError):
            pass  # it ends too early

    def _read(self, data: bytes, text_before: int) -> None:
        magic, _version, _flags, header, types, types_length, text, text_length = struct.unpack_from("=HBBIIIII", data)
        if magic != MAGIC:
            return
        self.length += text_length
        at, end, text_at = header + types, header + types + types_length, header + text - text_before
        unpack, sizes = struct.Struct("=II").unpack_from, [SIZES.get(kind, (0, 0)) for kind in range(LAST_KIND + 1)]
        while at < end:
            name, info = unpack(data, at)
            kind = info >> 24 & 0x1F
            if not 0 < kind <= LAST_KIND:
                return  # its size is not known
            if kind == KIND_FUNC and name >= text_before:
                begin = text_at + name
                self.names[self.count] = data[begin:data.index(b"\0", begin)].decode("ascii", "backslashreplace")
            once, each = sizes[kind]
            at += 12 + once + each * (info & 0xFFFF)
            self.count += 1


class Names:
    """Looks names up in the kernel's BTF objects, each of which is read once."""

    def __init__(self) -> None:
        self._kernel: Functions | None = None
        self._functions: dict[int, Functions] = {}

    def of_program(self, known: objects.Program, function: int) -> str:
        """The whole name of a program whose function has the id `function`; as it was loaded if there is no longer one."""
        if len(known.name) < bpf.LONGEST_NAME or not (known.btf_id and function):
            return known.name
        whole: str = self._of(known.btf_id).names.get(function, "")
        return whole if whole.startswith(known.name) else known.name

    def of_target(self, target: tuple[int, int]) -> str:
        """The name of a function of the kernel's, by the ids of its BTF object and of itself; "" if nobody knows."""
        return self._of(target[0]).names.get(target[1], "") if all(target) else ""

    def _of(self, number: int) -> Functions:
        if number not in self._functions:
            self._functions[number] = self._read(number)
        return self._functions[number]

    def _read(self, number: int) -> Functions:
        name, data = objects.btf(number)
        if name == KERNEL:
            self._kernel = Functions(data)
            return self._kernel
        if name and self._kernel is None:  # a module
            for other in objects.ids(objects.BPF_BTF_GET_NEXT_ID):
                if objects.btf(other, with_data=False)[0] == KERNEL:
                    self._of(other)
                    break
        return Functions(data, self._kernel if name else None)
