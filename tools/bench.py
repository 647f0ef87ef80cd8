#!/usr/bin/python3
"""What the plugin costs on this machine, each figure beside a baseline of the same run. A report, not a test: absolute
times are this machine's, ratios are what may be compared. Needs root, takes about two minutes."""
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "plugin"))

from ebpf_plugin import directories, handoff, tracefs  # noqa: E402
from ebpf_plugin.attach import Ladder  # noqa: E402
from ebpf_plugin.btf import BTF, NoBTF  # noqa: E402
from ebpf_plugin.group import MODES, RUNGS  # noqa: E402
from ebpf_plugin.groups import GROUPS  # noqa: E402

PLUGIN = str(ROOT / "plugin" / "ebpf.plugin")
EMPTY = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
TICKS = 20

BARE = "import time; time.sleep(60)"
WITH_BCC = "import bcc, time; time.sleep(60)"
WRITER = "import os, time\nwhile True: time.sleep(1); os.write(1, b'x' * %d)"


def main():
    print("process\n")
    processes()
    print("\nadded per event: with nothing attached, with empty programs on the same hooks, with the plugin's\n")
    events()


def status(pid, field):
    """A figure of /proc/PID/status, in kB; 0 if the process is gone."""
    try:
        text = pathlib.Path("/proc/%d/status" % pid).read_text()
    except OSError:
        return 0
    return int(text.partition(field + ":")[2].split()[0]) if field in text else 0


def cpu(pid):
    """Seconds that the process has been on a CPU."""
    return int(pathlib.Path("/proc/%d/schedstat" % pid).read_text().split()[0]) / 1e9


def row(what, value, unit, baseline="", of=""):
    ratio = " (%.2f of it)" % (value / baseline) if baseline else ""
    print("  %-42s %9.2f %-5s %s" % (what, value, unit, "%s: %.2f%s" % (of, baseline, ratio) if of else ""))


def resident(code):
    """(resident kB, seconds until it slept) of a Python process that runs `code` and sleeps."""
    begun = time.monotonic()
    with subprocess.Popen(["/usr/bin/python3", "-I", "-c", "import sys; " + code.replace(
            "time.sleep(60)", "print(flush=True); time.sleep(60)")], stdout=subprocess.PIPE) as process:
        process.stdout.read(1)
        taken = time.monotonic() - begun
        found = status(process.pid, "VmRSS")
        process.kill()
    return found, taken


def processes():
    bare, _ = resident(BARE)
    bcc, bcc_seconds = resident(WITH_BCC)
    first, loader = [], 0
    for _ in range(3):
        begun = time.monotonic()
        process = subprocess.Popen([PLUGIN, "1", "-r"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        children = pathlib.Path("/proc/%d/task/%d/children" % (process.pid, process.pid))
        os.set_blocking(process.stdout.fileno(), False)
        while not (text := process.stdout.read(1 << 20)):
            loader = max([loader] + [status(int(pid), "VmHWM") for pid in children.read_text().split()])
            time.sleep(0.002)
        assert text.startswith(b"CHART")
        first.append(time.monotonic() - begun)
        if len(first) < 3:
            process.terminate()
            process.wait()
    time.sleep(2)
    os.set_blocking(process.stdout.fileno(), True)
    os.read(process.stdout.fileno(), 1 << 20)
    before, sent = cpu(process.pid), 0
    for _ in range(TICKS):
        sent += len(os.read(process.stdout.fileno(), 1 << 20))
    used = (cpu(process.pid) - before) / TICKS
    collector = status(process.pid, "VmRSS")
    begun = time.monotonic()
    process.terminate()
    process.wait()
    gone = time.monotonic() - begun
    with subprocess.Popen(["/usr/bin/python3", "-I", "-c", WRITER % (sent // TICKS)], stdout=subprocess.DEVNULL) as writer:
        time.sleep(1.5)
        before = cpu(writer.pid)
        time.sleep(TICKS)
        idle = (cpu(writer.pid) - before) / TICKS
        writer.kill()
    row("collector, resident", collector / 1024, "MB", bare / 1024, "bare python3")
    row("loader, peak, gone after the start", loader / 1024, "MB", bcc / 1024, "python3 -c 'import bcc'")
    row("start to the first CHART, median of 3", sorted(first)[1], "s", bcc_seconds, "python3 -c 'import bcc'")
    row("processor time for a tick", used * 1e3, "ms", idle * 1e3, "python3 that writes as much")
    row("stdout for a tick", sent / TICKS, "bytes")
    row("SIGTERM to gone", gone, "s")


def open_read_close():
    descriptor = os.open("/dev/zero", os.O_RDONLY)
    os.read(descriptor, 64)
    os.close(descriptor)


def write():
    os.write(NULL, b"x")


def fork_exit_wait():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


NULL = os.open("/dev/null", os.O_WRONLY)
EVENTS = ((open_read_close, 4000), (write, 20000), (fork_exit_wait, 60))


def fastest(blocks=15):
    """Seconds for one event of each kind: the least of several blocks, as what disturbs only adds."""
    best = {}
    for _ in range(blocks):
        for event, n in EVENTS:
            begun = time.perf_counter()
            for _ in range(n):
                event()
            taken = (time.perf_counter() - begun) / n
            best[event] = min(taken, best.get(event, taken))
    return best


def events():
    try:
        btf, no_btf = BTF(), ""
    except NoBTF as error:
        btf, no_btf = None, str(error)
    print("  %-17s %-11s %-7s %8s %20s %20s" % ("event", "rung", "mode", "nothing", "empty", "plugin"))
    for rung in RUNGS:
        for mode in MODES:
            measure(rung, mode, btf, no_btf)


def measure(rung, mode, btf, no_btf):
    ladder = Ladder(lambda name: EMPTY, mode, rung, btf, no_btf)
    nothing = fastest()
    empty = [ladder.attach(hook) for group in GROUPS for hook in group.hooks if mode in hook.modes]
    with_empty = fastest()
    on_rung = [found for found, _, _ in empty].count(rung)
    for _, held, _ in empty:
        if held:
            held.undo()
    if on_rung < len(empty) / 2:
        print("  %-17s %-11s %-7s this kernel does not have it" % ("", rung, mode))
        return
    loaded = handoff.load({"groups": [group.name for group in GROUPS], "mode": mode, "rung": rung,
                           "bpf": directories.data("bpf"), "test_comm": ""})
    with_plugin = fastest()
    for descriptor in loaded.descriptors:
        os.close(descriptor)
    tracefs.remove(loaded.events)
    nothing = {event: min(taken, again) for (event, taken), again in zip(nothing.items(), fastest(5).values())}
    for event, _ in EVENTS:
        print("  %-17s %-11s %-7s %5.2f us %s %s" % (
            event.__name__, rung, mode, nothing[event] * 1e6,
            *("%9.2f us (%.3f)" % (taken[event] * 1e6, taken[event] / nothing[event])
              for taken in (with_empty, with_plugin))))


if __name__ == "__main__":
    main()
