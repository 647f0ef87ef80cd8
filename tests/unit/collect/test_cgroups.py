"""Control groups: which name a group has, and that each event is drawn once, in its group's name, whatever comes and goes.

The tree of groups is one of real directories; what the kernel does with it is played.
"""
import errno
import os
import re
import struct

from fakes import FUZZ, attached
from hypothesis import given, settings
from hypothesis import strategies as st
from pluginsd import Agent
import pytest

from ebpf_plugin import log
from ebpf_plugin.collect import cgroups
from ebpf_plugin.cgroup_names import CONTAINER, SERVICE, place_of
from ebpf_plugin.collect.cgroups import Cgroups
from ebpf_plugin.collect.rows import RowSet
from ebpf_plugin.groups import GROUPS
from ebpf_plugin.kernel import bpf, procfs
from ebpf_plugin.model.declared import Chart, Dimension, pack
from ebpf_plugin.model.select import select_application_charts, select_cgroup_charts
from ebpf_plugin.outputs import metrics, netdata

ID = "0123456789ab" + "cdef" * 13
SHORT = ID[:12]


@pytest.mark.parametrize("path, name", [
    # units of systemd, and what is below them
    ("/system.slice/nginx.service", "nginx"),
    ("/system.slice/nginx.service/worker", "nginx"),
    ("/system.slice/nginx.service/a.service/b.scope", "nginx"),
    ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1"),
    ("/system.slice/php8.2-fpm.service", "php8.2-fpm"),
    ("/system.slice/dbus.socket", "dbus"),
    ("/system.slice/var-lib.mount", "var-lib"),
    ("/system.slice/-.mount", "-"),
    ("/system.slice/swapfile.swap", "swapfile"),
    ("/init.scope", "init"),
    ("/user.slice/user-1000.slice/session-3.scope", "session-3"),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "x"),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome.slice/vte-spawn-1.scope", "vte-spawn-1"),
    ("/user.slice/user-1000.slice/user@1000.service", "user.slice_user-1000.slice_user@1000.service"),
    ("/system.slice/user-runtime-dir@1000.service", "user-runtime-dir@1000"),
    # containers
    ("/system.slice/docker-%s.scope" % ID, "docker_" + SHORT),
    ("/system.slice/docker-%s.scope/init" % ID, "docker_" + SHORT),
    ("/docker/" + ID, "container_" + SHORT),
    ("/docker/%s/system.slice/nginx.service" % ID, "container_" + SHORT),
    ("/machine.slice/libpod-%s.scope" % ID, "libpod_" + SHORT),
    ("/machine.slice/libpod-%s.scope/container" % ID, "libpod_" + SHORT),
    ("/machine.slice/machine-libpod_pod_%s.slice/libpod-%s.scope" % (ID, ID[::-1]), "libpod_" + ID[::-1][:12]),
    ("/user.slice/user-1.slice/user@1.service/user.slice/libpod-%s.scope/container" % ID, "libpod_" + SHORT),
    ("/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-%s.scope" % ID, "cri-containerd_" + SHORT),
    ("/kubepods.slice/kubepods-pod1_2.slice/crio-%s.scope/container" % ID, "crio_" + SHORT),
    ("/kubepods/burstable/pod8d3/" + ID, "container_" + SHORT),
    ("/docker/" + ID[:-1], "docker_" + ID[:-1]),
    ("/docker/%sg" % ID[:-1], "docker_%sg" % ID[:-1]),
    ("/docker/" + ID.upper(), "docker_" + ID.upper()),
    ("/lxc.payload.web", "web"),
    ("/lxc.payload.web/system.slice/nginx.service", "web"),
    ("/machine.slice/systemd-nspawn@deb.service/payload/system.slice/cron.service", "systemd-nspawn@deb"),
    # virtual machines
    (r"/machine.slice/machine-qemu\x2d1\x2dweb.scope/libvirt/emulator", "web"),
    ("/machine.slice/machine-deb.scope", "deb"),
    # neither
    ("", ""),
    ("/", ""),
    ("/system.slice", "system.slice"),
    ("/user.slice/user-1000.slice", "user.slice_user-1000.slice"),
    ("/a/b/c", "a_b_c"),
    ("/.service", ".service"),
    ("/kubepods.slice/kubepods-besteffort.slice", "kubepods.slice_kubepods-besteffort.slice"),
    # what somebody has made to annoy
    ("/x y' z\x1b[2J", "x y' z\x1b[2J"),
    ("/\udcff.service", "\udcff"),
    ("/\u0661\u202e.scope/docker-%s.scope" % ID, "\u0661\u202e"),
    ("/a\nb.service", "a\nb.service"),
])
def test_names(path, name):
    assert place_of(path)[0][0] == name


NAMES = st.text(st.characters(blacklist_characters="/\0") | st.sampled_from("._@-"), min_size=1, max_size=30)
PARTS = NAMES | st.builds("{}.{}".format, NAMES, st.sampled_from(("service", "scope", "slice", "mount"))) | st.builds(
    "{}{}{}".format, st.sampled_from(("", "docker-", "libpod-", "x-")), st.just(ID), st.sampled_from(("", ".scope")))


@FUZZ
@given(st.lists(PARTS, max_size=5), st.lists(PARTS, max_size=3))
def test_any_path_has_a_name(parts, below):
    path = "".join("/" + part for part in parts)
    name = place_of(path)[0][0]
    assert isinstance(name, str) and bool(name) == bool(path)
    if any(re.search(r"\.(service|scope)\Z", part) and len(part) > 8 and not part.startswith("user@") and "\n" not in part
           for part in parts):
        assert place_of(path + "".join("/" + part for part in below)) == place_of(path), "what is below is a part of it"


def mounted(number, path, kind="cgroup2", root="/"):
    """A line of /proc/self/mountinfo."""
    return "%d 1 0:%d %s %s rw,nosuid,nodev shared:9 - %s none rw,nsdelegate\n" % (number, number, root, path, kind)


ROOT = mounted(1, "/", "ext4")
V2 = mounted(30, "/sys/fs/cgroup")
UNIFIED = mounted(38, "/sys/fs/cgroup/unified")
V1 = mounted(28, "/sys/fs/cgroup", "tmpfs") + mounted(29, "/sys/fs/cgroup/cpu", "cgroup")
SECOND = mounted(39, "/sys/fs/cgroup")


@pytest.mark.parametrize("mounts, seen, mount, hidden", [
    (ROOT + V2, {"/sys/fs/cgroup": 30}, "/sys/fs/cgroup", ()),
    (ROOT + V1 + UNIFIED, {"/sys/fs/cgroup/unified": 38}, "/sys/fs/cgroup/unified", ()),
    (V2 + mounted(40, "/mnt"), {"/sys/fs/cgroup": 30, "/mnt": 40}, "/sys/fs/cgroup", ()),
    # of two at one place only the later one can be seen, whichever is told first
    (V2 + SECOND, {"/sys/fs/cgroup": 39}, "/sys/fs/cgroup", ("/sys/fs/cgroup",)),
    (SECOND + V2, {"/sys/fs/cgroup": 39}, "/sys/fs/cgroup", ("/sys/fs/cgroup",)),
    # a mount hides what is mounted below its place
    (UNIFIED + V2, {"/sys/fs/cgroup": 30}, "/sys/fs/cgroup", ("/sys/fs/cgroup/unified",)),
    (UNIFIED + V1, {}, "", ("/sys/fs/cgroup/unified",)),
    (V2 + mounted(41, "/sys/fs/cgroup", "tmpfs"), {"/sys/fs/cgroup": 41}, "", ("/sys/fs/cgroup",)),
    # a part of the tree, as a container has it
    (mounted(30, "/part", root="/docker/1") + mounted(31, "/whole"), {"/part": 30, "/whole": 31}, "/whole", ()),
    (mounted(30, "/part", root="/docker/1"), {"/part": 30}, "/part", ()),
    (mounted(30, r"/mnt/my\040\134groups"), {"/mnt/my \\groups": 30}, "/mnt/my \\groups", ()),
    (ROOT + V1, {"/sys/fs/cgroup": 28}, "", ()),
    ("", {}, "", ()),
    ("\n \ncgroup2\n - cgroup2\n30 1 - cgroup2\n", {}, "", ()),
])
def test_where_version_2_is(mounts, seen, mount, hidden):
    assert procfs.mount_of_version_2(mounts, seen.get) == (mount, hidden)


def test_the_mount_that_a_path_leads_to(tmp_path):
    mounts = dict(reversed(line.split()[0:5:4]) for line in procfs.read("/proc/self/mountinfo").splitlines())
    assert procfs.mount_at("/proc") == int(mounts["/proc"])
    assert procfs.mount_at("/proc/self/") == int(mounts["/proc"])
    assert procfs.mount_at(str(tmp_path / "nothing")) is None


@pytest.mark.parametrize("path, name", [
    (r"/machine.slice/machine-qemu\x2d1\x2dweb\x2dserver.scope", "web-server"),
    (r"/machine.slice/machine-my\x2dbox.scope", "my-box"),
    (r"/system.slice/dev-disk-by\x2dlabel-swap.swap", "dev-disk-by-label-swap"),
])
def test_systemds_escapes(path, name):
    assert place_of(path)[0][0] == name


@pytest.mark.parametrize("path, kind, shown", [
    # what the agent's cgroups.plugin and cgroup-name.sh make of them, if nobody else is asked
    ("/system.slice/docker-%s.scope" % ID, CONTAINER, SHORT),
    ("/system.slice/docker-%s.scope/init" % ID, CONTAINER, SHORT),
    ("/docker/" + ID, CONTAINER, SHORT),
    ("/machine.slice/libpod-%s.scope/container" % ID, CONTAINER, SHORT),
    ("/user.slice/user-1.slice/user@1.service/user.slice/libpod-%s.scope" % ID, CONTAINER, SHORT),
    ("/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-%s.scope" % ID, CONTAINER, "k8s_" + SHORT),
    ("/kubepods/burstable/pod8d3/" + ID, CONTAINER, "k8s_" + SHORT),
    ("/lxc.payload.web", CONTAINER, "web"),
    ("/lxc.payload.web.example/system.slice/nginx.service", CONTAINER, "web-example"),
    ("/machine.slice/systemd-nspawn@deb.service", CONTAINER, "systemd-nspawn_deb"),
    ("/machine.slice/systemd-nspawn@deb.service/payload/system.slice/cron.service", CONTAINER, "systemd-nspawn_deb"),
    (r"/machine.slice/machine-qemu\x2d1\x2dopnsense.scope/libvirt/emulator", CONTAINER, "qemu_opnsense"),
    (r"/machine.slice/machine-qemu\x2d12\x2dweb\x2dserver.scope", CONTAINER, "qemu_webserver"),
    (r"/machine.slice/machine-lxc\x2d969\x2dhubud0xians01.scope", CONTAINER, "lxc_hubud0xians01"),
    ("/machine.slice/machine-deb.scope", CONTAINER, "machine-slice_machine-deb-scope"),
    # the agent's charts `services`: !/system.slice/*/*.service /system.slice/*.service
    ("/system.slice/nginx.service", SERVICE, ""),
    ("/system.slice/nginx.service/worker", SERVICE, ""),
    ("/system.slice/system-getty.slice/getty@tty1.service", "", ""),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "", ""),
    ("/system.slice/dbus.socket", "", ""),
    ("/init.scope", "", ""),
    ("/a/b/c", "", ""),
    ("", "", ""),
])
def test_kinds_and_what_the_agent_calls_a_container(path, kind, shown):
    (_, *found), labels = place_of(path)
    assert found == [kind, shown]
    assert bool(labels) == (kind == CONTAINER)
    assert all(path.startswith(value) for name, value in labels if name == "cgroup_path")
    assert (("container_id", ID) in labels) == (ID in path)


FIRST = 5
CALLS = Chart("toy", "calls", "Calls", "calls/s", "Toys", 1, (Dimension("application", plus=(0, 2)),), "stacked", "apps",
              context="calls")
OTHERS = Chart("more", "others", "Others", "calls/s", "Toys", 2, (Dimension("application", plus=(0,)),), "stacked", "apps",
               context="others")


class Reader:
    """As rows.Counters: what is not in the set is not read, and stays as it was read last."""

    def __init__(self, counted, row_set):
        self.counted, self.row_set, self.moved = counted, row_set, {0, 1, 2}
        self.columns = [[0] * (FIRST + cgroups.ROWS) for _ in self.moved]

    def read(self):
        self.row_set.refresh()
        for row in self.row_set.rows:
            for column, value in zip(self.columns, self.counted.get(row, (0, 0, 0))):
                column[row] = value

    def row(self, row):
        return tuple(column[row] for column in self.columns)


class World:
    """A Cgroups over a tree of directories, dictionaries in place of the kernel's maps, and an agent that draws."""

    def __init__(self, monkeypatch, mount, room=cgroups.KNOWN, for_agent=False):
        self.mount, self.room, self.said, self.refused = str(mount), room, [], set()
        os.mkdir(self.mount)
        os.mkdir(self.mount + "-gone")
        self.maps = {"cgroup_rows": {}, "cgroups_asked": {}}
        monkeypatch.setattr(log, "_said", set())
        monkeypatch.setattr(log, "write", lambda level, text: self.said.append(text))
        monkeypatch.setattr(bpf, "map_update", self._update)
        monkeypatch.setattr(bpf, "map_delete", self._delete)
        monkeypatch.setattr(cgroups, "HashMap", lambda name, *_: self.Table(self, name))
        monkeypatch.setattr(netdata, "write", self._draw)
        self.row_set = RowSet(FIRST)
        self.counted = {"toy": {}, "more": {}}
        self.readers = {group: Reader(counted, self.row_set) for group, counted in self.counted.items()}
        self.cgroups = Cgroups({"tables": {name: name for name in self.maps}, "charts": pack((CALLS, OTHERS)),
                                "first": FIRST, "mount": self.mount, "for_agent": for_agent}, self.readers, self.row_set)
        self.types = {"cgroups", "services"} if for_agent else {"cgroups"}
        self.agent, self.texts, self._now = Agent(), [], 0
        self.output = netdata.Netdata()
        self.total = {"calls": 0, "others": 0}
        self.begun = None
        self._trees, self._gone = 0, 0
        paths = self.cgroups._paths

        def counted_paths():
            self._trees += 1
            return paths()

        self.cgroups._paths = counted_paths

    class Table:
        def __init__(self, world, name):
            self._world, self._name = world, name

        def rows(self):
            if "read " + self._name in self._world.refused:
                raise OSError(errno.EPERM, "Operation not permitted")
            return [(key, tuple(value)) for key, value in self._world.maps[self._name].items()]

    def _update(self, name, key, value, flags=0):
        if "update" in self.refused:
            raise OSError(errno.EPERM, "Operation not permitted")
        if name == "cgroup_rows" and key not in self.maps[name] and len(self.maps[name]) >= self.room:
            raise OSError(errno.E2BIG, "Argument list too long")
        self.maps[name][key] = value

    def _delete(self, name, key):
        self.maps[name].pop(key, None)

    def _draw(self, text):
        self.texts.append(text)
        self.agent.take(text)

    def make(self, path):
        os.makedirs(self.mount + path, exist_ok=True)
        return os.stat(self.mount + path).st_ino

    def remove(self, path):
        """Out of the tree, but not for good: a number is not given to another group (kernfs does not, either)."""
        self._gone += 1
        os.rename(self.mount + path, "%s-gone/%d" % (self.mount, self._gone))

    def event(self, path, amount=1, number=None):
        """Of both kinds, by who is in this group: as bpf/cgroup_rows.c."""
        number = struct.pack("=Q", os.stat(self.mount + path).st_ino if number is None else number)
        row = self.maps["cgroup_rows"].get(number)
        if row is None:
            self.maps["cgroups_asked"][number] = b"\1"
        row = FIRST + (struct.unpack("=I", row)[0] if row else 0)
        for group, amounts in (("toy", (amount, 1000 * amount, amount)), ("more", (amount, 0, 0))):
            counted = self.counted[group].setdefault(row, [0, 0, 0])
            counted[:] = map(sum, zip(counted, amounts))
        self.total["calls"] += 2 * amount
        self.total["others"] += amount

    def tick(self, gaps=(), late=lambda: None):
        """`late` happens when the counters have been read and nobody has looked at the groups."""
        counters = {}
        for group, reader in self.readers.items():
            counters[group] = None if group in gaps else (0, 0, 0)
            if group not in gaps:
                reader.read()
        late()
        self._now += 1
        sample = self.sample = self.cgroups.tick(self._now, counters)
        for chart, values in sample:
            assert len(chart.dimensions) == len(values)
            assert chart.by == ("" if chart.type.startswith("cgroup_") else "cgroup")
            assert chart.type in self.types or chart.type.startswith("cgroup_") and len(self.types) > 1
            assert all(value >= 0 for value in values), values
        if self.begun is None:
            self.begun = dict(self.total)  # the first sample is not shown (daemon.tick)
            return
        self.output.show(self._now, sample)

    def ticks(self, number):
        for _ in range(number):
            self.tick()

    def until_forgotten(self):
        """Up to the tick in which it is looked for those that have gone, and two more, in which they may leave."""
        self.tick()
        while self.cgroups._ticks % cgroups.RESCAN_TICKS:
            self.tick()
        self.ticks(2)

    def row(self, path):
        number = struct.pack("=Q", os.stat(self.mount + path).st_ino)
        return struct.unpack("=I", self.maps["cgroup_rows"][number])[0]

    def dims(self, chart="calls"):
        """{id: last value} of those that are not obsolete"""
        return {name: last for name, (_, last, gone) in self.agent.charts["cgroups." + chart].items() if not gone}

    def drawn(self, chart="calls"):
        return {name: amount for (each, name), amount in self.agent.sums.items() if each == "cgroups." + chart}


@pytest.fixture
def world(monkeypatch, tmp_path):
    """A World with two ticks behind it: the first one is not shown, and of the next one only the beginning is remembered."""
    found = World(monkeypatch, tmp_path / "cgroup")
    found.ticks(2)
    return found


def everything_is_drawn(world):
    world.ticks(2)
    assert {chart: sum(world.drawn(chart).values()) for chart in world.total} == world.total


def test_a_name_comes(world):
    number = world.make("/system.slice/nginx.service")
    world.event("/system.slice/nginx.service", 3)
    assert world.dims() == {"other": 0}
    world.tick()
    # the kernel has asked, and what it had counted by then is in `other`
    assert world.dims() == {"other": 6, "nginx": 0} and world.maps["cgroups_asked"] == {}
    assert struct.pack("=Q", number) in world.maps["cgroup_rows"]
    assert FIRST + world.row("/system.slice/nginx.service") in world.row_set._known
    world.event("/system.slice/nginx.service", 5)
    world.tick()
    assert world.dims() == {"other": 6, "nginx": 10} and world.dims("others") == {"other": 3, "nginx": 5}
    assert world.drawn() == {"other": 6, "nginx": 10} and world.said == []
    everything_is_drawn(world)


def test_what_happens_for_nobody_has_no_charts(monkeypatch, tmp_path):
    """Timers send TCP's segments again, and who has ended is in no control group any more."""
    everything = {group.name: attached(group) for group in GROUPS}
    of_applications = {chart.id for chart in select_application_charts(GROUPS, "return", everything)}
    of_cgroups = {chart.id for chart in select_cgroup_charts(GROUPS, "return", everything)}
    assert of_applications - of_cgroups == {"task_close", "bandwidth_tcp_retransmit"} and of_cgroups < of_applications


@pytest.fixture
def world_of_agent(monkeypatch, tmp_path):
    found = World(monkeypatch, tmp_path / "cgroup", for_agent=True)
    found.ticks(2)
    return found


DOCKER = "/system.slice/docker-%s.scope" % ID
NGINX = "/system.slice/nginx.service"


def charts_of(world, type):
    return {name for name in world.agent.charts if name.startswith(type + ".")}


def test_a_container_has_charts_of_its_own(world_of_agent):
    world = world_of_agent
    world.make(DOCKER)
    world.event(DOCKER)
    world.ticks(2)
    assert charts_of(world, "cgroup_" + SHORT) == {"cgroup_%s.calls" % SHORT, "cgroup_%s.others" % SHORT}
    world.event(DOCKER, 5)
    world.tick(gaps=("toy",))
    world.ticks(2)
    own = world.agent.sums
    assert own["cgroup_%s.calls" % SHORT, "calls"] == 10 == world.drawn()["docker_" + SHORT]
    assert own["cgroup_%s.others" % SHORT, "calls"] == 5
    line = next(line for text in world.texts for line in text.splitlines() if line.startswith("CHART cgroup_"))
    assert "'toy (eBPF)' 'cgroup.calls' line 25001 " in line
    labels = [line for text in world.texts for line in text.splitlines() if line.startswith("CLABEL")]
    assert labels == 2 * ["CLABEL cgroup_name 'docker_%s' 1" % SHORT, "CLABEL container_id '%s' 1" % ID,
                          "CLABEL runtime 'docker' 1", "CLABEL cgroup_path '%s' 1" % DOCKER, "CLABEL_COMMIT"]
    assert world.agent.falls == []
    everything_is_drawn(world)


def test_a_service_has_a_dimension_in_the_agent_s_charts_of_services(world_of_agent):
    world = world_of_agent
    for path in (NGINX, NGINX + "/worker", "/init.scope", DOCKER):
        world.make(path)
        world.event(path)
    world.ticks(2)
    for path in (NGINX, NGINX + "/worker", "/init.scope", DOCKER):
        world.event(path, 3)
    world.ticks(2)
    assert set(world.agent.charts["services.calls"]) == {"nginx"} == set(world.agent.charts["services.others"])
    assert world.agent.sums["services.calls", "nginx"] == 12
    assert any("CHART services.calls '' 'Calls' 'calls/s' 'Toys' 'services.calls' stacked" in text for text in world.texts)


def test_where_nothing_is_a_container_or_a_service_there_are_no_such_charts(world_of_agent):
    world = world_of_agent
    world.make("/init.scope")
    world.event("/init.scope")
    world.ticks(3)
    assert set(world.agent.charts) == {"cgroups.calls", "cgroups.others"}


def test_a_container_that_goes_takes_its_charts_along_and_may_come_back(world_of_agent):
    world = world_of_agent
    for round in (1, 2):
        world.make("/lxc.payload.web")
        world.event("/lxc.payload.web")
        world.ticks(2)
        world.event("/lxc.payload.web", 7)
        world.ticks(2)
        assert world.agent.sums["cgroup_web.others", "calls"] == 7 * round
        world.remove("/lxc.payload.web")
        world.until_forgotten()
        gone = [line for line in "".join(world.texts).splitlines() if line.startswith("CHART cgroup_web.")
                and " 'obsolete' 'ebpf.plugin' " in line]
        assert len(gone) == 2 * round
        world.tick()
        assert "cgroup_web" not in world.texts[-1]
    assert world.agent.falls == []


def test_two_containers_of_one_name_have_different_charts(world_of_agent):
    world = world_of_agent
    paths = ("/lxc.payload.a-b", "/lxc.payload.a.b")
    for path in paths:
        world.make(path)
        world.event(path)
    world.ticks(2)
    for amount, path in enumerate(paths, 1):
        world.event(path, amount)
    world.ticks(2)
    assert {world.agent.sums[type + ".others", "calls"] for type in ("cgroup_a-b", "cgroup_a-b_2")} == {1, 2}


def test_metrics_of_one_name_are_told_apart_and_do_not_go_back(world):
    system, user = "/system.slice/dbus.service", "/user.slice/user@7.service/dbus.service"
    for path, amount in ((system, 101), (user, 11)):
        world.make(path)
        world.event(path)
        world.tick()
        world.event(path, amount)
        world.tick()

    def metric():
        text = "".join(metrics.texts(world.sample))
        return {line.split()[0]: int(line.split()[1]) for line in text.splitlines()
                if line.startswith("ebpf_cgroup_others_calls_total{cgroup=\"dbus\"")}

    before = sorted(metric().items())
    assert len(before) == 2 and {value for _, value in before} == {101, 11}
    world.remove(system)
    world.until_forgotten()
    assert list(metric().items()) == [pair for pair in before if pair[1] == 11]


def test_a_service_that_goes(world_of_agent):
    world = world_of_agent
    world.make(NGINX)
    world.event(NGINX)
    world.ticks(2)
    world.remove(NGINX)
    world.until_forgotten()
    assert "BEGIN services." not in world.texts[-1]
    assert sum(" 'obsolete' 'ebpf.plugin'" in line for line in "".join(world.texts).splitlines()
               if line.startswith("CHART services.")) == 2


def test_it_is_declared_once(world):
    world.make("/a.service")
    world.event("/a.service")
    world.ticks(5)
    assert world.agent.declared.count("a") == 2 and world.agent.declared.count("cgroups.calls") == 2
    world.ticks(cgroups.RESCAN_TICKS)
    assert world.agent.declared.count("a") == 2


def test_groups_of_one_unit_share_a_row(world):
    for path in ("/s.slice/a.service", "/s.slice/a.service/x", "/s.slice/a.service/x/y", "/other.slice/a.scope"):
        world.make(path)
        world.event(path)
    world.tick()
    for path in ("/s.slice/a.service", "/s.slice/a.service/x", "/s.slice/a.service/x/y", "/other.slice/a.scope"):
        world.event(path)
    world.tick()
    assert world.dims() == {"other": 8, "a": 8} and len(set(world.maps["cgroup_rows"].values())) == 1
    everything_is_drawn(world)


def test_one_of_its_groups_goes(world):
    for path in ("/a.service", "/a.service/x"):
        world.make(path)
        world.event(path)
    world.tick()
    number = struct.pack("=Q", os.stat(world.mount + "/a.service/x").st_ino)
    world.remove("/a.service/x")
    world.until_forgotten()
    assert set(world.dims()) == {"other", "a"} and number not in world.maps["cgroup_rows"]
    world.event("/a.service", 7)
    world.tick()
    assert world.dims()["a"] == 14
    everything_is_drawn(world)


def test_a_restart_is_the_same_unit(world):
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    world.event("/a.service", 4)
    world.remove("/a.service")
    world.make("/a.service")
    world.event("/a.service", 2)
    world.until_forgotten()
    world.event("/a.service", 3)
    world.tick()
    assert world.dims() == {"other": 2 + 4, "a": 8 + 6} and world.agent.falls == []
    everything_is_drawn(world)


def test_ids_that_cannot_be_found(world):
    for number in (1, 2 ** 64 - 1, 4242):
        world.event("", number=number)
    world.tick()
    assert world.dims() == {"other": 6} and world.maps["cgroups_asked"] == {}
    assert set(world.maps["cgroup_rows"].values()) == {bytes(4)}
    world.event("", 5, number=4242)
    world.until_forgotten()
    # the kernel does not keep them for ever
    assert world.dims() == {"other": 16} and world.maps["cgroup_rows"] == {} and world.said == []
    everything_is_drawn(world)


def test_a_name_goes_and_its_row_is_given_on(world):
    for path in ("/a.service", "/b.service"):
        world.make(path)
        world.event(path)
    world.tick()
    world.event("/a.service", 50)
    world.event("/b.service", 60)
    world.tick()
    row = world.row("/a.service")
    world.cgroups._free.clear()
    world.remove("/a.service")
    world.until_forgotten()
    assert world.dims() == {"other": 4, "b": 120} and len(world.maps["cgroup_rows"]) == 1
    assert {name for name, (_, _, gone) in world.agent.charts["cgroups.others"].items() if gone} == {"a"}
    world.make("/c.service")
    world.event("/c.service", 7)
    world.tick()
    assert world.row("/c.service") == row and world.dims() == {"other": 18, "b": 120, "c": 0}
    world.event("/c.service", 8)
    world.event("/b.service", 1)
    world.tick()
    assert world.dims() == {"other": 18, "b": 122, "c": 16} and world.agent.falls == []
    assert world.drawn() == {"other": 18, "a": 100, "b": 122, "c": 16}
    everything_is_drawn(world)


def test_rows_are_given_out_before_one_is_given_on(world):
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    row = world.row("/a.service")
    world.remove("/a.service")
    world.until_forgotten()
    rows = set()
    for number in range(cgroups.ROWS - 2):
        world.make("/b%d.service" % number)
        world.event("/b%d.service" % number)
        world.tick()
        rows.add(world.row("/b%d.service" % number))
    assert row not in rows and len(rows) == cgroups.ROWS - 2 and world.said == []


def test_more_names_than_rows(world):
    for number in range(cgroups.ROWS + 3):
        world.make("/n%d.service" % number)
        world.event("/n%d.service" % number)
    world.tick()
    assert len(world.dims()) == cgroups.ROWS and max(world.row_set._known) < FIRST + cgroups.ROWS
    assert len(world.said) == 1 and "more than %d" % (cgroups.ROWS - 1) in world.said[0]
    for number in range(cgroups.ROWS + 3):
        world.event("/n%d.service" % number)
    world.ticks(2)
    dims = world.dims()
    assert dims.pop("other") == 2 * (cgroups.ROWS + 3) + 2 * 4 and set(dims.values()) == {2}
    assert len(world.said) == 1 and world.maps["cgroups_asked"] == {}
    everything_is_drawn(world)


def test_a_row_that_is_free_again_is_given_to_who_waits(world):
    for number in range(cgroups.ROWS):
        world.make("/n%d.service" % number)
        world.event("/n%d.service" % number)
    world.tick()
    late = next(name for name in map("n{}".format, range(cgroups.ROWS)) if name not in world.dims())
    leaver = next(name for name in map("n{}".format, range(cgroups.ROWS)) if name != late)
    world.remove("/%s.service" % leaver)
    for _ in range(3):
        world.until_forgotten()
        world.event("/%s.service" % late)
    world.ticks(2)
    assert late in world.dims()


def test_a_gap_of_a_group(world):
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    world.event("/a.service", 4)
    world.tick(gaps={"toy"})
    assert "BEGIN cgroups.calls" not in world.texts[-1] and "BEGIN cgroups.others" in world.texts[-1]
    assert world.dims() == {"other": 2, "a": 0} and world.dims("others") == {"other": 1, "a": 4}
    world.tick()
    assert world.dims() == {"other": 2, "a": 8}
    everything_is_drawn(world)


def test_a_name_that_comes_in_a_gap(world):
    world.make("/a.service")
    world.event("/a.service")
    world.tick(gaps={"toy"})
    world.event("/a.service", 4)
    world.tick()
    world.event("/a.service", 2)
    world.tick()
    assert world.dims("others")["a"] == 6 and world.dims()["a"] == 12
    everything_is_drawn(world)


@pytest.mark.parametrize("gaps", [(), ("toy",)])
def test_the_last_events_of_a_name_that_goes(world, gaps):
    world.make("/a.service")
    world.event("/a.service")
    world.ticks(2)
    while (world.cgroups._ticks + 1) % cgroups.RESCAN_TICKS:
        world.tick()

    def late():
        if not gaps:
            world.event("/a.service", 9)
        world.remove("/a.service")

    if gaps:
        world.event("/a.service", 9)
    world.tick(gaps, late)
    world.ticks(3)
    world.cgroups._free[:] = world.cgroups._free[:1]
    world.make("/b.service")
    world.event("/b.service")
    world.tick()
    world.event("/b.service", 3)
    world.tick()
    assert world.drawn()["b"] == 6, "its own"
    everything_is_drawn(world)


def test_a_name_that_comes_back(world):
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    world.event("/a.service", 40)
    world.tick()
    world.remove("/a.service")
    world.until_forgotten()
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    world.event("/a.service", 2)
    world.ticks(2)
    assert world.agent.falls == [] and world.drawn()["a"] == 84


def test_a_tree_that_cannot_be_read(world):
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    os.rename(world.mount, world.mount + "-away")
    world.until_forgotten()
    os.rename(world.mount + "-away", world.mount)
    assert set(world.dims()) == {"other", "a"}


def test_a_tree_that_is_too_large(world, monkeypatch):
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    monkeypatch.setattr(cgroups, "DIRECTORIES", 0)
    world.until_forgotten()
    assert set(world.dims()) == {"other", "a"}


@pytest.mark.parametrize("refused", ["read cgroups_asked", "update"])
def test_a_kernel_that_refuses(world, refused):
    world.make("/a.service")
    world.refused = {refused}
    for _ in range(3):
        world.event("/a.service")
        world.tick()
    assert len(world.said) == 1 and "Operation not permitted" in world.said[0] and "other" in world.said[0]
    assert world.dims() == {"other": 2 * 3}
    world.refused = set()
    world.tick()
    world.event("/a.service")
    world.ticks(2)
    assert world.dims() == {"other": 2 * 3, "a": 2} and world.maps["cgroups_asked"] == {}
    everything_is_drawn(world)


@pytest.mark.parametrize("refused", ["update", "read cgroups_asked"])
def test_the_trial_finds_what_is_not_allowed(world, refused):
    world.cgroups.read()
    world.refused = {refused}
    with pytest.raises(OSError):
        world.cgroups.read()


def test_a_map_that_is_full(monkeypatch, tmp_path):
    world = World(monkeypatch, tmp_path / "cgroup", room=2)
    world.ticks(2)
    for name in "abc":
        world.make("/%s.service" % name)
        world.event("/%s.service" % name)
        world.tick()
    assert len(world.said) == 1
    trees = world._trees
    world.ticks(10)
    assert set(world.dims()) == {"other", "a", "b"} and len(world.cgroups._rows) == 3
    assert world._trees - trees <= 1, "the whole tree is looked through at every tick"


def test_a_tree_is_looked_through_only_if_it_must_be(world):
    world.make("/a.service")
    world.event("/a.service")
    world.tick()
    trees = world._trees
    world.ticks(cgroups.RESCAN_TICKS)
    assert world._trees == trees + 1


def test_what_is_no_directory_is_no_group(world, tmp_path):
    (tmp_path / "cgroup" / "x.service").write_text("")
    (tmp_path / "cgroup" / "loop.service").symlink_to(".")
    world.make("/a.service")
    for path in ("/a.service", "/x.service", "/loop.service"):
        world.event(path, number=os.lstat(world.mount + path).st_ino)
    world.tick()
    assert set(world.dims()) == {"other", "a"}


HOSTILE = ["'", "\\", "\n", "\x1b[2J", "=", " ", "\t", "END", "SET other = 1", "\udcff", "\u202e", "\u0661", ".", "..x",
           "$(x)", "a\nBEGIN ebpf.x", "n" * 240, "-", "_", "'obsolete'"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("end", ["", ".service"])
def test_names_that_somebody_has_made_to_annoy(world, name, end):
    path = "/%s%s" % (name + "x" if name == "." and not end else name, end)
    world.make(path)
    world.event(path)
    world.tick()
    world.event(path)
    world.ticks(2)
    ids = list(world.dims())
    assert ids[0] == "other" and len(ids) == 2 and re.fullmatch("[A-Za-z0-9_-]{1,150}", ids[1])
    assert world.dims() == {"other": 2, ids[1]: 2} and world.said == []


COLLIDING = [("/a.b.service", "/a_b.service"), ("/x@1.service", "/x_1.service"), ("/other.service", "/nginx.service"),
             ("/\u00e9.service", "/\u00e8.service"), ("/%s1.service" % ("x" * 160), "/%s2.service" % ("x" * 160))]


@pytest.mark.parametrize("paths", COLLIDING)
def test_ids_are_each_once(world, paths):
    for path in paths:
        world.make(path)
        world.event(path)
        world.tick()
    for chart in [chart for _, charts in world.cgroups._charts for chart, _ in charts.values() if chart.type == "cgroups"]:
        ids = [dimension.id for dimension in chart.dimensions]
        assert len(ids) == len(set(ids)) == 3
    for path, amount in zip(paths, (3, 500)):
        world.event(path, amount)
    everything_is_drawn(world)
    assert {3 * 2, 500 * 2} <= set(world.drawn().values()) and world.agent.falls == []


STEPS = st.lists(st.tuples(st.sampled_from(("event", "event", "go", "tick", "tick", "gap", "forget")), st.integers(0, 7),
                           st.integers(1, 1000)), max_size=40)


@settings(FUZZ, max_examples=150)
@given(STEPS)
def test_whatever_comes_and_goes(tmp_path_factory, steps):
    """Each event is drawn once; no sum goes back. Each name is used only once, and no name comes or goes in a gap."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(cgroups, "ROWS", 5)
        world = World(monkeypatch, tmp_path_factory.mktemp("world") / "cgroup")
        world.ticks(2)
        live, drawn, born = {}, {}, 0
        for what, which, amount in steps:
            if what == "event":
                if which not in live:
                    born += 1
                    live[which] = "/u%d.service" % born
                    world.make(live[which])
                    world.event(live[which], amount)
                    world.tick()
                else:
                    world.event(live[which], amount)
            elif what == "go" and which in live:
                world.tick()
                world.remove(live.pop(which))
            elif what in ("tick", "gap"):
                if (world.cgroups._ticks + 1) % cgroups.RESCAN_TICKS == 0 or world.maps["cgroups_asked"]:
                    what = "tick"
                world.tick(gaps={"toy"} if what == "gap" else ())
            elif what == "forget":
                world.until_forgotten()
                assert len(world.maps["cgroup_rows"]) <= len(live)
            ids = [dimension.id for dimension in dict(reversed(world.cgroups._charts))["toy"].values()[0][0].dimensions]
            assert len(ids) == len(set(ids)) <= 5 and ids[0] == "other"
            assert all(drawn.get(name, 0) <= amount for name, amount in world.drawn().items())
            drawn = world.drawn()
        everything_is_drawn(world)
        assert world.agent.falls == []
