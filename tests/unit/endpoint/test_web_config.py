"""TLS and passwords: the file of Prometheus's exporters, and what a server does with it."""
import base64
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time

import bcrypt
from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest
from served import BOUND_KB, Served, free_port, many

from ebpf_plugin.endpoint.access import REMEMBERED, Access
from ebpf_plugin.endpoint.web_config import Invalid, read

HASH = bcrypt.hashpw(b"secret:word", bcrypt.gensalt(4)).decode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The directory of cert.pem and key.pem, for localhost."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   cwd=directory, check=True, stderr=subprocess.DEVNULL)
    return directory


def written(directory, text):
    path = directory / "web.yml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("text, line, message", [
    ("- a\n", 1, "expected sections tls_server_config and basic_auth_users"),
    ("tls_server_config: [\n", 2, "not YAML: "),
    ("\nhttp_server_config:\n  http2: false\n", 2, "unknown section http_server_config; accepted are"),
    ("tls_server_config: yes\n", 1, "expected cert_file and key_file"),
    ("tls_server_config:\n  cert_file: a\n", 1, "tls_server_config needs key_file"),
    ("tls_server_config:\n  cert_file: a\n  cipher_suites: b\n", 3, "cipher_suites is not supported; accepted are"),
    ("tls_server_config:\n  cert_file: a\n  key_file: [b]\n", 3, "expected a text"),
    ("tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS10\n", 4, "min_version: expected TLS12 or TLS13"),
    ("tls_server_config:\n  cert_file: \"a\\0b\"\n  key_file: b\n", 2, "expected a text"),
    ("[" * 3000, 1, "nested too deeply; expected sections tls_server_config and basic_auth_users"),
    ("basic_auth_users: {}\n", 1, "expected names of users with bcrypt hashes"),
    ("basic_auth_users:\n  one: two\n", 2, "the password of one is no bcrypt hash"),
    ("basic_auth_users: one\n", 1, "expected names of users with bcrypt hashes"),
])
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, line, message):
    path = written(tmp_path, text)
    with pytest.raises(Invalid, match="%s:%d: %s" % (re.escape(path), line, re.escape(message))):
        read(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Invalid, match="none.yml:1: cannot be read: No such file or directory"):
        read(str(tmp_path / "none.yml"))


def test_an_empty_file_asks_for_nothing(tmp_path):
    assert read(written(tmp_path, "# nothing\n")) == {"tls": {}, "users": {}, "libraries": ""}
    assert Access(None, {}, None).admits("")


def test_paths_are_relative_to_the_file(tmp_path):
    path = written(tmp_path, "\ntls_server_config:\n  cert_file: a.pem\n  key_file: /b.pem\n")
    assert read(path)["tls"] == {"cert_file": "%s/a.pem" % tmp_path, "key_file": "/b.pem", "where": path + ":2"}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@FUZZ
@given(st.one_of(st.text(), st.text(alphabet="tlsbasicuerverconfg_: \n-[]{}\"'&*!#|>")))
def test_any_file_is_read_or_refused(fuzzed, text):
    (fuzzed / "any.yml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read(str(fuzzed / "any.yml"))
    except Invalid as error:
        assert re.match(r".*any\.yml:\d+: .", str(error))


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("authorization, expected", [
    (basic("alice:secret:word"), True), ("basic " + basic("alice:secret:word")[6:], True), (basic("alice:secret"), False),
    (basic("alice:"), False), (basic("alice"), False), (basic("bob:secret:word"), False), (basic(":"), False),
    (basic("alice:\0"), False), ("Basic !", False), ("Basic", False), ("", False), ("Bearer x", False),
    ("Basic \u00e9", False),
])
def test_who_is_admitted(authorization, expected):
    config = Access(None, {"alice": HASH}, bcrypt.checkpw)
    assert [config.admits(authorization) for _ in range(2)] == [expected] * 2


def test_a_right_password_is_checked_once_and_a_wrong_one_each_time():
    calls = []
    config = Access(None, {"alice": HASH}, lambda *of: calls.append(1) or bcrypt.checkpw(*of))
    for _ in range(5):
        assert config.admits(basic("alice:secret:word"))
    assert len(calls) == 1
    for name in ("alice", "bob", "bob"):  # who is not there takes as long
        assert not config.admits(basic(name + ":wrong"))
    assert len(calls) == 4
    assert len(config._right) <= REMEMBERED


@pytest.fixture
def serve(tmp_path):
    """serve(text of the web configuration) -> Served, with a sample."""
    servers = []

    def begin(text):
        servers.append(Served("127.0.0.1:%d" % free_port(), written(tmp_path, text)))
        servers[-1].write(every=1000)
        return servers[-1]
    yield begin
    for server in servers:
        server.close()


def test_passwords_over_http(serve):
    server = serve("basic_auth_users:\n  alice: %s\n" % HASH)
    status, headers, _ = server.get()
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="ebpf.plugin"')
    assert [server.get(path, Authorization=basic("alice:wrong"))[0] for path in ("/", "/healthz")] == [401, 401]
    assert server.get(Authorization=basic("alice:secret:word"))[0] == 200


def test_tls(serve, certificate):
    server = serve("tls_server_config:\n  cert_file: {0}/cert.pem\n  key_file: {0}/key.pem\n"
                   "basic_auth_users:\n  alice: {1}\n".format(certificate, HASH))
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))

    def get(**headers):
        return server.get(connection=trusting.wrap_socket(server.connect(), server_hostname="localhost"), **headers)
    assert get()[0] == 401
    for _ in range(100):
        assert get(Authorization=basic("alice:secret:word"))[0] == 200
    with server.connect() as plain:
        plain.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(100).startswith(b"HTTP")
    assert get(Authorization=basic("alice:secret:word"))[0] == 200
    assert server.resident_kb() < BOUND_KB


def test_tls_and_passwords_with_a_large_sample_stay_within_the_bound(serve, certificate):
    server = serve("tls_server_config:\n  cert_file: {0}/cert.pem\n  key_file: {0}/key.pem\n"
                   "basic_auth_users:\n  alice: {1}\n".format(certificate, HASH))
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    seen = []

    def scrape():
        for number in range(20):
            connection = trusting.wrap_socket(server.connect(), server_hostname="localhost")
            seen.append(server.get(connection=connection, Authorization=basic("alice:secret:word"),
                                   Accept_Encoding="gzip" if number % 2 else "")[0])
    threads = [threading.Thread(target=scrape) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        server.write(*many(500), every=1000)
        thread.join()
    assert seen == [200] * 320
    assert server.resident_kb() < BOUND_KB


def test_clients_that_begin_no_handshake_do_not_keep_others_out(serve, certificate):
    server = serve("tls_server_config:\n  cert_file: %s/cert.pem\n  key_file: %s/key.pem\n" % (certificate, certificate))
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    silent = [server.connect() for _ in range(40)]
    begun = time.monotonic()
    assert server.get(connection=trusting.wrap_socket(server.connect(), server_hostname="localhost"))[0] == 200
    assert time.monotonic() - begun < 2.5
    for each in silent:
        each.close()


def test_certificates_of_clients(serve, certificate):
    server = serve("tls_server_config:\n  cert_file: {0}/cert.pem\n  key_file: {0}/key.pem\n  client_ca_file: {0}/cert.pem\n"
                   "  client_auth_type: RequireAndVerifyClientCert\n  min_version: TLS13\n".format(certificate))
    trusting = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.get(connection=trusting.wrap_socket(server.connect(), server_hostname="localhost"))
    trusting.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    assert server.get(connection=trusting.wrap_socket(server.connect(), server_hostname="localhost"))[0] == 200


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(tmp_path, certificate, capfd):
    subprocess.run(["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", str(certificate / "key.pem"), "-out",
                    str(tmp_path / "key.pem")], check=True, stderr=subprocess.DEVNULL)
    path = written(tmp_path, "tls_server_config:\n  cert_file: %s/cert.pem\n  key_file: key.pem\n" % certificate)
    said = what_a_server_says_that_ends(path, capfd)
    assert "web.yml:1: cannot use the certificate and its key: " in said


def test_a_server_without_its_certificate_ends_with_a_message(tmp_path, capfd):
    path = written(tmp_path, "tls_server_config:\n  cert_file: none.pem\n  key_file: none.pem\n")
    said = what_a_server_says_that_ends(path, capfd)
    assert "web.yml:1: cannot use the certificate and its key: No such file or directory\n" in said


def test_a_server_logs_as_the_agent_wants_it(tmp_path, capfd):
    path = written(tmp_path, "tls_server_config:\n  cert_file: none.pem\n  key_file: none.pem\n")
    said = json.loads(what_a_server_says_that_ends(path, capfd, {"NETDATA_LOG_FORMAT": "json"}))
    assert said["level"] == "error" and "web.yml:1: cannot use the certificate" in said["msg"]


def what_a_server_says_that_ends(path, capfd, environment=()):
    server = Served("127.0.0.1:%d" % free_port(), path, environment=environment)
    _, status = os.waitpid(server.pid, 0)
    server.close()
    said = capfd.readouterr().err
    assert (os.waitstatus_to_exitcode(status), said.count("\n")) == (1, 1)
    return said
