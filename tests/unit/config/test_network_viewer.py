"""What ebpf.conf says of the network viewer, from the file to what loader and collector get."""
import json
import marshal

import pytest

from ebpf_plugin import simple_patterns
from ebpf_plugin.config import ebpf_conf, network_filters, network_viewer
from ebpf_plugin.config.options import Text

SERVICES = "http 80/tcp www\nhttps 443/tcp\nhttps 443/udp\ndomain 53/tcp\ndomain 53/udp # DNS\n"
DEFAULTS = ebpf_conf.load([])[0]


@pytest.fixture
def settle(tmp_path):
    """settle(text of ebpf.conf, environment) -> (Viewer, messages); PATH stands for the file."""
    def read(text, environment=()):
        path = tmp_path / "ebpf.conf"
        path.write_text(text)
        wanted, said = ebpf_conf.load([str(path)])[:2]
        found, messages = network_viewer.settle(wanted, dict(environment), SERVICES)
        return found, [message.replace(str(path), "PATH") for message in said + messages]

    return read


def ports_of(found):
    bitmap = bytes.fromhex(found.ports)
    return [port for port in range(65536) if bitmap[port // 8] >> port % 8 & 1]


def networks_of(text):
    return [list(block) for block in network_filters.parse_addresses(text)[0].blocks]


def test_defaults(settle):
    found, messages = settle("")
    assert messages == []
    assert found == network_viewer.Viewer(
        ports=None, networks=networks_of(network_filters.DEFAULT_IPS), dimensions=500, hosts=False,
        hostnames=simple_patterns.parse("*"),
        names={(80, "TCP"): "http", **{(port, protocol): name for port, name in ((443, "https"), (53, "domain"))
                                       for protocol in ("TCP", "UDP")}})
    # localhost is left out, private addresses are in
    assert ["00000000000000000000ffff0a000000", 104] in found.networks
    assert not [block for block in found.networks if block[0].startswith("00000000000000000000ffff7f")]


@pytest.mark.parametrize("section", ["network viewer", "network connections"])
def test_both_spellings_of_the_section(settle, section):
    found, messages = settle("""[%s]
    maximum dimensions = 7
    resolve hostname ips = yes
    ports = 1-3 !2 domain
    hostnames = !example.com
    ips = 10.0.0.1
    resolve service names = no
""" % section)
    assert messages == []
    assert ports_of(found) == [1, 3, 53]
    assert found._replace(ports=None) == network_viewer.Viewer(
        None, [["00000000000000000000ffff0a000001", 128]], 7, {}, True, simple_patterns.parse("!example.com"))


@pytest.mark.parametrize("key", ["resolve hostnames", "resolve hostname ips"])
@pytest.mark.parametrize("word, hosts", [("yes", True), ("no", False)])
def test_both_spellings_of_resolving(settle, key, word, hosts):
    found, messages = settle("[network viewer]\n%s = %s" % (key, word))
    assert (found.hosts, messages) == (hosts, [])


@pytest.mark.parametrize("text, ports, names", [
    ("", None, {}),
    ("[service name]\n19999 = Netdata", None, {(19999, "TCP"): "Netdata", (19999, "UDP"): "Netdata"}),
    ("[service name]\n80 = my web", None, {(80, "TCP"): "my web", (80, "UDP"): "my web"}),
    ("[service name]\n8080 = proxy\n[network viewer]\nports = proxy 80", [80, 8080],
     {(8080, "TCP"): "proxy", (8080, "UDP"): "proxy"}),
    # a name of our own beside one of /etc/services
    ("[service name]\n8080 = http\n[network viewer]\nports = http", [80, 8080],
     {(8080, "TCP"): "http", (8080, "UDP"): "http"}),
])
def test_names_of_services(settle, text, ports, names):
    found, messages = settle(text)
    assert messages == []
    assert (ports_of(found) if ports else found.ports) == ports
    assert found.names == {**settle("")[0].names, **names}


def test_own_names_hold_without_those_of_the_system(settle):
    found, _ = settle("[network viewer]\nresolve service names = no\nports = https 8080\n[service name]\n8080 = proxy")
    assert found.names == {(8080, "TCP"): "proxy", (8080, "UDP"): "proxy"}
    assert ports_of(found) == [443, 8080]


@pytest.mark.parametrize("environment, text, name", [
    ({}, "", None),
    ({"NETDATA_LISTEN_PORT": "19999"}, "", "Netdata"),
    ({"NETDATA_LISTEN_PORT": "19999"}, "[service name]\n19999 = mine", "mine"),
    ({"NETDATA_LISTEN_PORT": "19999"}, "[network viewer]\nports = Netdata", "Netdata"),
    ({"NETDATA_LISTEN_PORT": ""}, "", None),
    ({"NETDATA_LISTEN_PORT": "0"}, "", None),
    ({"NETDATA_LISTEN_PORT": "nine"}, "", None),
    ({"NETDATA_LISTEN_PORT": "199990"}, "", None),
    ({"NETDATA_LISTEN_PORT": "\udcff"}, "", None),
])
def test_the_agents_port(settle, environment, text, name):
    found, messages = settle(text, environment)
    assert messages == []
    assert {of for (port, _), of in found.names.items() if port == 19999} == ({name} if name else set())
    if "ports" in text:
        assert ports_of(found) == [19999]


@pytest.mark.parametrize("text, place", [
    ("[network viewer]\n\nports = 1-2 nosuch", "PATH:3: ports: 'nosuch': "),
    ("[network connections]\nips = 10.0.0.1 10.1", "PATH:2: ips: '10.1': "),
    ("[network viewer]\nmaximum dimensions = 9\nhostnames = a !", "PATH:3: hostnames: '!': "),
    ("[network viewer]\nports = !1-65535", "PATH:2: ports: everything is excluded"),
    ("[service name]\n80 = web\nhttp = 80", "PATH:3: [service name] 'http': expected a port"),
    ("[service name]\n0 = zero", "PATH:2: [service name] '0': expected a port"),
    ("[network viewer]\nmaximum dimensions = -1", "PATH:2: maximum dimensions = '-1': expected a whole number, 0 to 5000"),
    ("[network viewer]\nmaximum dimensions = 5001", "PATH:2: maximum dimensions = '5001': expected a whole number"),
    ("[network viewer]\nmaximum dimensions = \u0661", "PATH:2: maximum dimensions = '\u0661': expected a whole number"),
    ("[network viewer]\nresolve hostnames = perhaps", "PATH:2: resolve hostnames = 'perhaps': expected yes or no"),
    ("[network connections]\nport = 80", "PATH:2: unknown option 'port' in [network connections]; known are hostnames, "),
    ("[network viewers]\nports = 80", "PATH:1: unknown section [network viewers]; known are ebpf programs, global, "),
    ("[service name]\n80 =", "PATH:2: [service name] '80': "),
])
def test_what_is_wrong_is_told_where_it_stands(settle, text, place):
    _, messages = settle(text)
    assert len(messages) == 1 and messages[0].startswith(place), messages


def test_two_lists_that_are_wrong_are_told_each_at_its_place(settle):
    _, messages = settle("[network viewer]\nips = 10.0.0.1 x\nports = 1 y")
    assert [message.split(": ")[0] for message in sorted(messages)] == ["PATH:2", "PATH:3"]


@pytest.mark.parametrize("dimensions", [0, 1, 5000])
def test_the_number_of_dimensions(settle, dimensions):
    assert settle("[network viewer]\nmaximum dimensions = %d" % dimensions) == (
        settle("")[0]._replace(dimensions=dimensions), [])


def test_the_users_file_wins_by_option_and_by_service(tmp_path):
    user, stock = tmp_path / "user.conf", tmp_path / "stock.conf"
    user.write_text("[network connections]\nports = 1\n[service name]\n80 = mine\n81 = mine too")
    stock.write_text("[network viewer]\nports = 2\nmaximum dimensions = 3\nips = nonsense\n"
                     "[service name]\n80 = theirs\n82 = theirs too")
    wanted, messages = ebpf_conf.load([str(user), str(stock)])[:2]
    assert messages == []
    assert wanted.services == {80: "mine", 81: "mine too", 82: "theirs too"}
    assert (wanted.ports, wanted.dimensions) == (Text("1", "%s:2" % user), 3)
    found, messages = network_viewer.settle(wanted, {}, SERVICES)
    assert ports_of(found) == [1]
    assert messages and all(message.startswith("%s:4: ips: " % stock) for message in messages)


def test_a_message_of_a_default_has_no_file():
    assert network_viewer.settle(DEFAULTS, {}, "")[1] == []


def test_it_goes_over_to_other_processes(settle):
    found, _ = settle("[network viewer]\nports = 1-1024\nhostnames = !*.secret a\n[service name]\n80 = x")
    assert json.loads(json.dumps([found.ports, found.networks])) == [found.ports, found.networks]
    names = tuple(found.names.items())
    assert marshal.loads(marshal.dumps((names, found.hostnames))) == (names, found.hostnames)


def test_without_etc_services():
    found, messages = network_viewer.settle(DEFAULTS._replace(ports=Text("80 https", "f:1")), {}, "")
    assert found.names == {} and ports_of(found) == [80]
    assert len(messages) == 1 and messages[0].startswith("f:1: ports: 'https': no service of this name")


@pytest.mark.parametrize("ports, networks, connections, expected", [
    (None, None, True, {"CONNECTIONS": 1}),
    (None, None, False, {"CONNECTIONS": 0}),
    ("00", None, True, {"CONNECTIONS": 1, "FILTER_PORTS": 1}),
    (None, [["0", 1]] * 3, True, {"CONNECTIONS": 1, "FILTER_ADDRESSES": network_viewer.ROOM}),
    (None, [["0", 1]] * 400, True, {"CONNECTIONS": 1, "FILTER_ADDRESSES": 800}),
    # nothing passes: a table of no rows cannot be made
    (None, [], True, {"CONNECTIONS": 1, "FILTER_ADDRESSES": network_viewer.ROOM}),
])
def test_sizes(ports, networks, connections, expected):
    assert network_viewer.sizes(network_viewer.Viewer(ports, networks, 500, {}, False, ()), connections) == expected
