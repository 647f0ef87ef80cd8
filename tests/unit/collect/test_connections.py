"""The charts of connections: ids, names, what is declared, and what the agent makes of it."""
import itertools
import marshal
from types import SimpleNamespace

from fakes import FUZZ
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pluginsd import Agent
import pytest

from ebpf_plugin import log, simple_patterns
from ebpf_plugin.collect import connections, resolver
from ebpf_plugin.collect.connections import KEY, Connections, text_of
from ebpf_plugin.config.network_viewer import Viewer
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.load.loader import AttachedHook
from ebpf_plugin.outputs import netdata, netdata_protocol

V4 = bytes(10) + b"\xff\xff"
HOOKS = ("tcp_send", "tcp_recv", "udp_send", "udp_recv", "retransmit")
FEW = settings(FUZZ, max_examples=40)


def outbound(address, port=443, proto=6):
    packed = V4 + bytes(map(int, address.split("."))) if "." in address else bytes.fromhex(address)
    return KEY.pack(packed, port, proto, 0)


def inbound(port, proto=6):
    return KEY.pack(bytes(16), port, proto, 1)


class Map:
    """The rows that the kernel has; `error` is what reading them raises."""

    def __init__(self):
        self.held, self.error = {}, None

    def rows(self):
        if self.error:
            raise self.error
        yield from self.held.items()


class Names:
    """A resolver: names by address as people write it. What `hide` says is not to be shown."""

    def __init__(self, hide="*"):
        self.known, self.news, self.hide, self.asked = {}, False, simple_patterns.parse(hide), []

    def take(self):
        news, self.news = self.news, False
        return news

    def name_of(self, address):
        self.asked.append(address)
        return self.known.get(address)

    def is_excluded(self, address):
        name = self.known.get(address)
        return name is not None and not simple_patterns.passes(self.hide, name)

    def learn(self, address, name):
        self.known[KEY.unpack(outbound(address))[0]] = name
        self.news = True


@pytest.fixture
def network(monkeypatch):
    """network(hooks, names, most, resolver) -> what ticks: .keys are there, .look() makes a tick; its Agent."""
    monkeypatch.setattr(log, "_said", set())
    return lambda *args, **options: Network(monkeypatch, *args, **options)


class Network:
    def __init__(self, monkeypatch, attached=HOOKS, names=(), most=500, resolver=None):
        self.map = Map()
        monkeypatch.setattr(connections, "HashMap", lambda *_: self.map)
        monkeypatch.setattr(netdata, "write", self._take)
        hooks = {hook.name: AttachedHook("probe" if hook.name in attached else None, (), ()) for hook in NETWORK.hooks}
        viewer = Viewer(None, None, most, dict(names), resolver is not None, simple_patterns.parse("*"))
        plan = marshal.loads(marshal.dumps(connections.plan(NETWORK, "entry", hooks, viewer, 7, 100)))
        self.connections = Connections(plan, resolver)
        self.agent, self.output = Agent(), netdata.Netdata()
        self.connections.tick(0, {"network": (0,) * len(NETWORK.counters)})  # the first tick, which is not shown
        self.counters, self._born, self._now = [0] * len(NETWORK.counters), itertools.count(1), 0
        self.text = ""

    def _take(self, text):
        self.text += text
        self.agent.take(text)

    def move(self, *keys, amounts=(1, 2, 3, 4, 5)):
        for key in keys:
            born, *sums = self.map.held.get(key, (next(self._born), 0, 0, 0, 0, 0))
            self.map.held[key] = (born, *(a + b for a, b in zip(sums, amounts)))

    def look(self, *keys):
        self.move(*keys)
        self._now += 1
        sample = self.connections.tick(self._now, {"network": tuple(self.counters)})
        self.output.show(self._now, sample)
        return sample

    def names(self, chart="outbound_bytes"):
        """{id: name} of what is declared now."""
        charts = {found.id: found for found, _ in self.connections.tick(self._now, {"network": tuple(self.counters)})}
        return {dimension.id: dimension.name for dimension in charts[chart].dimensions}


WEB, DNS, SSH = outbound("10.0.0.1"), outbound("10.0.0.2", 53, 17), inbound(22)


def test_all_charts_with_other_last(network):
    pairs = network().look(WEB, DNS, SSH)
    assert [chart.id for chart, _ in pairs] == [found.id for found in NETWORK.connections]
    assert [[dimension.id for dimension in chart.dimensions] for chart, _ in pairs] == [
        ["53_UDP_10.0.0.2_sent", "53_UDP_10.0.0.2_recv", "443_TCP_10.0.0.1_sent", "443_TCP_10.0.0.1_recv",
         "other_ALL_other_sent", "other_ALL_other_recv"]] * 2 + [
        ["443_TCP_10.0.0.1", "other_ALL_other"]] + [
        ["22_TCP_sent", "22_TCP_recv", "other_ALL_sent", "other_ALL_recv"]] * 2
    assert all(len(values) == len(chart.dimensions) for chart, values in pairs)
    assert {chart.group for chart, _ in pairs} == {"network"} and {chart.kind for chart, _ in pairs} == {"stacked"}


def test_rows_in_other(network):
    found = network(most=1)
    assert found.connections.rows_in_other() == (0, 0)
    found.look(WEB, DNS, SSH, outbound("10.0.0.3"))
    assert found.connections.rows_in_other() == (2, 0)


@pytest.mark.parametrize("attached, charts", [
    (HOOKS, {found.id for found in NETWORK.connections}),
    ((), set()),
    (("tcp_close",), set()),
    (("retransmit",), {"outbound_retransmit"}),
    (("udp_recv",), {"outbound_bytes", "outbound_packets", "inbound_bytes", "inbound_packets"}),
])
def test_a_chart_of_which_nothing_is_measured_is_absent(network, attached, charts):
    played = network(attached)
    assert {chart.id for chart, _ in played.look()} == charts
    assert {name.partition(".")[2] for name in played.agent.charts} == charts


@pytest.mark.parametrize("attached", [
    each for number in range(len(HOOKS) + 1) for each in itertools.combinations(HOOKS, number)])
def test_what_is_not_measured_is_not_declared(network, attached):
    played = network(attached)
    pairs = {chart.id: [dimension.id for dimension in chart.dimensions] for chart, _ in played.look(WEB, DNS, SSH)}
    for chart in ("outbound_bytes", "outbound_packets"):
        ids = pairs.get(chart, [])
        for proto, identity in (("tcp", "443_TCP_10.0.0.1"), ("udp", "53_UDP_10.0.0.2")):
            for hook, end in (("send", "_sent"), ("recv", "_recv")):
                assert (identity + end in ids) == ("%s_%s" % (proto, hook) in attached)
        for hook, end in (("send", "_sent"), ("recv", "_recv")):
            assert ("other_ALL_other" + end in ids) == bool({"tcp_" + hook, "udp_" + hook} & set(attached))
    assert ("22_TCP_sent" in pairs.get("inbound_bytes", [])) == ("tcp_send" in attached)
    assert ("443_TCP_10.0.0.1" in pairs.get("outbound_retransmit", [])) == ("retransmit" in attached)


def test_values_are_those_of_the_lines(network):
    played = network()
    played.look(WEB, SSH)
    for side, first in (("out", 1), ("in", 100)):
        for number, what in enumerate(("sent", "sent_packets", "received", "received_packets")):
            played.counters[NETWORK.counters.index("tcp_%s_%s" % (side, what))] += 1000 * (first + number)
    played.counters[NETWORK.counters.index("out_retransmits")] += 70
    pairs = {chart.id: {dimension.id: value for dimension, value in zip(chart.dimensions, values)}
             for chart, values in played.look()}
    assert pairs == {
        "outbound_bytes": {"443_TCP_10.0.0.1_sent": 1, "443_TCP_10.0.0.1_recv": 3,
                           "other_ALL_other_sent": 999, "other_ALL_other_recv": 2997},
        "outbound_packets": {"443_TCP_10.0.0.1_sent": 2, "443_TCP_10.0.0.1_recv": 4,
                             "other_ALL_other_sent": 1998, "other_ALL_other_recv": 3996},
        "outbound_retransmit": {"443_TCP_10.0.0.1": 5, "other_ALL_other": 65},
        "inbound_bytes": {"22_TCP_sent": 1, "22_TCP_recv": 3, "other_ALL_sent": 99999, "other_ALL_recv": 101997},
        "inbound_packets": {"22_TCP_sent": 2, "22_TCP_recv": 4, "other_ALL_sent": 100998, "other_ALL_recv": 102996},
    }


def test_bytes_that_are_sent_are_below_zero(network):
    for chart, _ in network().look(WEB, SSH):
        assert {dimension.multiplier for dimension in chart.dimensions if dimension.id.endswith("_sent")} <= {-1}
        assert {dimension.multiplier for dimension in chart.dimensions if not dimension.id.endswith("_sent")} == {1}


KEYS = st.lists(st.builds(
    lambda address, port, proto, served: inbound(port, proto) if served else KEY.pack(address, port, proto, 0),
    st.binary(min_size=16, max_size=16) | st.binary(min_size=4, max_size=4).map(lambda last: V4 + last)
    | st.binary(min_size=1, max_size=1).map(lambda last: bytes(15) + last),
    st.sampled_from((0, 1, 53, 443, 65535)) | st.integers(0, 65535), st.sampled_from((6, 17)), st.booleans()), max_size=20,
    unique=True)


@FEW
@given(keys=KEYS)
def test_ids_are_valid_and_unique(keys):
    with pytest.MonkeyPatch.context() as monkeypatch:
        for chart, _ in Network(monkeypatch).look(*keys):
            ids = [dimension.id for dimension in chart.dimensions]
            assert len(ids) == len(set(ids))
            assert all(len(identity) <= 60 for identity in ids)
            list(netdata_protocol.chart(chart, 1))
            if chart.id.endswith("_bytes"):
                assert len(ids) == 2 + 2 * sum(key[-1] == chart.id.startswith("in") for key in keys)


HOSTILE = ("it's", 'a"b', "a\nDISABLE\n", "x" * 15000, "\udcff\udc80", "", " ", "=", "\\", "\x00", "' 'obsolete' '",
           "\u2028", "\U0001f600" * 5000, "CHART a.b")

ANY = st.sampled_from(HOSTILE) | st.text(st.characters())


@FEW
@given(service=ANY, host=ANY)
@example("'", "\\")
def test_no_name_breaks_a_line(service, host):
    resolver = Names()
    resolver.learn("10.0.0.1", host)
    with pytest.MonkeyPatch.context() as monkeypatch:
        played = Network(monkeypatch, names={(443, "TCP"): service, (22, "TCP"): service}, resolver=resolver)
        for _ in range(3):
            played.look(WEB, DNS, SSH)
        del played.map.held[WEB]
        played._now += 601
        played.look(DNS, SSH)
    charts = played.agent.charts
    assert set(charts) == {"ebpf." + chart.id for chart in NETWORK.connections}
    ids = ("443_TCP_10.0.0.1", "53_UDP_10.0.0.2", "other_ALL_other")
    assert set(charts["ebpf.outbound_bytes"]) == {identity + end for identity in ids for end in ("_sent", "_recv")}
    assert all(dimension[2] == name.startswith("443_") for chart in charts.values() for name, dimension in chart.items())


@pytest.mark.parametrize("keys, names, hosts, expected", [
    ([WEB], {}, {}, ["443:TCP:10.0.0.1"]),
    ([WEB], {(443, "TCP"): "https"}, {}, ["https:TCP:10.0.0.1"]),
    ([WEB], {(443, "UDP"): "quic"}, {}, ["443:TCP:10.0.0.1"]),
    ([outbound("20010db8000000000000000000000001")], {}, {}, ["443:TCP:[2001:db8::1]"]),
    ([WEB], {}, {"10.0.0.1": "www.example.com"}, ["443:TCP:www.example.com"]),
    ([WEB, outbound("10.0.0.1", 80)], {}, {"10.0.0.1": "www"}, ["443:TCP:www", "80:TCP:www"]),
    ([WEB, outbound("10.0.0.9")], {}, {"10.0.0.1": "www", "10.0.0.9": "www"}, ["443:TCP:www", "443:TCP:www (443 10.0.0.9)"]),
    ([outbound("10.0.0.%d" % last) for last in (1, 8, 9)], {}, dict.fromkeys(("10.0.0.1", "10.0.0.8", "10.0.0.9"), "www"),
     ["443:TCP:www", "443:TCP:www (443 10.0.0.8)", "443:TCP:www (443 10.0.0.9)"]),
    # one name for two ports
    ([WEB, outbound("10.0.0.1", 8443)], {(443, "TCP"): "web", (8443, "TCP"): "web"}, {},
     ["web:TCP:10.0.0.1", "web:TCP:10.0.0.1 (8443 10.0.0.1)"]),
])
def test_names(network, keys, names, hosts, expected):
    resolver = Names()
    for address, name in hosts.items():
        resolver.learn(address, name)
    played = network(names=names, resolver=resolver)
    for number, key in enumerate(keys):
        # the busiest first
        played.move(key, amounts=(1000 - number,) * 5)
    played.look()
    found = [name[:-len("_recv")] for identity, name in played.names().items() if identity.endswith("_recv")][:-1]
    assert found == expected


def test_names_of_services_that_are_served(network):
    names = {(22, "TCP"): "ssh", (80, "TCP"): "web", (8080, "TCP"): "web"}
    played = network(names=names)
    played.look(SSH, inbound(80), inbound(8080), inbound(9))
    found = [name for identity, name in played.names("inbound_bytes").items() if identity.endswith("_sent")]
    assert sorted(found) in [
        ["9:TCP_sent", "other:ALL_sent", "ssh:TCP_sent", "web:TCP (%s)_sent" % port, "web:TCP_sent"] for port in (80, 8080)]


def test_other_is_called_as_people_know_it(network):
    played = network()
    played.look()
    assert played.names() == {"other_ALL_other_sent": "other:ALL:other_sent", "other_ALL_other_recv": "other:ALL:other_recv"}
    assert played.names("inbound_bytes") == {"other_ALL_sent": "other:ALL_sent", "other_ALL_recv": "other:ALL_recv"}


def test_a_name_that_comes_later_changes_no_id(network):
    resolver = Names()
    played = network(resolver=resolver)
    played.look(WEB)
    before = played.names()
    resolver.learn("10.0.0.1", "www.example.com")
    played.look(WEB)
    after = played.names()
    assert list(before) == list(after)
    assert before["443_TCP_10.0.0.1_sent"] == "443:TCP:10.0.0.1_sent"
    assert after["443_TCP_10.0.0.1_sent"] == "443:TCP:www.example.com_sent"
    assert played.agent.charts["ebpf.outbound_bytes"]["443_TCP_10.0.0.1_sent"][0] == "443:TCP:www.example.com_sent"


def test_nothing_is_declared_again_while_nothing_changes(network):
    played = network()
    played.look(WEB, DNS, SSH)
    played.text = ""
    for _ in range(10):
        played.look(WEB, SSH)
    assert "CHART" not in played.text and "DIMENSION" not in played.text
    played.look(outbound("10.0.0.3"))
    assert played.text.count("CHART") == 3 and played.text.count("DIMENSION") == 5


def test_a_hidden_name_is_not_shown(network):
    resolver = Names(hide="!*.secret")
    played = network(resolver=resolver)
    played.look(WEB, DNS)
    resolver.learn("10.0.0.1", "db.secret")
    played.look(WEB, DNS)
    assert not [identity for identity in played.names() if "10.0.0.1" in identity]
    for _ in range(20):
        played.look(WEB, DNS)
    assert not [identity for identity in played.names() if "10.0.0.1" in identity]
    assert "secret" not in played.text
    assert played.agent.charts["ebpf.outbound_bytes"]["443_TCP_10.0.0.1_sent"][2]


def test_another_port_of_a_hidden_name_is_not_shown_either(network):
    resolver = Names(hide="!*.secret")
    played = network(resolver=resolver)
    played.look(WEB, DNS)
    resolver.learn("10.0.0.1", "db.secret")
    played.look(WEB, DNS)
    for _ in range(3):
        played.look(outbound("10.0.0.1", 5432))
    assert "secret" not in played.text
    assert not [identity for identity in played.names() if "10.0.0.1" in identity]


def test_memory_of_hidden_ones_is_bounded(network):
    resolver = Names(hide="!*.secret")
    played = network(resolver=resolver, most=20)
    for number in range(600):
        address = "10.1.%d.%d" % divmod(number, 256)
        resolver.learn(address, "x.secret")
        played.map.held.clear()
        played.look(outbound(address))
        played.look()
    held = sum(len(each) for each in vars(played.connections).values() if isinstance(each, (set, dict)))
    assert held < 500


def test_a_map_that_cannot_be_read_is_a_gap(network, monkeypatch):
    lines = []
    monkeypatch.setattr(log, "write", lambda level, text: lines.append(text))
    played = network()
    played.look(WEB)
    played.map.error = OSError(1, "Operation not permitted")
    assert played.look() == [] == played.look()
    assert played.connections.rows_in_other() == (None, None)
    with pytest.raises(OSError):
        played.connections.read()
    played.map.error = None
    played.connections.read()
    assert len(played.look(WEB)) == 5
    assert played.connections.rows_in_other() == (0, 0)
    assert lines == ["cannot read the connections: Operation not permitted; their charts have a gap"]


def test_counters_that_cannot_be_read_are_a_gap(network):
    played = network()
    assert played.connections.tick(1, {"network": None}) == [] == played.connections.tick(1, {})


def test_the_plan_is_plain_and_names_the_right_counters():
    hooks = {hook.name: AttachedHook("probe", (), ()) for hook in NETWORK.hooks}
    viewer = Viewer(None, None, 9, {(1, "TCP"): "\udcff"}, True, simple_patterns.parse("!a b"))
    plan = connections.plan(NETWORK, "entry", hooks, viewer, 7, 100)
    assert marshal.loads(marshal.dumps(plan)) == plan
    assert (plan["map"], plan["entries"], plan["limit"], plan["hosts"]) == (7, 100, 9, True)
    totals = {side: [[NETWORK.counters[place] for place in places] for places in of_side]
              for side, of_side in dict(plan["totals"]).items()}
    assert totals["out"] == [
        ["tcp_out_sent", "udp_out_sent"], ["tcp_out_sent_packets", "udp_out_sent_packets"],
        ["tcp_out_received", "udp_out_received"], ["tcp_out_received_packets", "udp_out_received_packets"],
        ["out_retransmits"]]
    assert totals["in"] == [[name.replace("out", "in") for name in names] for names in totals["out"]]
    assert SimpleNamespace(**plan).names == (((1, "TCP"), "\udcff"),)


def test_at_most_as_many_as_are_wanted(network):
    played = network(most=3)
    for number in range(40):
        played.look(*(outbound("10.0.0.%d" % (number + other)) for other in range(4)))
        assert len(played.names()) <= 2 * 3 + 2


@pytest.mark.parametrize("address, text", [
    ("00000000000000000000ffff0a000001", "10.0.0.1"),
    ("00000000000000000000ffffffffffff", "255.255.255.255"),
    ("20010db8000000000000000000000001", "2001:db8::1"),
    ("00000000000000000000000000000000", "::"),
    ("00000000000000000000000000000001", "::1"),
    ("fe80000000000000020000fffe000001", "fe80::200:ff:fe00:1"),
])
def test_addresses_as_people_write_them(address, text):
    assert text_of(bytes.fromhex(address)) == text


@pytest.mark.parametrize("packed, identity", [
    (outbound("10.0.0.1"), "443_TCP_10.0.0.1"),
    (outbound("10.0.1.2", proto=17), "443_UDP_10.0.1.2"),
    (KEY.pack(bytes(16), 53, 17, 1), "53_UDP"),
    (KEY.pack(bytes(15) + b"\1", 65535, 6, 0), "65535_TCP_--1"),
    (KEY.pack(bytes.fromhex("20010db8000000000000000000000001"), 0, 6, 0), "0_TCP_2001-db8--1"),
])
def test_ids(network, packed, identity):
    described, name, labels = network().connections._describe(packed)
    assert (described, name) == (identity, "")
    assert dict(labels)["protocol"] == ("UDP" if "UDP" in identity else "TCP")


def wanted(names=(), most=500, hosts=False):
    """What commands/reread.py says of connections."""
    return {"names of services": names, "maximum dimensions": most, "resolve hostnames": hosts,
            "hostnames": simple_patterns.parse("*")}


def test_names_of_services_that_were_read_again(network):
    found = network(names=[((443, "TCP"), "https"), ((22, "TCP"), "ssh")])
    found.look(WEB, SSH)
    found.connections.take_over(wanted([((443, "TCP"), "shop")]), {"names of services"}, ())
    found.look(WEB, SSH)
    assert found.names()["443_TCP_10.0.0.1_sent"] == "shop:TCP:10.0.0.1_sent"
    assert found.names("inbound_bytes")["22_TCP_sent"] == "22:TCP_sent"
    assert "obsolete" not in found.text


def test_the_number_of_dimensions_that_was_read_again(network):
    found = network(most=1)
    found.look(WEB, DNS)
    found.connections.take_over(wanted(most=2), {"maximum dimensions"}, ())
    for _ in range(6):
        found.look(WEB, DNS)
    assert {"443_TCP_10.0.0.1_sent", "53_UDP_10.0.0.2_sent"} <= set(found.names())


def test_host_names_that_were_read_again(network, monkeypatch):
    names = Names()
    monkeypatch.setattr(resolver, "of_system", lambda hostnames: names)
    names.learn("10.0.0.1", "shop")
    found = network()
    found.look(WEB)
    found.connections.take_over(wanted(hosts=True), {"resolve hostnames"}, ())
    found.look(WEB)
    assert found.names()["443_TCP_10.0.0.1_sent"] == "443:TCP:shop_sent"
    found.connections.take_over(wanted(), {"resolve hostnames"}, ())
    found.look(WEB)
    assert found.names()["443_TCP_10.0.0.1_sent"] == "443:TCP:10.0.0.1_sent"
