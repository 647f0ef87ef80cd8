#!/usr/bin/python3
"""What a tick of the collector takes, with everything on, in load mode return: by what is counted, by how many applications
and control groups are busy, and by how many processes and sockets the machine has. Each figure stands beside a baseline of
the same run: milliseconds of processor time here, or, with --release, millions of instructions in a virtual machine that
counts them, which can be compared between runs, too. Needs root."""
import argparse
import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PLUGIN = str(ROOT / "plugin" / "ebpf.plugin")
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
SETTLED, TICKS = 8, 30  # ticks that are not measured, and that are; cgroups.py looks at all groups each 30 ticks
FIRST = b"BEGIN ebpf.file_descriptor"  # the first block of a tick
ALL_CONNECTIONS = "[network viewer]\nips = *\n"

# argv: processes that sleep; sockets, of which ten talk; processes that are busy, each with a name of its own; a directory
# of cgroup2, where each busy one is in a group of its own, or "". It says so when they are there, and waits to be killed.
LOAD = """
import _thread, ctypes, os, resource, select, socket, sys, time
sleepers, sockets, busy, cgroups = *map(int, sys.argv[1:4]), sys.argv[4]
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 0))
for i in range(sleepers):
    if os.fork() == 0:
        select.select([], [], [], 1 + i % 10)
        while True:
            select.select([], [], [], 10)
for i in range(busy):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(15, b"busy%d" % i, 0, 0, 0)
        if cgroups:
            with open("%s/busy%d.service/cgroup.procs" % (cgroups, i), "w") as file:
                file.write(str(os.getpid()))
        while True:
            null = os.open("/dev/null", os.O_RDWR)
            os.write(null, b"x")
            os.read(null, 1)
            os.close(null)
            datagrams.sendto(b"x", datagrams.getsockname())
            datagrams.recv(100)
            _thread.start_new_thread(id, (0,))
            select.select([], [], [], 0.4)
listeners = [socket.create_server(("127.0.0.1", 0), backlog=4096) for _ in range(8)]
held = []
# a process for each part of them that one may open
while sockets > most - 200:
    sockets -= most - 200
    if os.fork() == 0:
        sockets = most - 200
        break
for i in range(sockets // 2):
    wire = socket.create_connection(listeners[i % 8].getsockname())
    held += wire, listeners[i % 8].accept()[0]
print(flush=True)
while True:
    for wire in held[:10]:
        wire.send(b"x")
    for wire in held[:10]:
        wire.recv(100)
    select.select([], [], [], 0.2)
"""

# name: (ebpf.conf, (sleepers, sockets), busy processes: of applications, of control groups, the baseline or None)
CASES = {
    "files, VFS, processes": ("[global]\napps = no\n[ebpf programs]\nnetwork viewer = no\n", (0, 0), 0, 0, None),
    "and network, connections": ("[global]\napps = no\n" + ALL_CONNECTIONS, (0, 0), 0, 0, None),
    "and applications: everything": (ALL_CONNECTIONS, (0, 0), 0, 0, None),
    "20 busy applications": (ALL_CONNECTIONS, (0, 0), 20, 0, "and applications: everything"),
    "200 busy applications": (ALL_CONNECTIONS, (0, 0), 200, 0, "and applications: everything"),
    "control groups": ("[global]\ncgroups = yes\n" + ALL_CONNECTIONS, (0, 0), 0, 0, None),
    "127 busy control groups": ("[global]\ncgroups = yes\n" + ALL_CONNECTIONS, (0, 0), 0, 127, "control groups"),
    "everything, few": (ALL_CONNECTIONS, (100, 10), 0, 0, None),
    "10,000 processes": (ALL_CONNECTIONS, (10000, 10), 0, 0, "everything, few"),
    # last: sockets that nobody has any more go on talking for a minute
    "50,000 sockets": (ALL_CONNECTIONS, (100, 50000), 0, 0, "everything, few"),
}


@contextlib.contextmanager
def load(sleepers, sockets, busy, cgroups):
    """The machine has so many more processes and sockets meanwhile. `cgroups`: where cgroup2 is, or ""."""
    groups = [pathlib.Path(cgroups, "busy%d.service" % number) for number in range(busy)] if cgroups else []
    for group in groups:
        group.mkdir()
    many = subprocess.Popen(["/usr/bin/python3", "-I", "-S", "-c", LOAD, *map(str, (sleepers, sockets, busy)), cgroups],
                            stdout=subprocess.PIPE, start_new_session=True)
    try:
        many.stdout.read(1)
        yield
    finally:
        os.killpg(many.pid, signal.SIGKILL)
        many.stdout.read()  # they are gone when nobody holds the other end
        many.wait()
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()


def plugin(directory, conf, applications):
    """The command that runs the plugin with this ebpf.conf, and so many applications of one process; 0: the stock ones."""
    pathlib.Path(directory, "ebpf.conf").write_text(conf)
    if applications:
        pathlib.Path(directory, "apps_groups.conf").write_text(
            "".join("busy%d: busy%d\n" % (number, number) for number in range(applications)))
    return [PLUGIN, "1", "-r", "--config", directory]


def tick_of(command):
    """(nanoseconds on a processor, bytes written) of a tick, once it has settled; and resident kB."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        fcntl.fcntl(process.stdout, 1031, 1 << 20)  # F_SETPIPE_SZ: it never waits for us
        wait(process.stdout, SETTLED)
        before = cpu(process.pid)
        size = wait(process.stdout, TICKS)
        used, resident = cpu(process.pid) - before, status(process.pid, "VmRSS")
        process.terminate()
    return used * 1e9 / TICKS, size / TICKS, resident


def wait(stream, ticks):
    """Until the middle between two ticks, when so many have been written. Returns how many bytes."""
    size = 0
    while ticks > 0:
        text = os.read(stream.fileno(), 1 << 20)
        if not text:
            sys.exit("the plugin has ended")
        ticks -= text.count(FIRST)
        size += len(text)
    time.sleep(0.5)
    return size


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
    print("  %-42s %9.2f %-5s %s" % (what, value, unit, "%s: %.2f%s" % (of, baseline, ratio) if of else ""), flush=True)


def report(unit, only=""):
    mount = next((path for path in CGROUPS if os.path.exists(path + "/cgroup.procs") and os.path.exists(
        path + "/cgroup.controllers")), "")
    figures = {}
    for name, (conf, many, applications, cgroups, baseline) in CASES.items():
        if only not in name or cgroups and not mount:
            continue
        with tempfile.TemporaryDirectory() as directory:
            command = plugin(directory, conf, applications)
            with load(*many, applications or cgroups, mount if cgroups else ""):
                figures[name], size, resident = tick_of(command)
        base = figures.get(baseline)
        row(name, figures[name] / 1e6, unit, *((base / 1e6, "of " + baseline) if base else ()))
        if base and applications + cgroups:
            row("    for each of them", (figures[name] - base) / 1e6 / (applications + cgroups), unit)
        print("  %-42s %9d bytes, %d kB resident" % ("", size, resident), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--release", help="of Debian: measure there, in instructions")
    parser.add_argument("--only", default="", help="cases whose name has this")
    parser.add_argument("--unit", default="ms", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.release:
        return subprocess.run([
            ROOT / "tools" / "vm" / "vm.py", "run", "--release", options.release, "--icount", "--timeout", "3600",
            "--memory", "10G", "--", "sh", "-c", "ip link set lo up; sleep 10; "
            'exec env PYTHONHASHSEED=0 python3 tools/tick.py --unit M --only "$1"', "sh", options.only,
        ], check=False).returncode
    report(options.unit, options.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
