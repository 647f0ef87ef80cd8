"""Reads ebpf.conf into Settings. Nothing in a file stops the plugin; what is wrong becomes a message."""
from __future__ import annotations

import os
from typing import Any, Iterator, Mapping, NamedTuple

from iniconfig import IniConfig, ParseError

from . import ebpf_d_conf, files, network_filters
from .options import OPTIONS, Invalid, Text
from .settings import Settings, settle

NAME = "ebpf.conf"

SECTION_OF = {"network connections": "network viewer"}  # older or newer spellings
SERVICE_NAMES = "service name"  # its keys are ports


class Found(NamedTuple):
    """What files say.

    messages: one line each, path:line: what is wrong, what is accepted. notice: a line about options of Netdata's own
    plugin, or "". files: {path: how many options it sets} of those that were read.
    """

    settings: Settings
    messages: list[str]
    notice: str
    files: dict[str, int]


def load(paths: list[str], netdatas: str = "") -> Found:
    """Read files, the most important first; below them those of Netdata's own plugin in the directory `netdatas`. A file
    that is not there is passed over."""
    messages: list[str] = []
    missed: list[str] = []
    read: dict[str, int] = {}
    layers = [_read(path, messages, missed, read) for path in paths]
    of_netdata = ebpf_d_conf.paths(netdatas) if netdatas else []
    layers += [ebpf_d_conf.complete(_read(path, messages, missed, read)) for path in of_netdata]
    chosen: dict[str, Any] = {}
    for option in OPTIONS:
        values = (layer[option.field] for layer in layers if option.field in layer)
        chosen[option.field] = next(values, option.default)
    services: dict[int, str] = {}
    for layer in reversed(layers):
        services.update(layer.get("services", {}))
    notice = ebpf_d_conf.notice([path for path in of_netdata if path in read], missed)
    return Found(settle(chosen, services), messages, notice, read)


def _read(path: str, messages: list[str], missed: list[str], read: dict[str, int]) -> dict[str, Any]:
    """{field: value} of what a file sets rightly, and "services". Adds to the rest as in Found; `missed` are options of
    Netdata's own plugin without a counterpart."""
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
    of_program = ebpf_d_conf.program_of(path)
    is_netdatas = bool(of_program) or os.path.basename(path) == ebpf_d_conf.NAME
    known = _known(of_program)
    found: dict[str, Any] = {}
    for name, keys in config.sections.items():
        section = SECTION_OF.get(name, name)
        if section == SERVICE_NAMES:
            found["services"] = dict(_services(path, config, keys, messages))
            continue
        accepted = sorted(key for known_section, key in known if known_section == section and key not in ebpf_d_conf.RENAMED)
        if not accepted and not is_netdatas and section not in ebpf_d_conf.SECTIONS:
            messages.append("%s:%s: unknown section [%s]; known are %s" % (
                path, config.lineof(name), name, ", ".join(sorted({o.section for o in OPTIONS} | {SERVICE_NAMES}))))
            continue
        for key, value in keys.items():
            where = "%s:%s" % (path, config.lineof(name, key))
            if (section, key) not in known and (is_netdatas or ebpf_d_conf.is_known(section, key)):
                if ebpf_d_conf.is_missed(section, key, value.strip()):
                    missed.append(key + (" of %s alone" % of_program if of_program else ""))
                continue
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
    read[path] = len(found) - ("services" in found) + len(found.get("services", {}))
    return found


def _known(of_program: str) -> dict[tuple[str, str], tuple[Any, Any]]:
    """{(section, key): (option, how its value is read)}, in all spellings."""
    options = [option for option in OPTIONS if not of_program or option.section != "global"]
    known: dict[tuple[str, str], tuple[Any, Any]] = {(o.section, key): (o, parse) for o in options for key, parse in o.also}
    known.update({(option.section, option.key): (option, option.parse) for option in options})
    for key, ours in ebpf_d_conf.RENAMED.items():
        known["ebpf programs", key] = known["ebpf programs", ours]
    return known


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
