"""ebpf.conf: from files to one validated Settings. Nothing in a file stops the plugin; what is wrong becomes a message."""
from __future__ import annotations

from typing import NamedTuple

from iniconfig import IniConfig, ParseError

from . import files, network_filters

NAME = "ebpf.conf"

METHOD_CHOICES = ("auto", "trampoline", "tracepoint", "probe")
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")

SECTION_OF = {"network connections": "network viewer"}  # older or newer spellings
SERVICE_NAMES = "service name"  # its keys are ports


class Invalid(Exception):
    """What a value should have been."""


def _choice(*accepted):
    def parse(text):
        if text.lower() not in accepted:
            raise Invalid("expected " + " or ".join(accepted))
        return text.lower()
    return parse


def _boolean(text):
    if text.lower() not in YES + NO:
        raise Invalid("expected yes or no")
    return text.lower() in YES


def _inverse(text):
    return not _boolean(text)


def _seconds(text):
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 3600 and len(text) < 6):
        raise Invalid("expected a whole number of seconds, 1 to 3600")
    return int(text)


def _table_size(text):
    if not (text.isascii() and text.isdigit() and len(text) < 8 and 64 <= int(text) <= 4194304):
        raise Invalid("expected a whole number, 64 to 4194304")
    return int(text)


def _dimensions(text):
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 5000):
        raise Invalid("expected a whole number, 0 to 5000")
    return int(text)


class Text(NamedTuple):
    """A value that is read later, with what it depends on; `where` is path:line, for messages."""

    text: str
    where: str = ""


class Option(NamedTuple):
    """`field` of Settings is `default` unless a file sets it. `also` are older spellings of the option."""

    field: str
    section: str
    key: str
    parse: object
    default: object
    also: tuple = ()  # (key, parse)


# Every option once, with its default; conf.d/ebpf.conf shows the same to the user (tests/unit/test_config.py compares).
OPTIONS = (
    Option("mode", "global", "ebpf load mode", _choice("entry", "return"), "entry",
           also=(("load", _choice("entry", "return")),)),
    Option("every", "global", "update every", _seconds, 1),
    Option("apps", "global", "apps", _boolean, True, also=(("disable apps", _inverse),)),
    Option("cgroups", "global", "cgroups", _boolean, False),
    Option("processes", "global", "pid table size", _table_size, 32768),
    Option("method", "global", "ebpf co-re tracing", _choice(*METHOD_CHOICES), "auto"),
    Option("process", "ebpf programs", "process", _boolean, True),
    Option("file", "ebpf programs", "file", _boolean, None),
    Option("vfs", "ebpf programs", "vfs", _boolean, None),
    Option("network", "ebpf programs", "network viewer", _boolean, True),
    Option("connections", "ebpf programs", "network connection monitoring", _boolean, True),
    Option("dimensions", "network viewer", "maximum dimensions", _dimensions, 500),
    Option("ports", "network viewer", "ports", Text, Text(network_filters.DEFAULT_PORTS)),
    Option("ips", "network viewer", "ips", Text, Text(network_filters.DEFAULT_IPS)),
    Option("resolve_hosts", "network viewer", "resolve hostnames", _boolean, False,
           also=(("resolve hostname ips", _boolean),)),
    Option("hostnames", "network viewer", "hostnames", Text, Text("*")),
    Option("resolve_services", "network viewer", "resolve service names", _boolean, True),
)


class Settings(NamedTuple):
    """What the user wants. `process` is the umbrella: `file` and `vfs` are as it is unless they are set themselves.

    `services` is {port: name} of [service name].
    """

    mode: str
    every: int
    apps: bool
    cgroups: bool
    processes: int
    method: str
    process: bool
    file: bool
    vfs: bool
    network: bool
    connections: bool
    dimensions: int
    ports: Text
    ips: Text
    resolve_hosts: bool
    hostnames: Text
    resolve_services: bool
    services: dict

    def groups(self):
        """The names of the enabled groups."""
        names = tuple(name for name in ("file", "vfs", "process", "network") if getattr(self, name))
        return names + ("apps",) if names and self.apps else names


def load(paths):
    """(Settings, messages) from files, the most important first. A file that is not there is passed over.

    Each message is one line: path:line: what is wrong, what is accepted.
    """
    messages = []
    layers = [_read(path, messages) for path in paths]
    chosen = {}
    for option in OPTIONS:
        values = (layer[option.field] for layer in layers if option.field in layer)
        chosen[option.field] = next(values, option.default)
    for umbrella in ("file", "vfs"):
        if chosen[umbrella] is None:
            chosen[umbrella] = chosen["process"]
    services = {}
    for layer in reversed(layers):
        services.update(layer.get("services", {}))
    return Settings(**chosen, services=services), messages


def _read(path, messages):
    """{field: value} of what a file sets rightly, and "services"."""
    try:
        text = files.read(path)
        config = IniConfig(path, data="\n".join(_line(line) for line in text.split("\n")))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        messages.append("%s:1: cannot be read: %s; its options keep their defaults" % (path, error.strerror))
        return {}
    except ParseError as error:
        messages.append("%s:%d: %s; the whole file is passed over" % (path, error.lineno + 1, error.msg))
        return {}
    known = {(option.section, option.key): (option, option.parse) for option in OPTIONS}
    known.update({(o.section, key): (o, parse) for o in OPTIONS for key, parse in o.also})
    found = {}
    for name, keys in config.sections.items():
        section = SECTION_OF.get(name, name)
        if section == SERVICE_NAMES:
            found["services"] = dict(_services(path, config, keys, messages))
            continue
        accepted = sorted(key for known_section, key in known if known_section == section)
        if not accepted:
            messages.append("%s:%d: unknown section [%s]; known are %s" % (
                path, config.lineof(name), name, ", ".join(sorted({o.section for o in OPTIONS} | {SERVICE_NAMES}))))
            continue
        for key, value in keys.items():
            where = "%s:%d" % (path, config.lineof(name, key))
            if (section, key) not in known:
                messages.append("%s: unknown option %r in [%s]; known are %s" % (where, key, name, ", ".join(accepted)))
                continue
            option, parse = known[section, key]
            try:
                value = parse(value.strip()) if parse is not Text else Text(value, where)
            except Invalid as error:
                messages.append("%s: %s = %s: %s; the default holds" % (where, key, files.quoted(value), error))
                continue
            # of two spellings in one file, the one that is documented first counts
            if option.key == key or option.field not in found:
                found[option.field] = value
    return found


def _services(path, config, keys, messages):
    """Pairs of port and name."""
    for key, name in keys.items():
        try:
            port = network_filters.parse_service(key)
            if not name.strip():
                raise network_filters.Invalid("expected a name")
            yield port, name.strip()
        except network_filters.Invalid as error:
            messages.append("%s:%d: [%s] %s: %s; passed over" % (
                path, config.lineof(SERVICE_NAMES, key), SERVICE_NAMES, files.quoted(key), error))


def _line(line):
    """A line as iniconfig takes it. Netdata's files indent options, which iniconfig would read as a continuation; and it
    ends lines at characters such as form feeds, which no editor counts."""
    return "".join(character if character.isprintable() else " " for character in line).strip()
