"""Names from BTF objects, which are made here byte for byte (Documentation/bpf/btf.rst)."""
import struct

from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.kernel.btf import of_function
from ebpf_plugin.programs import names, objects

LONG = "a_name_that_the_kernel_cuts"


def btf(types, text=b"\0", magic=names.MAGIC):
    """A BTF object of types, which are bytes, and names."""
    body = b"".join(types)
    return struct.pack("=HBBIIIII", magic, 1, 0, 24, 0, len(body), len(body), len(text)) + body + text


def one(kind, name=0, members=0, behind=b""):
    return struct.pack("=III", name, kind << 24 | members, 0) + behind


def functions(*found, before=0):
    """A BTF object with a function of each name."""
    text, types = b"\0" * (not before), []
    for name in found:
        types += [one(13), one(names.KIND_FUNC, before + len(text))]
        text += name.encode() + b"\0"
    return btf(types, text)


def test_every_function_has_its_name():
    assert names.Functions(functions("one", LONG)).names == {2: "one", 4: LONG}


# what stands behind the 12 bytes of a type, by its kind, with two members
@pytest.mark.parametrize("kind, members, behind", [
    (1, 0, 4), (2, 0, 0), (3, 0, 12), (4, 2, 24), (5, 2, 24), (6, 2, 16), (7, 0, 0), (8, 0, 0), (9, 0, 0), (10, 0, 0),
    (11, 0, 0), (13, 2, 16), (14, 0, 4), (15, 2, 24), (16, 0, 0), (17, 0, 4), (18, 0, 0), (19, 2, 24)])
def test_types_of_all_kinds_are_passed_over(kind, members, behind):
    data = btf([one(kind, 0, members, bytes(behind)), one(names.KIND_FUNC, 1)], b"\0found\0")
    assert names.Functions(data).names == {2: "found"}


def test_a_module_goes_on_where_the_kernel_ends():
    kernel = names.Functions(functions("one", "two"))
    module = names.Functions(functions("three", before=kernel.length), kernel)
    assert module.names == {6: "three"}


def test_a_kind_that_is_not_known_ends_the_list():
    data = btf([one(names.KIND_FUNC, 1), one(25), one(names.KIND_FUNC, 1)], b"\0found\0")
    assert names.Functions(data).names == {1: "found"}


def test_what_is_no_btf_has_no_names():
    assert names.Functions(btf([one(names.KIND_FUNC, 1)], b"\0found\0", magic=1)).names == {}


@FUZZ
@given(st.integers(0, 100), st.binary(max_size=30))
def test_a_damaged_object_has_names_or_not(at, noise):
    data = functions("one", LONG)
    assert isinstance(names.Functions(data[:at] + noise + data[at + len(noise):]).names, dict)


class Program:
    """What Names asks of a program."""

    def __init__(self, name, btf_id=5):
        self.name, self.btf_id = name, btf_id


@pytest.fixture
def known(monkeypatch):
    """Names, in a kernel with these BTF objects; objects 1 and 2 have names."""
    kernel = functions("vfs_read", "vfs_write")
    module = functions("nf_hook", before=names.Functions(kernel).length)
    contents = {1: ("vmlinux", kernel), 2: ("nf", module), 5: ("", functions(LONG))}
    monkeypatch.setattr(objects, "btf", lambda number, with_data=True: contents.get(number, ("", b"")))
    monkeypatch.setattr(objects, "ids", lambda command: iter(sorted(contents)))
    return names.Names()


def test_a_name_that_is_cut_is_made_whole(known):
    assert known.of_program(Program(LONG[:15]), 2) == LONG


@pytest.mark.parametrize("name, btf_id, function", [
    ("short", 5, 2),  # the kernel has all of it
    (LONG[:15], 0, 2),  # no BTF
    (LONG[:15], 5, 0),  # no function
    (LONG[:15], 5, 9),  # no such function
    ("another_program", 5, 2),
    (LONG[:15], 77, 2),  # gone
])
def test_otherwise_it_stays_as_it_was_loaded(known, name, btf_id, function):
    assert known.of_program(Program(name, btf_id), function) == name


@pytest.mark.parametrize("target, name", [
    ((1, 4), "vfs_write"), ((2, 6), "nf_hook"), ((0, 4), ""), ((1, 99), ""), ((9, 4), "")])
def test_the_function_that_a_program_is_loaded_for(known, target, name):
    assert known.of_target(target) == name


@pytest.mark.parametrize("name", ["f", "int", "context", LONG])
def test_the_btf_that_our_programs_are_loaded_with(name):
    data, function = of_function(name)
    assert names.Functions(data).names == {function: name}
