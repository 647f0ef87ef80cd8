#!/usr/bin/python3
"""Run a command on the stock kernel of a Debian release, in a virtual machine that has a copy of this checkout."""
import argparse
import contextlib
import fcntl
import glob
import json
import os
import platform
import shutil
import signal
import stat
import sys

import boot
import cpio
import debian

CACHE = os.environ.get("EBPF_VM_CACHE") or "/var/tmp/ebpf-plugin-vm"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MISSING = 3


def parser():
    whole = argparse.ArgumentParser(prog="vm.py", description=__doc__)
    commands = whole.add_subparsers(dest="action", required=True, metavar="run|build|list")
    run = commands.add_parser("run", help="run a command in a guest", description="Exits as COMMAND does; 124: the time is "
                              "over; 125: the guest died; 3: something is missing. Builds the guest if it is not there yet.")
    run.add_argument("--release", choices=debian.RELEASES, default="bookworm", help="of Debian; default: bookworm")
    run.add_argument("--timeout", type=float, default=900, metavar="SECONDS", help="from power-on; default: 900")
    run.add_argument("--memory", default="2G", help="default: 2G")
    run.add_argument("--cpus", type=int, default=2, help="default: 2")
    run.add_argument("--append", default="", metavar="PARAMETERS", help="more kernel parameters, such as lockdown=integrity")
    run.add_argument("--icount", action="store_true", help="one CPU whose clock counts instructions")
    run.add_argument("--tree", default=ROOT, metavar="DIR", help="the checkout to copy; default: this one")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="and its arguments, after --")
    build = commands.add_parser("build", help="obtain guests without running them")
    build.add_argument("--fresh", action="store_true", help="anew from the archive")
    build.add_argument("releases", nargs="+", choices=debian.RELEASES, metavar="RELEASE", help=", ".join(debian.RELEASES))
    commands.add_parser("list", help="what is in the cache, %s ($EBPF_VM_CACHE)" % CACHE)
    return whole


@contextlib.contextmanager
def lock(release, kind):
    """Builders of a release exclude each other and its users (LOCK_EX), users only builders (LOCK_SH)."""
    with open(os.path.join(CACHE, release + ".lock"), "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            print("vm: waiting for another use of %s" % release, file=sys.stderr)
            fcntl.flock(file, kind)
        yield


def guest_of(release, fresh=False):
    """The directory of a release's finished guest, which is built if need be. What an interrupted build left is not
    finished: its directory has another name, and the next build removes it."""
    finished = os.path.join(CACHE, release)
    if debian.is_current(finished) and not fresh:
        return finished
    with lock(release, fcntl.LOCK_EX):
        if fresh or not debian.is_current(finished):
            unfinished = finished + ".building"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                debian.build(release, unfinished, lambda what: print("vm: %s: %s" % (release, what), file=sys.stderr))
                shutil.rmtree(finished, ignore_errors=True)
                os.rename(unfinished, finished)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return finished


def checkout(tree):
    """{path: File} of what git tracks in `tree` or would, if asked to; and of bytecode that was made in it."""
    # safe.directory: root may look at a user's checkout
    listed = debian.call(["git", "-C", tree, "-c", "safe.directory=*", "ls-files", "-coz", "--exclude-standard"])
    files = {}
    bytecode = [os.path.relpath(path, tree) for path in glob.glob(os.path.join(glob.escape(tree), "build", "bytecode-*"))]
    for name in filter(None, listed.split("\0") + bytecode):
        path = os.path.join(tree, name)
        with contextlib.suppress(FileNotFoundError):  # deleted, but still in the index
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode):
                files[name] = cpio.File(info.st_mode, os.fsencode(os.readlink(path)), info.st_mtime)
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    files[name] = cpio.File(info.st_mode, file.read(), info.st_mtime)
    return files


def run(options):
    files = checkout(options.tree)
    guest = guest_of(options.release)
    with lock(options.release, fcntl.LOCK_SH):
        processor = "icount" if options.icount else boot.accelerator(guest, CACHE)
        return boot.run(guest, processor, files, options.command, options.timeout, CACHE,
                        memory=options.memory, cpus=options.cpus, append=options.append)


def show():
    for path in sorted(glob.glob(os.path.join(CACHE, "*", "about.json"))):
        folder = os.path.dirname(path)
        if os.path.basename(folder) in debian.RELEASES:
            with open(path, encoding="utf-8") as file:
                about = json.load(file)
            size = sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in os.listdir(folder))
            print("%-10s Linux %-22s BCC %-16s Python %-10s %4d MB"
                  % (os.path.basename(folder), about["kernel"], about["bcc"], about["python"], size / 1e6))
    return 0


def main(arguments=None):
    options = parser().parse_args(arguments)
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # mke2fs, chroot
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        if platform.machine() != "x86_64":
            raise debian.Missing("this is %s: guests are built and run on amd64 only" % platform.machine())
        missing = debian.tools_missing()
        if missing:
            raise debian.Missing(missing)
        os.makedirs(CACHE, exist_ok=True)
        if options.action == "run":
            return run(options)
        if options.action == "build":
            for release in options.releases:
                guest_of(release, options.fresh)
        return show()
    except BrokenPipeError:
        os._exit(128 + signal.SIGPIPE)  # nobody reads our output: there is nothing left to flush
    except debian.Missing as error:
        print("vm: %s" % error, file=sys.stderr)
        return MISSING
    except OSError as error:  # such as a full disk, or the cache of another user
        print("vm: %s; the cache is %s, a job's files are in %s" % (error, CACHE, os.environ.get("TMPDIR", "/tmp")),
              file=sys.stderr)
        return MISSING
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
