"""What is behind each path. Texts are written when they are asked for, once for each tick."""
from __future__ import annotations

import threading
import time
import zlib

from ..model.metric import Family
from ..outputs import metrics, sample_page, tfo_metrics
from .negotiation import takes_gzip, wants_openmetrics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Union

    from ..outputs.sample_page import Page

    Answer = tuple[int, dict[str, str], Union[bytes, bytearray]]

LATE = 3  # intervals without a sample after which the collector counts as dead
GZIP = 31  # wbits of zlib
KEPT = 2  # texts of a tick; a machine has one Prometheus, or two
INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>ebpf.plugin</title></head><body>
<h1>ebpf.plugin %s</h1>
<p>What the kernel does with files, VFS, processes, TCP and UDP, counted by BPF programs.</p>
<ul><li><a href="/metrics">/metrics</a>: for Prometheus</li>
<li><a href="/healthz">/healthz</a>: whether it is counting</li></ul>
</body></html>
"""


class Pages:
    """page: descriptor of the memory file; names: "ebpf" or "tfo"; version: of the plugin."""

    def __init__(self, page: int, names: str, version: str):
        self._page, self._names, self._version = page, names, version
        self._lock = threading.Lock()
        self._sequence = -1
        self._texts: dict[tuple[bool, bool], bytearray] = {}  # of this sequence: (OpenMetrics, gzip)

    def get(self, path: str, accept: str = "", encoding: str = "") -> Answer:
        """(status, headers, body) for a path and what the headers Accept and Accept-Encoding say."""
        if path == "/metrics":
            return self._metrics(self._names == "ebpf" and wants_openmetrics(accept), takes_gzip(encoding))
        if path == "/healthz":
            _, why = self._sample()
            return (503, {}, why.encode()) if why else (200, {}, b"ok\n")
        if path == "/":
            return 200, {"Content-Type": "text/html; charset=utf-8"}, (INDEX % self._version).encode()
        if path == "/maps":
            return self._rows()
        return 404, {}, b"there are /, /metrics and /healthz\n"

    def _sample(self) -> tuple[Page | None, str]:
        """(the last sample, "") or (None, why there is none that can be told)."""
        try:
            page = sample_page.read(self._page)
        except OSError as error:
            return None, "cannot read the last sample: %s\n" % error.strerror
        if page is None:
            return None, "there is no sample yet: the programs are being loaded\n"
        age = time.monotonic() - page.now
        if age > LATE * max(page.every, 1):
            return None, "the last sample is %d seconds old: the collector does not count any more\n" % age
        return page, ""

    def _rows(self) -> Answer:
        """What the kernel has counted, row by row, with --debug."""
        page, why = self._sample()
        if page is None:
            return 503, {}, why.encode()
        body = "".join(["%s %d %s %d\n" % each for each in page.rows()])
        return (200, {}, body.encode()) if body else (404, {}, b"rows are told with --debug only\n")

    def _metrics(self, openmetrics: bool, gzip: bool) -> Answer:
        page, why = self._sample()
        if page is None:
            return 503, {}, why.encode()
        with self._lock:
            if page.sequence != self._sequence:
                self._texts.clear()
                self._sequence = page.sequence
            body = self._texts.get((openmetrics, gzip))
            if body is None:
                while len(self._texts) >= KEPT:
                    del self._texts[next(iter(self._texts))]
                body = self._texts[openmetrics, gzip] = self._written(page, openmetrics, gzip)
        headers = {"Content-Type": metrics.OPENMETRICS_TYPE if openmetrics else metrics.TEXT_TYPE,
                   "Vary": "Accept, Accept-Encoding"}
        return 200, {**headers, "Content-Encoding": "gzip"} if gzip else headers, body

    def _written(self, page: Page, openmetrics: bool, gzip: bool) -> bytearray:
        written = bytearray()  # join() would have all parts and their sum at the same time
        compressor = zlib.compressobj(1, zlib.DEFLATED, GZIP) if gzip else None
        for part in self._parts(page, openmetrics):
            encoded = part.encode("utf-8", "replace")
            written += compressor.compress(encoded) if compressor else encoded
        if compressor:
            written += compressor.flush()
        return written

    def _parts(self, page: Page, openmetrics: bool) -> Iterator[str]:
        if self._names == "tfo":
            yield from tfo_metrics.texts(page.sample())
        else:
            yield from metrics.texts(page.sample(), openmetrics)
        yield from self._own(page, openmetrics)
        if openmetrics:
            yield metrics.END

    def _own(self, page: Page, openmetrics: bool) -> Iterator[str]:
        """About the plugin itself."""
        build = Family("ebpf_plugin_build_info", "gauge", "", 1, "Version of ebpf.plugin; the value is always 1")
        yield metrics.header(build, openmetrics) + metrics.line(build.name, (("version", self._version),), "1")
        tick = Family("ebpf_plugin_last_tick_timestamp_seconds", "gauge", "seconds", 1, "When the counters were read")
        yield metrics.header(tick, openmetrics) + metrics.line(tick.name, (), "%.3f" % page.written)
