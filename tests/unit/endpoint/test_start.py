"""What metrics are served on: TCP, Unix sockets, sockets of systemd; and what is in the way."""
import os
import socket
import stat
import subprocess
import sys
import time

from fakes import PACKAGE
import pytest
from served import Served, free_port

from ebpf_plugin.endpoint import start
from ebpf_plugin.outputs.published import Published

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def serve():
    servers = []

    def begin(address, **options):
        servers.append(Served(address, **options))
        servers[-1].write()
        return servers[-1]
    yield begin
    for server in servers:
        server.close()


def test_ipv6(serve):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("IPv6 is switched off")
    assert serve("[::1]:%d" % free_port()).get()[0] == 200


def test_a_unix_socket_is_for_its_owner_and_group(serve, tmp_path):
    path = tmp_path / "ebpf.sock"
    assert serve("unix:%s" % path).get()[0] == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_unix_socket_that_was_left_is_replaced(serve, tmp_path):
    path = str(tmp_path / "ebpf.sock")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    assert serve("unix:" + path).get()[0] == 200


def test_what_is_in_the_way_stays(serve, tmp_path):
    path = tmp_path / "ebpf.sock"
    serve("unix:%s" % path)
    with pytest.raises(start.CannotListen, match="cannot serve metrics on unix:.*: Address already in use"):
        Served("unix:%s" % path)
    path.unlink()
    path.write_text("precious")
    with pytest.raises(start.CannotListen, match="there is a file with this name"):
        Served("unix:%s" % path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("address, why", [
    ("unix:/nowhere/ebpf.sock", "No such file or directory"),
    ("192.0.2.1:9435", "Cannot assign requested address"),
    ("999.0.0.1:9435", ""),
])
def test_addresses_that_this_machine_does_not_have(address, why):
    with pytest.raises(start.CannotListen, match="cannot serve metrics on %s: .*%s" % (address, why)):
        Served(address)


def test_a_server_that_cannot_be_started(monkeypatch):
    port = free_port()
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(start.CannotListen, match="cannot serve metrics on 127.0.0.1:%d: No such file or directory" % port):
        Served("127.0.0.1:%d" % port)
    with socket.create_server(("127.0.0.1", port)):
        pass  # it is free


def test_a_port_that_is_taken(serve):
    port = free_port()
    serve("127.0.0.1:%d" % port)
    with pytest.raises(start.CannotListen, match="Address already in use"):
        Served("127.0.0.1:%d" % port)


ACTIVATED = """
import os, sys
sys.path[:0] = sys.argv[1:3]
os.environ["LISTEN_PID"] = str(os.getpid())
from served import Served
server = Served("fd://0", environment=os.environ)
server.write()
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_a_socket_of_systemd():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()

        def as_systemd():  # the first socket of a unit is descriptor 3
            os.dup2(listening.fileno(), 3)
        with subprocess.Popen(
                [sys.executable, "-c", ACTIVATED, os.path.dirname(PACKAGE), HERE], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, preexec_fn=as_systemd, pass_fds=[3], env={**os.environ, "LISTEN_FDS": "1"}) as child:
            assert int(child.stdout.readline())
            with socket.create_connection(address, 20) as ours:
                ours.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                assert ours.recv(100).startswith(b"HTTP/1.0 200")
            child.stdin.close()


@pytest.mark.parametrize("environment", [
    {}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}, {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
    {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
])
def test_systemd_has_passed_nothing(environment):
    with pytest.raises(start.CannotListen, match="cannot serve metrics on fd://0: systemd has passed no such socket"):
        Served("fd://0", environment=environment)


def test_the_address_is_free_as_soon_as_the_output_ends(serve):
    served = serve("127.0.0.1:%d" % free_port()).until_ready()
    spare = os.dup(served.page)
    state = {"page": spare, "server": served.pid, "alive": os.dup(served.alive), "hooks": (), "counters": {}}
    os.close(served.alive)
    served.alive = spare  # which close() closes
    with Published(state, 1, None):
        assert served.is_alive()
    # this process, which stands for what takes programs down, is still there
    deadline = time.monotonic() + 20
    while served.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    with socket.create_server((served.address.host, served.address.port)):
        pass
