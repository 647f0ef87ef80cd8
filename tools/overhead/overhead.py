#!/usr/bin/python3
"""What a hook adds to an event: on each rung and in each mode, with nothing attached, with empty programs on the same hooks,
and with the plugin's, in one run.

    overhead.py                       on the running kernel, in nanoseconds; as root
    overhead.py --release bookworm    on a stock Debian kernel whose clock counts instructions (tools/vm)
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

from ebpf_plugin import apps_groups, directories, handoff, processes, tracefs  # noqa: E402
from ebpf_plugin.attach import Ladder  # noqa: E402
from ebpf_plugin.btf import BTF, NoBTF  # noqa: E402
from ebpf_plugin.group import MODES, RUNGS  # noqa: E402
from ebpf_plugin.groups import GROUPS  # noqa: E402
from ebpf_plugin.groups.apps import APPS  # noqa: E402

EMPTY = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
SOURCE = pathlib.Path(__file__).with_name("events.c")


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
        ROOT / "tools" / "vm" / "vm.py", "run", "--release", release, "--icount", "--timeout", "1800", "--",
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
    print("  %-16s %-11s %-7s %9s %18s %18s %18s" % (
        "event", "rung", "mode", "nothing", "empty programs", "without apps", "with apps"))
    for rung in RUNGS:
        for mode in MODES:
            rows(program, rung, mode, btf, no_btf)


def rows(program, rung, mode, btf, no_btf):
    ladder = Ladder(lambda name: EMPTY, mode, rung, btf, no_btf)
    nothing = measured(program)
    empty = [ladder.attach(hook) for group in GROUPS for hook in group.hooks if mode in hook.modes]
    with_empty = measured(program)
    elsewhere = [found for found, _, _ in empty if found != rung]
    for _, held, _ in empty:
        if held:
            held.undo()
    if len(elsewhere) > len(empty) / 2:
        print("  %-16s %-11s %-7s this kernel does not have it" % ("", rung, mode))
        return
    with_plugin = [measured_with_plugin(program, rung, mode, apps) for apps in (False, True)]
    for event, bare in nothing.items():
        figures = [with_empty[event], *(found[event] for found in with_plugin)]
        print("  %-16s %-11s %-7s %9.1f" % (event, rung, mode, bare), *(
            "%10.1f (%.3f)" % (figure, figure / bare) for figure in figures), flush=True)


def measured_with_plugin(program, rung, mode, apps):
    """With everything loaded, every connection counted, and with or without applications."""
    groups = [group.name for group in GROUPS if apps or group is not APPS]
    stock = apps_groups.load([os.path.join(directories.data("conf.d"), apps_groups.NAME)])[0]
    sizes = {"FLOWS_MAX": 4352, "CONNECTIONS": 1, **({"APPS": len(stock.ids), "APPS_PROCESSES": 32768} if apps else {})}
    loaded = handoff.load({"groups": groups, "mode": mode, "rung": rung, "bpf": directories.data("bpf"), "sizes": sizes,
                           "test": {}, "filters": {"ports": None, "networks": None}}, patience=1e6)
    if apps:
        processes.enter(loaded.tables, stock.rules)
    try:
        return measured(program)
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
