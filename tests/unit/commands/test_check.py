"""--check: its exit status, a summary that says what matters, and each reason once."""
import json
from types import SimpleNamespace

from fakes import GROUP, loaded
import pytest

from ebpf_plugin.commands import arguments, check
from ebpf_plugin.config import ebpf_conf
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.load.plan import Plan
from ebpf_plugin.outputs import netdata

OTHER = GROUP._replace(name="other")
TOY = ebpf_conf.load([]).settings._replace(groups=("toy",))
EPERM = ("trampoline", "cannot load %s_fentry: EPERM (the kernel refuses trampolines on its functions)")


@pytest.fixture
def reported(monkeypatch, tmp_path):
    """reported(found, flags, groups, settings, files=...) -> (exit status, what was printed)."""
    monkeypatch.setenv("NETDATA_USER_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("NETDATA_STOCK_CONFIG_DIR", raising=False)

    def report(found, *flags, groups=(GROUP,), settings=TOY, why="", viewer=None):
        texts = []
        monkeypatch.setattr(netdata, "write", texts.append)
        plan = Plan(settings, groups, {}, viewer, None, "")
        status = check.report(arguments.parse(["--check", *flags]), plan, found, why)
        return status, "".join(texts)

    return report


@pytest.mark.parametrize("methods, status, summary", [
    ({}, 0, "all 2 hooks on trampolines; nothing is missing"),
    ({"in": "probe"}, 0, "2 hooks: 1 on trampolines, 1 on probes; nothing is missing"),
    ({"out": None}, 0, "1 of 2 hooks: 1 on trampolines; NOT SHOWN: out"),
    ({"in": None, "out": None}, 1, "0 of 2 hooks: none; NOT SHOWN: in, out"),
])
def test_the_summary_says_what_is_missing(reported, methods, status, summary):
    found, printed = reported(loaded(GROUP, **methods))
    assert (found, printed.splitlines()[0]) == (status, summary)
    assert printed.splitlines()[1] == "load mode entry, a sample each 1 s; options set: none"
    assert printed.splitlines()[2] == ""


def test_every_group_has_to_run(reported):
    found = loaded(GROUP)._replace(broken={"other": "a mistake in other.c"})
    status, printed = reported(found, groups=(GROUP, OTHER))
    assert status == 1
    assert printed.splitlines()[:2] == ["all 2 hooks on trampolines", "not loaded: other"]
    assert "\ngroup other is not loaded: a mistake in other.c\n" in printed


@pytest.mark.parametrize("wanted, said", [("no", "off ([global] program statistics)"), ("ours", "ours"), ("all", "all")])
def test_whether_programs_are_charted(reported, wanted, said):
    printed = reported(loaded(GROUP), settings=TOY._replace(program_statistics=wanted))[1]
    assert "\ncharts of what BPF programs cost: %s\n" % said in printed


def test_each_reason_is_told_once_with_the_number_of_its_hooks(reported):
    found = loaded(GROUP)
    for name in ("in", "out"):
        found.hooks["toy"][name] = found.hooks["toy"][name]._replace(
            failed=((EPERM[0], EPERM[1] % name), ("tracepoint", "no tracepoint stands for it")))
    found.hooks["toy"]["in"] = found.hooks["toy"]["in"]._replace(
        failed=(*found.hooks["toy"]["in"].failed, ("probe", "ftrace is off: sysctl kernel.ftrace_enabled=1")))
    lines = reported(found)[1].splitlines()
    assert "2 hooks not on trampolines: the kernel refuses trampolines on its functions (EPERM)" in lines
    assert "1 hook not on probes: ftrace is off: sysctl kernel.ftrace_enabled=1" in lines
    assert not any("stands for it" in line or "in_fentry" in line for line in lines)
    details = reported(found, "-v")[1].splitlines()
    assert "                 not trampoline: " + EPERM[1] % "in" in details
    assert "                 not tracepoint: no tracepoint stands for it" in details
    assert "  out          trampoline  here" in details


def test_a_chart_without_a_dimension_is_told(reported):
    assert "\nchart flow is shown without out\n" in reported(loaded(GROUP, out=None))[1]


def test_what_nobody_may_load_is_told_with_what_anybody_may_know(reported):
    status, printed = reported(None, why="missing capability CAP_BPF")
    lines = printed.splitlines()
    assert (status, lines[0]) == (1, "nothing can be counted here: missing capability CAP_BPF")
    assert [line.split()[0] for line in lines[3:9]] == ["kernel", "BTF", "kprobes", "tracefs", "lockdown", "denied"]
    assert "configuration" in lines


def test_which_files_were_read_and_what_holds(reported, tmp_path):
    (tmp_path / "ebpf.conf").write_text("[global]\nupdate every = 2\ncgroups = yes\n[service name]\n81 = shop\n")
    (tmp_path / "apps_groups.conf").write_text("a: x\nb: y\n")
    settings = TOY._replace(every=2, cgroups=True, services={81: "shop"})
    lines = reported(loaded(GROUP), settings=settings)[1].splitlines()
    assert lines[1] == "load mode entry, a sample each 2 s; options set: 3 in %s" % (tmp_path / "ebpf.conf")
    held = lines[lines.index("configuration") + 1:]
    assert held[0] == "  %s: 3 options" % (tmp_path / "ebpf.conf")
    assert "  %s: 2 applications" % (tmp_path / "apps_groups.conf") in held
    # the groups of the test are not those of the stock configuration
    assert [line for line in held if line.startswith("  [") and "[ebpf programs]" not in line] == [
        "  [global] update every = 2", "  [global] apps = no", "  [global] cgroups = yes", "  [service name] 81 = shop"]
    every = reported(loaded(GROUP), "-v", settings=settings)[1]
    assert "\n  [global] ebpf load mode = entry (default)\n" in every
    assert "\n  [network viewer] ports = * (default)\n" in every


@pytest.mark.parametrize("total, shown, said", [
    (1000, 370, " hides 63 % of the bytes: 630 of 1000 in 1 s are in no chart of connections"),
    (1000, 1000, " hides 0 % of the bytes: 0 of 1000 in 1 s are in no chart of connections"),
    (0, 0, ": no bytes were moved in 1 s, so its share is unknown"),
])
def test_the_share_of_bytes_that_the_filter_hides(reported, monkeypatch, total, shown, said):
    counted = {"tcp_send_bytes": total, "udp_out_sent": shown}
    monkeypatch.setattr(check, "Counters", lambda *_: SimpleNamespace(
        read=lambda: tuple(counted.get(name, 0) for name in NETWORK.counters)))
    monkeypatch.setattr(check.time, "sleep", lambda seconds: None)
    found = loaded(GROUP)._replace(maps={"toy": 1, "network": 2})
    filtered = SimpleNamespace(ports=None, networks=[])
    assert "the filter (ips of [network viewer])%s\n" % said in reported(found, viewer=filtered)[1]
    assert "the filter" not in reported(found, viewer=SimpleNamespace(ports=None, networks=None))[1]
    assert "the filter" not in reported(found, viewer=filtered, settings=TOY._replace(connections=False))[1]


def test_json_has_the_same(reported, tmp_path):
    (tmp_path / "ebpf.conf").write_text("[global]\nupdate every = 2\n")
    found = loaded(GROUP, out=None)
    found.hooks["toy"]["out"] = found.hooks["toy"]["out"]._replace(failed=(("probe", "no kprobes"),))
    status, printed = reported(found, "--json")
    data = json.loads(printed)
    assert (status, data["runs"], data["why not"]) == (0, True, "")
    assert data["groups"]["toy"]["out"] == {"method": None, "where": ["here"], "failed": [
        {"method": "probe", "why": "no kprobes"}]}
    assert data["incomplete charts"] == {"flow": ["out"], "inside": ["rest"]}
    assert data["configuration"]["files"][str(tmp_path / "ebpf.conf")] == 1
    assert data["configuration"]["options"]["[global] update every"] == {"value": "1", "default": True}
    assert set(data["machine"]) == {"kernel", "BTF", "kprobes", "tracefs", "lockdown", "denied"}


def test_json_says_why_not(reported):
    status, printed = reported(None, "--json", why="no privilege")
    data = json.loads(printed)
    assert (status, data["runs"], data["why not"], data["groups"]) == (1, False, "no privilege", {})
