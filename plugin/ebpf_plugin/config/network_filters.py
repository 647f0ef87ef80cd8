"""What the network viewer shows: the ports, addresses and hostnames that ebpf.conf chooses, and the names of services.

A list becomes spans first: (first, last) whole numbers, both ends inside. Addresses are numbers of 128 bits, IPv4 ones as
::ffff:a.b.c.d, which is how the kernel's side looks them up. Messages come without path:line; the caller knows it.
"""
from __future__ import annotations

from itertools import islice
from typing import Callable, Iterable, Iterator, Mapping, NamedTuple
from .. import simple_patterns
from .files import quoted

DEFAULT_PORTS = "*"
DEFAULT_IPS = "!127.0.0.1/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"

MOST_NETWORKS = 3000  # the kernel's table of them is a little larger
MOST_MESSAGES = 20  # on single items of one list

PORTS = (1, 65535)
ADDRESSES = (0, (1 << 128) - 1)
IPV4 = (0xffff << 32, (0x10000 << 32) - 1)
IPV6 = ((0, IPV4[0] - 1), (IPV4[1] + 1, ADDRESSES[1]))


Span = tuple[int, int]


class Invalid(ValueError):
    """What is wrong, and what is accepted."""


class Ports(NamedTuple):
    """The ports that pass, as spans in order. May be none."""

    spans: tuple[Span, ...]

    def bitmap(self) -> bytes:
        """8192 bytes: port p is bit p % 8 of byte p // 8, so that they are 1024 little-endian u64 as well."""
        bits = 0
        for first, last in self.spans:
            bits |= (1 << last + 1) - (1 << first)
        return bits.to_bytes(8192, "little")


class Addresses(NamedTuple):
    """The networks that pass, the fewest that say it, in order: (address as 32 hexadecimal digits, prefix length)."""

    blocks: tuple[tuple[str, int], ...]

    def networks(self) -> tuple[tuple[bytes, int], ...]:
        """((address as 16 bytes, big-endian; prefix length 0 to 128), ...); an IPv4 network of length n has 96 + n."""
        return tuple((bytes.fromhex(address), length) for address, length in self.blocks)


def parse_ports(text: str, services: Mapping[str, Iterable[int]]) -> tuple[Ports | None, list[str]]:
    """(Ports, or None for all of them; messages). `services`: {name: ports}, as read_services() has them."""
    spans, messages = _choose("ports", text, lambda item: _port_spans(item, services), PORTS, DEFAULT_PORTS)
    return None if spans == [PORTS] else Ports(tuple(spans)), messages


def parse_addresses(text: str) -> tuple[Addresses | None, list[str]]:
    """(Addresses, or None for all of them; messages)."""
    spans, messages = _choose("ips", text, _address_spans, ADDRESSES, DEFAULT_IPS)
    if spans == [ADDRESSES]:
        return None, messages
    blocks = tuple(islice(_blocks(spans), MOST_NETWORKS + 1))
    if len(blocks) > MOST_NETWORKS:
        messages.append("ips: this makes more than %d networks; expected fewer or larger ones; the default holds: %s"
                        % (MOST_NETWORKS, DEFAULT_IPS))
        return parse_addresses(DEFAULT_IPS)[0], messages
    return Addresses(blocks), messages


def parse_hostnames(text: str) -> tuple[simple_patterns.Patterns, list[str]]:
    """(value for simple_patterns.passes(), messages)."""
    lonely = ["hostnames: '!': expected a pattern directly behind it; passed over"] if "!" in text.split() else []
    return simple_patterns.parse(text), lonely


def parse_service(key: str) -> int:
    """The port that a key of [service name] is. Raises Invalid."""
    return _port(key)


def read_services(text: str) -> tuple[dict[str, set[int]], dict[tuple[int, str], str]]:
    """({name or alias: set of ports}, {(port, "tcp" or "udp"): name}) of the text of an /etc/services.

    Of two names for a port the first counts. Other protocols are passed over, as is what cannot be read.
    """
    ports: dict[str, set[int]] = {}
    names: dict[tuple[int, str], str] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        number, _, protocol = (words[1] if len(words) > 1 else "").partition("/")
        if protocol not in ("tcp", "udp"):
            continue
        try:
            port = _port(number)
        except Invalid:
            continue
        names.setdefault((port, protocol), words[0])
        for name in words[:1] + words[2:]:
            ports.setdefault(name, set()).add(port)
    return ports, names


def _choose(option: str, text: str, read: Callable[[str], list[Span]], whole: Span, default: str) -> tuple[
        list[Span], list[str]]:
    """(spans that pass, messages). `read(item)`: the spans of an item without its `!`; raises Invalid. `whole`: everything.

    Where things to show are named and none can be read, those of the default are shown: neither nothing nor, because only
    exclusions are left, everything.
    """
    items = dict.fromkeys(text.split())
    found, messages = _read(option, items, read)
    named = [item for item in items if item[0] != "!"]
    if items and not found or named and not any(item in found for item in named):
        messages.append("%s: nothing of what is to be shown can be read; the default holds%s: %s"
                        % (option, ", less the exclusions" if found else "", default))
        found.update(_read(option, default.split(), read)[0])
    included = [span for item in found if item[0] != "!" for span in found[item]]
    excluded = [span for item in found if item[0] == "!" for span in found[item]]
    spans = _rest(_rest(included or [whole], whole) + excluded, whole)
    if not spans:
        messages.append("%s: everything is excluded, so no connection is shown" % option)
    return spans, messages


def _read(option: str, items: Iterable[str], read: Callable[[str], list[Span]]) -> tuple[
        dict[str, list[Span]], list[str]]:
    """({item: spans}, messages): what can be read."""
    found: dict[str, list[Span]] = {}
    messages: list[str] = []
    for item in items:
        try:
            if item == "!":
                raise Invalid("expected what is to be excluded directly behind it")
            found[item] = read(item[1:] if item[0] == "!" else item)
        except Invalid as error:
            messages.append("%s: %s: %s; passed over" % (option, quoted(item), error))
    more = len(messages) - MOST_MESSAGES
    if more > 0:
        messages[MOST_MESSAGES:] = ["%s: %d more cannot be read and are passed over" % (option, more)]
    return found, messages


def _rest(spans: Iterable[Span], whole: Span) -> list[Span]:
    """What of `whole` is in none of these, in order; neighbours come out as one."""
    rest, at = [], whole[0]
    for first, last in sorted(spans):
        if first > at:
            rest.append((at, first - 1))
        at = max(at, last + 1)
    return rest + [(at, whole[1])] if at <= whole[1] else rest


def _port_spans(item: str, services: Mapping[str, Iterable[int]]) -> list[Span]:
    if item == "*":
        return [PORTS]
    low, dash, high = item.replace(":", "-").partition("-")
    if _digits(low) and _digits(high or low):
        span = _port(low), _port(high if dash else low)
        if span[0] > span[1]:
            raise Invalid("the range runs backwards; expected the smaller port first")
        return [span]
    if item not in services:
        raise Invalid("no service of this name in /etc/services; expected a port, a range as 1-1024, a service's name, or *")
    return [(port, port) for port in services[item]]


def _port(text: str) -> int:
    if not (_digits(text) and len(text) <= 5 and PORTS[0] <= int(text) <= PORTS[1]):
        raise Invalid("expected a port, %d to %d" % PORTS)
    return int(text)


def _address_spans(item: str) -> list[Span]:
    if item == "*":
        return [ADDRESSES]
    first, last = _address_range(item) if "-" in item else _network(item)
    if _is_ipv4(first):
        return [(first, last)]
    # ::/0 is all of IPv6, and IPv4 is none of it
    return [(max(first, part[0]), min(last, part[1])) for part in IPV6 if first <= part[1] and part[0] <= last]


def _address_range(item: str) -> Span:
    first, last = map(_address, item.split("-", 1))
    if _is_ipv4(first) != _is_ipv4(last):
        raise Invalid("expected both ends of a range as IPv4, or both as IPv6")
    if first > last:
        raise Invalid("the range runs backwards; expected the smaller address first")
    return first, last


def _network(item: str) -> Span:
    """The span of an address, or of one with a prefix length. Bits behind the prefix are of no account."""
    address, slash, length = item.partition("/")
    number = _address(address)
    least, most = (0, 128) if ":" in address else (0, 32)
    if most == 128 and _is_ipv4(number):
        least = 96  # below, it is hardly meant: ::ffff:10.0.0.0/8 would be a part of IPv6
    if slash and length not in map(str, range(least, most + 1)):
        raise Invalid("expected a prefix length of %d to %d behind the slash" % (least, most))
    bits = most - int(length) if slash else 0
    return number >> bits << bits, number | (1 << bits) - 1


def _address(text: str) -> int:
    """The number of a complete address: `10.1` is none, nor `010.0.0.1`, which is octal to some."""
    import netaddr  # 25 ms, which who has no network viewer need not wait for
    try:
        address = netaddr.IPAddress(text, version=6 if ":" in text else 4, flags=netaddr.INET_PTON)
    except (netaddr.AddrFormatError, ValueError):
        raise Invalid("not a complete address; expected as 10.0.0.1, fc00::1, 10.0.0.0/8, 10.0.0.1-10.0.0.9, or *") from None
    return int(address.value) | (IPV4[0] if address.version == 4 else 0)


def _is_ipv4(number: int) -> bool:
    return IPV4[0] <= number <= IPV4[1]


def _blocks(spans: Iterable[Span]) -> Iterator[tuple[str, int]]:
    """Addresses.blocks of these, one by one: a span can make 250 of them."""
    import netaddr
    for span in spans:
        for network in netaddr.iprange_to_cidrs(*(netaddr.IPAddress(end, version=6) for end in span)):
            yield "%032x" % network.first, network.prefixlen


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
