"""Names of addresses: whatever the resolver does, nobody waits for it, and memory has an end."""
import os
import shutil
import subprocess
import sys
import threading
import time

from fakes import PACKAGE
import pytest

from ebpf_plugin import simple_patterns
from ebpf_plugin.collect import resolver
from ebpf_plugin.collect.resolver import AGAIN, MOST, WAITING, Resolver

ALL = simple_patterns.parse("*")


def address(number):
    return bytes(10) + b"\xff\xff" + (0x0A000000 + number).to_bytes(4, "big")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)


def take(resolver):
    """Wait for an answer, which may be that there is no name."""
    wait_for(lambda: resolver._answers and not resolver._queue)
    return resolver.take()


def test_an_answer():
    asked = []
    resolver = Resolver(ALL, Clock(), lambda text: asked.append(text) or "host-" + text)
    assert resolver.take() is False
    assert resolver.name_of(address(1)) is None
    assert take(resolver) is True
    assert resolver.name_of(address(1)) == "host-10.0.0.1"
    assert resolver.take() is False and asked == ["10.0.0.1"]


def test_an_address_of_ipv6():
    resolver = Resolver(ALL, Clock(), lambda text: text)
    v6 = bytes.fromhex("20010db8000000000000000000000001")
    resolver.name_of(v6)
    assert take(resolver) and resolver.name_of(v6) == "2001:db8::1"


def test_no_name_is_asked_for_again_only_after_a_while():
    asked, clock = [], Clock()

    def lookup(text):
        asked.append(text)
        raise OSError("no name")

    resolver = Resolver(ALL, clock, lookup)
    assert resolver.name_of(address(1)) is None
    assert take(resolver) is True, "charts are made anew: there is room for more questions"
    assert resolver.take() is False
    clock.now += AGAIN
    assert resolver.name_of(address(1)) is None and not resolver._queue and len(asked) == 1
    clock.now += 1
    assert resolver.name_of(address(1)) is None
    assert take(resolver) is True and len(asked) == 2


def test_a_name_is_not_asked_for_again():
    asked, clock = [], Clock()
    resolver = Resolver(ALL, clock, lambda text: asked.append(text) or "host")
    resolver.name_of(address(1))
    take(resolver)
    clock.now += 100 * AGAIN
    assert resolver.name_of(address(1)) == "host" and len(asked) == 1


@pytest.fixture
def blocked():
    """A lookup that does not return before the test ends."""
    release = threading.Event()
    yield lambda text: release.wait(60) and "late"
    release.set()


def test_a_lookup_that_never_returns(blocked):
    clock = Clock()
    resolver = Resolver(ALL, clock, blocked)
    began = time.monotonic()
    for tick in range(20):
        clock.now += 1000
        for number in range(500):
            assert resolver.name_of(address(tick * 500 + number)) is None
        assert resolver.take() is False
        assert not resolver.is_excluded(address(tick))
    assert time.monotonic() - began < 5
    assert len(resolver._queue) <= WAITING and len(resolver._known) <= MOST and resolver._answers == []


def test_memory_has_an_end():
    resolver = Resolver(ALL, Clock(), lambda text: text)
    for number in range(3 * MOST):
        resolver.name_of(address(number))
        if number % 200 == 0:
            wait_for(lambda: not resolver._queue)
            resolver.take()
            assert len(resolver._known) <= MOST and not resolver._answers
    wait_for(lambda: not resolver._queue)
    resolver.take()
    assert len(resolver._known) <= MOST
    # the newest are the ones that are remembered
    assert resolver._known[address(3 * MOST - 1)][0] == "10.0.47.255"


@pytest.mark.parametrize("hostnames, name, hidden", [
    ("*", "www.example.com", False),
    ("!*.secret", "db.secret", True),
    ("!*.secret", "DB.SECRET", True),
    ("!*.secret", "www.example.com", False),
    ("*.example.com", "www.example.com", False),
    ("*.example.com", "db.secret", True),
    ("!example.com", "example.com", True),
])
def test_hidden_names(hostnames, name, hidden):
    resolver = Resolver(simple_patterns.parse(hostnames), Clock(), lambda text: name)
    resolver.name_of(address(1))
    assert not resolver.is_excluded(address(1)), "nobody knows yet"
    take(resolver)
    assert resolver.is_excluded(address(1)) is hidden


def test_an_address_without_a_name_is_not_hidden():
    def lookup(text):
        raise OSError

    resolver = Resolver(simple_patterns.parse("*.example.com"), Clock(), lookup)
    resolver.name_of(address(1))
    take(resolver)
    assert not resolver.is_excluded(address(1))


def test_all_are_asked_for_in_the_end():
    """More than fit into the queue, and none has a name: the others' turn comes, too."""
    asked = set()

    def lookup(text):
        asked.add(text)
        raise OSError

    resolver = Resolver(ALL, Clock(), lookup)
    for _ in range(5):
        for number in range(2 * WAITING):
            resolver.name_of(address(number))
        wait_for(lambda: not resolver._queue)
        resolver.take()
    assert len(asked) == 2 * WAITING


@pytest.mark.parametrize("error", [
    resolver.gaierror(-2, "Name or service not known"), UnicodeError("label too long"),
    UnicodeDecodeError("idna", b"\xff", 0, 1, "no")])
def test_what_the_real_lookup_makes_of_errors(monkeypatch, error):
    def getnameinfo(*_):
        raise error

    monkeypatch.setattr(resolver, "getnameinfo", getnameinfo)
    with pytest.raises(OSError):
        resolver._lookup("10.0.0.1")


def test_the_real_lookup_asks_for_a_name_and_nothing_else(monkeypatch):
    asked = []
    monkeypatch.setattr(resolver, "getnameinfo", lambda *of: asked.append(of) or ("www", "0"))
    assert resolver._lookup("10.0.0.1") == "www"
    assert asked == [(("10.0.0.1", 0), resolver.NI_NAMEREQD)]


def test_what_the_collector_holds_with_names():
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from ebpf_plugin.collect import connections, resolver; "
            "connections.text_of(bytes(16)); print(*sys.modules)")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, os.path.dirname(PACKAGE)],
                          stdout=subprocess.PIPE, text=True, check=True)
    assert not {"socket", "threading", "selectors", "typing", "json", "re", "netaddr", "queue"} & set(done.stdout.split())


DEAF = """
import socket, sys, threading, time
sys.path.insert(0, sys.argv[1])
deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
deaf.bind(("127.0.0.1", 53))
from ebpf_plugin import simple_patterns
from ebpf_plugin.collect import resolver as names
import os
os.environ["RES_OPTIONS"] = names.RES_OPTIONS
resolver = names.Resolver(simple_patterns.parse("*"), time.monotonic)
began, longest = time.monotonic(), 0
deaf.settimeout(10)
heard = 0
for tick in range(20):
    then = time.monotonic()
    for last in range(1, 100):
        resolver.name_of(bytes(10) + b"\\xff\\xff" + bytes([10, 1, tick, last]))
    resolver.take()
    longest = max(longest, time.monotonic() - then)
    if not heard:
        heard = len(deaf.recv(512))
while not resolver._answers:
    time.sleep(0.05)
print(heard, longest, time.monotonic() - began, len(resolver._queue))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="a network and an /etc/resolv.conf of its own take root")
@pytest.mark.skipif(not shutil.which("unshare") or not shutil.which("ip"), reason="no unshare or ip")
def test_a_resolver_on_loopback_that_never_answers(tmp_path):
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: dns\n")):
        (tmp_path / name).write_text(text)
    script = ("set -e; ip link set lo up; mount --bind %s/resolv.conf /etc/resolv.conf; "
              "[ ! -e /etc/nsswitch.conf ] || mount --bind %s/nsswitch.conf /etc/nsswitch.conf; exec \"$@\"")
    done = subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", script % (tmp_path, tmp_path), "sh", sys.executable, "-c", DEAF,
         os.path.dirname(PACKAGE)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    if "ermitted" in done.stderr or "ermission" in done.stderr:
        pytest.skip("this root may not: " + done.stderr)
    heard, longest, in_all, queue = map(float, done.stdout.split())
    assert done.returncode == 0 and heard > 12, "it was not asked"
    assert longest < 0.5, "a tick has waited"
    # less than the two tries of five seconds that glibc makes without RES_OPTIONS
    assert in_all < 8 and queue <= WAITING
