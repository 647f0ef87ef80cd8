#!/usr/bin/python3
"""What the plugin costs on this machine, each figure beside a baseline of the same run. A report, not a test: absolute
times are this machine's, ratios are what may be compared. Needs root, takes about ten minutes."""
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "plugin"), str(ROOT / "tests" / "kernel")]

from harness import network_namespaces  # noqa: E402
import tick  # noqa: E402
from tick import cpu, row, status  # noqa: E402
from workloads import connection_flood  # noqa: E402

PLUGIN = str(ROOT / "plugin" / "ebpf.plugin")
EVERYTHING = tempfile.TemporaryDirectory()  # an ebpf.conf that filters nothing
(pathlib.Path(EVERYTHING.name) / "ebpf.conf").write_text("[network viewer]\nips = *\n")
TICKS = 20

BARE = "import time; time.sleep(60)"
WITH_BCC = "import bcc, time; time.sleep(60)"
WRITER = "import os, time\nwhile True: time.sleep(1); os.write(1, b'x' * %d)"


PORTS, CONNECTIONS = 12503, 75003  # of each of four hosts
# A row for each process, read each second, as tools of BCC do it.
BY_PID = """
import bcc, time
b = bcc.BPF(text="BPF_HASH(calls, u32, u64, 65536); "
            "int count(void *ctx) { u32 pid = bpf_get_current_pid_tgid() >> 32; calls.increment(pid); return 0; }")
b.attach_raw_tracepoint("sys_exit", "count")
print(flush=True)
while True:
    time.sleep(1)
    print(sum(value.value for value in b["calls"].values()), flush=True)
"""


def main():
    print("process\n")
    processes()
    print("\nmilliseconds of processor time for a tick of a second\n", flush=True)
    tick.report("ms")
    by_pid()
    print("\n%d short connections to %d groups\n" % (4 * CONNECTIONS, 4 * PORTS), flush=True)
    flood()
    print("\nnanoseconds for an event\n", flush=True)
    subprocess.run([ROOT / "tools" / "overhead" / "overhead.py"], check=True)


def by_pid():
    """What a tick costs a script that reads a table of processes, to compare with what tick.py has shown."""
    base = 0
    for processes_, sockets in ((100, 10), (10000, 10)):
        with tick.load(processes_, sockets, 0, ""):
            used = tick_of(["/usr/bin/python3", "-I", "-c", BY_PID])
        row("a row for each of %d, in Python" % processes_, used * 1e3, "ms", base * 1e3, "with few" if base else "")
        base = base or used


def flood():
    """What the collector takes while connections come as fast as the machine can open them, and when they are through."""
    with network_namespaces.network("here", "a", "b", "c", "d") as (here, *others), \
            subprocess.Popen([PLUGIN, "1", "--config", EVERYTHING.name], stdout=subprocess.DEVNULL,
                             stdin=subprocess.DEVNULL) as process:
        time.sleep(10)
        before = status(process.pid, "VmRSS")
        figures = []
        for other in others:
            begun, used = time.monotonic(), cpu(process.pid)
            connection_flood.flood(here, other, "tcp", CONNECTIONS, PORTS)
            seconds = time.monotonic() - begun
            figures.append((CONNECTIONS / seconds, (cpu(process.pid) - used) / seconds))
            time.sleep(5)
        after = status(process.pid, "VmRSS")
        process.terminate()
    row("connections in a second", figures[-1][0], "")
    row("processor time for a tick meanwhile", figures[-1][1] * 1e3, "ms", figures[0][1] * 1e3, "with the first quarter")
    row("collector, resident, afterwards", after / 1024, "MB", before / 1024, "before")


def tick_of(command):
    """Seconds of processor time for a tick, once it has settled."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          env={**os.environ, "BCC_KERNEL_SOURCE": str(ROOT / "bpf")}) as process:
        process.stdout.read(1)
        os.set_blocking(process.stdout.fileno(), False)
        time.sleep(5)
        before = cpu(process.pid)
        for _ in range(TICKS):
            time.sleep(1)
            process.stdout.read()
        used = (cpu(process.pid) - before) / TICKS
        process.terminate()
    return used


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


def loading():
    """(peak resident kB, seconds of processor time) of a plugin that loads, shows one tick and ends. The process that loads
    becomes the collector, which is smaller: the peak is that of loading."""
    with subprocess.Popen([PLUGIN, "1", "-r", "--once"], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        _, process.returncode, used = os.wait4(process.pid, 0)
    return used.ru_maxrss, used.ru_utime + used.ru_stime


def processes():
    bare, _ = resident(BARE)
    bcc, bcc_seconds = resident(WITH_BCC)
    loader, start = loading()
    first = []
    for _ in range(3):
        begun = time.monotonic()
        process = subprocess.Popen([PLUGIN, "1", "-r"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        os.set_blocking(process.stdout.fileno(), False)
        while not (text := process.stdout.read(1 << 20)):
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
    row("loading, peak, gone after the start", loader / 1024, "MB", bcc / 1024, "python3 -c 'import bcc'")
    row("processor time of start, one tick and end", start, "s", bcc_seconds, "python3 -c 'import bcc'")
    row("start to the first CHART, median of 3", sorted(first)[1], "s", bcc_seconds, "python3 -c 'import bcc'")
    row("processor time for a tick", used * 1e3, "ms", idle * 1e3, "python3 that writes as much")
    row("stdout for a tick", sent / TICKS, "bytes")
    row("SIGTERM to gone", gone, "s")


if __name__ == "__main__":
    main()
