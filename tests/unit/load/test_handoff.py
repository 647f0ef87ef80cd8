"""The loader's process, played by a few lines of Python: what it hands over, and every way in which it can fail."""
import os
import re
import time

import pytest

from ebpf_plugin import lifecycle
from ebpf_plugin.config import ebpf_conf, network_filters, network_viewer
from ebpf_plugin.config.options import Text
from ebpf_plugin.load import handoff

# The beginning of every fake loader: it has a socket and the plan.
BEGIN = """
import sys; sys.path.insert(0, sys.argv[1])
import json, os, socket, time
from ebpf_plugin.load import handoff
sock = socket.socket(fileno=int(sys.argv[2]))
plan = json.loads(sock.recv(handoff.LONGEST))
"""

GIVE = """
handoff.tell(sock, stage="attach")
pipes = [os.pipe() for _ in range(plan["count"])]
for number, (_, writing) in enumerate(pipes):
    os.write(writing, b"%d" % number)
manifest = {"maps": {"toy": 2}, "tables": {"rows": 1}, "hooks": {"toy": {"in": plan["hook"]}}, "broken": {"other": "why"},
            "events": ["e"], "warnings": ["so so"], "memory": 4096, "programs": {"in_fexit": 0, "in_kprobe": 1}}
handoff.hand_over(sock, manifest, [reading for reading, _ in pipes])
"""


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No child, not even a dead one, and no descriptor but those that a test closes itself."""
    before = os.listdir("/proc/self/fd")
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def failure(body, patience=10.0):
    with pytest.raises(handoff.LoaderFailed) as caught:
        handoff.load({}, patience, body)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize("count", [3, handoff.BATCH, handoff.BATCH + 1, 2 * handoff.BATCH + 1])
def test_success(count):
    hook = {"method": "probe", "where": ["kprobe:f"], "failed": [["trampoline", "no BTF"]]}
    loaded = handoff.load({"count": count, "hook": hook}, start=BEGIN + GIVE)
    try:
        assert [int(os.read(descriptor, 9)) for descriptor in loaded.descriptors] == list(range(count))
        assert loaded.maps == {"toy": loaded.descriptors[2]}
        assert loaded.tables == {"rows": loaded.descriptors[1]} and loaded.warnings == ["so so"]
        assert loaded.memory == 4096
        assert loaded.programs == {"in_fexit": loaded.descriptors[0], "in_kprobe": loaded.descriptors[1]}
        assert loaded.hooks == {"toy": {"in": hook}}
        assert loaded.broken == {"other": "why"} and loaded.events == ["e"]
    finally:
        for descriptor in loaded.descriptors:
            os.close(descriptor)


def test_output_of_the_loader_is_not_ours(capfd):
    body = BEGIN + "print('chatter', flush=True); print('noise', file=sys.stderr, flush=True)" + GIVE
    for descriptor in handoff.load({"count": 3, "hook": {}}, start=body).descriptors:
        os.close(descriptor)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("body, text", [
    ("handoff.tell(sock, error='cannot import bcc')", "cannot import bcc"),
    ("handoff.tell(sock, stage='import'); handoff.tell(sock, error='no')", "no"),
    ("", "the loader died after stage 'start'"),
    ("handoff.tell(sock, stage='compile'); os._exit(0)", "the loader died after stage 'compile'"),
    ("handoff.tell(sock, stage='compile'); os.kill(os.getpid(), 9)", "the loader died after stage 'compile'"),
    ("os.write(2, b'first\\n  last one \\n'); os._exit(1)",
     "the loader died after stage 'start'; its last words: last one"),
    ("handoff.tell(sock, stage='compile'); print('LLVM ERROR: out of memory', flush=True); os.abort()",
     "the loader died after stage 'compile'; its last words: LLVM ERROR: out of memory"),
    ("handoff.tell(sock, manifest={}, descriptors=5); os._exit(0)", "the loader died after stage 'hand over'"),
], ids=["error", "error later", "no word", "exit", "killed", "words", "abort", "hand over"])
def test_failures(body, text):
    assert failure(BEGIN + body) == text


def test_last_words_of_a_traceback():
    assert failure(BEGIN + "1 / 0") == (
        "the loader died after stage 'start'; its last words: ZeroDivisionError: division by zero")


def test_a_loader_that_does_not_even_start():
    assert re.fullmatch("the loader.*; its last words: SyntaxError: .*", failure("def"))


def test_last_words_that_are_no_text():
    assert "last words" in failure(BEGIN + "os.write(2, b'a\\x1b[2J\\x00\\xff b'); os._exit(1)")


@pytest.mark.parametrize("body", [
    BEGIN + "handoff.tell(sock, stage='compile'); time.sleep(60)",
    "import time; time.sleep(60)",
    # deaf to everything but SIGKILL
    BEGIN + "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); time.sleep(60)",
], ids=["after a stage", "from the start", "deaf"])
def test_silence_is_not_waited_for(body):
    began = time.monotonic()
    assert re.fullmatch("the loader was silent for 0 seconds after stage '(start|compile)', and was killed",
                        failure(body, patience=0.2))
    assert time.monotonic() - began < 5


def test_signs_of_life_are_waited_for():
    body = BEGIN + "[(handoff.tell(sock, stage=str(n)), time.sleep(0.1)) for n in range(9)]" + GIVE
    for descriptor in handoff.load({"count": 3, "hook": {}}, 0.8, body).descriptors:
        os.close(descriptor)


def test_a_stop_meanwhile_takes_the_loader_along(monkeypatch):
    def stop(*_):
        raise lifecycle.Stop

    monkeypatch.setattr(handoff, "_message", stop)
    with pytest.raises(lifecycle.Stop):
        handoff.load({}, start=BEGIN + "time.sleep(60)")


def test_the_largest_plan_arrives_whole(nothing_is_left):
    """Every second port and as many networks as ebpf.conf may make."""
    wanted = ebpf_conf.load([])[0]
    blocks = " ".join("10.%d.%d.0/24" % (number >> 7, number * 2 & 255) for number in range(network_filters.MOST_NETWORKS))
    wanted = wanted._replace(ports=Text(" ".join(map(str, range(1, 65536, 2)))), ips=Text(blocks))
    network, messages = network_viewer.settle(wanted, {}, "")
    assert messages == [] and len(network.networks) == network_filters.MOST_NETWORKS
    plan = {"count": 3, "hook": {}, "filters": {"ports": network.ports, "networks": network.networks}}
    body = BEGIN + "assert len(plan['filters']['networks']) == %d\n" % network_filters.MOST_NETWORKS + GIVE
    for descriptor in handoff.load(plan, start=body).descriptors:
        os.close(descriptor)
