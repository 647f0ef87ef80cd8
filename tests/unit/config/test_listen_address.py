"""The address that metrics are served on."""
from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.config.listen_address import Address, parse


@pytest.mark.parametrize("text, address", [
    ("9435", ("tcp", "127.0.0.1", 9435)),
    ("127.0.0.1:9435", ("tcp", "127.0.0.1", 9435)),
    ("localhost:9435", ("tcp", "127.0.0.1", 9435)),
    ("0.0.0.0:1", ("tcp", "0.0.0.0", 1)),
    ("[::1]:65535", ("tcp", "::1", 65535)),
    ("unix:/run/ebpf.sock", ("unix", "/run/ebpf.sock", 0)),
    ("fd://0", ("fd", "", 0)),
])
def test_what_is_accepted(text, address):
    assert parse(text) == Address(*address)
    assert parse(str(parse(text))) == parse(text)


@pytest.mark.parametrize("text", [
    "", "0", "65536", ":9435", "*:9435", "9435:", "example.com:9435", "::1:9435", "unix:relative", "unix:/" + "x" * 110,
    "unix:/a\nb", "fd://", "fd://x", "fd:0", "http://127.0.0.1:9435", "-1", " 9435", "9435\n", "\u0661\u0661\u0661\u0661",
])
def test_what_is_not(text):
    with pytest.raises(ValueError):
        parse(text)


@FUZZ
@given(st.one_of(st.text(), st.from_regex(r"(\[.*\]|[0-9.]+|unix:/?|fd://):?[0-9]*")))
def test_any_text_is_an_address_or_refused(text):
    try:
        assert parse(str(parse(text))) == parse(text)
    except ValueError:
        pass
