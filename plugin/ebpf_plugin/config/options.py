"""The options of ebpf.conf: section, key, how the value is read, default. Those of groups come from the registry."""
from __future__ import annotations

from typing import Any, Callable, NamedTuple

from . import listen_address, network_filters
from ..groups import GROUPS
from ..model.group import Group

METHOD_CHOICES = ("auto", "trampoline", "tracepoint", "probe")
PROGRAM_CHOICES = NO_PROGRAMS, OUR_PROGRAMS, ALL_PROGRAMS = ("no", "ours", "all")
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


class Invalid(Exception):
    """What a value should have been."""


class Text(NamedTuple):
    """A value that is read later, with what it depends on; `where` is path:line, for messages."""

    text: str
    where: str = ""


class Option(NamedTuple):
    """`field` is that of Settings, or the name of a group. A file's value is read by `parse`, which raises Invalid.

    `also` are older spellings of the option, as pairs of key and parse.
    """

    field: str
    section: str
    key: str
    parse: Callable[[str], Any]
    default: Any
    also: tuple[tuple[str, Callable[[str], Any]], ...] = ()


def choice(*accepted: str) -> Callable[[str], str]:
    """One of these words, in upper or lower case."""
    def parse(text: str) -> str:
        if text.lower() not in accepted:
            raise Invalid("expected " + " or ".join(accepted))
        return text.lower()
    return parse


def boolean(text: str) -> bool:
    """yes or no, in the spellings that Netdata takes."""
    if text.lower() not in YES + NO:
        raise Invalid("expected yes or no")
    return text.lower() in YES


def inverse(text: str) -> bool:
    """The contrary of boolean()."""
    return not boolean(text)


def whole_number(least: int, most: int, of: str = "") -> Callable[[str], int]:
    """A number of ASCII digits, `least` to `most`; `of` says of what, as " of seconds"."""
    def parse(text: str) -> int:
        digits = text.isascii() and text.isdigit() and len(text) <= len(str(most)) + 1
        if not digits or not least <= int(text) <= most:
            raise Invalid("expected a whole number%s, %d to %d" % (of, least, most))
        return int(text)
    return parse


def listen(text: str) -> str:
    """An address that listen_address.parse() takes, or nothing."""
    try:
        return str(listen_address.parse(text)) if text else ""
    except ValueError:
        raise Invalid("expected " + listen_address.ACCEPTED) from None


def absolute_path(text: str) -> str:
    """A path from the root on, or nothing."""
    if text and not (text.startswith("/") and text.isprintable()):
        raise Invalid("expected an absolute path")
    return text


def switch_of(group: Group) -> Option:
    """The option that turns a group on and off."""
    switch = group.switch
    older = tuple((key, inverse) for key in switch.inverted)
    return Option(group.name, switch.section, switch.key, boolean, None if switch.follows else switch.default, older)


def _leaders_first(groups: tuple[Group, ...]) -> list[Group]:
    """A group that follows another's option comes after it: that is how people read the file."""
    names = [group.name for group in groups]
    return sorted(groups, key=lambda group: (names.index(group.switch.follows or group.name), bool(group.switch.follows)))


def _switches(section: str) -> tuple[Option, ...]:
    return tuple(switch_of(group) for group in _leaders_first(GROUPS) if group.switch.section == section)


# Every option once, with its default; conf.d/ebpf.conf shows the same to the user (tests/unit/config compares).
OPTIONS = (
    Option("mode", "global", "ebpf load mode", choice("entry", "return"), "entry",
           also=(("load", choice("entry", "return")),)),
    Option("every", "global", "update every", whole_number(1, 3600, " of seconds"), 1),
    *_switches("global"),
    Option("cgroups", "global", "cgroups", boolean, False),
    Option("processes", "global", "pid table size", whole_number(64, 4194304), 32768),
    Option("program_statistics", "global", "program statistics", choice(*PROGRAM_CHOICES), "no"),
    Option("method", "global", "ebpf co-re tracing", choice(*METHOD_CHOICES), "auto"),
    Option("listen", "global", "listen", listen, ""),
    Option("web_config", "global", "web config file", absolute_path, ""),
    *_switches("ebpf programs"),
    Option("connections", "ebpf programs", "network connection monitoring", boolean, True),
    Option("dimensions", "network viewer", "maximum dimensions", whole_number(0, 5000), 500),
    Option("ports", "network viewer", "ports", Text, Text(network_filters.DEFAULT_PORTS)),
    Option("ips", "network viewer", "ips", Text, Text(network_filters.DEFAULT_IPS)),
    Option("resolve_hosts", "network viewer", "resolve hostnames", boolean, False,
           also=(("resolve hostname ips", boolean),)),
    Option("hostnames", "network viewer", "hostnames", Text, Text("*")),
    Option("resolve_services", "network viewer", "resolve service names", boolean, True),
)
