"""A guest in QEMU that runs one command: the job goes in with the initramfs, the answer comes out on virtio ports."""
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time

import cpio

TIMED_OUT, NO_ANSWER = 124, 125
# A processor that is stuck for two minutes ends the guest, and the console says where it was.
KERNEL = "console=ttyS0 quiet panic=-1 mitigations=off softlockup_panic=1 watchdog_thresh=60"
PORTS = ("out", "err", "status")
COMMON = ["qemu-system-x86_64", "-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
PROCESSORS = {
    "kvm": ["-accel", "kvm", "-cpu", "host"],
    # 5-level page tables cost a sixth of the emulation's time. One thread for all processors: with one for each, QEMU 7.2
    # may translate code that another is just changing, and keep what it was before. When a trampoline was attached, a
    # guest then called its breakpoint for ever (seen at do_sys_openat2 of 6.1, whose bytes were right again).
    "tcg": ["-accel", "tcg,thread=single", "-cpu", "max,la57=off"],
    # The guest's clocks count its instructions, one a nanosecond, and nothing random is left. See README.md.
    "icount": ["-accel", "tcg,thread=single", "-cpu", "max,la57=off,-rdrand,-rdseed", "-icount", "shift=0,sleep=off",
               "-rtc", "base=2024-01-01,clock=vm"],
}


def qemu(guest, job, processor, memory="2G", cpus=2, append=""):
    """QEMU's command line: directory of the guest, of the job, a key of PROCESSORS, -m, -smp, more kernel parameters."""
    if processor == "icount":
        cpus, append = 1, "norandmaps " + append
    command = COMMON + PROCESSORS[processor] + [
        "-smp", str(cpus), "-m", memory,
        "-kernel", os.path.join(guest, "vmlinux"), "-initrd", os.path.join(job, "initrd"),
        "-append", ("%s %s" % (KERNEL, append)).strip(), "-serial", "file:" + os.path.join(job, "console"),
        # what the guest writes goes to a temporary file: any number of guests may share the image
        "-drive", "file=%s,if=virtio,format=raw,snapshot=on,cache=unsafe" % os.path.join(guest, "root.img"),
        "-device", "virtio-serial-pci"]
    for port in PORTS:
        command += ["-chardev", "file,id=%s,path=%s" % (port, os.path.join(job, port)),
                    "-device", "virtserialport,chardev=%s,name=%s" % (port, port)]
    return command


def start(command, errors):
    # a session of its own: Ctrl-C is ours to handle; and QEMU ends even if we are killed
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + command, stdin=subprocess.DEVNULL, stdout=errors,
                            stderr=errors, start_new_session=True)


def accelerator(guest, cache):
    """"kvm" if the guest's kernel boots with it, else "tcg". A certain answer is kept in a file of the cache."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    note = os.path.join(cache, "accelerator")
    if os.path.exists(note):
        with open(note, encoding="ascii") as file:
            return file.read().strip()
    # without a root the kernel panics, and restarts then, which ends QEMU with status 0
    probe = start(COMMON + PROCESSORS["kvm"] + ["-m", "512M", "-kernel", os.path.join(guest, "vmlinux"),
                                                "-append", "panic=-1"], subprocess.DEVNULL)
    try:
        answer = "tcg" if probe.wait(5) else "kvm"
    except subprocess.TimeoutExpired:
        return "tcg"  # a KVM that hangs, or a busy host
    finally:
        probe.kill()  # not waited for: what hangs in the kernel takes no signal
    with open(note, "w", encoding="ascii") as file:
        file.write(answer + "\n")
    return answer


def job_archive(files, command):
    """The cpio archive that is laid over the guest's initramfs: {path: File} of the tree, and the command for its shell."""
    inside = {"job/tree/" + path: file for path, file in files.items()}
    inside["job/tree"] = cpio.DIRECTORY
    inside["job/command"] = cpio.File(stat.S_IFREG | 0o644, os.fsencode(shlex.join(command) + "\n"))
    return cpio.pack(inside)


def exit_status(answer, running):
    """What to exit with, from what the guest wrote on its port and whether it was still running."""
    if answer.endswith("\n"):
        return int(answer)
    return TIMED_OUT if running else NO_ANSWER


def run(guest, processor, files, command, timeout, kept, **machine):
    """Run the command in the guest, copying its output to ours while it runs; the exit status. The console of a guest that
    died or was stopped after `timeout` seconds goes to a new file in the directory `kept`."""
    with tempfile.TemporaryDirectory(prefix="ebpf-vm.") as job:
        with open(os.path.join(guest, "initrd"), "rb") as file, open(os.path.join(job, "initrd"), "wb") as initrd:
            shutil.copyfileobj(file, initrd)
            initrd.write(job_archive(files, command))
        paths = [os.path.join(job, port) for port in PORTS]
        with open(paths[0], "w+b") as out, open(paths[1], "w+b") as err, open(paths[2], "w+", encoding="ascii") as status, \
                open(os.path.join(job, "errors"), "w+b") as errors:
            deadline = time.monotonic() + timeout
            answer, running = "", True
            process = start(qemu(guest, job, processor, **machine), errors)
            try:
                while running and not answer.endswith("\n") and time.monotonic() < deadline:
                    time.sleep(0.05)
                    running = process.poll() is None
                    answer += status.read()
                    # after the status was read: the guest writes it last
                    copy(out, sys.stdout)
                    copy(err, sys.stderr)
            finally:
                process.kill()
                process.wait()
        if not answer.endswith("\n"):
            tell("the guest was stopped after %g seconds" % timeout if running else "the guest died", job, kept)
        return exit_status(answer, running)


def copy(source, sink):
    data = source.read()
    if data:
        sink.buffer.write(data)
        sink.buffer.flush()


def tell(what, job, kept):
    """`what` happened to a guest that gave no answer, after its last words."""
    console = os.path.join(job, "console")
    for path in (os.path.join(job, "errors"), console):
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                sys.stderr.writelines(line.rstrip() + "\n" for line in file.readlines()[-40:])
    if os.path.exists(console):
        descriptor, path = tempfile.mkstemp(prefix="console.", dir=kept)
        os.close(descriptor)
        shutil.move(console, path)
        what += "; its console is in %s" % path
    print("vm: %s" % what, file=sys.stderr)
