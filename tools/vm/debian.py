"""A release of Debian as a guest: its stock kernel and its own Python, BCC and tools, from the archive that the host uses.

Nothing of the host changes: apt works on a state of its own, packages are unpacked without their maintainer scripts.
"""
import glob
import json
import lzma
import os
import re
import shutil
import stat
import struct
import subprocess

import cpio

RELEASES = ("bullseye", "bookworm", "trixie", "forky", "sid")
# ?essential: with nothing installed apt does not add the essential packages by itself. zstd unpacks some kernels.
PACKAGES = ["?essential", "busybox-static", "zstd", "bpftool", "iperf3", "iproute2", "kmod", "mount", "procps", "python3",
            "python3-bpfcc", "python3-hypothesis", "python3-iniconfig", "python3-netaddr", "python3-pyroute2",
            "python3-pytest"]
# forky and sid have split the image; its other dependencies make an initramfs or a boot loader, which we do without
KERNEL = re.compile(r"linux-(image|base|binary|modules)-\d")
# until the root is mounted and the answer sent: what the kernel has built in differs
MODULES = ("virtio_pci", "virtio_blk", "ext4", "virtio_console")
# the rest of drivers/ is for hardware that the guest does not have: half of the image
DRIVERS = {"block", "char", "net", "virtio"}
UNWANTED = ("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg", "git": "git", "mke2fs": "e2fsprogs", "qemu-system-x86_64": "qemu-system-x86",
         "tar": "tar", "setpriv": "util-linux", KEYRING: "debian-archive-keyring"}
APT = """\
Dir "{0}";
Dir::State::status "{0}/status";
APT::Architecture "amd64";
APT::Install-Recommends "0";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Check-Valid-Until "0";
"""
HERE = os.path.dirname(os.path.abspath(__file__))


class Missing(Exception):
    """Something that the host or the archive does not have; the text is for the user."""


def tools_missing(found=lambda tool: os.path.exists(tool) or shutil.which(tool)):
    """A line that says which programs are not installed and how to install them; "" if all are there."""
    absent = [tool for tool in TOOLS if not found(tool)]
    packages = " ".join(sorted({TOOLS[tool] for tool in absent}))
    return absent and "not installed: %s; apt-get install %s" % (", ".join(absent), packages) or ""


def call(command, text=True, **more):
    """stdout of a command; Missing with its last lines if it fails."""
    if "input" not in more:
        more.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        raise Missing("%s: %s" % (" ".join(command[:3]), " / ".join(said) or "exit status %d" % done.returncode))
    return os.fsdecode(done.stdout) if text else done.stdout


def as_root(command):
    """The command such that it is root, at least of a namespace: for chroot, and for the owner of the image's files."""
    return command if os.geteuid() == 0 else ["unshare", "--map-root-user"] + command


def inside(tree, *command, **more):
    """stdout of a command in the unpacked release."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    return call(as_root(["chroot", tree]) + list(command), env=environment, **more)


def build(release, folder, say):
    """Make vmlinux, initrd, root.img and about.json of a release in `folder`."""
    work = os.path.join(folder, "work")
    debs, tree = os.path.join(work, "debs"), os.path.join(work, "tree")
    os.makedirs(debs)
    say("downloading from Debian's archive")
    packages = download(release, os.path.join(work, "apt"), debs)
    say("unpacking %d packages" % len(packages))
    unpack(debs, tree)
    settle(tree)
    kernel = next(name for name in packages if re.match(r"linux-image-\d", name))[len("linux-image-"):]
    say("making the image of Linux %s" % kernel)
    with open(os.path.join(folder, "vmlinux"), "wb") as file:
        file.write(vmlinux(tree, kernel))
    with open(os.path.join(folder, "initrd"), "wb") as file:
        file.write(initrd(tree, kernel))
    image(tree, os.path.join(folder, "root.img"))
    with open(os.path.join(folder, "about.json"), "w", encoding="utf-8") as file:
        json.dump({"kernel": kernel, "bcc": packages["python3-bpfcc"], "python": packages["python3"], "asked": PACKAGES},
                  file)
    shutil.rmtree(work)


def is_current(folder):
    """Whether there is a guest in `folder`, with the packages that are asked for now."""
    try:
        with open(os.path.join(folder, "about.json"), encoding="utf-8") as file:
            return json.load(file).get("asked") == PACKAGES
    except FileNotFoundError:
        return False


def download(release, state, folder):
    """Fetch every package of the guest into `folder`, with apt's files in `state`; {name: version}."""
    uri = mirror(map(read, ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"]
                     + sorted(glob.glob("/etc/apt/sources.list.d/*"))))
    if not uri:
        raise Missing("no archive of Debian in the host's /etc/apt/sources.list and sources.list.d")
    proxies = re.findall(r"(?m)^Acquire::https?:.*", call(["apt-config", "dump"]))
    for name in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d",
                 "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt"):
        os.makedirs(os.path.join(state, name))
    for name, text in (("status", ""), ("apt.conf", APT.format(state) + "\n".join(proxies)),
                       ("etc/apt/sources.list", "deb [signed-by=%s] %s %s main\n" % (KEYRING, uri, release))):
        with open(os.path.join(state, name), "w", encoding="utf-8") as file:
            file.write(text)
    environment = dict(os.environ, LC_ALL="C", APT_CONFIG=os.path.join(state, "apt.conf"))

    def apt(*arguments):
        try:
            return call(["apt-get", "-qq"] + list(arguments), env=environment, cwd=folder)
        except Missing as error:
            raise Missing("%s from %s: %s" % (release, uri, error)) from error
    apt("update")
    packages = simulated(apt("--simulate", "install", *PACKAGES))
    kernel = simulated(apt("--simulate", "install", "linux-image-amd64"))
    packages.update({name: version for name, version in kernel.items() if KERNEL.match(name)})
    apt("download", *packages)
    return packages


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def mirror(texts):
    """The URI of Debian's archive in the texts of apt's source files, of one line each or deb822; "" if none has it."""
    suites = set(RELEASES) | {"oldoldstable", "oldstable", "stable", "testing", "unstable"}
    for text in texts:
        text = re.sub(r"(?m)^[ \t]*#.*\n?", "", text)
        found = [(uri, [suite], components) for uri, suite, components
                 in re.findall(r"(?m)^[ \t]*deb[ \t]+(?:\[[^]]*\][ \t]*)?(\S+)[ \t]+(\S+)[ \t]+(.*)", text)]
        for paragraph in re.split(r"\n\s*\n", text):
            fields = {name.lower(): value for name, value in re.findall(r"(?m)^(\w+):((?:.*)(?:\n[ \t].*)*)", paragraph)}
            if "deb" in fields.get("types", "").split() and fields.get("enabled", "").strip().lower() != "no":
                found.append((fields.get("uris", ""), fields.get("suites", "").split(), fields.get("components", "")))
        for uri, names, components in found:
            if uri.split() and not uri.startswith("cdrom:") and suites & set(names) and "main" in components.split():
                return uri.split()[0]
    return ""


def simulated(text):
    """{package: version} of what `apt-get --simulate install` would install."""
    return dict(re.findall(r"(?m)^Inst (\S+?)(?::\w+)? (?:\[\S+\] )?\((\S+)", text))


def unpack(debs, tree):
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(os.path.join(tree, "usr", name))
        os.symlink("usr/" + name, os.path.join(tree, name))
    # packages of bullseye have files in /bin and /lib: the links are kept
    tar = ["tar", "-x", "-p", "-C", tree, "--keep-directory-symlink", "--no-same-owner"]
    tar += ["--exclude=" + pattern for pattern in UNWANTED]
    for package in sorted(glob.glob(os.path.join(debs, "*.deb"))):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as content:
            call(tar, stdin=content.stdout)
        if content.returncode:
            raise Missing("dpkg-deb cannot read %s" % os.path.basename(package))


def settle(tree):
    """What the packages' maintainer scripts would have done, as far as it matters."""
    for name in ("proc", "sys", "dev", "run", "tmp", "work", "root"):
        os.makedirs(os.path.join(tree, name), exist_ok=True)
    for name in ("passwd", "group"):
        shutil.copy(os.path.join(tree, "usr/share/base-passwd", name + ".master"), os.path.join(tree, "etc", name))
    with open(os.path.join(tree, "etc/hosts"), "w", encoding="utf-8") as file:
        file.write("127.0.0.1 localhost guest\n::1 localhost\n")
    for name, target in (("sh", "dash"), ("awk", "mawk"), ("awk", "gawk")):
        link = os.path.join(tree, "usr/bin", name)
        if not os.path.lexists(link) and os.path.exists(os.path.join(tree, "usr/bin", target)):
            os.symlink(target, link)
    inside(tree, "ldconfig")
    # files that are not meant for this version of Python may fail
    modules = ["/" + os.path.relpath(path, tree) for path in glob.glob(os.path.join(tree, "usr/lib/python3*"))]
    inside(tree, "sh", "-c", 'python3 -m compileall -qq "$@"; true', "sh", *modules)


def vmlinux(tree, kernel):
    """The kernel itself out of the bzImage. Started directly (PVH) it neither unpacks nor relocates itself: 1.5 to 4 s
    less under emulation, and always at the same addresses."""
    with open(next(path for path in (os.path.join(tree, "boot/vmlinuz-" + kernel),
                                     os.path.join(tree, "usr/lib/modules", kernel, "vmlinuz"))  # forky, sid
                   if os.path.exists(path)), "rb") as file:
        boot = file.read()
    # Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length; the payload ends with its size
    offset, length = struct.unpack_from("<II", boot, 0x248)
    begin = (boot[0x1f1] + 1) * 512 + offset
    payload = boot[begin:begin + length - 4]
    if payload.startswith(b"\xfd7zX"):
        return lzma.decompress(payload)
    return inside(tree, "zstd", "-dcq", text=False, input=payload)


def initrd(tree, kernel):
    """Busybox, the modules that mount the root, in the order of loading, and the programs that are run before the job."""
    for pattern in ("drivers/*", "drivers/net/*/", "sound"):
        for folder in glob.glob(os.path.join(tree, "usr/lib/modules", kernel, "kernel", pattern)):
            if os.path.basename(folder) not in DRIVERS:
                shutil.rmtree(folder)
    inside(tree, "depmod", kernel)
    order = {}
    for module in MODULES:
        for line in inside(tree, "modprobe", "-S", kernel, "--show-depends", module).splitlines():
            if line.startswith("insmod "):  # else "builtin"
                order[line.split()[1]] = None
    files = {name: cpio.DIRECTORY for name in ("dev", "proc", "sys", "root")}
    with open(os.path.join(tree, "bin/busybox"), "rb") as file:
        files["bin/busybox"] = cpio.File(stat.S_IFREG | 0o755, file.read())
    for name in ("init", "stage2"):
        with open(os.path.join(HERE, name), "rb") as file:
            files[name] = cpio.File(stat.S_IFREG | 0o755, file.read())
    names = []
    for path in order:
        with (lzma.open if path.endswith(".xz") else open)(tree + path, "rb") as file:
            names.append(os.path.basename(path).partition(".")[0] + ".ko")
            files["modules/" + names[-1]] = cpio.File(stat.S_IFREG | 0o644, file.read())
    files["modules/order"] = cpio.File(stat.S_IFREG | 0o644, "".join(name + "\n" for name in names).encode())
    return cpio.pack(files)


def image(tree, path):
    """The unpacked release as an ext4 file system, without mounting anything."""
    sizes = [(os.lstat(os.path.join(folder, name)).st_size + 4095) // 4096 + 1
             for folder, folders, names in os.walk(tree) for name in folders + names]
    # a quarter more, for the file system's own tables, and 200 MB for the job
    options = ["-t", "ext4", "-O", "^has_journal,^metadata_csum", "-m", "0", "-N", str(len(sizes) + 20000)]
    call(as_root(["mke2fs", "-q"]) + options + ["-d", tree, path, "%dk" % (sum(sizes) * 5 + 200000)])
