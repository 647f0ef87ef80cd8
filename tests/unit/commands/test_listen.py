"""--listen: when metrics are served, and whether the agent's protocol is printed then."""
import marshal
import os

from fakes import GROUP, loaded
import pytest

from ebpf_plugin import log
from ebpf_plugin.collect import daemon
from ebpf_plugin.commands import arguments as command_line
from ebpf_plugin.commands import run as command
from ebpf_plugin.config import ebpf_conf
from ebpf_plugin.endpoint import start
from ebpf_plugin.load import loader, plan

TOY = ebpf_conf.load([])[0]._replace(groups=("toy",))
LISTENING = TOY._replace(listen="127.0.0.1:9435")


@pytest.fixture
def machine(monkeypatch):
    """What was started, and what the collector was given: {"started": [...], "states": [...], "said": [...]}."""
    found = {"started": [], "states": [], "said": []}

    def begin(address, options, environment):
        found["started"].append((str(address), options))
        return {"page": 77, "server": 88, "alive": 99}

    def execute(state, descriptors):
        found["states"].append(marshal.loads(marshal.dumps(state)))
        found["descriptors"] = descriptors
        return 0
    for name in [name for name in os.environ if name.startswith("NETDATA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(plan, "GROUPS", (GROUP,))
    monkeypatch.setattr(loader, "load", lambda wanted, test: loaded(GROUP))
    monkeypatch.setattr(daemon, "execute", execute)
    monkeypatch.setattr(start, "start", begin)
    monkeypatch.setattr(log, "write", lambda level, text: found["said"].append(text))
    return found


def run(arguments, settings):
    return command.run(command_line.parse(arguments), plan.make(settings, None, {}))


@pytest.mark.parametrize("arguments, environment, settings, started, printed", [
    ([], {}, TOY, False, True),
    ([], {}, LISTENING, True, False),
    (["1"], {}, LISTENING, True, True),
    ([], {"NETDATA_UPDATE_EVERY": "1"}, LISTENING, True, True),
    (["--ticks", "3"], {}, LISTENING, True, False),
    (["1"], {}, TOY, False, True),
])
def test_when_the_protocol_is_printed(machine, monkeypatch, capfd, arguments, environment, settings, started, printed):
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert run(arguments, settings) == 0
    assert bool(machine["started"]) == started
    assert ("CHART ebpf.flow" in capfd.readouterr().out) == printed
    assert machine["said"] == ([] if printed else ["metrics are served on 127.0.0.1:9435"])
    state, = machine["states"]
    if started:
        assert state["endpoint"]["alone"] == (not printed)
        assert {77, 99} <= set(machine["descriptors"])
        assert ("toy", "in", "trampoline") in state["endpoint"]["hooks"]
    else:
        assert state["endpoint"] is None and 77 not in machine["descriptors"]


@pytest.mark.parametrize("arguments, is_terminal, reads_again", [
    ([], False, True), ([], True, False), (["1"], True, True)])
def test_a_terminal_that_is_closed_ends_who_only_serves_metrics(machine, monkeypatch, arguments, is_terminal, reads_again):
    monkeypatch.setattr(os, "isatty", lambda descriptor: is_terminal and descriptor == 0)
    assert run(arguments, LISTENING) == 0
    assert (machine["states"][0]["reload"] is not None) == reads_again


def test_what_the_server_is_told(machine, tmp_path):
    run(["--metrics-names", "tfo"], LISTENING._replace(web_config=web_config(tmp_path, "# nothing")))
    assert machine["started"] == [("127.0.0.1:9435", {
        "web": {"tls": {}, "users": {}, "libraries": ""}, "names": "tfo"})]


def web_config(directory, text):
    (directory / "web.yml").write_text(text)
    return str(directory / "web.yml")


def test_nothing_is_served_without_the_passwords_that_are_wanted(machine, tmp_path, capfd):
    path = web_config(tmp_path, "basic_auth_users: nobody")
    for arguments, status in (([], 1), (["1"], 0)):
        assert run(arguments, LISTENING._replace(web_config=path)) == status
    assert machine["said"] == ["%s:1: expected names of users with bcrypt hashes" % path] * 2
    assert machine["started"] == []


@pytest.mark.parametrize("arguments, counters", [
    ([], {}), (["--debug"], {"toy": GROUP.counters}),
])
def test_rows_are_told_with_debug_only(machine, monkeypatch, arguments, counters):
    monkeypatch.setattr(daemon, "run", lambda state, output: machine["states"].append(state))
    run(arguments, LISTENING)
    assert machine["states"][0]["endpoint"]["counters"] == counters
    assert machine["states"][0]["endpoint"]["alone"] == (not arguments)


def test_check_serves_nothing(machine, capfd):
    run(["--check"], LISTENING)
    assert machine["started"] == []


@pytest.fixture
def no_address(monkeypatch):
    def refuse(*_):
        raise start.CannotListen("cannot serve metrics on x: Address already in use")
    monkeypatch.setattr(start, "start", refuse)


def test_alone_there_is_nothing_to_do_without_an_address(machine, no_address, capfd):
    assert run([], LISTENING) == 1
    assert machine["said"] == ["cannot serve metrics on x: Address already in use"]
    assert capfd.readouterr().out == "" and machine["states"] == []


def test_charts_go_on_without_an_address(machine, no_address, capfd):
    assert run(["1"], LISTENING) == 0
    assert machine["said"] == ["cannot serve metrics on x: Address already in use"]
    assert "DISABLE" not in capfd.readouterr().out and machine["states"][0]["endpoint"] is None


def settings(tmp_path, arguments, text=""):
    (tmp_path / "ebpf.conf").write_text(text)
    return command_line.settings(command_line.parse(["--config", str(tmp_path), *arguments]), {})


@pytest.mark.parametrize("arguments, text, listen, web_config", [
    ([], "", "", ""),
    (["--listen", "9435"], "", "127.0.0.1:9435", ""),
    (["--listen", "unix:/run/x"], "[global]\nlisten = 9436", "unix:/run/x", ""),
    ([], "[global]\nlisten = 9436\nweb config file = /etc/web.yml", "127.0.0.1:9436", "/etc/web.yml"),
    (["--web-config", "/etc/other.yml"], "[global]\nweb config file = /etc/web.yml", "", "/etc/other.yml"),
    ([], "[global]\nlisten =\nweb config file =", "", ""),
])
def test_where_the_address_is_from(tmp_path, arguments, text, listen, web_config):
    found = settings(tmp_path, arguments, text)
    assert (found.listen, found.web_config) == (listen, web_config)


@pytest.mark.parametrize("text, message", [
    ("listen = :9435", "2: listen = ':9435': expected [ADDRESS:]PORT, unix:/PATH or fd://N; the default holds"),
    ("web config file = web.yml", "2: web config file = 'web.yml': expected an absolute path; the default holds"),
])
def test_what_is_wrong_in_the_file(machine, tmp_path, text, message):
    assert settings(tmp_path, [], "[global]\n" + text).listen == ""
    assert machine["said"] == ["%s/ebpf.conf:%s" % (tmp_path, message)]


@pytest.mark.parametrize("arguments", [["--listen", ":9435"], ["--listen", ""], ["--listen"], ["--metrics-names", "x"]])
def test_bad_arguments_of_metrics(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        command_line.parse(arguments)
    assert stopped.value.code == 2
    assert "ebpf.plugin: error: argument" in capsys.readouterr().err
