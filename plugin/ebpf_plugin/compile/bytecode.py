"""The bytecode file: the instructions of all groups, compiled once for all kernels of an architecture.

The first line is `ebpf.plugin bytecode <version> <architecture> <digest of the rest>`; the rest is JSON (see Bytecode). In
the instructions a load of a map has BPF_PSEUDO_MAP_FD, or BPF_PSEUDO_MAP_VALUE for the address of an array's only value
(5.2), and the map's number in `tables`; a hole has 9 and its number in `holes`; and a load from ctx at RESULT_OFFSET is that
of a function's result, which is behind its arguments.
"""
from __future__ import annotations

from _blake2 import blake2b  # hashlib would bring OpenSSL into the loader
import base64
import json
import os
import stat
import struct
from typing import Any, Iterator, Mapping, NamedTuple

VERSION = 1
MAGIC = "ebpf.plugin bytecode"
LONGEST = 1 << 22  # bytes; it is 0.3 MB

LD_IMM64, LDX_DW = 0x18, 0x79  # include/uapi/linux/bpf.h
PSEUDO_MAP, PSEUDO_MAP_VALUE, PSEUDO_HOLE = 1, 2, 9
PSEUDO_MAPS = PSEUDO_MAP, PSEUDO_MAP_VALUE
RESULT_OFFSET = 8 * 4095  # bpf/hooks.h
INSTRUCTION = struct.Struct("<BBhi")  # code, registers (destination in the lower half), offset, immediate


class Refused(Exception):
    """Why a file, or a program in it, cannot be used: one line."""


class GroupCode(NamedTuple):
    """A group's programs {name: instructions}, and the names of the tables and holes that the numbers in them mean.

    `error` is the compiler's message; then there are no programs.
    """

    programs: dict[str, bytes]
    tables: tuple[str, ...]
    holes: tuple[str, ...]
    error: str = ""


class Bytecode(NamedTuple):
    """`source` is the digest of the texts that it was made from; groups: {name: GroupCode}; `digest` that of the content."""

    machine: str
    source: str
    groups: dict[str, GroupCode]
    digest: str = ""


def digest_of(*parts: bytes) -> str:
    """32 hexadecimal digits; where one part ends matters."""
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(b"%d\n" % len(part) + part)
    return str(found.hexdigest())


def write(code: Bytecode) -> bytes:
    """The bytes of a file; the same for the same bytecode."""
    content = json.dumps({
        "source": code.source,
        "groups": {name: {
            "tables": group.tables, "holes": group.holes, "error": group.error,
            "programs": {program: base64.b64encode(data).decode() for program, data in sorted(group.programs.items())},
        } for name, group in code.groups.items()},
    }, indent=0).encode() + b"\n"
    return b"%s %d %s %s\n" % (MAGIC.encode(), VERSION, code.machine.encode(), digest_of(content).encode()) + content


def write_file(path: str, data: bytes) -> None:
    """Make the file, in place of one that is there, as read_file() wants it: only its owner may write it. Raises OSError."""
    unfinished = "%s.%d" % (path, os.getpid())
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)  # the umask may let the group write
            file.write(data)
        os.replace(unfinished, path)
    except OSError:
        os.unlink(unfinished)
        raise


def read(data: bytes, machine: str) -> Bytecode:
    """The bytecode in the bytes of a file. Raises Refused."""
    line, _, content = data.partition(b"\n")
    words = line.decode("ascii", "replace").split(" ")
    if " ".join(words[:2]) != MAGIC or len(words) != 5:
        raise Refused("it is no bytecode file")
    if words[2] != str(VERSION):
        raise Refused("it has format %s, expected %d" % (words[2], VERSION))
    if words[3] != machine:
        raise Refused("it is for %s, expected %s" % (words[3], machine))
    if words[4] != digest_of(content):
        raise Refused("it is damaged: its content has another digest than its first line says")
    try:
        found = json.loads(content)
        groups = {name: GroupCode({program: _decoded(code) for program, code in group["programs"].items()},
                                  tuple(group["tables"]), tuple(group["holes"]), group["error"])
                  for name, group in found["groups"].items()}
        return Bytecode(machine, found["source"], groups, words[4])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("it has no bytecode of ours in it (%s: %s)" % (type(error).__name__, error)) from error


def _decoded(text: str) -> bytes:
    code = base64.b64decode(text, validate=True)
    if not code or len(code) % 8:
        raise ValueError("%d bytes are no instructions" % len(code))
    return code


def read_file(path: str, machine: str) -> Bytecode:
    """Raises Refused with the path in it, and FileNotFoundError. A file that others than its owner may write is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise Refused("%s is no regular file" % path)
        if info.st_mode & 0o022 or info.st_uid not in (0, os.stat(__file__).st_uid):
            raise Refused("%s may be written by others than root: chown root, chmod 644" % path)
        if info.st_size > LONGEST:
            raise Refused("%s is larger than %d bytes" % (path, LONGEST))
        data = os.pread(descriptor, LONGEST, 0)
    finally:
        os.close(descriptor)
    try:
        return read(data, machine)
    except Refused as refusal:
        raise Refused("%s: %s" % (path, refusal)) from refusal


def loads(code: bytes) -> Iterator[tuple[int, int, int]]:
    """(byte offset, source register, number) of each 64-bit load of a number."""
    operations = code[0::8]
    at = operations.find(LD_IMM64)
    while at >= 0:
        _, registers, _, number = INSTRUCTION.unpack_from(code, 8 * at)
        yield 8 * at, registers >> 4, number
        at = operations.find(LD_IMM64, at + 2)  # such a load takes two instructions


def tables_in(group: GroupCode, code: bytes) -> tuple[str, ...]:
    """The names of the tables that a program refers to. Raises Refused."""
    return tuple(dict.fromkeys(_name(group.tables, number) for _, kind, number in loads(code) if kind in PSEUDO_MAPS))


def fill(group: GroupCode, code: bytes, values: Mapping[str, int], maps: Mapping[str, int], arguments: int = -1) -> bytes:
    """The instructions as the kernel takes them.

    values: of holes; maps: descriptors by table; arguments: how many the function has whose result is read. Raises Refused
    if one of them is not known.
    """
    filled = bytearray(code)
    for at, kind, number in loads(code):
        operation, registers, offset, _ = INSTRUCTION.unpack_from(code, at)
        if kind in PSEUDO_MAPS:
            name = _name(group.tables, number)
            INSTRUCTION.pack_into(filled, at, operation, registers, offset, _known(maps, name, "map"))
        elif kind == PSEUDO_HOLE:
            value = _known(values, _name(group.holes, number), "value") & (1 << 64) - 1
            low, high = struct.unpack("<ii", struct.pack("<Q", value))
            INSTRUCTION.pack_into(filled, at, operation, registers & 0xF, offset, low)
            INSTRUCTION.pack_into(filled, at + 8, 0, 0, 0, high)
        elif kind:
            raise Refused("instruction %d loads something of kind %d" % (at // 8, kind))
    for at in result_loads(code):
        if arguments < 0:
            raise Refused("the number of arguments of its function is not known")
        struct.pack_into("<h", filled, at + 2, 8 * arguments)
    return bytes(filled)


def result_loads(code: bytes) -> list[int]:
    """The byte offsets of the loads of a function's result. Raises Refused if only a part of it is loaded."""
    found = []
    upper = code[3::8]  # of the instructions' offsets
    number = upper.find(RESULT_OFFSET >> 8)
    while number >= 0:
        operation, _, offset, _ = INSTRUCTION.unpack_from(code, 8 * number)
        if (operation, offset) == (LDX_DW, RESULT_OFFSET):
            found.append(8 * number)
        elif offset >= RESULT_OFFSET:
            raise Refused("instruction %d loads a part of its function's result" % number)
        number = upper.find(RESULT_OFFSET >> 8, number + 1)
    return found


def _name(names: tuple[str, ...], number: int) -> str:
    if not 0 <= number < len(names):
        raise Refused("number %d is not in the list of %d names" % (number, len(names)))
    return names[number]


def _known(values: Mapping[str, Any], name: str, kind: str) -> int:
    if name not in values:
        raise Refused("no %s for %s" % (kind, name))
    return int(values[name])


def check(code: Bytecode) -> None:
    """Raises Refused if a program could not be filled, whatever the values are. For who makes a file."""
    for name, group in code.groups.items():
        values, maps = dict.fromkeys(group.holes, 1), dict.fromkeys(group.tables, 3)
        for program, instructions in group.programs.items():
            try:
                filled = fill(group, instructions, values, maps, 2)
                left = [kind for _, kind, _ in loads(filled) if kind not in (0, *PSEUDO_MAPS)]
                if left or result_loads(filled):
                    raise Refused("something is left that was to be filled")
                if result_loads(instructions) and not program.endswith("_fexit"):
                    raise Refused("only an fexit program has its function's result")
            except Refused as refusal:
                raise Refused("%s: %s: %s" % (name, program, refusal)) from refusal
