"""Reads ebpf.conf into Settings. Nothing in a file stops the plugin; what is wrong becomes a message."""
from __future__ import annotations

from typing import Any, Iterator, Mapping

from iniconfig import IniConfig, ParseError

from . import files, network_filters
from .options import OPTIONS, Invalid, Text
from .settings import Settings, settle

NAME = "ebpf.conf"

SECTION_OF = {"network connections": "network viewer"}  # older or newer spellings
SERVICE_NAMES = "service name"  # its keys are ports


def load(paths: list[str]) -> tuple[Settings, list[str]]:
    """(Settings, messages) from files, the most important first. A file that is not there is passed over.

    Each message is one line: path:line: what is wrong, what is accepted.
    """
    messages: list[str] = []
    layers = [_read(path, messages) for path in paths]
    chosen: dict[str, Any] = {}
    for option in OPTIONS:
        values = (layer[option.field] for layer in layers if option.field in layer)
        chosen[option.field] = next(values, option.default)
    services: dict[int, str] = {}
    for layer in reversed(layers):
        services.update(layer.get("services", {}))
    return settle(chosen, services), messages


def _read(path: str, messages: list[str]) -> dict[str, Any]:
    """{field: value} of what a file sets rightly, and "services"."""
    try:
        text = files.read(path)
        messages.extend(files.not_text(text, path))
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
    found: dict[str, Any] = {}
    for name, keys in config.sections.items():
        section = SECTION_OF.get(name, name)
        if section == SERVICE_NAMES:
            found["services"] = dict(_services(path, config, keys, messages))
            continue
        accepted = sorted(key for known_section, key in known if known_section == section)
        if not accepted:
            messages.append("%s:%s: unknown section [%s]; known are %s" % (
                path, config.lineof(name), name, ", ".join(sorted({o.section for o in OPTIONS} | {SERVICE_NAMES}))))
            continue
        for key, value in keys.items():
            where = "%s:%s" % (path, config.lineof(name, key))
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


def _services(path: str, config: IniConfig, keys: Mapping[str, str], messages: list[str]) -> Iterator[tuple[int, str]]:
    """Pairs of port and name."""
    for key, name in keys.items():
        try:
            port = network_filters.parse_service(key)
            if not name.strip():
                raise network_filters.Invalid("expected a name")
            yield port, name.strip()
        except network_filters.Invalid as error:
            messages.append("%s:%s: [%s] %s: %s; passed over" % (
                path, config.lineof(SERVICE_NAMES, key), SERVICE_NAMES, files.quoted(key), error))


def _line(line: str) -> str:
    """A line as iniconfig takes it. Netdata's files indent options, which iniconfig would read as a continuation; and it
    ends lines at characters such as form feeds, which no editor counts."""
    return "".join(character if character.isprintable() else " " for character in line).strip()
