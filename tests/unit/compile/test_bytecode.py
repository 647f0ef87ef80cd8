"""The bytecode file: what is written is read, and whatever is altered is refused."""
import os
import struct

from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.compile import bytecode
from ebpf_plugin.compile.bytecode import Bytecode, GroupCode, Refused


def load(kind, number, register=1):
    """The two instructions that load a number."""
    return bytecode.INSTRUCTION.pack(0x18, kind << 4 | register, 0, number) + bytes(8)


RESULT = bytecode.INSTRUCTION.pack(0x79, 0x10, bytecode.RESULT_OFFSET, 0)  # r0 = ctx[RESULT]
EXIT = bytecode.INSTRUCTION.pack(0x95, 0, 0, 0)
PROGRAM = load(1, 1) + load(9, 0, 2) + RESULT + load(0, 77) + EXIT
GROUP = GroupCode({"f_fexit": PROGRAM, "g_raw": load(1, 0) + EXIT}, ("others", "rows"), ("PLACE", "SWITCH"))
CODE = Bytecode("x86_64", "0123", {"toy": GROUP, "broken": GroupCode({}, (), (), "broken.c:1: error: no")})
DATA = bytecode.write(CODE)


def test_what_is_written_is_read():
    found = bytecode.read(DATA, "x86_64")
    assert found._replace(digest="") == CODE
    assert bytecode.write(found) == DATA


def test_the_order_of_programs_makes_no_difference():
    turned = CODE._replace(groups={**CODE.groups, "toy": GROUP._replace(programs=dict(reversed(GROUP.programs.items())))})
    assert bytecode.write(turned) == DATA


@pytest.mark.parametrize("at", range(len(DATA)))
def test_every_byte_counts(at):
    with pytest.raises(Refused):
        bytecode.read(DATA[:at] + bytes([DATA[at] ^ 1]) + DATA[at + 1:], "x86_64")


@pytest.mark.parametrize("length", range(0, len(DATA), 7))
def test_a_file_that_is_cut_short(length):
    with pytest.raises(Refused):
        bytecode.read(DATA[:length], "x86_64")


@FUZZ
@given(st.binary() | st.binary().map(lambda content: b"ebpf.plugin bytecode 1 x86_64 %s\n%s" % (
    bytecode.digest_of(content).encode(), content)))
def test_any_bytes_are_refused_in_one_line(data):
    with pytest.raises(Refused) as refused:
        bytecode.read(data, "x86_64")
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("data, machine, why", [
    (b"", "x86_64", "it is no bytecode file"),
    (b"\x7fELF", "x86_64", "it is no bytecode file"),
    (DATA.replace(b" 1 ", b" 2 ", 1), "x86_64", "it has format 2, expected 1"),
    (DATA, "aarch64", "it is for x86_64, expected aarch64"),
    (DATA + b" ", "x86_64", "it is damaged"),
])
def test_why_a_file_is_refused(data, machine, why):
    with pytest.raises(Refused, match=why):
        bytecode.read(data, machine)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "bytecode"
    found.write_bytes(DATA)
    found.chmod(0o644)
    return found


def test_a_file(path):
    assert bytecode.read_file(str(path), "x86_64").source == "0123"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write(path, mode):
    path.chmod(mode)
    with pytest.raises(Refused, match="may be written by others than root"):
        bytecode.read_file(str(path), "x86_64")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else(path):
    os.chown(path, 65534, 65534)
    with pytest.raises(Refused, match="may be written by others than root"):
        bytecode.read_file(str(path), "x86_64")


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refused, match="is no regular file"):
        bytecode.read_file(str(tmp_path / "pipe"), "x86_64")
    with pytest.raises(Refused, match="is no regular file"):
        bytecode.read_file(str(tmp_path), "x86_64")
    with pytest.raises(FileNotFoundError):
        bytecode.read_file(str(tmp_path / "none"), "x86_64")


def test_a_file_that_is_too_large(path):
    os.truncate(path, bytecode.LONGEST + 1)
    with pytest.raises(Refused, match="is larger than"):
        bytecode.read_file(str(path), "x86_64")


def test_a_file_is_its_owners_alone_to_write_whatever_the_umask(tmp_path):
    path = tmp_path / "bytecode"
    path.write_text("what was there before")
    before = os.umask(0)
    try:
        bytecode.write_file(str(path), DATA)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == 0o644
    assert bytecode.read_file(str(path), "x86_64").source == "0123"
    assert os.listdir(tmp_path) == ["bytecode"]


def test_a_file_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path):
    (tmp_path / "bytecode").mkdir()
    with pytest.raises(OSError):
        bytecode.write_file(str(tmp_path / "bytecode"), DATA)
    assert os.listdir(tmp_path) == ["bytecode"]


VALUES, MAPS = {"PLACE": 2 ** 63 + 5, "SWITCH": 0}, {"rows": 42, "others": 7}


def test_a_program_is_filled():
    filled = bytecode.fill(GROUP, PROGRAM, VALUES, MAPS, 3)
    assert filled == load(1, 42) + struct.pack("<BBhi", 0x18, 2, 0, 5) + struct.pack("<BBhi", 0, 0, 0, -2 ** 31) + \
        bytecode.INSTRUCTION.pack(0x79, 0x10, 24, 0) + load(0, 77) + EXIT
    assert bytecode.tables_in(GROUP, PROGRAM) == ("rows",)


def test_the_address_of_an_array_s_value_is_filled_as_a_map_is():
    program = load(2, 1) + EXIT
    assert bytecode.fill(GROUP, program, {}, MAPS) == load(2, 42) + EXIT
    assert bytecode.tables_in(GROUP, program) == ("rows",)


@given(st.integers(-2 ** 63, 2 ** 64 - 1))
@FUZZ
def test_any_value_of_64_bits(value):
    filled = bytecode.fill(GROUP, load(9, 0), {"PLACE": value}, {}, 0)
    assert (int.from_bytes(filled[4:8], "little") | int.from_bytes(filled[12:16], "little") << 32) == value % 2 ** 64


@pytest.mark.parametrize("program, values, maps, arguments, why", [
    (PROGRAM, {}, MAPS, 3, "no value for PLACE"),
    (PROGRAM, VALUES, {}, 3, "no map for rows"),
    (PROGRAM, VALUES, MAPS, -1, "number of arguments of its function is not known"),
    (load(9, 2), VALUES, MAPS, 3, "number 2 is not in the list"),
    (load(1, -1), VALUES, MAPS, 3, "number -1 is not in the list"),
    (load(3, 0), VALUES, MAPS, 3, "something of kind 3"),
    # what a compiler may make of an int: a load of its lower half, or of its upper one
    (bytecode.INSTRUCTION.pack(0x61, 0x10, bytecode.RESULT_OFFSET, 0), VALUES, MAPS, 3, "instruction 0 loads a part"),
    (EXIT + bytecode.INSTRUCTION.pack(0x61, 0x10, bytecode.RESULT_OFFSET + 4, 0), VALUES, MAPS, 3, "instruction 1 loads a"),
])
def test_a_program_that_cannot_be_filled(program, values, maps, arguments, why):
    with pytest.raises(Refused, match=why):
        bytecode.fill(GROUP, program, values, maps, arguments)


@pytest.mark.parametrize("programs, why", [
    ({"f_fexit": PROGRAM}, ""),
    ({"f_kprobe": PROGRAM}, "toy: f_kprobe: only an fexit program has its function's result"),
    ({"f_fexit": load(9, 7)}, "toy: f_fexit: number 7 is not in the list"),
])
def test_the_check_when_a_file_is_made(programs, why):
    code = CODE._replace(groups={"toy": GROUP._replace(programs=programs)})
    if not why:
        bytecode.check(code)
        return
    with pytest.raises(Refused, match=why):
        bytecode.check(code)
