"""Maps are made when a program asks for them, and only those that stay in use are kept."""
import os

import pytest

from ebpf_plugin.compile import bytecode
from ebpf_plugin.compile.bytecode import GroupCode
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.load import programs
from ebpf_plugin.load.programs import Maps, Programs, hashes_may_allocate
from ebpf_plugin.model.table import (
    ARRAY, BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, HASH, LPM_TRIE, LRU_HASH, Table, counters_table
)

MAP_OF_0 = bytes.fromhex("1811000000000000" "0000000000000000")  # r1 = map number 0
HOLE_0 = bytes.fromhex("1892000000000000" "0000000000000000")  # r2 = hole number 0
EXIT = bytes.fromhex("9500000000000000")
TABLES = (
    Table("held", HASH, "=I", "=Q", 16),
    Table("others", LRU_HASH, "=Q", "=Q", 1024, per_cpu=128),
    Table("off", HASH, "=I", "=Q", 4096, switch="APPS"),
    Table("sparse", HASH, "=I", "=Q", 4096, flags=BPF_F_NO_PREALLOC),
    Table("trie", LPM_TRIE, "=II", "=B", 64, flags=BPF_F_NO_PREALLOC),
    counters_table("toy", ("a", "b", "c"), True),
)


@pytest.fixture
def made(monkeypatch):
    """The maps that were made."""
    found = []

    def map_create(*args):
        found.append(args)
        return os.open("/", os.O_PATH)

    monkeypatch.setattr(bpf, "map_create", map_create)
    monkeypatch.setattr(procfs, "possible_cpus", lambda: 4)
    return found


@pytest.fixture
def maps(made):
    found = Maps({table.name: table for table in TABLES}, {"APPS": 0, "PLACES": 98})
    yield found
    found.close_others(set())


@pytest.mark.parametrize("name, expected", [
    ("held", (HASH, 4, 8, 16, 0, "held")),
    ("others", (LRU_HASH, 8, 8, 1024 + 4 * 128, 0, "others")),
    ("off", (HASH, 4, 8, 1, 0, "off")),
    ("toy_counters", (ARRAY, 4, 24, 98, BPF_F_MMAPABLE, "toy_counters")),
])
def test_the_shape_of_a_map(maps, made, name, expected):
    assert maps[name] == maps[name]
    assert made == [expected]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_hash_allocates_where_the_kernel_can_and_a_trie_always(maps, made, monkeypatch, allowed):
    trials = []
    monkeypatch.setattr(programs, "hashes_may_allocate", lambda: trials.append(1) or allowed)
    for name in ("held", "sparse", "trie", "sparse"):
        assert maps[name]
    maps.close_others({"held", "trie"})
    assert maps["sparse"]
    flags = BPF_F_NO_PREALLOC if allowed else 0
    assert [(args[-1], args[-2]) for args in made] == [
        ("held", 0), ("sparse", flags), ("trie", BPF_F_NO_PREALLOC), ("sparse", flags)]
    assert trials == [1]


@pytest.mark.parametrize("error, allowed", [(None, True), (OSError(22, "Invalid argument"), False)])
def test_whether_hashes_may_allocate_is_tried_and_leaves_nothing(made, monkeypatch, error, allowed):
    descriptors, loaded = os.listdir("/proc/self/fd"), []

    def prog_load(kind, name, instructions):
        loaded.append((kind, instructions[:2]))
        if error:
            raise error
        return os.open("/", os.O_PATH)

    monkeypatch.setattr(bpf, "prog_load", prog_load)
    assert hashes_may_allocate() == allowed
    assert loaded == [(7, MAP_OF_0[:2])]
    assert [args[:5] for args in made] == [(HASH, 4, 4, 1, BPF_F_NO_PREALLOC)]
    assert os.listdir("/proc/self/fd") == descriptors


def test_a_map_that_no_program_uses_is_not_made(maps, made):
    code = GroupCode({"p": MAP_OF_0 + EXIT}, ("held", "others"), ())
    filled = Programs(code, {}, maps).instructions("p", -1)
    assert [args[-1] for args in made] == ["held"]
    assert int.from_bytes(filled[4:8], "little") == maps["held"]
    assert Programs(code, {}, maps).tables("p") == ("held",)


def test_maps_that_are_not_in_use_are_closed(maps):
    kept, closed = maps["held"], maps["others"]
    maps.close_others({"held"})
    os.fstat(kept)
    with pytest.raises(OSError):
        os.fstat(closed)
    assert list(maps) == ["held"]


@pytest.mark.parametrize("name, why", [("q", "no program of this name"), ("p", "no value for PLACE")])
def test_a_program_that_cannot_be_filled(maps, name, why):
    code = GroupCode({"p": HOLE_0 + EXIT}, (), ("PLACE",))
    with pytest.raises(bytecode.Refused, match=why):
        Programs(code, {}, maps).instructions(name, -1)
