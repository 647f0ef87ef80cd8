"""What a client takes: Accept and Accept-Encoding of HTTP (RFC 9110, 12.5). Pure functions."""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

MOST = 32  # items that are looked at


def wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics 1.0 is at least as welcome as plain text; without a word about it, it is not."""
    openmetrics = text = 0.0
    for name, parameters in _items(accept):
        if name == "application/openmetrics-text" and parameters.get("version", "1.0.0") == "1.0.0":
            openmetrics = max(openmetrics, _quality(parameters))
        elif name in ("text/plain", "text/*") and parameters.get("version", "0.0.4") == "0.0.4":
            text = max(text, _quality(parameters))
    return 0 < openmetrics >= text


def takes_gzip(accept_encoding: str) -> bool:
    """Whether an answer may be compressed by gzip."""
    found = {name: _quality(parameters) for name, parameters in _items(accept_encoding)}
    return found.get("gzip", found.get("*", 0.0)) > 0


def _items(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The items of a list, in lower case, with their parameters."""
    for item in header.lower().split(",")[:MOST]:
        name, *parameters = item.split(";")
        pairs = (parameter.partition("=") for parameter in parameters)
        yield name.strip(), {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _quality(parameters: dict[str, str]) -> float:
    """The weight q; 0 if it is not a number from 0 to 1."""
    text = parameters.get("q", "1")
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        return 0.0
    return float(text[:6]) if float(text[:6]) <= 1 else 0.0
