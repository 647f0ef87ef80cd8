"""The network viewer's filters: what a list lets pass, beside a plain reading of it, and what is said of mistakes."""
import ipaddress
import json
import os
import subprocess
import sys
import time

from fakes import FUZZ, PACKAGE
from hypothesis import example, given, settings
from hypothesis import strategies as st
import pytest

from ebpf_plugin import simple_patterns
from ebpf_plugin.config import network_filters

SERVICES = {"domain": {53}, "ftp-data": {20}, "netdata": {19999, 8125}, "3com-tsmux": {106}}


def ports(bitmap):
    """{ports} of a bitmap of 8192 bytes."""
    assert len(bitmap) == 8192
    return {8 * place + bit for place, byte in enumerate(bitmap) if byte for bit in range(8) if byte >> bit & 1}


@pytest.mark.parametrize("text, spans", [
    ("80", ((80, 80),)),
    ("0080", ((80, 80),)),
    ("1-1024 !145 !domain", ((1, 52), (54, 144), (146, 1024))),
    ("!domain !145 1:1024", ((1, 52), (54, 144), (146, 1024))),
    ("!145", ((1, 144), (146, 65535))),
    ("* !1 !65535", ((2, 65534),)),
    ("80 81 90-95 93-99 79", ((79, 81), (90, 99))),
    ("20-30 !25 25", ((20, 24), (26, 30))),
    ("netdata ftp-data\t3com-tsmux", ((20, 20), (106, 106), (8125, 8125), (19999, 19999))),
    ("65535-65535", ((65535, 65535),)),
])
def test_ports(text, spans):
    assert network_filters.parse_ports(text, SERVICES) == (network_filters.Ports(spans), [])


@pytest.mark.parametrize("text", ["", "  \t", "*", "1-65535", "* 80",
                         "1-1000 1001-65535", "1:65535", network_filters.DEFAULT_PORTS])
def test_every_port(text):
    assert network_filters.parse_ports(text, SERVICES) == (None, [])


@pytest.mark.parametrize("item, complaint", [
    ("0", "expected a port, 1 to 65535"),
    ("65536", "expected a port, 1 to 65535"),
    ("0-5", "expected a port, 1 to 65535"),
    ("5-", "expected a port, 1 to 65535"),
    ("5-70000", "expected a port, 1 to 65535"),
    ("9" * 5000, "expected a port, 1 to 65535"),
    ("9-5", "the range runs backwards; expected the smaller port first"),
    ("!", "expected what is to be excluded directly behind it"),
    ("dommain", "no service of this name in /etc/services; expected a port, a range as 1-1024, a service's name, or *"),
    ("5-!9", "no service of this name in "),
    ("80,443", "no service of this name in "),
    ("1-2-3", "no service of this name in "),
    ("-5", "no service of this name in "),
    ("!!80", "no service of this name in "),
    ("\u0665", "no service of this name in "),
])
def test_a_bad_port_is_passed_over(item, complaint):
    for text in ("80 " + item, item + " 80"):
        found, (message,) = network_filters.parse_ports(text, SERVICES)
        assert found == network_filters.Ports(((80, 80),))
        assert message.startswith("ports: %s: %s" % (repr(item if len(item) < 60 else item[:60] + "..."), complaint))
        assert message.endswith("; passed over")


@pytest.mark.parametrize("text, spans, holds", [
    ("dommain", None, "; the default holds: *"),
    ("!dommain 0", None, "; the default holds: *"),
    ("dommain !80", ((1, 79), (81, 65535)), "; the default holds, less the exclusions: *"),
])
def test_where_no_port_can_be_read_the_default_holds(text, spans, holds):
    found, messages = network_filters.parse_ports(text, SERVICES)
    assert found == (spans and network_filters.Ports(spans))
    assert messages[-1] == "ports: nothing of what is to be shown can be read" + holds


def test_no_port_at_all():
    found, messages = network_filters.parse_ports("!* 80", SERVICES)
    assert found.bitmap() == bytes(8192)
    assert messages == ["ports: everything is excluded, so no connection is shown"]


def naive_ports(text, services):
    """{ports} that a right list lets pass, read word by word."""
    chosen = {True: set(), False: set()}
    for item in text.split():
        positive = not item.startswith("!")
        item = item.lstrip("!")
        if item == "*":
            chosen[positive] |= set(range(1, 65536))
        elif item in services:
            chosen[positive] |= services[item]
        else:
            ends = [int(end) for end in item.replace(":", "-").split("-")]
            chosen[positive] |= set(range(ends[0], ends[-1] + 1))
    all_negative = all(item.startswith("!") for item in text.split())
    return (set(range(1, 65536)) if all_negative else chosen[True]) - chosen[False]


PORT = st.one_of(st.integers(1, 65535), st.sampled_from([1, 2, 7, 8, 9, 63, 64, 65, 1023, 1024, 65534, 65535]))
PORT_ITEM = st.one_of(
    st.just("*"), st.sampled_from(sorted(SERVICES)), PORT.map(str),
    st.tuples(PORT, st.sampled_from("-:"), PORT).map(lambda r: "%d%s%d" % (min(r[0], r[2]), r[1], max(r[0], r[2]))),
)


def listed(item):
    """Lists of such items, some of them excluded."""
    return st.lists(st.tuples(st.sampled_from(["", "", "!"]), item).map("".join), max_size=8).map(" ".join)


@settings(FUZZ, max_examples=100)
@given(listed(PORT_ITEM))
def test_ports_as_a_plain_reading_has_them(text):
    found, messages = network_filters.parse_ports(text, SERVICES)
    expected = naive_ports(text, SERVICES)
    assert (found is None) == (len(expected) == 65535)
    assert ports(found.bitmap()) == expected if found else True
    assert len(messages) == (not expected)
    if found:
        assert network_filters.Ports(*json.loads(json.dumps(found))).bitmap() == found.bitmap()


def networks(found):
    """What passes, as ip_network() would write it: an IPv4 network as such."""
    shown = []
    for address, length in found.networks():
        if length >= 96 and address[:12] == bytes(10) + b"\xff\xff":
            shown.append(str(ipaddress.ip_network((address[12:], length - 96))))
        else:
            shown.append(str(ipaddress.ip_network((address, length))))
    return shown


@pytest.mark.parametrize("text, expected", [
    (network_filters.DEFAULT_IPS, ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]),
    ("10.1.2.3", ["10.1.2.3/32"]),
    ("127.0.0.1/8", ["127.0.0.0/8"]),
    ("10.0.0.0/9 10.128.0.0/9 10.5.0.0/16", ["10.0.0.0/8"]),
    ("10.0.0.0/30 !10.0.0.1", ["10.0.0.0/32", "10.0.0.2/31"]),
    ("!10.0.0.1 10.0.0.0/30", ["10.0.0.0/32", "10.0.0.2/31"]),
    ("10.0.0.1-10.0.0.4", ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/32"]),
    ("0.0.0.0/0", ["0.0.0.0/0"]),
    ("!::/0", ["0.0.0.0/0"]),
    ("* !::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["0.0.0.0/0"]),
    ("FC00::1 fe80::/10", ["fc00::1/128", "fe80::/10"]),
    ("fe80::1-fe80::2", ["fe80::1/128", "fe80::2/128"]),
    ("fe80::1/64", ["fe80::/64"]),
    ("::ffff:10.0.0.1", ["10.0.0.1/32"]),
    ("::ffff:a00:1", ["10.0.0.1/32"]),
    ("::ffff:10.0.0.1/104", ["10.0.0.0/8"]),
    ("::ffff:10.0.0.1-10.0.0.2", ["10.0.0.1/32", "10.0.0.2/32"]),
    ("::fffe:0:0/95", ["::fffe:0:0/96"]),
    ("::fffe:0:0-::1:0:0:0 !::1:0:0:0", ["::fffe:0:0/96"]),
])
def test_addresses(text, expected):
    found, messages = network_filters.parse_addresses(text)
    assert (networks(found), messages) == (expected, [])


@pytest.mark.parametrize("text", ["", "*", "* 10.0.0.1", "0.0.0.0/0 ::/0", "0.0.0.0/1 128.0.0.0/1 ::-7fff:: * fe80::1"])
def test_every_address(text):
    assert network_filters.parse_addresses(text) == (None, [])


def test_all_of_ipv6_is_none_of_ipv4():
    found, _ = network_filters.parse_addresses("::/0")
    inside = [ipaddress.IPv6Network(network) for network in found.networks()]
    assert not any(network.overlaps(ipaddress.IPv6Network("::ffff:0:0/96")) for network in inside)
    assert sum(network.num_addresses for network in inside) == 2 ** 128 - 2 ** 32


COMPLETE = "not a complete address; expected as 10.0.0.1, fc00::1, 10.0.0.0/8, 10.0.0.1-10.0.0.9, or *"


@pytest.mark.parametrize("item, complaint", [
    ("10", COMPLETE), ("10.1", COMPLETE), ("10/8", COMPLETE), ("10.0.0/24", COMPLETE), ("10.0.0.256", COMPLETE),
    ("010.0.0.1", COMPLETE), ("10.0.0.01", COMPLETE), ("0x0a.0.0.1", COMPLETE), ("10.0.0.0.0", COMPLETE), ("/8", COMPLETE),
    ("-", COMPLETE), ("10.0.0.1-", COMPLETE), ("10.0.0.1-9", COMPLETE), ("10.0.0.0/24-10.0.1.0", COMPLETE), (":", COMPLETE),
    ("1::2::3", COMPLETE), ("fe80::1%lo", COMPLETE), ("[::1]", COMPLETE), ("10.0.0.*", COMPLETE), ("example.com", COMPLETE),
    ("10.0.0.1,10.0.0.2", COMPLETE), ("!!10.0.0.1", COMPLETE), ("\0", COMPLETE), ("\udcff", COMPLETE),
    ("\uff11\uff10.0.0.1", COMPLETE), ("::ffff:010.0.0.1", COMPLETE),
    ("10.0.0.0/33", "expected a prefix length of 0 to 32 behind the slash"),
    ("10.0.0.0/", "expected a prefix length of 0 to 32 behind the slash"),
    ("10.0.0.0/08", "expected a prefix length of 0 to 32 behind the slash"),
    ("10.0.0.0/-1", COMPLETE),
    ("10.0.0.0/255.0.0.0", "expected a prefix length of 0 to 32 behind the slash"),
    ("10.0.0.0/" + "9" * 5000, "expected a prefix length of 0 to 32 behind the slash"),
    ("fc00::/129", "expected a prefix length of 0 to 128 behind the slash"),
    ("::ffff:10.0.0.0/8", "expected a prefix length of 96 to 128 behind the slash"),
    ("::1-10.0.0.1", "expected both ends of a range as IPv4, or both as IPv6"),
    ("::1-::ffff:10.0.0.1", "expected both ends of a range as IPv4, or both as IPv6"),
    ("10.0.0.9-10.0.0.1", "the range runs backwards; expected the smaller address first"),
    ("!", "expected what is to be excluded directly behind it"),
])
def test_a_bad_address_is_passed_over(item, complaint):
    for text in ("1.2.3.4 " + item, item + " 1.2.3.4"):
        found, messages = network_filters.parse_addresses(text)
        shown = repr(item if len(item) < 60 else item[:60] + "...")
        assert (networks(found), messages) == (["1.2.3.4/32"], ["ips: %s: %s; passed over" % (shown, complaint)])


@pytest.mark.parametrize("text, holds", [
    ("10", ""), ("!10", ""), ("10 !11", ""), ("10 !10.1.0.0/16", ", less the exclusions"),
])
def test_where_no_address_can_be_read_the_default_holds(text, holds):
    found, messages = network_filters.parse_addresses(text)
    good = "!10.1.0.0/16" if holds else ""
    assert found == network_filters.parse_addresses(network_filters.DEFAULT_IPS + " " + good)[0]
    assert messages[-1] == "ips: nothing of what is to be shown can be read; the default holds%s: %s" % (
        holds, network_filters.DEFAULT_IPS)


def test_no_address_at_all():
    assert network_filters.parse_addresses("10.0.0.0/8 !0.0.0.0/0") == (
        network_filters.Addresses(()), ["ips: everything is excluded, so no connection is shown"])


@pytest.mark.parametrize("count", [network_filters.MOST_NETWORKS, network_filters.MOST_NETWORKS + 1])
def test_as_many_networks_as_the_kernel_takes(count):
    text = " ".join("10.%d.%d.1" % divmod(number, 256) for number in range(count))
    found, messages = network_filters.parse_addresses(text)
    if count == network_filters.MOST_NETWORKS:
        assert (len(found.networks()), messages) == (count, [])
    else:
        assert found == network_filters.parse_addresses(network_filters.DEFAULT_IPS)[0]
        assert messages == ["ips: this makes more than 3000 networks; expected fewer or larger ones; the default holds: "
                            + network_filters.DEFAULT_IPS]


def test_a_huge_list_is_quick():
    text = "* " + " ".join("!%x::%x" % (number, number) for number in range(20000))
    begin = time.process_time()
    assert len(network_filters.parse_addresses(text)[1]) == 1
    assert time.process_time() - begin < 5


def family(address):
    """An address of the standard library; a mapped one as the IPv4 address that it means."""
    address = ipaddress.ip_address(address)
    return address if address.version == 4 else address.ipv4_mapped or address


def naive_matches(item, address):
    if item == "*":
        return True
    if "/" not in item:
        first, last = family(item.split("-")[0]), family(item.split("-")[-1])
        return first.version == address.version and first <= address <= last
    network = ipaddress.ip_network(item, strict=False)
    if network.version == 6 and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        network = ipaddress.ip_network("%s/%d" % (network.network_address.ipv4_mapped, network.prefixlen - 96))
    return address in network


def naive_passes(text, address):
    """Whether a right list lets an address pass, read word by word."""
    included = [item for item in text.split() if not item.startswith("!")]
    excluded = [item[1:] for item in text.split() if item.startswith("!")]
    if any(naive_matches(item, address) for item in excluded):
        return False
    return not included or any(naive_matches(item, address) for item in included)


# many near each other and near the ends of the families, where mistakes are
NUMBER4 = st.one_of(st.integers(0, 2 ** 32 - 1), st.integers(0x0a000000, 0x0a00000f), st.sampled_from([0, 2 ** 32 - 1]))
NUMBER6 = st.one_of(
    st.integers(0, 2 ** 128 - 1), st.integers(0, 15), st.integers(0xfc << 120, (0xfc << 120) + 15), st.just(2 ** 128 - 1),
    st.integers(0xfffe << 32, 0x10001 << 32), NUMBER4.map(lambda number: number | 0xffff << 32),
)
ADDRESS = st.one_of(NUMBER4.map(ipaddress.IPv4Address), NUMBER6.map(ipaddress.IPv6Address))


def with_length(address):
    least = 96 if address.version == 6 and address.ipv4_mapped else 0
    return st.integers(least, address.max_prefixlen).map(lambda length: "%s/%d" % (address, length))


def ranged(ends):
    first, last = sorted(ends, key=lambda end: (family(end).version, int(family(end))))
    return "%s-%s" % (first, last) if family(first).version == family(last).version else str(first)


ADDRESS_ITEM = st.one_of(
    st.just("*"), ADDRESS.map(str), ADDRESS.flatmap(with_length), st.tuples(ADDRESS, ADDRESS).map(ranged),
)


def edges(text):
    """The addresses at and beside the ends of each item."""
    for item in text.replace("!", "").replace("*", "").split():
        ends = item.split("-") if "-" in item else ipaddress.ip_network(item, strict=False)
        for end in (ends[0], ends[-1]):
            end = ipaddress.ip_address(end)
            for number in range(max(int(end) - 1, 0), min(int(end) + 2, 2 ** end.max_prefixlen)):
                yield family(type(end)(number))


@FUZZ
@given(listed(ADDRESS_ITEM), st.lists(ADDRESS, max_size=5))
@example("::fffe:0:0/95", [])
def test_addresses_as_a_plain_reading_has_them(text, addresses):
    found, messages = network_filters.parse_addresses(text)
    inside = [ipaddress.IPv6Network(network) for network in (found.networks() if found else [(0, 0)])]
    for address in [*map(family, addresses), *edges(text)]:
        mapped = ipaddress.IPv6Address("::ffff:%s" % address) if address.version == 4 else address
        assert any(mapped in network for network in inside) == naive_passes(text, address), address
    assert list(ipaddress.collapse_addresses(inside)) == inside
    assert len(messages) == (not inside)
    if found:
        assert network_filters.Addresses(*json.loads(json.dumps(found))).networks() == found.networks()


HOSTILE = "!x \0 " + "9" * 5000 + " \u0661 !10.0.0.1-:: 1-" + "0" * 5000 + " \udcff" + " \U000e0001" + "\U000e0001" * 99
GARBAGE = st.one_of(st.text(st.characters()), st.text(st.sampled_from("0123456789afx.:/-!* \t"), max_size=60))


@FUZZ
@given(GARBAGE)
@example(HOSTILE)
@example(" ".join("x%d" % number for number in range(5000)))
def test_nothing_raises_and_messages_are_bounded(text):
    parsed = network_filters.parse_ports(text, SERVICES), network_filters.parse_addresses(
        text), network_filters.parse_hostnames(text)
    for found, messages in parsed:
        assert found is None or isinstance(hash(found), int)
        assert len(messages) <= min(len(text.split()), network_filters.MOST_MESSAGES + 1) + 1
        for message in messages:
            assert len(message) < 800 and message.isprintable()
    network_filters.read_services(text)


def test_many_mistakes_are_summed_up():
    _, messages = network_filters.parse_ports("80 80 x x " + " ".join("x%d" % number for number in range(30)), SERVICES)
    assert len(messages) == network_filters.MOST_MESSAGES + 1
    assert messages[-1] == "ports: 11 more cannot be read and are passed over"


@pytest.mark.parametrize("text, complaints", [
    ("*.example.com !db*", 0), ("", 0), ("! example.com !", 1),
])
def test_hostnames(text, complaints):
    found, messages = network_filters.parse_hostnames(text)
    assert found == simple_patterns.parse(text)
    assert messages == ["hostnames: '!': expected a pattern directly behind it; passed over"] * complaints


@pytest.mark.parametrize("key, port", [("19999", 19999), ("1", 1), ("65535", 65535), ("080", 80)])
def test_the_port_of_a_service(key, port):
    assert network_filters.parse_service(key) == port


@pytest.mark.parametrize("key", ["", "0", "65536", "-1", "1.5", "http", "80/tcp", "1_0", "+1", "\u0661", "9" * 5000])
def test_what_is_no_port_of_a_service(key):
    with pytest.raises(network_filters.Invalid, match="^expected a port, 1 to 65535$"):
        network_filters.parse_service(key)


def test_the_services_of_a_file():
    found, names = network_filters.read_services(
        "# comment\n\n"
        "ssh\t\t22/tcp\t\t\t# SSH 1/tcp\n"
        "http 80/tcp www#World\n"
        "www-other 80/tcp\n"
        "domain 53/tcp\ndomain 53/udp\n"
        "netdata 19999/tcp\nnetdata 8125/udp\n"
        "stream 81/sctp\n"
        "junk\njunk 0/tcp\njunk 99999/tcp\njunk x/tcp\njunk 80\njunk /tcp\njunk 80/\njunk 80/tcp/udp\n\0\xff\n"
        "  late 90/udp \r\n"
    )
    assert found == {"ssh": {22}, "http": {80}, "www": {80}, "www-other": {80}, "domain": {53}, "netdata": {19999, 8125},
                     "late": {90}}
    assert names == {(22, "tcp"): "ssh", (80, "tcp"): "http", (53, "tcp"): "domain", (53, "udp"): "domain",
                     (19999, "tcp"): "netdata", (8125, "udp"): "netdata", (90, "udp"): "late"}


def test_the_list_of_the_documentation():
    found, messages = network_filters.parse_ports("1-1024 !145 !domain", network_filters.read_services("domain 53/udp")[0])
    assert (ports(found.bitmap()), messages) == (set(range(1, 1025)) - {145, 53}, [])


def test_netaddr_waits_for_an_address():
    code = "import sys; sys.path.insert(0, sys.argv[1]); from ebpf_plugin.config import network_filters as n; " \
        "n.parse_ports('80', {}); " \
        "n.parse_addresses(''); print('netaddr' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code, os.path.dirname(PACKAGE)],
                          stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "False\n"
