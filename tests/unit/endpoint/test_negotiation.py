"""What a client takes, by its headers."""
from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.endpoint.negotiation import takes_gzip, wants_openmetrics

PROMETHEUS = ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
              "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")  # Prometheus 2.42


@pytest.mark.parametrize("accept, expected", [
    (PROMETHEUS, True),
    ("application/openmetrics-text; version=1.0.0; charset=utf-8", True),
    ("application/openmetrics-text", True),
    ("Application/OpenMetrics-Text; Version=\"1.0.0\"", True),
    ("application/openmetrics-text;q=0.5,text/plain;q=0.5", True),
    ("application/openmetrics-text;q=0.4,text/plain;q=0.5", False),
    ("application/openmetrics-text;q=0,text/plain", False),
    ("application/openmetrics-text;version=0.0.1", False),
    ("application/openmetrics-text;version=2.0.0", False),
    ("application/openmetrics-text;q=x", False),
    ("application/openmetrics-text;q=7", False),
    ("text/plain;version=0.0.4", False),
    ("text/html,application/xhtml+xml,*/*;q=0.8", False),
    ("*/*", False),
    ("", False),
])
def test_format(accept, expected):
    assert wants_openmetrics(accept) is expected


@pytest.mark.parametrize("encoding, expected", [
    ("gzip", True), ("deflate, GZIP;q=0.2", True), ("*", True), ("gzip;q=0", False), ("gzip;q=0, *", False),
    ("identity", False), ("br", False), ("", False),
])
def test_compression(encoding, expected):
    assert takes_gzip(encoding) is expected


HEADERS = st.one_of(st.text(), st.text(alphabet="apliction/oenmrs-tx;,=q01.*gz \"\u0661"))


@FUZZ
@given(HEADERS)
def test_any_header_gives_an_answer(header):
    assert wants_openmetrics(header) in (True, False) and takes_gzip(header) in (True, False)
