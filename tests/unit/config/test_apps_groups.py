"""apps_groups.conf: what a text means, what is said of a bad one, and who belongs where."""
import marshal
import os
import re
import subprocess
import sys

from fakes import FUZZ, PACKAGE, ROOT
from hypothesis import given
from hypothesis import strategies as st
import pytest

from ebpf_plugin.collect.application_matcher import Matcher
from ebpf_plugin.config import apps_groups, directories, files
from ebpf_plugin.config.apps_groups import NAME, parse

STOCK = os.path.join(ROOT, "conf.d", NAME)
NETDATAS = "/usr/lib/netdata/conf.d/" + NAME

# Every trait of the format once, none of it a mistake. Debian's apps.plugin 1.37.1 was asked where these processes are.
SAMPLE = """\
# a comment: with-no: group

netdata: netdata
apps.plugin: apps.plugin\t# a comment
web: nginx* 'a web server' "it's one"
  mail :master  *smtp  # nothing: here
web:httpd:*d3
-hidden: -secret -+*ive
+debug: +loud
jvm: *org.example.Server* '*one two*'
other: ignored
web: java#8
rest: *
"""
FITS = [
    (b"netdata", b"", "netdata"),
    (b"Netdata", b"", "rest"),
    (b"apps.plugin", b"", "apps.plugin"),
    (b"with-no", b"", "rest"),
    (b"nginx", b"", "web"),
    (b"nginx: worker", b"", "web"),
    (b"a web server", b"", "web"),
    (b"it's one", b"", "web"),
    (b"master", b"", "mail"),
    (b"masters", b"", "rest"),
    (b"lsmtp", b"", "mail"),
    (b"nothing", b"", "rest"),
    (b"httpd", b"", "web"),
    (b"httpd3", b"", "web"),
    (b"secret", b"", "hidden"),
    (b"drive", b"", "hidden"),
    (b"loud", b"", "+debug"),
    (b"java", b"java\0org.example.Server\0", "jvm"),
    (b"java", b"java\0org-example-Server\0", "rest"),
    (b"x", b"/bin/one\0two\0", "jvm"),
    (b"x", None, "rest"),
    (b"one two", None, "jvm"),
    (b"nginx", b"/bin/one\0two\0", "web"),
    (b"ignored", b"", "other"),
    (b"java#8", b"", "web"),
]


def group_of(groups, comm, cmdline=b""):
    """The name of the group, None if there is none."""
    found = Matcher(groups.rules).group_of(comm, cmdline)
    return None if found is None else groups.names[found]


@pytest.mark.parametrize("comm, cmdline, group", FITS)
def test_the_sample(comm, cmdline, group):
    groups, messages = parse(SAMPLE)
    assert messages == []
    assert groups.names == ("other", "netdata", "apps.plugin", "web", "mail", "hidden", "+debug", "jvm", "rest")
    assert groups.ids == ("other", "netdata", "apps.plugin", "web", "mail", "hidden", "_debug", "jvm", "rest")
    assert group_of(groups, comm, cmdline) == group


@pytest.mark.parametrize("text, comm, group", [
    # the first pattern of the file decides, of whatever kind
    ("a: x*\nb: xy", b"xy", "a"),
    ("a: xy\nb: x*", b"xy", "a"),
    ("a: *y\nb: x*\nc: xy", b"xy", "a"),
    ("a: x*\nb: *y\nc: xy", b"xy", "a"),
    ("a: *cmd*\nb: xy", b"xy", "a"),
    ("b: xy\na: *cmd*", b"xy", "b"),
    ("b: x*\na: *cmd*", b"xy", "b"),
    ("a: *else*\nb: xy", b"xy", "b"),
    ("a: p\nb: xy\na: x*", b"xy", "b"),
    # the first of its kind, too
    ("a: x*\nb: xy*", b"xyz", "a"),
    ("a: *z\nb: *yz", b"xyz", "a"),
    # a star inside stands for anything, also for nothing
    ("a: x*z\nb: xyz", b"xyz", "a"),
    ("a: x*y*z", b"xyz", "a"),
    ("b: xyz\na: x*z", b"xyz", "b"),
    ("a: x*y", b"xyz", None),
    ("a: y*z\nb: *x*y*z", b"xyz", "b"),
    ("a: x*a* *cmd*x*\nb: x*y*", b"xyz", "b"),
    ("a: */bin*md*\nb: xyz", b"xyz", "a"),
    ("a: x?z", b"xyz", None),
    ("a: xy**", b"xyz", "a"),
    ("a: **", b"xyz", "a"),
    ("a: -*", b"xyz", "a"),
    ("a: *-*yz", b"xyz", "a"),
    # names are the kernel's: what is longer than they are never fits
    ("a: longer-than-fifteen\nb: longer*", b"longer-than-fif", "b"),
    ("a: x", b"y", None),
    ("", b"y", None),
    ("other: x", b"x", "other"),
    # characters that cannot be printed are spaces
    ("\ufeffa:\x0bx\x1fy\r\n", b"y", "a"),
    ("a: x\u00a0y", b"y", "a"),
    ("a: x\rb: y", b"y", "b"),
    ("a: 'x'y", b"y", "a"),
    ("'a b': x", b"x", "a b"),
    ("a: '' x", b"x", "a"),
    # where we differ from the agent, which takes these letters for spaces and quotes in comments for quotes
    ("a: \u00e9*", "\u00e9x".encode(), "a"),
    ("a: \udcff*", b"\xffx", "a"),
    ("a: x # 'y\nb: y", b"y", "b"),
    # what managers start begins in `other`, whatever group has a pattern for them
    ("a: supervise\nmanagers: supervise", b"supervise", "other"),
    ("a: systemd* tini\nmanagers: x", b"tini", "other"),
    ("a: systemd* tini\nmanagers: x", b"systemd-logind", "a"),
    ("a: tini\nmanagers: clear\nmanagers: x*z", b"tini", "a"),
    ("a: tini\nmanagers: clear\nmanagers: x*z", b"xyz", "other"),
    ("a: tini", b"tini", "a"),
])
def test_rules(text, comm, group):
    groups, messages = parse(text)
    assert messages == []
    assert group_of(groups, comm, b"/bin/cmd\0") == group


NO_PATTERN = " has no pattern; " + apps_groups.FORMAT


@pytest.mark.parametrize("text, said, names", [
    ("a:", "1: group 'a'" + NO_PATTERN, ()),
    ("\n a : # x", "2: group 'a'" + NO_PATTERN, ()),
    ("lonely", "1: no colon after 'lonely'; %s; the words after it are taken for patterns" % apps_groups.FORMAT, ()),
    ("a x", "1: no colon after 'a'; %s; the words after it are taken for patterns" % apps_groups.FORMAT, ("a",)),
    ("a: x 'y z\nb: z'", "1: the quote before 'y' is not closed; the rest of the line is passed over", ("a", "b")),
    ("'a: x\nb: z", "1: the quote before 'a' is not closed; the rest of the line is passed over", ("b",)),
    ("\n\0\1\2", "2: the control character '\\x00'; expected a text file; it is read as a blank", ()),
    ("a: - x", "1: pattern '-' is empty; " + apps_groups.FORMAT, ("a",)),
    ("-: x", "1: a group's name has 1 to 100 characters, not 0; the line is passed over", ()),
    ("n" * 101 + ": x", "1: a group's name has 1 to 100 characters, not 101; the line is passed over", ()),
    ("a: x y\nb: x z", "2: pattern 'x' is in group 'a' already, where it stays", ("a", "b")),
    ("a: x\na: x -x +x", None, ("a",)),
    ("a: *x\nb: x", None, ("a", "b")),
    ("a: - '" + "q" * 99, "1: the quote before '%s...' is not closed; the rest of the line is passed over" % ("q" * 60), ()),
])
def test_what_is_wrong(text, said, names):
    groups, messages = parse(text, "PATH")
    assert groups.names == ("other",) + names
    assert "PATH:" + said in messages if said else not messages


@pytest.mark.parametrize("text, comm, line, group", [
    ("interpreters: ruby\na: backup", b"python3", b"python3\0/opt/backup.py\0", "a"),
    ("interpreters: ruby\na: backup", b"ruby", b"ruby\0-w\0./backup\0", "a"),
    ("interpreters: ruby\na: backup", b"python3", b"python3\0backup.py\0", None),
    ("interpreters: ruby\na: backup", b"vi", b"vi\0/opt/backup.py\0", None),
    ("interpreters: clear\na: backup", b"python3", b"python3\0/opt/backup.py\0", None),
    ("interpreters: clear\ninterpreters: py*n3\na: backup", b"python3", b"python3\0/opt/backup.py\0", "a"),
    ("a: backup", b"python3", b"python3\0/opt/backup.py\0", None),
    # the first pattern of the file, by whichever name
    ("a: python3\nb: back*\ninterpreters: x", b"python3", b"python3\0/opt/backup.py\0", "a"),
    ("b: back*\na: python3\ninterpreters: x", b"python3", b"python3\0/opt/backup.py\0", "b"),
    ("a: *\ninterpreters: x", b"python3", b"python3\0", "a"),
    ("a: .py\ninterpreters: x", b"python3", b"python3\0/opt/.py\0", "a"),
    ("a: opt\ninterpreters: x", b"sh", b"", None),
    # a name that the kernel has cut
    ("a: containerd-shim-runc-v2", b"containerd-shim", b"/usr/bin/containerd-shim-runc-v2\0-namespace\0", "a"),
    ("a: containerd-shim-runc*", b"containerd-shim", b"/usr/bin/containerd-shim-runc-v2\0-namespace\0", "a"),
    ("a: containerd-shim-runc-v1", b"containerd-shim", b"/usr/bin/containerd-shim-runc-v2\0", None),
    ("a: containerd-shim-runc-v2", b"containerd-shim", None, None),
    ("a: containerd-shim\nmanagers: x", b"containerd-shim", b"/usr/bin/containerd-shim-runc-v2\0", "other"),
    ("a: unattended-upgrade", b"unattended-upgr", b"/usr/bin/python3\0/usr/bin/unattended-upgrade\0", "a"),
])
def test_what_only_the_command_line_names(text, comm, line, group):
    groups, messages = parse(text)
    assert messages == []
    assert group_of(groups, comm, line) == group
    matcher = Matcher(groups.rules)
    found, certain = matcher.by_comm(comm)
    assert not certain or matcher.group_of(comm, line) == found


@pytest.mark.parametrize("text, said", [
    ("interpreters: x *y*", "1: interpreter '*y*' is a pattern of command lines; expected name prefix* *suffix"),
    ("interpreters: *x*y*", "1: interpreter '*x*y*' is a pattern of command lines; expected name prefix* *suffix"),
    ("managers: -", "1: pattern '-' is empty; " + apps_groups.FORMAT),
    ("managers x", "1: no colon after 'managers'; %s; the words after it are taken for patterns" % apps_groups.FORMAT),
])
def test_what_is_wrong_with_a_directive(text, said):
    groups, messages = parse(text, "PATH")
    assert (groups.names, messages) == (("other",), ["PATH:" + said])


def test_a_duplicate_does_not_take_its_line_along():
    groups = parse("a: x\nb: x y")[0]
    assert (group_of(groups, b"x"), group_of(groups, b"y")) == ("a", "b")


@pytest.mark.parametrize("names, ids", [
    (("a b", "a_b"), ("a_b_2", "a_b")),
    (("a b", "a:b", "a_b_2"), ("a_b", "a_b_3", "a_b_2")),
    (("Caf\u00e9", "A", "a"), ("Caf_", "A", "a")),
    (("oth er", "'"), ("oth_er", "_")),
])
def test_ids_are_clean_and_differ(names, ids):
    text = "".join('"%s": p%d\n' % (name, place) for place, name in enumerate(names))
    groups, messages = parse(text)
    assert not messages and groups.names[1:] == names and groups.ids[1:] == ids


def test_bounds():
    groups, messages = parse("".join("g%d: p%d\n" % (i, i) for i in range(1000)), "PATH")
    assert len(groups.names) == apps_groups.MOST_GROUPS
    assert messages[0] == "PATH:512: group 'g511' is one too many, 512 are accepted; 'p511' is passed over"
    assert len(messages) == 21 and messages[-1] == "PATH:1000: %d more mistakes up to this line" % (1000 - 511 - 20)

    groups, messages = parse("a: " + " ".join("p%d" % i for i in range(9000)), "PATH")
    assert sum(map(len, groups.rules)) == apps_groups.MOST_PATTERNS and len(messages) == 21


class Cmdline:
    """Counts how often it is asked for."""

    def __init__(self, line):
        self.line, self.asked = line, 0

    def __call__(self):
        self.asked += 1
        return self.line


@pytest.mark.parametrize("text, asked", [
    ("a: x\nb: *y*", 0),
    ("b: *y*\na: x", 1),
    ("a: z\nb: *y*\nc: *q*", 1),
    ("a: z", 0),
    ("other: *\nb: *y*", 0),
])
def test_a_command_line_is_read_only_if_it_can_matter(text, asked):
    line = Cmdline(b"q")
    Matcher(parse(text)[0].rules).group_of(b"x", line)
    assert line.asked == asked


def test_how_much_of_a_command_line():
    matcher = Matcher(parse("a: *end*")[0].rules)
    assert matcher.group_of(b"x", b"." * 16381 + b"end") == 1
    assert matcher.group_of(b"x", b"." * 16382 + b"end") is None
    assert matcher.group_of(b"end", lambda: None) == 1
    assert matcher.group_of(b"end", b"") is None


def test_seeds():
    groups = parse("a: one two*\nb: twofold longer-than-fifteen\nc: *inside*\nd: one late twofolds\ne: *ter after")[0]
    certain, likely = Matcher(groups.rules).seeds()
    named = [{name: groups.names[group] for name, group in names.items()} for names in (certain, likely)]
    assert named == [{b"one": "a", b"twofold": "a", b"twofolds": "a"}, {b"late": "d", b"after": "e"}]
    assert Matcher(groups.rules).by_comm(b"nobody") == (None, False)
    assert Matcher(parse("a: x")[0].rules).by_comm(b"nobody") == (None, True)


def test_rules_are_data_that_marshal_carries():
    rules = parse(SAMPLE)[0].rules
    again = marshal.loads(marshal.dumps(rules))
    assert again == rules and hash(again) == hash(rules)


def test_the_matcher_needs_little():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import ebpf_plugin.collect.application_matcher; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, os.path.dirname(PACKAGE)],
                          stdout=subprocess.PIPE, text=True, check=True)
    assert not set(done.stdout.split()) & {"typing", "re", "iniconfig", "ebpf_plugin.config.apps_groups"}


# --- files


def test_the_users_file_stands_instead_of_the_stock_one(tmp_path):
    user, stock = tmp_path / "user", tmp_path / "stock"
    paths = [str(user), str(tmp_path / "none"), str(stock)]
    stock.write_text("s: x\n")
    assert apps_groups.load(paths) == (parse("s: x")[0], str(stock), [])
    user.write_text("u: y\nbad:\n")
    groups, path, messages = apps_groups.load(paths)
    assert (groups.names, path) == (("other", "u"), str(user))
    assert messages == ["%s:2: group 'bad'%s" % (user, NO_PATTERN)]
    assert apps_groups.load([]) == (parse("")[0], None, [])


def make_large(path):
    path.touch()
    os.truncate(path, files.LONGEST + 1)


@pytest.mark.parametrize("make, why", [
    (lambda path: path.mkdir(), "not a regular file"),
    (os.mkfifo, "not a regular file"),
    (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    (make_large, "larger than 1 MB"),
], ids=["directory", "fifo", "loop", "large"])
def test_what_cannot_be_read_is_passed_over(tmp_path, make, why):
    path, stock = tmp_path / "user", tmp_path / "stock"
    make(path)
    stock.write_text("s: x")
    assert apps_groups.load([str(path), str(stock)]) == (
        parse("s: x")[0], str(stock), ["%s:1: cannot be read: %s; the next file is tried" % (path, why)])


@pytest.mark.skipif(not os.path.exists(NETDATAS), reason="the agent is not installed")
def test_the_agents_own_file():
    groups, path, messages = apps_groups.load([NETDATAS])
    assert (path, messages) == (NETDATAS, [])
    assert len(groups.names) > 100 and "" not in groups.ids and len(set(groups.ids)) == len(groups.names)
    for comm, cmdline, group in [
        (b"netdata", b"", "netdata"), (b"sshd", b"sshd: root", "ssh"), (b"nginx", b"", "httpd"), (b"postgres", b"", "sql"),
        (b"cron", b"", "cron"), (b"dockerd", b"", "containers"), (b"kthreadd", b"", "kernel"), (b"systemd", b"init\0", None),
        (b"python3", b"python3\0/usr/lib/netdata/plugins.d/python.d.plugin\0", "python.d.plugin"),
    ]:
        assert group_of(groups, comm, cmdline) == group


@pytest.fixture(scope="module")
def stock():
    groups, path, messages = apps_groups.load([os.path.join(directories.data("conf.d"), NAME)])
    assert (path, messages) == (STOCK, [])
    return groups


@pytest.mark.parametrize("comm, cmdline, group", [
    (b"ebpf.plugin", b"", "ebpf.plugin"),
    (b"apps.plugin", b"", "netdata-plugins"),
    (b"netdata", b"", "netdata"),
    (b"systemd", b"/lib/systemd/systemd\0--user\0", None),
    (b"systemd-journal", b"", "logs"),
    (b"systemd-logind", b"", "system"),
    (b"(udev-worker)", b"", "system"),
    (b"(sd-pam)", b"", "system"),
    (b"systemd-network", b"", "network"),
    (b"systemd-timesyn", b"", "clock"),
    (b"sshd", b"", "ssh"),
    (b"sshd-session", b"", "ssh"),
    (b"bash", b"-bash\0", None),
    (b"tmux: server", b"", "terminal"),
    (b"cron", b"", "cron"),
    (b"nginx", b"", "web"),
    (b"haproxy", b"", "proxy"),
    (b"php-fpm8.2", b"", "php"),
    (b"postgres", b"", "sql"),
    (b"redis-server", b"", "cache"),
    (b"mongod", b"", "documents"),
    (b"java", b"java\0-Xmx1g\0org.elasticsearch.bootstrap.Elasticsearch\0", "search"),
    (b"java", b"java\0kafka.Kafka\0server.properties\0", "queue"),
    (b"java", b"java\0-jar\0app.jar\0", "java"),
    (b"python3", b"python3\0/usr/bin/gunicorn\0app\0", "gateway"),
    (b"python3", b"python3\0app.py\0", "python"),
    (b"node", b"node\0server.js\0", "node"),
    (b"node_exporter", b"", "monitoring"),
    (b"beam.smp", b"beam.smp\0--\0-rabbitmq\0", "queue"),
    (b"containerd-shim", b"", "containers"),
    (b"kubelet", b"", "kubernetes"),
    (b"qemu-system-x86", b"", "machines"),
    (b"kthreadd", b"", "kernel"),
    (b"kswapd0", b"", "kernel-memory"),
    (b"kworker/0:1", b"", None),
    (b"cc1", b"", "build"),
    (b"git", b"", "git"),
    (b"git-remote-http", b"", "git"),
    (b"dpkg-deb", b"", "packages"),
    (b"rsync", b"", "backup"),
    (b"dovecot", b"", "mail"),
    (b"smbd", b"", "files"),
])
def test_our_own_file(stock, comm, cmdline, group):
    assert group_of(stock, comm, cmdline) == group


def test_our_own_file_as_a_whole(stock):
    assert 40 <= len(stock.names) <= 60
    assert stock.ids == stock.names
    # a name that the kernel cuts off could never fit
    assert all(len(text) <= 15 for patterns in stock.rules[:3] for text, _, _ in patterns)
    certain, likely = Matcher(stock.rules).seeds()
    assert len(certain) > 10 * len(likely)


def running():
    """(comm, cmdline, True if it is a kernel thread) of each process of this machine."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid, "rb") as file:
                stat = file.read()
            with open("/proc/%s/comm" % pid, "rb") as file:
                comm = file.read()[:-1]
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                cmdline = file.read()
        except OSError:
            continue
        yield comm, cmdline, int(stat.rpartition(b")")[2].split()[6]) & 0x00200000  # PF_KTHREAD


def test_our_own_file_on_this_machine(stock):
    seen = [(group_of(stock, comm, cmdline), kernel) for comm, cmdline, kernel in running()]
    assert any(not kernel for _, kernel in seen)
    assert {group for group, kernel in seen if kernel} <= {None, "kernel", "kernel-memory", "storage", "files"}


# --- any text

# lines that go deeper than arbitrary text would
PIECES = st.sampled_from(
    [":", ": ", " ", "\t", "\r", "\0", "#", "'", '"', "*", "-", "+", "a", "b", "other", "managers", "interpreters", "clear",
     "\u00e9", "."])
LINES = st.lists(st.lists(PIECES, max_size=9).map("".join) | st.text(), max_size=12).map("\n".join)


def check(path, data, comm):
    path.write_bytes(data)
    groups, taken, messages = apps_groups.load([str(path)])
    lines = data.count(b"\n") + 1
    assert taken == str(path)
    for message in messages:
        place = re.match(re.escape(str(path)) + r":(\d+): \S", message)
        assert message.isprintable() and place and 1 <= int(place.group(1)) <= lines
    assert groups.names[0] == groups.ids[0] == "other"
    assert len(groups.names) == len(groups.ids) == len(set(groups.ids))
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", id_) for id_ in groups.ids)
    ranks = [rank for patterns in groups.rules[:apps_groups.INTERPRETED] for _, rank, _ in patterns]
    assert len(set(ranks)) == len(ranks)
    assert all(sorted(patterns, key=lambda pattern: pattern[1]) == list(patterns) for patterns in groups.rules)
    assert Matcher(groups.rules).group_of(comm, comm) == slowly(groups.rules, comm, comm)


def slowly(rules, comm, cmdline):
    """The rule in its shortest form: of all patterns in the order of the file, the first that fits."""
    line = cmdline.replace(b"\0", b" ")
    fits = (comm.__eq__, comm.startswith, comm.endswith, line.__contains__,
            lambda pieces: wildcard(pieces).fullmatch(comm), lambda pieces: wildcard(pieces).fullmatch(line))
    ordered = sorted((rank, fit(text), group) for fit, patterns in zip(fits, rules) for text, rank, group in patterns)
    return next((group for _, fit, group in ordered if fit), None)


def wildcard(pieces):
    return re.compile(b".*".join(map(re.escape, pieces)), re.DOTALL)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / NAME


NAMES = st.text("ab.*-", max_size=4).map(str.encode)


@FUZZ
@given(text=LINES | st.text(), comm=NAMES)
def test_any_text(scratch, text, comm):
    check(scratch, text.encode(), comm)


@FUZZ
@given(data=st.binary(), comm=NAMES)
def test_any_bytes(scratch, data, comm):
    check(scratch, data, comm)
    check(scratch, b"a: " + data, comm)


@pytest.mark.parametrize("name", ["misc.", "...", ".", "a b.", "misc_"])
def test_no_id_ends_in_a_dot(name):
    """The agent takes none, and protocol.py refuses it when the first process of the group comes."""
    groups, messages = parse("misc_: y\n'%s': x\n" % name)
    assert messages == [] and len(set(groups.ids)) == len(groups.ids)
    assert not any(id_.endswith(".") for id_ in groups.ids)
