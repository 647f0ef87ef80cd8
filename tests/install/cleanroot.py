"""The package, and a Debian system of its own for a test, to install packages into: what the test writes there is forgotten.

`bookworm()` is Debian 12 with the agent and what our package depends on, made by debootstrap when it is used for the first
time and kept. A Root is an overlay of such a tree, or of the host itself, in a mount namespace of its own.
"""
import atexit
import fcntl
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CACHE = pathlib.Path(os.environ.get("EBPF_ROOT_CACHE") or "/var/tmp/ebpf-plugin-root")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}

# the agent, what our package recommends, and what a minimal system lacks for looking at it
AGENT = ["netdata-core", "procps", "python3-rich"]

MOUNTS = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
mount --rbind /sys "$2/root/sys"
mount --rbind /dev "$2/root/dev"
mount -t tmpfs tmpfs "$2/root/run"
grep -q " /sys/kernel/tracing tracefs " /proc/mounts || mount -t tracefs nodev /sys/kernel/tracing || true
echo ready
exec cat
"""


@functools.lru_cache(None)
def package():
    """The path of the Debian package of this checkout; it is built once in a run of pytest."""
    out = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, out)
    done = subprocess.run([ROOT / "packaging" / "deb.sh", out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return pathlib.Path(done.stdout.strip())


class Root:
    """Changes go to `place`, an empty directory. As a context it ends with its mounts, as it does if the test is killed."""

    def __init__(self, base, place):
        self.path = pathlib.Path(place) / "root"
        for name in ("root", "upper", "work"):
            (pathlib.Path(place) / name).mkdir()
        self._keeper = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-ec", MOUNTS, "sh", base, place],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self._keeper.stdout.readline() != b"ready\n":
            pytest.skip("no overlay file system: %s" % self._keeper.stderr.read().decode())

    def command(self, *command, **environment):
        """What to start on the host for `command` to run inside, in an environment of its own."""
        words = ["%s=%s" % item for item in {**ENVIRONMENT, **environment}.items()]
        inside = ["nsenter", "-m", "-t", str(self._keeper.pid), "chroot", str(self.path), "env", "-i"]
        return inside + words + [str(word) for word in command]

    def run(self, *command, check=True, environment=(), **more):
        """The finished process, with stdout and stderr as text."""
        done = subprocess.run(self.command(*command, **dict(environment)), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", check=False, timeout=300, **more)
        assert not check or done.returncode == 0, (command, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done

    def install(self, deb):
        """apt-get install ./deb, as the README says. The dependencies are there, so nothing is downloaded."""
        shutil.copy(deb, self.file("/tmp"))
        return self.run("apt-get", "install", "-y", "/tmp/" + pathlib.Path(deb).name)

    def file(self, path):
        """The path on the host, of a file inside, to read and write it; mounts inside are not seen there."""
        return pathlib.Path("/proc/%d/root%s%s" % (self._keeper.pid, self.path, path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._keeper.stdin.close()
        self._keeper.wait()
        self._keeper.stdout.close()
        self._keeper.stderr.close()


def bookworm():
    """The directory of the system; it is made if it is not there, or if the package depends on something else now."""
    if os.geteuid() != 0:
        pytest.skip("not root")
    if not shutil.which("debootstrap"):
        pytest.skip("no debootstrap")
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made, wanted = CACHE / "bookworm", " ".join(AGENT + depends())
        if not (made / "made-for").exists() or (made / "made-for").read_text() != wanted:
            make(CACHE / "bookworm.unfinished", wanted)
            shutil.rmtree(made, ignore_errors=True)
            (CACHE / "bookworm.unfinished").rename(made)
    return str(made)


def depends():
    """The packages that debian/control names; of alternatives the first."""
    text = re.search(r"(?ms)^Depends: (.*?)^\w", (ROOT / "packaging/debian/control").read_text()).group(1)
    return [re.split(r"[ |]", each.strip())[0] for each in text.split(",") if "${" not in each]


def make(tree, packages):
    sys.path.insert(0, str(ROOT / "tools" / "vm"))
    import debian
    shutil.rmtree(tree, ignore_errors=True)
    sources = [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    mirror = debian.mirror([path.read_text(errors="replace") for path in sources if path.exists()])
    environment = {**ENVIRONMENT, **{name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}}

    def call(*command):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            pytest.skip("cannot make Debian 12: %s: %s" % (command[:3], done.stdout[-500:].decode(errors="replace")))
        return done.stdout.decode(errors="replace")
    call("debootstrap", "--variant=minbase", "bookworm", tree, mirror)
    proxies = re.findall(r"(?m)^Acquire::https?:.*", call("apt-config", "dump"))
    (tree / "etc/apt/apt.conf.d/90host").write_text("\n".join(proxies) + "\n")
    # nothing is started when it is installed
    (tree / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (tree / "usr/sbin/policy-rc.d").chmod(0o755)
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    call("chroot", tree, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages.split())
    (tree / "made-for").write_text(packages)
