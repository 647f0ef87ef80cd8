"""Who may see metrics: TLS and passwords, by what web_config.read() says."""
from __future__ import annotations

import base64
import binascii
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any, Callable

REMEMBERED = 32  # passwords that were right: bcrypt takes a tenth of a second each
CLIENTS = {"NoClientCert": "CERT_NONE", "VerifyClientCertIfGiven": "CERT_OPTIONAL",
           "RequireAndVerifyClientCert": "CERT_REQUIRED"}
VERSIONS = {"TLS12": "TLSv1_2", "TLS13": "TLSv1_3"}


class Refused(Exception):
    """A certificate or a key that cannot be used; the text is for the user."""


class Access:
    """tls: for wrap_socket(), or None. users: {name: bcrypt hash}, empty if no password is needed; check(password, hash),
    both as bytes, raises ValueError for a password that it cannot take."""

    def __init__(self, tls: ssl.SSLContext | None, users: dict[str, str], check: Callable[[bytes, bytes], bool] | None):
        self.tls, self._users, self._check = tls, users, check
        self._lock = threading.Lock()
        self._right: list[bytes] = []
        if users:
            from hmac import compare_digest  # libcrypto is 4 MB that only passwords need
            self._same = compare_digest

    def admits(self, authorization: str) -> bool:
        """Whether the header Authorization has a user with the right password, or none is needed."""
        if not self._users:
            return True
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            given = b""
        name, colon, password = given.partition(b":")
        if scheme.lower() != "basic" or not colon:
            return False
        with self._lock:  # one at a time: it takes a processor
            if any([self._same(right, given) for right in self._right]):
                return True
            known = self._users.get(name.decode("utf-8", "replace"))
            # who names an unknown user waits as long as who names a known one
            is_right = self._is_right(password, known or next(iter(self._users.values()))) and known is not None
            if is_right:
                self._right = [given] + self._right[:REMEMBERED - 1]
        return is_right

    def _is_right(self, password: bytes, hashed: str) -> bool:
        try:
            return self._check is not None and self._check(password, hashed.encode())
        except ValueError:
            return False  # a password with a zero byte


def access(web: dict[str, Any]) -> Access:
    """By what web_config.read() says, or {}. Reads the certificates; raises Refused."""
    users = web.get("users") or {}
    check = None
    if users:
        sys.path.append(web["libraries"])
        import bcrypt
        check = bcrypt.checkpw
    return Access(_context(web["tls"]) if web.get("tls") else None, users, check)


def _context(tls: dict[str, str]) -> ssl.SSLContext:
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion[VERSIONS[tls.get("min_version", "TLS12")]]
    try:
        # without a password openssl asks on the terminal
        context.load_cert_chain(tls["cert_file"], tls["key_file"], password=lambda: b"-")
        if tls.get("client_ca_file"):
            context.load_verify_locations(tls["client_ca_file"])
            context.verify_mode = ssl.VerifyMode[CLIENTS[tls.get("client_auth_type", "RequireAndVerifyClientCert")]]
    except (OSError, ssl.SSLError) as error:
        raise Refused("%s: cannot use the certificate and its key: %s" % (tls["where"], error.strerror or error)) from None
    return context
