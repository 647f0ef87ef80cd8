"""HTTP with bounds: so many connections, so many bytes of a request, so much time. One request for each connection.

A client that is slow or sends rubbish costs its own connection. When all are taken, the one whose request has been
unfinished for longest makes room for the next.
"""
from __future__ import annotations

import http.client
import io
import select
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

from .. import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from .pages import Pages
    from .access import Access

CONNECTIONS = 8  # at a time
HEAD = 8192  # bytes of a request
SECONDS = 5.0  # for a request to come, and for the answer to be taken
WAIT = 0.25  # seconds that a client has for its request when all connections are taken
CHUNK = 65536  # bytes of an answer that are sent at a time
STACK = 256 << 10  # bytes for each thread
BOTH_WAYS = 2  # SHUT_RDWR


class TooLarge(Exception):
    """A request has more than HEAD bytes."""


class Server(socketserver.TCPServer):
    """Serves `pages` on a listening socket, to who may see them."""

    def __init__(self, listening: socket.socket, pages: Pages, access: Access):
        socketserver.BaseServer.__init__(self, None, Handler)  # type: ignore[arg-type]
        self.socket = listening
        self.pages, self.access = pages, access
        self._places = threading.BoundedSemaphore(CONNECTIONS)
        self._lock = threading.Lock()
        # connections without a whole request, the oldest first: what to end, since when
        self._unfinished: dict[Any, tuple[Any, float]] = {}
        threading.stack_size(STACK)

    def serve(self, dead: int) -> None:
        """Until the other end of the pipe `dead` is closed."""
        waiting = select.poll()
        waiting.register(self.socket, select.POLLIN)
        waiting.register(dead, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in waiting.poll()]
            if dead in ready:
                return
            self._handle_request_noblock()  # type: ignore[attr-defined]

    def get_request(self) -> Any:
        """A connection; those of Unix sockets have no address."""
        connection, address = self.socket.accept()
        connection.settimeout(SECONDS)
        return connection, address or ("", 0)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection by a thread, if there is a place."""
        if not self._places.acquire(blocking=False) and not self._make_room():
            self.shutdown_request(request)
            return
        self.unfinished(request, request)
        try:
            threading.Thread(target=self._serve, args=(request, client_address), daemon=True).start()
        except (RuntimeError, MemoryError):  # no further thread
            self._end(request)

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except (OSError, MemoryError):
            pass  # the client is gone or too slow, or there is no memory for this answer
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self._end(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Something that should not happen, once."""
        log.once(log.ERROR, "a request for metrics was not answered: %r" % sys.exc_info()[1], "a request")

    def _end(self, request: Any) -> None:
        self.finished(request)
        self.shutdown_request(request)
        self._places.release()

    def unfinished(self, request: Any, connection: Any) -> None:
        """The request of a connection is not here yet; `connection` is what can be ended, the same or TLS on it."""
        with self._lock:
            _, since = self._unfinished.get(request, (None, time.monotonic()))
            self._unfinished[request] = connection, since

    def finished(self, request: Any) -> None:
        """It is here, or will not come: the connection is not ended for another any more."""
        with self._lock:
            self._unfinished.pop(request, None)

    def _make_room(self) -> bool:
        """Wait for a place, and end the connection that has been unfinished for longest if there is none in time. Whether
        there is a place now."""
        with self._lock:
            _, since = next(iter(self._unfinished.values()), (None, time.monotonic()))
        if self._places.acquire(timeout=max(0.0, since + WAIT - time.monotonic())):
            return True
        with self._lock:
            oldest = next(iter(self._unfinished), None)
            if oldest is not None:
                try:
                    self._unfinished.pop(oldest)[0].shutdown(BOTH_WAYS)  # its thread sees the end of the connection
                except OSError:
                    pass
        return self._places.acquire(timeout=WAIT)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    server_version, sys_version = "ebpf.plugin", ""

    def setup(self) -> None:
        """Nothing is opened before the request is here."""

    def finish(self) -> None:
        """All has been sent."""

    def handle(self) -> None:
        """Read the request's head with its bounds, and let the standard library do the rest."""
        raw, tls = self.request, self.server.access.tls
        deadline = time.monotonic() + SECONDS
        if tls is None:
            self._handle(raw, raw, deadline)
            return
        with tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as connection:
            self.server.unfinished(raw, connection)
            connection.do_handshake()
            self._handle(raw, connection, deadline)
            connection.settimeout(WAIT)
            connection.unwrap()

    def _handle(self, raw: Any, connection: Any, deadline: float) -> None:
        self.wfile = _Answer(connection)  # type: ignore[assignment]
        self.connection = connection
        try:
            self.rfile = io.BytesIO(_head(connection, deadline))
            self.server.finished(raw)
            self.handle_one_request()
        except TooLarge:
            self.requestline, self.request_version, self.command = "", "HTTP/1.0", ""
            self.send_error(431)
            self.wfile.flush()
            # an answer is lost when a connection is closed with bytes that nobody has read
            connection.settimeout(WAIT)
            connection.recv(HEAD)

    def do_GET(self) -> None:
        """Answer with the page, if there is one, and the client may see it."""
        if not self.server.access.admits(self.headers.get("Authorization", "")):
            self._answer(401, {"WWW-Authenticate": 'Basic realm="ebpf.plugin"'}, b"a user name and a password are needed\n")
            return
        self._answer(*self.server.pages.get(
            self.path.partition("?")[0], self.headers.get("Accept", ""), self.headers.get("Accept-Encoding", "")))

    do_HEAD = do_GET

    def _answer(self, status: int, headers: dict[str, str], body: bytes | bytearray) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/plain; charset=utf-8", **headers, "Content-Length": str(len(body)),
                            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """There is no access log."""


class _Answer(io.RawIOBase):
    """Writes to a connection: all of an answer has to be taken within SECONDS."""

    def __init__(self, connection: Any):
        self._connection, self._deadline = connection, 0.0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """All of it. Raises OSError."""
        self._deadline = self._deadline or time.monotonic() + SECONDS
        rest = memoryview(data)
        while rest:
            self._connection.settimeout(_left(self._deadline))
            rest = rest[self._connection.send(rest[:CHUNK]):]
        return len(data)


def _head(connection: Any, deadline: float) -> bytes:
    """A request up to the empty line. Raises TooLarge, OSError."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        connection.settimeout(_left(deadline))
        more = connection.recv(HEAD)
        if not more:
            raise ConnectionResetError
        head += more
        if len(head) > HEAD:
            raise TooLarge
    return head


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def warm_up() -> None:
    """Let the libraries load what they load at the first request: later they cannot open files.

    glibc before 2.34 loads libgcc_s when the first thread ends (pthread_exit), and aborts if it cannot.
    """
    first = threading.Thread(target=int)
    first.start()
    first.join()
    http.client.parse_headers(io.BytesIO(b"Host: localhost\r\nX: \xff\r\n\r\n")).get("Accept", "")
