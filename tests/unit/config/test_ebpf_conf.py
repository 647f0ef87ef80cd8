"""ebpf.conf: what a text sets, what is said of a bad one, and that nothing in a file raises."""
import os
import re

from fakes import FUZZ, ROOT
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.config import ebpf_conf, files, network_viewer
from ebpf_plugin.config.options import METHOD_CHOICES, NO, OPTIONS, YES, Text
from ebpf_plugin.config.settings import FIELDS, GROUP_NAMES, Settings
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.model.chart import MODES

DEFAULTS = ebpf_conf.load([])[0]


def without(*groups):
    return {"groups": tuple(name for name in DEFAULTS.groups if name not in groups)}


STOCK = os.path.join(ROOT, "conf.d", "ebpf.conf")


def load(tmp_path, text):
    path = tmp_path / "ebpf.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, messages = ebpf_conf.load([str(path)])[:2]
    return found, [message.replace(str(path), "PATH", 1) for message in messages]


@pytest.mark.parametrize("text, changed", [
    ("", {}),
    ("[global]\n", {}),
    ("[global]\nebpf load mode = return", {"mode": "return"}),
    ("[global]\nebpf load mode = ReTurn", {"mode": "return"}),
    ("[global]\nload = return", {"mode": "return"}),
    ("[global]\nload = return\nebpf load mode = entry", {}),
    ("[global]\nebpf load mode = entry\nload = return", {}),
    ("[global]\nupdate every = 3600", {"every": 3600}),
    ("[global]\nupdate every = 05", {"every": 5}),
    ("[global]\napps = no", without("apps")),
    ("[global]\ndisable apps = yes", without("apps")),
    ("[global]\ndisable apps = no", {}),
    ("[global]\ndisable apps = no\napps = no", without("apps")),
    ("[global]\ncgroups = yes", {"cgroups": True}),
    ("[global]\ncgroups = on\napps = no", {**without("apps"), "cgroups": True}),
    ("[global]\ncgroups = no", {}),
    ("[global]\nebpf co-re tracing = probe", {"method": "probe"}),
    ("[global]\nebpf co-re tracing = tracepoint", {"method": "tracepoint"}),
    ("[ebpf programs]\nprocess = no", without("process", "file", "vfs")),
    ("[ebpf programs]\nprocess = no\nvfs = yes", without("process", "file")),
    ("[ebpf programs]\nvfs = yes\nprocess = no", without("process", "file")),
    ("[ebpf programs]\nfile = no", without("file")),
    ("[ebpf programs]\nnetwork viewer = no", without("network")),
    ("[global]\n    apps = no\n\n    update every = 2\n", {**without("apps"), "every": 2}),
    ("  [global]\n\tapps = no\n  # apps = yes\n", without("apps")),
    ("[global]\r\napps = no\r\n", without("apps")),
    (b"\xef\xbb\xbf[global]\napps = no", without("apps")),
    ("[global]\n\fapps = no\n\x85\u2028update every = 2", {**without("apps"), "every": 2}),
    ("[global]\n# \u00e9\napps = no", without("apps")),
    (b"[global]\n# \xff\napps = no", without("apps")),
    ("[ebpf programs]\nnetwork connection monitoring = no", {"connections": False}),
    ("[network viewer]\nports = 80", {"ports": Text("80", "PATH:2")}),
    ("[network connections]\nports = 80 !81", {"ports": Text("80 !81", "PATH:2")}),
    ("[network viewer]\n\n   ips = ::1  10.0.0.1 ", {"ips": Text("::1  10.0.0.1", "PATH:3")}),
    ("[network viewer]\nhostnames =", {"hostnames": Text("", "PATH:2")}),
    ("[network viewer]\nhostnames = !a = b", {"hostnames": Text("!a = b", "PATH:2")}),
    ("[network viewer]\nports = 1\n[network connections]\nports = 2", {"ports": Text("2", "PATH:4")}),
    ("[network viewer]\nmaximum dimensions = 0", {"dimensions": 0}),
    ("[network connections]\nmaximum dimensions = 05000", {"dimensions": 5000}),
    ("[network viewer]\nresolve hostname ips = yes", {"resolve_hosts": True}),
    ("[network viewer]\nresolve hostname ips = yes\nresolve hostnames = no", {}),
    ("[network viewer]\nresolve hostnames = no\nresolve hostname ips = yes", {}),
    ("[network viewer]\nresolve service names = no", {"resolve_services": False}),
    ("[service name]\n80 = http\n 443 =  a b ", {"services": {80: "http", 443: "a b"}}),
    ("[service name]\n080 = x", {"services": {80: "x"}}),
])
def test_a_text_sets(tmp_path, text, changed):
    found, messages = load(tmp_path, text)
    assert (placed(tmp_path, found), messages) == (DEFAULTS._replace(**changed), [])


def placed(tmp_path, found):
    """Settings with PATH for the file's."""
    return found._replace(**{
        name: value._replace(where=value.where.replace(str(tmp_path / "ebpf.conf"), "PATH"))
        for name, value in found._asdict().items() if isinstance(value, Text)})


@pytest.mark.parametrize("truth, words", [(True, YES), (False, NO)])
def test_booleans(tmp_path, truth, words):
    for word in words:
        for spelling in (word, word.upper()):
            assert load(tmp_path, "[ebpf programs]\nfile = " + spelling) == (
                DEFAULTS if truth else DEFAULTS._replace(**without("file")), [])


GLOBAL = ", ".join(sorted(
    key for option in OPTIONS if option.section == "global" for key in (option.key, *(key for key, _ in option.also))))
SECTIONS = "ebpf programs, global, network viewer, service name"
PASSED_OVER = "; the whole file is passed over"
BOOLEAN = ": expected yes or no; the default holds"
SECONDS = ": expected a whole number of seconds, 1 to 3600; the default holds"


@pytest.mark.parametrize("text, message", [
    ("[global]\n\naps = no", "3: unknown option 'aps' in [global]; known are " + GLOBAL),
    ("[global]\nApps = no", "2: unknown option 'Apps' in [global]; known are " + GLOBAL),
    ("[global]\nprocess = no", "2: unknown option 'process' in [global]; known are " + GLOBAL),
    (b"[global]\n\xff\xfe = no", "2: unknown option '\ufffd\ufffd' in [global]; known are " + GLOBAL),
    ("\n[globl]\napps = no", "2: unknown section [globl]; known are " + SECTIONS),
    ("[global]\napps = ja", "2: apps = 'ja'" + BOOLEAN),
    ("[global]\napps =", "2: apps = ''" + BOOLEAN),
    ("[global]\napps = no # never", "2: apps = 'no # never'" + BOOLEAN),
    ("[global]\ndisable apps = maybe", "2: disable apps = 'maybe'" + BOOLEAN),
    ("[global]\napps = %s" % ("y" * 99), "2: apps = '%s...'%s" % ("y" * 60, BOOLEAN)),
    ("[global]\nload = exit", "2: load = 'exit': expected entry or return; the default holds"),
    ("[global]\nebpf co-re tracing = kprobe", "2: ebpf co-re tracing = 'kprobe': expected %s; the default holds"
     % " or ".join(METHOD_CHOICES)),
    ("[global]\nupdate every = 0", "2: update every = '0'" + SECONDS),
    ("[global]\nupdate every = -1", "2: update every = '-1'" + SECONDS),
    ("[global]\nupdate every = 3601", "2: update every = '3601'" + SECONDS),
    ("[global]\nupdate every = 1.5", "2: update every = '1.5'" + SECONDS),
    ("[global]\nupdate every = 1_0", "2: update every = '1_0'" + SECONDS),
    ("[global]\nupdate every = \u0661", "2: update every = '\u0661'" + SECONDS),
    ("[global]\nupdate every = " + "9" * 5000, "2: update every = '%s...'%s" % ("9" * 60, SECONDS)),
    ("apps = no", "1: no section header defined" + PASSED_OVER),
    ("[global]\napps = no\napps = yes", "3: duplicate name 'apps'" + PASSED_OVER),
    ("[global]\n[global]", "2: duplicate section 'global'" + PASSED_OVER),
    ("[]", "1: empty section name" + PASSED_OVER),
    ("[global]\napps = no\nnonsense", "3: unexpected line: 'nonsense'" + PASSED_OVER),
    ("[global", "1: unexpected value continuation" + PASSED_OVER),
])
def test_what_is_wrong_is_told_once(tmp_path, text, message):
    found, messages = load(tmp_path, text)
    assert messages == (["PATH:" + message] if message else [])
    assert found == DEFAULTS or not message


@pytest.mark.parametrize("data, line, character, changed", [
    (b"\x00\x01\x02", 1, "\0", {}),
    ("[global]\napps = no\n\0\0\n\1", 3, "\0", without("apps")),
    ("[global]\n\0apps\0 = no\0", 2, "\0", without("apps")),
    ("[global]\napps = no".encode("utf-16-le"), 1, "\0", {}),
    ("\x1b[31m[global]", 1, "\x1b", {}),
    ("[global]\napps = no\x7f", 2, "\x7f", without("apps")),
])
def test_what_is_no_text_is_told_once(tmp_path, data, line, character, changed):
    found, messages = load(tmp_path, data)
    assert messages[0] == "PATH:%d: the control character %r; expected a text file; it is read as a blank" % (
        line, character)
    assert not any("control character" in message for message in messages[1:])
    assert found == DEFAULTS._replace(**changed)


def make_large(path):
    path.touch()
    os.truncate(path, files.LONGEST + 1)


@pytest.mark.parametrize("make, why", [
    (lambda path: path.mkdir(), "not a regular file"),
    (os.mkfifo, "not a regular file"),
    (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    (make_large, "larger than 1 MB"),
], ids=["directory", "fifo", "device", "loop", "large"])
def test_what_is_no_file_of_options(tmp_path, make, why):
    path = tmp_path / "ebpf.conf"
    make(path)
    assert ebpf_conf.load([str(path)])[:2] == (
        DEFAULTS, ["%s:1: cannot be read: %s; its options keep their defaults" % (path, why)])


def test_the_largest_file(tmp_path):
    assert load(tmp_path, "[global]\napps = no\n".ljust(files.LONGEST)) == (DEFAULTS._replace(**without("apps")), [])


def test_a_file_that_is_not_there(tmp_path):
    assert ebpf_conf.load([str(tmp_path / "none"), str(tmp_path / "nowhere" / "none")]) == (DEFAULTS, [], "", {})


def test_the_users_file_wins_option_by_option(tmp_path):
    user, stock = tmp_path / "user.conf", tmp_path / "stock.conf"
    user.write_text("[global]\napps = no\nupdate every = never\n[ebpf programs]\nvfs = yes")
    stock.write_text("[global]\napps = yes\nupdate every = 7\nload = return\n[ebpf programs]\nprocess = no")
    found, messages = ebpf_conf.load([str(user), str(stock)])[:2]
    assert found == DEFAULTS._replace(mode="return", every=7, **without("apps", "process", "file"))
    assert len(messages) == 1 and messages[0].startswith("%s:3: update every = 'never': " % user)


def test_a_bad_file_leaves_the_other_in_force(tmp_path):
    user, stock = tmp_path / "user.conf", tmp_path / "stock.conf"
    user.write_text("nonsense")
    stock.write_text("[global]\napps = no")
    found, messages = ebpf_conf.load([str(user), str(stock)])[:2]
    assert found == DEFAULTS._replace(**without("apps"))
    assert len(messages) == 1 and messages[0].startswith("%s:1: " % user)


def test_groups_are_enabled_as_their_data_says():
    assert GROUP_NAMES == tuple(group.name for group in GROUPS)
    assert DEFAULTS.groups == tuple(group.name for group in GROUPS if group.switch.default)


def test_every_group_has_an_option_that_turns_it_off(tmp_path):
    options = {option.field: option for option in OPTIONS}
    for group in GROUPS:
        option = options[group.name]
        found, messages = load(tmp_path, "[%s]\n%s = no" % (option.section, option.key))
        followers = {each.name for each in GROUPS if each.switch.follows == group.name}
        assert (group.name, set(DEFAULTS.groups) - set(found.groups), messages) == (
            group.name, ({group.name} | followers) & set(DEFAULTS.groups), [])
        found, messages = load(tmp_path, "[%s]\n%s = yes" % (option.section, option.key))
        assert (set(found.groups), messages) == (set(DEFAULTS.groups) | {group.name}, [])


def test_options_are_the_fields():
    assert [option.field for option in OPTIONS if option.field not in GROUP_NAMES] == list(FIELDS)
    assert set(FIELDS) == set(Settings._fields) - {"groups", "services"}


def test_the_stock_file_shows_each_option_once_with_its_default(tmp_path):
    with open(STOCK, encoding="utf-8") as file:
        text = file.read()
    assert ebpf_conf.load([STOCK]) == (DEFAULTS, [], "", {STOCK: 0})

    section, shown = None, []
    for line in text.splitlines():
        header = re.fullmatch(r"\[(.*)\]", line)
        option = re.fullmatch(r"    # ([a-z -]+) =(?: (.*\S))?", line)
        section = header.group(1) if header else section
        if option:
            shown.append((section, option.group(1), option.group(2) or ""))
        assert header or not line or line.lstrip().startswith("#"), "not commented: " + line
    assert shown == [(option.section, option.key, as_text(option)) for option in OPTIONS]

    uncommented = re.sub(r"(?m)^    # ([a-z0-9 -]+ =(?: .*\S)?)$", r"    \1", text)
    found, messages = load(tmp_path, uncommented)
    assert messages == [] and network_viewer.settle(found, {})[1] == []
    nowhere = {name: value._replace(where="") for name, value in found._asdict().items() if isinstance(value, Text)}
    assert found._replace(**nowhere) == DEFAULTS._replace(services={19999: "Netdata"})


def as_text(option):
    value = as_default(option)
    value = value.text if isinstance(value, Text) else value
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "ebpf.conf"


def check(scratch, data):
    scratch.write_bytes(data)
    found, messages = ebpf_conf.load([str(scratch)])[:2]
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    for message in messages:
        assert message.isprintable()
        place = re.match(re.escape(str(scratch)) + r":(\d+): \S", message)
        assert place and 1 <= int(place.group(1)) <= lines
    assert found.mode in MODES and found.method in METHOD_CHOICES and 1 <= found.every <= 3600
    assert all(isinstance(getattr(found, field), bool) for field in FIELDS if isinstance(getattr(DEFAULTS, field), bool))
    assert set(found.groups) <= set(GROUP_NAMES)
    assert 0 <= found.dimensions <= 5000
    assert all(0 < port < 65536 and isinstance(name, str) for port, name in found.services.items())
    for value in found:
        if isinstance(value, Text) and value.where:
            assert re.fullmatch(re.escape(str(scratch)) + r":\d+", value.where)
    for message in network_viewer.settle(found, {}, "")[1]:
        assert re.match(re.escape(str(scratch)) + r":\d+: \S", message)


def as_default(option):
    return option.field in DEFAULTS.groups if option.field in GROUP_NAMES else getattr(DEFAULTS, option.field)


# lines that go deeper than arbitrary text would
PIECES = st.sampled_from(
    ["[", "]", "=", ":", "#", ";", " ", "\t", "\r", "\f", "\0", "\x1c", "\u2028", "'", '"', "\\", "yes", "no", "99999999999"]
    + [text for option in OPTIONS for text in (option.key, "[%s]" % option.section)]
    + ["[service name]", "[network connections]", "80", "19999", "!", "*", "-"])
LINES = st.lists(st.lists(PIECES, max_size=6).map("".join) | st.text(), max_size=12).map("\n".join)


@FUZZ
@given(text=LINES | st.text())
def test_any_text(scratch, text):
    check(scratch, text.encode())


@FUZZ
@given(data=st.binary())
def test_any_bytes(scratch, data):
    check(scratch, data)
    check(scratch, b"[global]\n" + data)
