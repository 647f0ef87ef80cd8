"""BTF: what is said where there is none."""
import ctypes

import pytest

from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.kernel import btf


def test_no_libbpf(monkeypatch):
    def load(name):
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", load)
    with pytest.raises(btf.NoBTF, match="apt-get install libbpf1"):
        btf.BTF()


def test_a_kernel_without_btf(monkeypatch, tmp_path):
    class Library:
        """Takes any function's declaration."""

        def __getattr__(self, name):
            return type("Function", (), {"__call__": lambda *_: pytest.fail("there is nothing to read")})()

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    monkeypatch.setattr(btf, "BTF_PATH", str(tmp_path / "none"))
    with pytest.raises(btf.NoBTF, match="CONFIG_DEBUG_INFO_BTF"):
        btf.BTF()


# Types of a small kernel: id: (name, kind, vlen or kind_flag, type, members or None); a member is (name, type, bits).
TYPES = {
    1: ("int", 1, 0, 0, ()),
    2: ("", btf.KIND_STRUCT, 0, 0, (("inner", 1, 0), ("second", 1, 32))),
    3: ("", btf.KIND_STRUCT + 1, 0, 0, (("one", 1, 0), ("other", 2, 0))),
    4: ("sock", btf.KIND_STRUCT, 0, 0, (("family", 1, 16), ("", 2, 64), ("", 3, 128))),
    5: ("packed", btf.KIND_STRUCT, 1, 0, (("flags", 1, 3 << 24 | 35), ("wide", 1, 64))),
    6: ("", 13, 0, 0, (("ctx", 1, 0), ("sk", 1, 0), ("old", 1, 0), ("new", 1, 0))),  # a prototype
    7: ("", 2, 0, 6, ()),  # a pointer to it
    8: ("btf_trace_inet_sock_set_state", btf.KIND_TYPEDEF, 0, 7, ()),
    9: ("do_in", btf.KIND_FUNC, 0, 6, ()),
}


class Library:
    """libbpf's calls on TYPES."""

    def __init__(self):
        self._names, self._types = [], {}
        for number, (name, kind, flag, kind_type, members) in TYPES.items():
            record = (ctypes.c_uint32 * (3 + 3 * len(members)))()
            record[0:3] = self.name(name), flag << 31 | kind << 24 | len(members), kind_type
            for place, (of_member, member_type, bits) in enumerate(members):
                record[3 + 3 * place:6 + 3 * place] = self.name(of_member), member_type, bits
            self._types[number] = record

    def name(self, text):
        self._names.append(text.encode())
        return len(self._names) - 1

    def btf__find_by_name_kind(self, _, name, kind):
        return next((number for number, of in TYPES.items() if (of[0].encode(), of[1]) == (name, kind)), -2)

    def btf__type_by_id(self, _, number):
        return ctypes.addressof(self._types[number])

    def btf__name_by_offset(self, _, offset):
        return self._names[offset]


@pytest.fixture
def small():
    found = object.__new__(btf.BTF)
    found._lib, found._btf = Library(), 1
    return found


@pytest.mark.parametrize("structure, member, bits", [
    ("sock", "family", 16),
    ("sock", "inner", 64),
    ("sock", "second", 96),
    ("sock", "one", 128),
    ("sock", "other", 128),
    ("packed", "flags", 35),  # the upper byte is its size
    ("packed", "wide", 64),
    ("sock", "gone", None),
    ("gone", "family", None),
    ("btf_trace_inet_sock_set_state", "sk", None),
])
def test_places_in_bits(small, structure, member, bits):
    assert small.bit_offset(structure, member) == bits


def test_arguments(small):
    # the kernel's own context does not count
    assert small.raw_tracepoint_arguments("inet_sock_set_state") == 3
    assert small.raw_tracepoint_arguments("gone") == 0
    assert small.function("do_in") == (9, 4) and small.function("gone") is None


def test_the_running_kernel():
    try:
        found = btf.BTF()
    except btf.NoBTF as error:
        pytest.skip(str(error))
    assert found.raw_tracepoint_arguments("inet_sock_set_state") == 3
    assert found.raw_tracepoint_arguments("sched_process_exit") >= 1
    assert found.bit_offset("sock_common", "skc_dport") == 96
    for field in NETWORK.fields:
        assert all(found.bit_offset(*step) is not None for step in field.path), field
