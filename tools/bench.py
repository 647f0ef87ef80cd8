#!/usr/bin/python3
"""What the plugin costs on this machine, each figure beside a baseline of the same run. A report, not a test: absolute
times are this machine's, ratios are what may be compared. Needs root, takes about two minutes."""
import os
import pathlib
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLUGIN = str(ROOT / "plugin" / "ebpf.plugin")
TICKS = 20

BARE = "import time; time.sleep(60)"
WITH_BCC = "import bcc, time; time.sleep(60)"
WRITER = "import os, time\nwhile True: time.sleep(1); os.write(1, b'x' * %d)"


def main():
    print("process\n")
    processes()
    print("\nnanoseconds for an event\n", flush=True)
    subprocess.run([ROOT / "tools" / "overhead" / "overhead.py"], check=True)


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


if __name__ == "__main__":
    main()
