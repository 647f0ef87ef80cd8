"""SIGHUP: a process of its own reads the configuration; what changed is taken over, or needs a restart."""
import os
import signal
import struct
import subprocess
import sys
import time
from types import SimpleNamespace

from fakes import PACKAGE
import pytest

from ebpf_plugin import lifecycle, reload
from ebpf_plugin.commands import arguments, reread
from ebpf_plugin.kernel import bpf
from ebpf_plugin.load import plan

CONF = "[network viewer]\nports = 80\nips = 10.0.0.0/8\n"
GROUPS = "web: nginx\n"


@pytest.fixture
def files(tmp_path):
    """files(ebpf_conf, apps_groups_conf) writes them; .argv reads them."""
    def write(conf=CONF, groups=GROUPS):
        (tmp_path / "ebpf.conf").write_text(conf)
        (tmp_path / "apps_groups.conf").write_text(groups)

    write()
    write.argv = ("--config", str(tmp_path))
    return write


def for_collector(argv, monkeypatch, tables=("flow_ports", "flow_networks")):
    """What the collector has from its start."""
    monkeypatch.setattr(sys, "argv", ["ebpf.plugin", *argv])
    args = arguments.parse(argv)
    return reread.for_collector(plan.make(arguments.settings(args, os.environ), args.config, os.environ),
                                {name: name for name in (*tables, "flows")})


def answer(state, patience=20):
    asked = reload.Reload(state)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = asked.answer()
        if found is not None:
            return asked, found
        time.sleep(0.02)
    raise AssertionError("no answer")


@pytest.fixture
def kernel(monkeypatch):
    """Maps as dictionaries."""
    maps = {"flow_ports": {}, "flow_networks": {}}
    monkeypatch.setattr(bpf, "map_update", lambda name, key, value: maps[name].update({key: value}))
    monkeypatch.setattr(bpf, "map_delete", lambda name, key: maps[name].pop(key, None))
    return maps


def taken_over(state, found, asked):
    """What the sources get."""
    calls = []
    asked.take_over(found, [SimpleNamespace(take_over=lambda *call: calls.append(call)), SimpleNamespace()])
    return calls


def network(address, length):
    return struct.pack("=I", length) + bytes.fromhex(address)


def test_nothing_has_changed(files, monkeypatch, said, kernel):
    state = for_collector(files.argv, monkeypatch)
    asked, found = answer(state)
    ((wanted, changed, processes),) = taken_over(state, found, asked)
    assert (changed, kernel) == (set(), {"flow_ports": {}, "flow_networks": {}})
    assert dict(processes).keys() >= {1}
    assert said == ["the configuration was read again: nothing has changed"]


def test_filters_are_changed_in_the_kernel(files, monkeypatch, said, kernel):
    state = for_collector(files.argv, monkeypatch)
    kernel["flow_networks"][network("0" * 20 + "ffff0a000000", 104)] = b"\1"
    files("[network viewer]\nports = 81\nips = 192.168.0.0/16\nmaximum dimensions = 7\n")
    asked, found = answer(state)
    ((wanted, changed, _),) = taken_over(state, found, asked)
    assert changed == {"ports", "ips", "maximum dimensions"} and wanted["maximum dimensions"] == 7
    assert kernel["flow_networks"] == {network("0" * 20 + "ffffc0a80000", 112): b"\1"}
    words = {struct.unpack("=I", key): value for key, value in kernel["flow_ports"].items()}
    bits = b"".join(words[key] for key in sorted(words))
    assert [port for port in range(65536) if bits[port // 8] >> port % 8 & 1] == [81]
    assert said == ["the configuration was read again: taken over: ips, maximum dimensions, ports"]
    # what holds now is what the next one is compared with
    asked, found = answer(state)
    assert taken_over(state, found, asked)[0][1] == set()


def test_a_filter_that_lets_everything_through(files, monkeypatch, said, kernel):
    state = for_collector(files.argv, monkeypatch)
    files("[network viewer]\nports = *\nips = *\n")
    asked, found = answer(state)
    taken_over(state, found, asked)
    assert kernel["flow_networks"] == {network("0" * 32, 0): b"\1"}
    assert set(kernel["flow_ports"].values()) == {b"\xff" * 8} and len(kernel["flow_ports"]) == 1024


def test_other_patterns_of_the_same_groups_are_taken_over(files, monkeypatch, said, kernel):
    state = for_collector(files.argv, monkeypatch)
    files(groups="web: apache2\n")
    asked, found = answer(state)
    ((wanted, changed, _),) = taken_over(state, found, asked)
    assert changed == {"patterns of applications"}
    assert wanted["patterns of applications"][0] == ((b"apache2", 0, 1),)


@pytest.mark.parametrize("change", [
    {"conf": CONF + "[global]\nupdate every = 2\n"}, {"conf": CONF + "[global]\nebpf load mode = return\n"},
    {"conf": CONF + "[global]\napps = no\n"}, {"conf": CONF + "[ebpf programs]\nvfs = no\n"},
    {"conf": CONF + "[ebpf programs]\nnetwork connection monitoring = no\n"}, {"groups": "web: nginx\nmore: x\n"},
    {"groups": "shop: nginx\n"}])
def test_what_takes_a_new_start(files, monkeypatch, said, kernel, change):
    state = for_collector(files.argv, monkeypatch)
    files(**change)
    asked, found = answer(state)
    with pytest.raises(lifecycle.Stop) as stopped:
        taken_over(state, found, asked)
    assert stopped.value.status == 0
    assert said == ["the configuration was read again, and what has changed needs a restart"]


def test_another_version_takes_a_new_start(files, monkeypatch, said, kernel):
    monkeypatch.setattr(reread, "VERSION", "0.1")
    state = for_collector(files.argv, monkeypatch)
    del state["digests"]["hostnames"]  # it did not know of it
    asked, found = answer(state)
    with pytest.raises(lifecycle.Stop):
        taken_over(state, found, asked)


def test_a_filter_that_the_programs_do_not_have_takes_a_new_start(files, monkeypatch, said, kernel):
    files("[network viewer]\nports = *\n")
    state = for_collector(files.argv, monkeypatch, tables=("flow_networks",))
    files("[network viewer]\nports = 80\n")
    asked, found = answer(state)
    with pytest.raises(lifecycle.Stop):
        taken_over(state, found, asked)


def test_a_filter_that_is_too_large_takes_a_new_start(files, monkeypatch, said, kernel):
    def full(name, key, value):
        raise OSError(28, os.strerror(28))

    state = for_collector(files.argv, monkeypatch)
    monkeypatch.setattr(bpf, "map_update", full)
    files("[network viewer]\nports = 80\nips = 10.0.0.0/9\n")
    asked, found = answer(state)
    with pytest.raises(lifecycle.Stop):
        taken_over(state, found, asked)


def test_a_reader_that_fails(files, monkeypatch, capfd):
    state = {**for_collector(files.argv, monkeypatch), "argv": ("--no-such-option",)}
    with pytest.raises(reload.Failed) as failed:
        answer(state)
    assert str(failed.value) == "the process that reads it ended with status 2"


def test_a_reader_that_cannot_be_started_leaves_nothing_open(files, monkeypatch):
    state = for_collector(files.argv, monkeypatch)
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    with pytest.raises(FileNotFoundError):
        reload.Reload(state)
    assert os.listdir("/proc/self/fd") == before


def test_a_reader_that_hangs_is_killed(files, monkeypatch):
    monkeypatch.setattr(reload, "START", "import time; time.sleep(60)")
    monkeypatch.setattr(reload, "PATIENCE", 0.2)
    with pytest.raises(reload.Failed) as failed:
        answer(for_collector(files.argv, monkeypatch))
    assert "was not done after" in str(failed.value)


def test_the_reader_tells_what_is_wrong_in_a_file(files, monkeypatch, capfd):
    state = for_collector(files.argv, monkeypatch)
    files(CONF + "[global]\nupdate every = often\n")
    _, found = answer(state)
    assert found["fixed"] == state["fixed"]
    assert "ebpf.conf:5: update every = 'often'" in capfd.readouterr().err


COLLECTOR = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ebpf_plugin.collect import daemon
daemon.execute({"charts": (), "maps": {}, "programs": {}, "links": {}, "events": (), "every": 0.05, "ticks": None, "host": 1,
                "connections": None, "apps": None, "cgroups": None, "reload": %r}, [])
"""


@pytest.fixture
def collector(files, monkeypatch):
    """A running one without charts."""
    code = COLLECTOR % for_collector(files.argv, monkeypatch)
    with subprocess.Popen([sys.executable, "-I", "-c", code, os.path.dirname(PACKAGE)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout.read(1) == b"\n"
        yield process
        process.kill()


def test_sighup_does_not_end_the_collector(collector):
    for _ in range(2):
        collector.send_signal(signal.SIGHUP)
        assert b"the configuration was read again: nothing has changed\n" in collector.stderr.readline()
        assert [collector.stdout.read(1) for _ in range(3)] == [b"\n"] * 3  # of a pipe, read(3) may be less
    collector.terminate()
    assert (collector.wait(timeout=10), collector.stderr.read()) == (0, b"")


def test_two_at_once_are_answered(collector):
    for _ in range(5):
        collector.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    assert b"read again" in collector.stderr.readline()
    collector.send_signal(signal.SIGHUP)
    assert b"read again" in collector.stderr.readline()
    assert collector.poll() is None


def test_the_collector_ends_for_a_new_start(collector, files):
    files(CONF + "[global]\nupdate every = 2\n")
    collector.send_signal(signal.SIGHUP)
    assert collector.wait(timeout=20) == 0
    assert b"needs a restart" in collector.stderr.read()
