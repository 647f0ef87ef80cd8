#!/usr/bin/python3
"""What the hooks add to an event, by each method and in each mode: with nothing attached, with empty programs on the hooks
of all groups that are on by default, and with the plugin's own, without applications and with them, in one run. Behind a
figure is its ratio to nothing attached; behind the plugin's, after a slash, that to the empty programs on its left, too.
"-": not measured, as a hook of charts that the event passes is on another attach method.
"""
import argparse
import base64
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "plugin"))

from ebpf_plugin.config import apps_groups, directories, ebpf_conf, network_viewer  # noqa: E402
from ebpf_plugin.groups import GROUPS  # noqa: E402
from ebpf_plugin.groups.apps import APPS  # noqa: E402
from ebpf_plugin.kernel import tracefs  # noqa: E402
from ebpf_plugin.kernel.btf import BTF, NoBTF  # noqa: E402
from ebpf_plugin.load import loader, running_processes  # noqa: E402
from ebpf_plugin.load.attach import Attacher, probed_by_several  # noqa: E402
from ebpf_plugin.load.plan import Plan  # noqa: E402
from ebpf_plugin.model.group import ATTACH_METHODS, MODES  # noqa: E402

WITH_APPS = tuple(group for group in GROUPS if group.switch.default)  # what is loaded unless the user says otherwise
WITHOUT_APPS = tuple(group for group in WITH_APPS if group is not APPS)
# the hooks of charts that an event passes
PASSES = {
    "open+read+close": {"open", "vfs_open", "create", "read", "close"}, "write": {"write"},
    "tcp-send+recv": {"tcp_send", "tcp_recv"}, "udp-send+recv": {"udp_send", "udp_recv"},
    "fork+exit+wait": {"clone", "clone_error", "exit", "release"}, "getppid": set(),
}
EMPTY = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
EVERYTHING = network_viewer.Viewer(None, None, 500, {}, False, ())  # filters that let every connection through
SOURCE = pathlib.Path(__file__).with_name("events.c")


class EmptyPrograms:
    """Stands for load.programs.Programs."""

    @staticmethod
    def instructions(name, arguments):
        return EMPTY


def compiled():
    """The events' program."""
    with tempfile.TemporaryDirectory() as directory:
        program = pathlib.Path(directory) / "events"
        subprocess.run(["cc", "-Os", "-s", "-static", "-nostdlib", "-fno-stack-protector", "-fno-builtin",
                        "-o", program, SOURCE], check=True)
        return program.read_bytes()


def in_guest(release):
    """This script again, in a virtual machine that counts instructions. The sleep lets the kernel's own work pass."""
    program = base64.b64encode(compiled()).decode()
    return subprocess.run([
        ROOT / "tools" / "vm" / "vm.py", "run", "--release", release, "--icount", "--timeout", "3600", "--",
        "sh", "-c", "ip link set lo up; sleep 10; "
        'exec env PYTHONHASHSEED=0 python3 tools/overhead/overhead.py --program "$1"', "sh", program,
    ], check=False).returncode


def measured(program):
    """{event: nanoseconds}"""
    said = subprocess.run([program], stdout=subprocess.PIPE, check=True, text=True).stdout
    return {name: float(value) for name, value in map(str.split, said.splitlines())}


def report(program):
    try:
        btf, no_btf = BTF(), ""
    except NoBTF as error:
        btf, no_btf = None, str(error)
    print("  %-16s %-11s %-7s %9s %18s %26s %18s %26s" % (
        "event", "method", "mode", "nothing", "empty, no apps", "plugin, no apps", "empty, apps", "plugin, apps"))
    for method in ATTACH_METHODS:
        for mode in MODES:
            rows(program, method, mode, btf, no_btf)


def rows(program, method, mode, btf, no_btf):
    nothing = measured(program)
    pairs, elsewhere = [], {}
    for groups in WITHOUT_APPS, WITH_APPS:
        empty, methods = measured_with_empty(program, groups, Attacher(
            EmptyPrograms, mode, method, btf, no_btf, probed_by_several(groups, mode)))
        if methods.count(method) < len(methods) / 2:
            print("  %-16s %-11s %-7s this kernel does not have it" % ("", method, mode))
            return
        own, hooks = measured_with_plugin(program, groups, method, mode)
        pairs.append((empty, own))
        elsewhere.update((hook, found) for hook, found in hooks.items() if found != method)
    for event, bare in nothing.items():
        print("  %-16s %-11s %-7s %9.1f" % (event, method, mode, bare), end="")
        for empty, own in pairs:
            if PASSES[event] & set(elsewhere):
                print("%19s%27s" % ("-", "-"), end="")
            else:
                print("%11.1f (%.3f)%11.1f (%.3f / %.3f)" % (empty[event], empty[event] / bare, own[event],
                                                             own[event] / bare, own[event] / empty[event]), end="")
        print(flush=True)
    if elsewhere:
        print("  hooks on another method: %s" % ", ".join(
            "%s (%s)" % (hook, found or "not attached") for hook, found in elsewhere.items()), flush=True)


def measured_with_empty(program, groups, attacher):
    """({event: nanoseconds}, [attach method of each hook]) with empty programs on all hooks of `groups`."""
    attached = [attacher.attach(hook) for group in groups for hook in group.hooks if attacher.mode in hook.modes]
    try:
        return measured(program), [method for method, _, _ in attached]
    finally:
        for _, held, _ in attached:
            if held:
                held.undo()


def measured_with_plugin(program, groups, method, mode):
    """({event: nanoseconds}, {hook: method or None}) with the plugin's programs of `groups`, every connection counted."""
    apps = APPS in groups
    stock = apps_groups.load([os.path.join(directories.data("conf.d"), apps_groups.NAME)])[0]
    sizes = {"CONNECTIONS": 1, **({"APPS": len(stock.ids), "APPS_PROCESSES": 32768} if apps else {})}
    settings = ebpf_conf.load([])[0]._replace(mode=mode, method=method, groups=tuple(group.name for group in groups))
    loaded = loader.load(Plan(settings, groups, sizes, EVERYTHING, stock if apps else None, ""), {})
    if apps:
        running_processes.enter(loaded.tables, stock.rules)
    try:
        not_loaded = loader.AttachedHook(None, (), ())
        return measured(program), {hook.name: loaded.hooks.get(group.name, {}).get(hook.name, not_loaded).method
                                   for group in groups for hook in group.hooks if mode in hook.modes}
    finally:
        for descriptor in loaded.descriptors:
            os.close(descriptor)
        tracefs.remove(loaded.events)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", help="of Debian: measure there, in instructions")
    parser.add_argument("--program", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.release:
        return in_guest(options.release)
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, "events")
        with open(program, "wb") as file:
            file.write(base64.b64decode(options.program) if options.program else compiled())
        os.chmod(program, 0o755)
        time.sleep(0.1)
        report(program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
