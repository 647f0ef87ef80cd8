"""The files of Netdata's own plugin: what means the same is obeyed, the rest is one notice, and ebpf.conf wins."""
from fakes import FUZZ
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.config import ebpf_conf, ebpf_d_conf
from ebpf_plugin.config.options import Text

DEFAULTS = ebpf_conf.load([])[0]


def load(directory, **named):
    """What files in it say; ebpf_d_conf=..., network=... are texts."""
    (directory / "ebpf.d").mkdir(exist_ok=True)
    names = {"ebpf_conf": "ebpf.conf", "ebpf_d_conf": "ebpf.d.conf"}
    for name, text in named.items():
        (directory / names.get(name, "ebpf.d/%s.conf" % name)).write_text(text)
    return ebpf_conf.load([str(directory / "ebpf.conf")], str(directory))


def without(*groups):
    return {"groups": tuple(name for name in DEFAULTS.groups if name not in groups)}


@pytest.mark.parametrize("text, changed", [
    ("[ebpf programs]\nfd = no", without("file")),
    ("[ebpf programs]\nfd = no\nfile = yes", {}),
    ("[ebpf programs]\nsocket = no", without("network")),
    ("[ebpf programs]\nnetwork viewer = no", without("network")),
    ("[ebpf programs]\nnetwork connections = no", {"connections": False}),
    ("[ebpf programs]\nnetwork connection monitoring = no", {"connections": False}),
    ("[ebpf programs]\nvfs = no", without("vfs")),
    # there `process` is a program beside fd and vfs, which run without it
    ("[ebpf programs]\nprocess = no", without("process")),
    ("[ebpf programs]\nprocess = no\nfd = no", without("process", "file")),
    ("[ebpf programs]\nsoftirq = yes", {"groups": tuple(
        name for name in ("file", "vfs", "process", "network", "softirq", "apps"))}),
    ("[global]\nebpf load mode = return", {"mode": "return"}),
    ("[global]\napps = no", without("apps")),
    ("[global]\ndisable apps = yes", without("apps")),
    ("[global]\ncgroups = yes", {"cgroups": True}),
    ("[global]\nupdate every = 5", {"every": 5}),
    ("[global]\npid table size = 65536", {"processes": 65536}),
    ("[global]\n    btf path = /sys/kernel/btf/\n    maps per core = yes\n    lifetime = 300", {}),
])
def test_what_means_the_same_is_obeyed(tmp_path, text, changed):
    found = load(tmp_path, ebpf_d_conf=text)
    assert (found.settings, found.messages) == (DEFAULTS._replace(**changed), [])
    assert found.notice == ("options of Netdata's own plugin: read from %s, below ebpf.conf; all of them have a counterpart "
                            "(migration.md in the documentation)" % (tmp_path / "ebpf.d.conf"))


@pytest.mark.parametrize("name", ["network", "socket"])
def test_the_file_of_the_network(tmp_path, name):
    found = load(tmp_path, **{name: "[network connections]\nports = 80\nmaximum dimensions = 7\n[service name]\n81 = x"})
    assert found.settings == DEFAULTS._replace(
        ports=Text("80", "%s:2" % (tmp_path / "ebpf.d" / (name + ".conf"))), dimensions=7, services={81: "x"})
    assert found.messages == []


def test_ebpf_conf_wins_option_by_option(tmp_path):
    found = load(
        tmp_path,
        ebpf_conf="[global]\nupdate every = 2\n[ebpf programs]\nfile = yes\nprocess = no\n[service name]\n1 = a",
        ebpf_d_conf="[global]\nupdate every = 5\nebpf load mode = return\n[ebpf programs]\nfd = no",
        network="[service name]\n1 = b\n2 = c")
    assert found.settings == DEFAULTS._replace(
        every=2, mode="return", services={1: "a", 2: "c"}, **without("process", "vfs"))


@pytest.mark.parametrize("files, missed", [
    ({"ebpf_d_conf": "[ebpf programs]\nmount = yes\nhardirq = no\nshm = on"}, "mount, shm"),
    ({"ebpf_d_conf": "[ebpf programs]\nwhatever = yes\n[what]\nx = y"}, "whatever, x"),
    ({"vfs": "[global]\nupdate every = 2\nebpf co-re tracing = trampoline\ncollect pid = all"}, "update every of vfs alone"),
    ({"fd": "[global]\nebpf co-re tracing = probe"}, "ebpf co-re tracing of fd alone"),
    ({"ebpf_d_conf": "[ebpf programs]\nmount = yes", "fd": "[global]\napps = no"}, "apps of fd alone, mount"),
])
def test_what_has_no_counterpart_is_one_notice(tmp_path, files, missed):
    found = load(tmp_path, **files)
    assert (found.settings, found.messages) == (DEFAULTS, [])
    assert "; without a counterpart: %s (migration.md" % missed in found.notice
    assert found.notice.isprintable()


def test_options_of_netdatas_in_ebpf_conf_are_no_mistakes(tmp_path):
    found = load(tmp_path, ebpf_conf="""[global]
    btf path = /sys/kernel/btf/
    maps per core = yes
[ebpf programs]
    fd = no
    socket = no
    mount = yes
    sync = no
[syscalls]
    fsync = yes
""")
    assert (found.settings, found.messages) == (DEFAULTS._replace(**without("file", "network")), [])
    assert found.notice == (
        "options of Netdata's own plugin: without a counterpart: mount (migration.md in the documentation)")


def test_a_wrong_value_is_told_where_it_stands(tmp_path):
    found = load(tmp_path, ebpf_d_conf="[global]\nupdate every = often")
    assert [message.split(": ")[0] for message in found.messages] == ["%s:2" % (tmp_path / "ebpf.d.conf")]


def test_without_such_files_nothing_is_said(tmp_path):
    assert load(tmp_path) == (DEFAULTS, [], "", {})
    assert load(tmp_path, ebpf_conf="[global]\nupdate every = 1").notice == ""


def test_which_files_were_read_and_how_many_options_they_set(tmp_path):
    found = load(tmp_path, ebpf_conf="", ebpf_d_conf="[global]\napps = no\nx = y", network="[service name]\n1 = a\n2 = b")
    assert found.files == {str(tmp_path / "ebpf.conf"): 0, str(tmp_path / "ebpf.d" / "network.conf"): 2,
                           str(tmp_path / "ebpf.d.conf"): 1}


# The options that Netdata's own stock files set, by version: those of 1.37.1 (as in Debian 12), and of August 2026.
STOCK_1_37 = """[global]
    ebpf load mode = entry
    apps = yes
    cgroups = no
    update every = 5
    pid table size = 32768
    btf path = /sys/kernel/btf/
[ebpf programs]
    cachestat = no\n    dcstat = no\n    disk = no\n    fd = yes\n    filesystem = no\n    hardirq = yes\n    mdflush = no
    mount = yes\n    oomkill = yes\n    process = yes\n    shm = no\n    socket = yes\n    softirq = yes\n    sync = yes
    swap = no\n    vfs = yes\n    network connections = no
"""
NETWORK_1_37 = """[global]
    bandwidth table size = 16384
    ipv4 connection table size = 16384
    ipv6 connection table size = 16384
    udp connection table size = 4096
    ebpf type format = auto
    ebpf co-re tracing = trampoline
[network connections]
    maximum dimensions = 50
    resolve hostnames = no
    resolve service names = no
    ports = *
    ips = !127.0.0.1/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 !::1/128
    hostnames = *
[service name]
    19999 = Netdata
"""
STOCK_2026 = """[global]
    ebpf load mode = entry
    apps = no
    cgroups = no
    update every = 10
    pid table size = 32768
    btf path = /sys/kernel/btf/
    ebpf object flavor = buffer
    maps per core = yes
    lifetime = 300
[ebpf programs]
    cachestat = yes\n    dcstat = no\n    dns = no\n    disk = no\n    fd = no\n    filesystem = no\n    hardirq = no
    mdflush = no\n    mount = yes\n    oomkill = yes\n    process = no\n    shm = no\n    socket = no\n    softirq = no
    sync = no\n    swap = no\n    vfs = no
"""


@pytest.mark.parametrize("files, missed", [
    ({"ebpf_d_conf": STOCK_1_37, "network": NETWORK_1_37}, "hardirq, mount, oomkill, sync"),
    ({"ebpf_d_conf": STOCK_2026}, "cachestat, mount, oomkill"),
    ({"ebpf_conf": STOCK_1_37}, "hardirq, mount, oomkill, sync"),
    ({"ebpf_conf": STOCK_2026}, "cachestat, mount, oomkill"),
], ids=["1.37.1", "2026", "1.37.1 as ebpf.conf", "2026 as ebpf.conf"])
def test_copies_of_netdatas_stock_files_are_read_without_a_mistake(tmp_path, files, missed):
    found = load(tmp_path, **files)
    assert found.messages == []
    assert "without a counterpart: %s (" % missed in found.notice


@FUZZ
@given(text=st.lists(st.sampled_from(
    ["[global]", "[ebpf programs]", "[network connections]", "[syscalls]", "[x]", *ebpf_d_conf.RENAMED,
     *ebpf_d_conf.PROGRAMS, *ebpf_d_conf.INTERNAL, "apps", "=", " = yes", " = no", "\n", "\n", "\0", "#"])).map("".join))
def test_any_text(tmp_path_factory, text):
    directory = tmp_path_factory.getbasetemp() / "ebpf_d_conf"
    directory.mkdir(exist_ok=True)
    found = load(directory, ebpf_d_conf=text, vfs=text)
    assert found.notice.isprintable() and all(message.isprintable() for message in found.messages)
