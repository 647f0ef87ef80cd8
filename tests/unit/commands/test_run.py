"""The command: what arguments and files make of it, and how it gives up."""
import marshal
import os
import subprocess
import sys
from types import SimpleNamespace

from fakes import GROUP, ROOT, Reader, loaded
import pytest

from ebpf_plugin import VERSION
from ebpf_plugin.collect import cgroups, daemon
from ebpf_plugin.commands import arguments as command_line
from ebpf_plugin.commands import run as command
from ebpf_plugin.commands import show_bpf
from ebpf_plugin.config import ebpf_conf, network_viewer
from ebpf_plugin.config.options import Text
from ebpf_plugin.config.settings import GROUP_NAMES
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.kernel import btf as btf_module
from ebpf_plugin.kernel import procfs
from ebpf_plugin.load import loader, plan, running_processes
from ebpf_plugin.model import declared
from ebpf_plugin.outputs import netdata
from ebpf_plugin.programs import statistics

PLUGIN = os.path.join(ROOT, "plugin", "ebpf.plugin")
DEFAULTS = ebpf_conf.load([])[0]


def settings(tmp_path, arguments, text=None, environment=()):
    if text is not None:
        (tmp_path / "ebpf.conf").write_text(text)
    return command_line.settings(command_line.parse(arguments), {
        "NETDATA_USER_CONFIG_DIR": str(tmp_path), **dict(environment)})


def without(*groups):
    return DEFAULTS.with_groups(set(DEFAULTS.groups) - set(groups))


ONLY_NET = {"groups": ("network", "apps")}
NO_NET = {"groups": without("network").groups}
NO_APPS = {"groups": without("apps").groups}
EVERYTHING = {"groups": GROUP_NAMES}


@pytest.mark.parametrize("arguments, text, changed", [
    ([], None, {}),
    (["1"], None, {}),
    (["5"], None, {"every": 5}),
    (["5"], "[global]\nupdate every = 2", {"every": 5}),
    (["1"], "[global]\nupdate every = 2", {"every": 2}),
    ([], "[global]\nupdate every = 2", {"every": 2}),
    (["--return"], None, {"mode": "return"}),
    (["-r"], "[global]\nload = entry", {"mode": "return"}),
    ([], "[global]\nload = return", {"mode": "return"}),
    (["--global"], "[global]\napps = yes", NO_APPS),
    (["-g"], None, NO_APPS),
    (["--process"], None, NO_NET),
    (["-p"], "[ebpf programs]\nprocess = no\nvfs = no\nnetwork viewer = yes", NO_NET),
    (["--net"], None, ONLY_NET),
    (["-n"], "[ebpf programs]\nfile = yes\nnetwork viewer = no", ONLY_NET),
    (["--all"], "[ebpf programs]\nprocess = no\nnetwork viewer = no", EVERYTHING),
    (["-a"], "[ebpf programs]\nfile = no\nvfs = no", EVERYTHING),
    (["-p", "-n"], "[ebpf programs]\nprocess = no\nnetwork viewer = no", {}),
    (["-a"], "[global]\napps = no", EVERYTHING),
    (["-a"], "[ebpf programs]\nnetwork connection monitoring = no", EVERYTHING),
    (["-a", "-g", "-r", "3"], None, {"groups": GROUP_NAMES[:-1], "mode": "return", "every": 3}),
    (["-rg"], None, {**NO_APPS, "mode": "return"}),
])
def test_flags_win_over_the_file(tmp_path, said, arguments, text, changed):
    assert settings(tmp_path, arguments, text) == DEFAULTS._replace(**changed)
    assert said == []


def test_where_files_are_looked_for(tmp_path, said):
    user, stock, chosen = (tmp_path / name for name in ("user", "stock", "chosen"))
    for number, directory in enumerate((user, stock, chosen)):
        directory.mkdir()
        (directory / "ebpf.conf").write_text("[global]\nupdate every = 1%d" % number)
    environment = {"NETDATA_STOCK_CONFIG_DIR": str(stock)}
    assert settings(user, [], None, environment).every == 10
    assert settings(user, ["--config", str(chosen)], None, environment).every == 12
    assert settings(tmp_path, [], None, environment).every == 11
    assert said == []


def test_a_chosen_file_that_is_not_there(tmp_path, said):
    assert settings(tmp_path, ["--config", str(tmp_path / "none")], "[global]\nupdate every = 9") == DEFAULTS
    assert said == ["%s:1: there is no such file; the stock configuration holds" % (tmp_path / "none" / "ebpf.conf")]


def test_what_is_wrong_in_a_file_is_logged(tmp_path, said):
    assert settings(tmp_path, [], "[global]\napps = ja\nx = y") == DEFAULTS
    assert [text.split(": ")[0] for text in said] == ["%s:%d" % (tmp_path / "ebpf.conf", line) for line in (2, 3)]


@pytest.mark.parametrize("arguments, ticks", [
    ([], None), (["--ticks", "3"], 3), (["--once"], 1), (["1", "--debug", "--once"], 1),
])
def test_ticks(arguments, ticks):
    assert command_line.parse(arguments).ticks == ticks


@pytest.mark.parametrize("arguments", [
    ["0"], ["-1"], ["1.5"], ["one"], [""], ["1", "2"], ["\u0661"], ["9" * 5000], ["--ticks"], ["--ticks", "0"],
    ["--ticks", "-1"], ["--config"], ["--unheard"], ["-x"], ["--deb"], ["--once=1"], ["--json"], ["--debug", "--json"],
])
def test_bad_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        command_line.parse(arguments)
    assert stopped.value.code == 2
    printed, said = capsys.readouterr()
    assert printed == "" and said.startswith("usage: ebpf.plugin") and "ebpf.plugin: error: " in said


def test_check_takes_v_for_details():
    args = command_line.parse(["--check", "-v", "--json"])
    assert args.check and args.verbose and args.json


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["-v"], ["--version"]])
def test_help_and_version(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        command_line.parse(arguments)
    assert stopped.value.code == 0
    printed, said = capsys.readouterr()
    assert said == "" and printed
    if "v" in arguments[0]:
        assert printed == "ebpf.plugin %s\n" % VERSION


def plugin(*arguments, **options):
    command_line = [sys.executable, "-I", PLUGIN, *arguments]
    return subprocess.run(command_line, stderr=subprocess.PIPE, text=True, timeout=30, **options)


def test_the_file_that_the_agent_starts(tmp_path):
    ended = plugin("0", stdout=subprocess.PIPE, cwd=tmp_path)
    assert ended.returncode == 2 and ended.stdout == "" and "Traceback" not in ended.stderr
    ended = plugin("--version", stdout=subprocess.PIPE, cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ebpf.plugin %s\n" % VERSION, "")
    assert os.access(PLUGIN, os.X_OK)


def test_nobody_reads_stdout(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = plugin("--show-bpf", stdout=writing, cwd=tmp_path)
    finally:
        os.close(writing)
    assert ended.returncode == 0 and "Traceback" not in ended.stderr


def test_stdout_that_takes_nothing(tmp_path):
    with open("/dev/full", "wb") as full:
        ended = plugin("--show-bpf", stdout=full, cwd=tmp_path)
    assert "Traceback" not in ended.stderr


def run(arguments, wanted=DEFAULTS):
    args = command_line.parse(arguments)
    planned = plan.make(wanted, args.config, os.environ)
    return show_bpf.show(planned) if args.show_bpf else command.run(args, planned)


@pytest.fixture
def no_loader(monkeypatch):
    def load(wanted, test):
        raise loader.LoadFailed("the loader is not well")

    monkeypatch.setattr(loader, "load", load)


@pytest.mark.parametrize("arguments, printed", [([], "DISABLE\n"), (["--debug"], "")])
def test_what_will_not_heal(no_loader, said, capfd, arguments, printed):
    assert run(arguments) == 1
    assert capfd.readouterr().out == printed
    assert said == ["the loader is not well"]


def test_check_says_itself_what_will_not_heal(no_loader, said, capfd):
    assert run(["--check"]) == 1
    assert capfd.readouterr().out.startswith("nothing can be counted here: the loader is not well\n")
    assert said == []


def test_a_group_that_only_serves_others_is_left_out_without_them():
    assert plan.make(DEFAULTS.with_groups({"apps"}), None, {}).groups == ()
    assert [group.name for group in plan.make(DEFAULTS.with_groups({"vfs", "apps"}), None, {}).groups] == ["vfs", "apps"]


def test_nothing_is_enabled(no_loader, said, capfd):
    assert run([], without(*DEFAULTS.groups)) == 1
    assert capfd.readouterr().out == "DISABLE\n"
    assert len(said) == 1 and "no group is enabled" in said[0]


def execute(state, descriptors):
    """daemon.execute() without the new program."""
    state = marshal.loads(marshal.dumps(state))
    daemon.run(state, netdata.Netdata(state["every"], declared.unpack(state["charts"])))
    return 0


@pytest.fixture
def machine(monkeypatch):
    """A kernel on which the toy group of fakes.py runs: machine(samples, methods...) returns the loader's plan."""
    def set_up(*samples, broken=(), **methods):
        plans = []

        def load(wanted, test):
            plans.append(wanted)
            found = loaded(GROUP, **methods)
            if broken:
                return found._replace(maps={}, hooks={}, broken=dict(broken))
            return found

        monkeypatch.setenv("NETDATA_INTERNALS_MONITORING", "NO")
        monkeypatch.setattr(plan, "GROUPS", (GROUP,))
        monkeypatch.setattr(loader, "load", load)
        monkeypatch.setattr(daemon, "execute", execute)
        monkeypatch.setattr(daemon, "Counters", lambda *_: Reader(*samples))
        monkeypatch.setattr(daemon, "privileges", SimpleNamespace(drop=lambda trial: None))
        monkeypatch.setattr(daemon, "gc", SimpleNamespace(freeze=lambda: None))
        pulse = SimpleNamespace(wait=lambda: None, late=0.0, took=0.0)
        monkeypatch.setattr(daemon, "ticker", SimpleNamespace(Ticker=lambda *_, **__: pulse))
        return plans

    return set_up


TOY = DEFAULTS._replace(every=2, groups=("toy",))


def test_no_hook_could_be_attached(machine, said, capfd):
    machine(**{"in": None, "out": None})
    assert run([], TOY) == 1
    assert capfd.readouterr().out == "DISABLE\n"
    assert len(said) == 3 and "--check" in said[-1]


def test_a_group_that_could_not_be_compiled(machine, said, capfd):
    machine(broken={"toy": "a mistake in toy.c"})
    assert run([], TOY) == 1
    assert said[0] == "toy: not loaded: a mistake in toy.c"


def test_a_hook_that_is_missing_is_told_once(machine, said, capfd):
    machine((1, 0, 2), (3, 0, 4), (5, 0, 6), out=None)
    assert run(["--ticks", "2"], TOY) == 0
    assert said == ["toy: out is not shown: "]
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("DIMENSION")] == ["in", "attached", "missing", "missed"]
    assert "SET attached = 1" in lines and "SET missing = 1" in lines


def test_from_the_declaration_to_the_last_tick(machine, said, capfd):
    plans = machine((1, 0, 2), (3, 0, 4), (5, 0, 6))
    assert run(["--ticks", "2"], TOY) == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["CHART", "DIMENSION", "DIMENSION", "CHART", "DIMENSION"]
    assert [line for line in lines[5:] if line.startswith("SET in")] == ["SET in = 3", "SET in = 5"]
    assert all(line.split()[9] == "2" for line in lines if line.startswith("CHART ebpf.inside"))
    assert said == []
    assert [group.name for group in plans[0].groups] == ["toy"]
    assert (plans[0].settings.mode, plans[0].settings.method) == ("entry", "auto")


@pytest.mark.parametrize("value, are_there", [(None, True), ("YES", True), ("no", True), ("NO", False)])
def test_charts_of_the_plugin_itself(machine, said, capfd, monkeypatch, value, are_there):
    """As in Netdata's own plugins, only NO switches them off."""
    machine((1, 0, 2), (3, 0, 4))
    monkeypatch.delenv("NETDATA_INTERNALS_MONITORING")
    if value:
        monkeypatch.setenv("NETDATA_INTERNALS_MONITORING", value)
    assert run(["--once"], TOY) == 0
    lines = capfd.readouterr().out.splitlines()
    assert ("BEGIN netdata.ebpf_hooks" in lines) == are_there
    assert ("SET trampoline = 2" in lines) == are_there


@pytest.mark.parametrize("which, wanted", [("no", []), ("ours", [False]), ("all", [True])])
def test_charts_of_what_programs_cost(machine, said, capfd, monkeypatch, which, wanted):
    asked = []
    monkeypatch.setattr(statistics, "for_charts", lambda of_all, programs: (asked.append(of_all), (None, []))[1])
    machine((1, 0, 2), (3, 0, 4))
    assert run(["--once"], TOY._replace(program_statistics=which)) == 0
    assert asked == wanted


def test_debug_says_what_is_going_on(machine, said, capfd):
    machine((1, 0, 2), (3, 0, 4))
    assert run(["--debug", "--once"], TOY) == 0
    printed = capfd.readouterr().out
    assert "CHART" not in printed and "flow" in printed


@pytest.mark.parametrize("arguments, told", [
    (["--debug"], True), (["--debug", "--once"], False), (["--debug", "--ticks", "2"], False), ([], False),
])
def test_who_pipes_what_runs_for_ever_is_told(machine, said, monkeypatch, arguments, told):
    machine()
    monkeypatch.setattr(daemon, "run", lambda state, output: None)
    monkeypatch.setattr(daemon, "execute", lambda state, descriptors: 0)
    assert run(arguments, TOY) == 0
    assert ["--once prints one tick" in line for line in said] == [True] * told


def test_check(machine, said, capfd):
    machine()
    assert run(["--check"], TOY) == 0
    assert "trampoline" in capfd.readouterr().out


def test_show_bpf(monkeypatch, said, capfd):
    def no_btf():
        raise btf_module.NoBTF("no BTF: not here")

    monkeypatch.setattr(btf_module, "BTF", no_btf)
    assert run(["--show-bpf"]) == 0
    printed = capfd.readouterr().out
    assert [name for name in DEFAULTS.groups if '#line 1 "%s.c"' % name not in printed] == []
    assert " * RETURN_MODE = 0\n" in printed
    assert " * SKC_NET = unknown\n" in printed
    assert said == ["no BTF: not here"]


NET_ONLY = DEFAULTS._replace(groups=("network",))


@pytest.fixture
def connected(machine, monkeypatch):
    """connected(tables, warnings, methods) -> (plans, states): the network group alone, with what the loader says of it."""
    def set_up(tables=("flows",), warnings=(), **methods):
        plans, states = [], []

        def load(wanted, test):
            plans.append(wanted)
            return loaded(NETWORK, **methods)._replace(tables={name: 5 for name in tables}, warnings=list(warnings))

        machine()
        monkeypatch.setattr(plan, "GROUPS", GROUPS)
        monkeypatch.setattr(loader, "load", load)
        monkeypatch.setattr(daemon, "execute", lambda state, descriptors: states.append(
            marshal.loads(marshal.dumps(state))) or 0)
        return plans, states

    return set_up


def test_what_loader_and_collector_get_of_the_network_viewer(connected, said, capfd):
    plans, states = connected(warnings=["something to know"])
    wanted = NET_ONLY._replace(ports=Text("80"), dimensions=7, services={80: "web"}, resolve_hosts=True,
                               hostnames=Text("!*.secret"))
    assert run([], wanted) == 0
    got, state = plans[0], states[0]
    assert [group.name for group in got.groups] == ["network"]
    assert (got.sizes["CONNECTIONS"], got.sizes["FILTER_PORTS"]) == (1, 1)
    assert len(got.viewer.ports) == 2 * 8192
    assert got.sizes["FILTER_ADDRESSES"] == network_viewer.ROOM
    assert (state["connections"]["map"], state["connections"]["limit"], state["connections"]["hosts"]) == (5, 7, True)
    assert state["connections"]["entries"] == 4096 + 128 * procfs.possible_cpus()
    assert dict(state["connections"]["names"])[80, "TCP"] == "web"
    assert said == ["something to know"]


@pytest.mark.parametrize("wanted, tables", [
    (NET_ONLY._replace(connections=False), ("flows",)),
    (NET_ONLY, ()),
])
def test_no_connections(connected, said, capfd, wanted, tables):
    plans, states = connected(tables)
    assert run([], wanted) == 0
    assert states[0]["connections"] is None
    assert plans[0].sizes["CONNECTIONS"] == int(wanted.connections)


def test_no_network_viewer_reads_no_filters(machine, monkeypatch, said, capfd):
    plans = machine((1, 0, 2), (3, 0, 4))
    monkeypatch.setattr(network_viewer, "settle", lambda *_: pytest.fail("nobody wants it"))
    assert run(["--once"], TOY) == 0
    assert plans[0].viewer is None and "CONNECTIONS" not in plans[0].sizes


def test_a_filter_that_is_wrong_is_logged_and_the_rest_holds(connected, said, capfd):
    _, states = connected()
    assert run([], NET_ONLY._replace(ports=Text("80 nosuchservice", "some.conf:3"))) == 0
    assert len(said) == 1 and said[0].startswith("some.conf:3: ports: 'nosuchservice': ")
    assert states


def test_without_netaddr(connected, said, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "netaddr", None)
    connected()
    assert run([], NET_ONLY) in (0, 1)
    assert any("netaddr" in text for text in said)


@pytest.fixture
def placed(connected, monkeypatch, tmp_path):
    """placed(text of apps_groups.conf, methods) -> (plans, states, tables): all groups; processes are in row 0 and 2."""
    def set_up(text, **methods):
        (tmp_path / "apps_groups.conf").write_text(text)
        plans, states = connected()
        tables = {name: number for number, name in enumerate(table.name for group in GROUPS for table in group.tables)}

        def load(wanted, test):
            plans.append(wanted)
            return with_values(loaded(*wanted.groups, **methods)._replace(tables=tables), wanted)

        monkeypatch.setattr(loader, "load", load)
        monkeypatch.setattr(running_processes, "enter", lambda tables, rules: entered.append((tables, rules)) or {0, 2})
        return plans, states, tables

    entered = set_up.entered = []
    monkeypatch.setenv("NETDATA_USER_CONFIG_DIR", str(tmp_path))
    return set_up


def with_values(found, wanted, broken=()):
    """What the loader fills in for rows."""
    rows = 1 if "apps" in broken else max(1, wanted.sizes.get("APPS", 0))
    return found._replace(values={"APP_ROWS": rows, "CGROUPS": wanted.sizes.get("CGROUPS", 0), "CONNECTIONS": 1})


RULES = "shells: sh\n'my app': *payroll*"


def test_what_loader_and_collector_get_of_applications(placed, said, capfd):
    plans, states, tables = placed(RULES)
    assert run([], DEFAULTS._replace(processes=99)) == 0
    assert plans[0].sizes["APPS"] == 3 and plans[0].sizes["APPS_PROCESSES"] == 99 and "apps" in plans[0].settings.groups
    found = states[0]["apps"]
    assert (found["names"], found["ids"]) == (("other", "shells", "my app"), ("other", "shells", "my_app"))
    assert found["rows"] in [(0, 2), (2, 0)] and found["tables"] == tables and found["processes"] == 99
    assert placed.entered == [(tables, found["rules"])]
    charts = declared.unpack(found["charts"])
    assert {chart.type for chart in charts} == {"apps"} and {chart.group for chart in charts} == {
        group.name for group in GROUPS if group.apps}
    assert set(states[0]["maps"]) == set(DEFAULTS.groups)
    # they are declared when the first of their rows is known
    assert "CHART apps." not in capfd.readouterr().out and said == []


@pytest.mark.parametrize("hook", ["newtask", "rename", "free"])
def test_applications_take_all_of_their_hooks(placed, said, capfd, hook):
    _, states, _ = placed(RULES, **{hook: None})
    assert run([], DEFAULTS) == 0
    assert states[0]["apps"] is None and placed.entered == []
    assert len(said) == 1 and "applications" in said[0] and hook in said[0]


def test_applications_that_nobody_wants(placed, said, capfd):
    plans, states, _ = placed("nonsense")
    assert run([], without("apps")) == 0
    assert "APPS" not in plans[0].sizes and "apps" not in plans[0].settings.groups and said == []
    assert states[0]["apps"] is None and placed.entered == []


@pytest.mark.parametrize("hidden, reason", [("are_visible", "hidepid"), ("are_those_of_the_machine", "--pid=host")])
def test_applications_where_processes_cannot_be_seen(placed, said, capfd, monkeypatch, hidden, reason):
    plans, states, _ = placed(RULES)
    monkeypatch.setattr(running_processes, hidden, lambda: False)
    assert run([], DEFAULTS) == 0
    assert "apps" not in plans[0].settings.groups and states[0]["apps"] is None and placed.entered == []
    assert len(said) == 1 and reason in said[0]


def test_what_is_wrong_in_the_groups_file_is_logged(placed, said, capfd, tmp_path):
    _, states, _ = placed("shells: sh\nnonsense")
    assert run([], DEFAULTS) == 0
    assert said and all(text.startswith("%s/apps_groups.conf:2: " % tmp_path) for text in said) and states[0]["apps"]


V1 = "29 1 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw\n"
MOUNTS = V1 + "38 1 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"


@pytest.fixture
def grouped(placed, monkeypatch):
    """grouped(mounts, groups that are broken, methods) -> (plans, states): as placed, on a kernel with these mounts."""
    def set_up(mounts=MOUNTS, broken=(), visible=38, **methods):
        plans, states, tables = placed(RULES)
        read = procfs.read
        monkeypatch.setattr(procfs, "read", lambda path: mounts if path == "/proc/self/mountinfo" else read(path))
        monkeypatch.setattr(procfs.mount_of_version_2, "__defaults__", (lambda path: visible,))

        def load(wanted, test):
            plans.append(wanted)
            groups = [group for group in wanted.groups if group.name not in broken]
            more = {"cgroup_rows": 98, "cgroups_asked": 99} if "CGROUPS" in wanted.sizes else {}
            return with_values(loaded(*groups, **methods)._replace(
                tables={**tables, **more}, broken={name: "no" for name in broken}), wanted, broken)

        monkeypatch.setattr(loader, "load", load)
        return plans, states

    return set_up


GROUPED = DEFAULTS._replace(cgroups=True)


def test_what_loader_and_collector_get_of_control_groups(grouped, said, capfd):
    plans, states = grouped()
    assert run([], GROUPED) == 0
    assert plans[0].sizes["CGROUPS"] == cgroups.ROWS
    found = states[0]["cgroups"]
    assert (found["mount"], found["first"]) == ("/sys/fs/cgroup/unified", 3)
    assert (found["tables"]["cgroup_rows"], found["tables"]["cgroups_asked"]) == (98, 99)
    of_applications, of_cgroups = ({chart.id for chart in declared.unpack(state["charts"])}
                                   for state in (states[0]["apps"], found))
    assert of_applications - of_cgroups == {"task_close", "bandwidth_tcp_retransmit"} and said == []
    assert found["for_agent"]
    # they are declared when the first tick is shown
    assert "CHART cgroups." not in capfd.readouterr().out


def test_control_groups_without_applications(grouped, said, capfd):
    plans, states = grouped()
    assert run([], without("apps")._replace(cgroups=True)) == 0
    assert "APPS" not in plans[0].sizes and states[0]["apps"] is None
    assert states[0]["cgroups"]["first"] == 1 and states[0]["cgroups"]["charts"] and said == []


def test_control_groups_where_processes_could_not_be_told_apart(grouped, said, capfd):
    """The rows are there, as the text was compiled with them."""
    _, states = grouped(rename=None)
    assert run([], GROUPED) == 0
    assert states[0]["apps"] is None and states[0]["cgroups"]["first"] == 3 and len(said) == 1


def test_control_groups_where_applications_could_not_be_compiled(grouped, said, capfd):
    _, states = grouped(broken=("apps",))
    assert run([], GROUPED) == 0
    assert states[0]["apps"] is None and states[0]["cgroups"]["first"] == 1


@pytest.mark.parametrize("mounts, visible, reason", [
    (V1, 29, "version 2"), ("", None, "version 2"),
    (MOUNTS, 39, "cgroup2 is mounted on /sys/fs/cgroup/unified, which is hidden under another mount"),
])
def test_control_groups_of_version_2_that_cannot_be_seen(grouped, said, capfd, mounts, visible, reason):
    plans, states = grouped(mounts, visible=visible)
    assert run([], GROUPED) == 0
    assert len(said) == 1 and reason in said[0]
    assert "CGROUPS" not in plans[0].sizes and states[0]["cgroups"] is None and states[0]["apps"]


def test_control_groups_that_nobody_wants(grouped, said, capfd):
    plans, states = grouped()
    assert run([], DEFAULTS) == 0
    assert "CGROUPS" not in plans[0].sizes and states[0]["cgroups"] is None and said == []


def test_control_groups_that_were_not_loaded(placed, said, capfd, monkeypatch):
    _, states, _ = placed(RULES)
    monkeypatch.setattr(procfs, "mount_of_version_2", lambda mounts: ("/sys/fs/cgroup", ()))
    assert run([], GROUPED) == 0
    assert states[0]["cgroups"] is None and states[0]["apps"]


@pytest.mark.parametrize("wanted, present", [(GROUPED, True), (DEFAULTS, False)])
def test_show_bpf_with_control_groups(monkeypatch, said, capfd, wanted, present):
    monkeypatch.setattr(procfs, "mount_of_version_2", lambda mounts: ("/sys/fs/cgroup", ()))
    assert run(["--show-bpf"], wanted) == 0
    printed = capfd.readouterr().out
    assert (" * CGROUPS = %d\n" % cgroups.ROWS in printed) == present
    assert (" * CGROUPS = 0\n" in printed) != present
