"""The web configuration file of Prometheus's exporters, as far as it is supported: TLS, and users with passwords.

https://prometheus.io/docs/prometheus/latest/configuration/https/. It is read once, before the server is started: the server
has no YAML, and cannot open files later.
"""
from __future__ import annotations

import os
from typing import Any

from ..config import files

TLS = "tls_server_config"
USERS = "basic_auth_users"
TLS_KEYS = ("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version")
PATHS = TLS_KEYS[:3]
CHOICES = {"client_auth_type": ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"),
           "min_version": ("TLS12", "TLS13")}


class Invalid(Exception):
    """path:line: what is wrong, what is accepted."""


def read(path: str) -> dict[str, Any]:
    """{"tls": {key of TLS_KEYS: value, "where": path:line} or {}, "users": {name: bcrypt hash},
    "libraries": the directory that has bcrypt, if there are users}. Raises Invalid."""
    try:
        import yaml
    except ImportError:
        raise Invalid("%s:1: PyYAML is needed to read it (Debian: python3-yaml)" % path) from None
    try:
        root = yaml.compose(files.read(path), yaml.SafeLoader)
    except OSError as error:
        raise Invalid("%s:1: cannot be read: %s" % (path, error.strerror)) from None
    except RecursionError:
        raise Invalid("%s:1: nested too deeply; expected sections %s and %s" % (path, TLS, USERS)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise Invalid("%s:%d: not YAML: %s" % (path, line, getattr(error, "problem", error))) from None
    found = _entries(path, root, "sections %s and %s" % (TLS, USERS)) if root is not None else {}
    for name, (line, _) in found.items():
        if name not in (TLS, USERS):
            raise Invalid("%s:%d: unknown section %s; accepted are %s and %s" % (path, line, name, TLS, USERS))
    tls = _tls(path, *found[TLS]) if TLS in found else {}
    users, libraries = _users(path, found[USERS][1]) if USERS in found else ({}, "")
    return {"tls": tls, "users": users, "libraries": libraries}


def _entries(path: str, node: Any, what: str) -> dict[str, tuple[int, Any]]:
    """{key: (line, node of its value)} of a mapping that is not empty."""
    if type(node).__name__ != "MappingNode" or not node.value:
        raise Invalid("%s:%d: expected %s" % (path, node.start_mark.line + 1, what))
    return {key.value: (key.start_mark.line + 1, value) for key, value in node.value if isinstance(key.value, str)}


def _text(path: str, line: int, node: Any) -> str:
    if not isinstance(node.value, str) or "\0" in node.value:
        raise Invalid("%s:%d: expected a text" % (path, line))
    return node.value


def _tls(path: str, line: int, node: Any) -> dict[str, str]:
    entries = _entries(path, node, "cert_file and key_file")
    for key, (where, _) in entries.items():
        if key not in TLS_KEYS:
            raise Invalid("%s:%d: %s is not supported; accepted are %s" % (path, where, key, ", ".join(TLS_KEYS)))
    values = {key: _text(path, *entry) for key, entry in entries.items()}
    for key in TLS_KEYS[:2]:
        if not values.get(key):
            raise Invalid("%s:%d: %s needs %s" % (path, line, TLS, key))
    for key, choices in CHOICES.items():
        if values.get(key, choices[0]) not in choices:
            raise Invalid("%s:%d: %s: expected %s" % (path, entries[key][0], key, " or ".join(choices)))
    here = os.path.dirname(os.path.abspath(path))  # other files are relative to this one
    return {**values, **{key: os.path.join(here, values[key]) for key in PATHS if values.get(key)},
            "where": "%s:%d" % (path, line)}


def _users(path: str, node: Any) -> tuple[dict[str, str], str]:
    try:
        import bcrypt
    except ImportError:
        raise Invalid("%s:1: %s needs bcrypt (Debian: python3-bcrypt)" % (path, USERS)) from None
    users = {}
    for name, (line, value) in _entries(path, node, "names of users with bcrypt hashes").items():
        users[name] = _text(path, line, value)
        try:
            bcrypt.checkpw(b"", users[name].encode())
        except ValueError:
            raise Invalid("%s:%d: the password of %s is no bcrypt hash" % (path, line, name)) from None
    return users, os.path.dirname(os.path.dirname(bcrypt.__file__))
