"""tools/check-kernel-config.sh on saved configurations and on machines that are played by directories."""
import glob
import gzip
import os
import shutil
import subprocess
import sys

from fakes import ROOT
import pytest

SCRIPT = os.path.join(ROOT, "tools", "check-kernel-config.sh")
CONFIGS = os.path.join(ROOT, "tests", "unit", "tools", "kernel-configs")
SHELLS = [shell for shell in (["sh"], ["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]

OTHER = "; boot a kernel that has it"
DIFFER = "on tracepoints, which count a little differently (charts.md, Attach methods)"
NO_KPROBES = "kprobes not in this kernel%s: no probes" + OTHER
NO_BTF = ("BTF not in this kernel%s: no trampolines, no network, no applications, and vfs_create only on tracepoints"
          + OTHER)
NO_DIRECT = "direct calls of ftrace not in this kernel (%s): no trampolines" + OTHER
NO_CALLS = "tracepoints of system calls not in this kernel%s: none to fall back to" + OTHER
NO_EVENTS = "BPF programs at events not in this kernel (%s): the plugin cannot run" + OTHER
NO_TRACEFS = "tracefs %s: no tracepoints of system calls, no probes at returns; %s"
NOT_MOUNTED = NO_TRACEFS % ("not mounted", "mount -t tracefs nodev /sys/kernel/tracing")
LOCKED = ("lockdown in confidentiality mode: no probes, no tracepoints of system calls; no vfs_create, no task_error, no "
          "UDP, no retransmissions, no applications; boot with lockdown=integrity or none")
NO_FTRACE = "ftrace switched off: no trampolines, no probes; sysctl -w kernel.ftrace_enabled=1"
NO_MODULE = "no %s for /usr/bin/python3: %s; apt-get install python3-%s"
NO_NETADDR = NO_MODULE % ("netaddr", "no network", "netaddr")

CHARTS, TRAMPOLINES = "charts: ", "charts: all, on trampolines; where the kernel refuses those, "
PROBES = "all, on probes"
TRACEPOINTS = "all, " + DIFFER
NO_SOCKETS = "all but what TCP and UDP send and receive, " + DIFFER  # as Debian 12's kernel, which is the machine below
PERHAPS = "what TCP and UDP send and receive (unless the kernel has the tracepoint sock:sock_send_length)"
PERHAPS_SOCKETS = "all but %s, %s" % (PERHAPS, DIFFER)
RETURNS = "in load mode return all but files, VFS, task_error and what TCP and UDP send and receive"
ENTRY_ONLY = "in load mode entry all but task_error and what TCP and UDP receive, on probes; " + RETURNS
LOCKED_CHARTS = ("charts: all but vfs_create, task_error, UDP, retransmissions and applications, on trampolines; where "
                 "the kernel refuses those, ")
LOCKED_REST = ("all but files, VFS, task_error, what TCP and UDP send and receive, connections, retransmissions and "
               "applications")
WITHOUT_APPS = ("charts: all but applications, on trampolines; where the kernel refuses those, all but applications, on "
                "probes")
WITHOUT_NETWORK = "all but network and applications, on probes"


def run(*args, shell=("sh",), path=""):
    done = subprocess.run([*shell, SCRIPT, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={"PATH": path + os.environ["PATH"]}, text=True, check=False)
    return done.stdout.splitlines(), done.stderr, done.returncode


def config(name="debian-bookworm"):
    with open(os.path.join(CONFIGS, name + ".config"), encoding="ascii") as file:
        return file.read()


def without(symbols, text=None, instead="# CONFIG_%s is not set"):
    text = text or config()
    for symbol in symbols.split():
        assert "\nCONFIG_%s=y\n" % symbol in text
        text = text.replace("\nCONFIG_%s=y\n" % symbol, "\n%s\n" % (instead % symbol if "%" in instead else instead))
    return text


FIRECRACKER = [NO_KPROBES % " (CONFIG_KPROBES CONFIG_KPROBE_EVENTS)", TRAMPOLINES + PERHAPS_SOCKETS]


@pytest.mark.parametrize("name", sorted(os.path.basename(path)[:-7] for path in glob.glob(CONFIGS + "/*.config")))
def test_saved_configurations(name):
    assert run("--config", os.path.join(CONFIGS, name + ".config")) == (
        (FIRECRACKER, "", 1) if name == "firecracker" else ([], "", 0))


@pytest.mark.parametrize("off, lines, status", [
    ("KPROBES KPROBE_EVENTS", FIRECRACKER, 1),
    ("KPROBE_EVENTS", [NO_KPROBES % " (CONFIG_KPROBE_EVENTS)", TRAMPOLINES + PERHAPS_SOCKETS], 1),
    ("DEBUG_INFO_BTF", [NO_BTF % " (CONFIG_DEBUG_INFO_BTF)", CHARTS + WITHOUT_NETWORK], 1),
    ("DYNAMIC_FTRACE_WITH_DIRECT_CALLS", [NO_DIRECT % "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS", CHARTS + PROBES], 1),
    ("FTRACE_SYSCALLS", [NO_CALLS % " (CONFIG_FTRACE_SYSCALLS)", TRAMPOLINES + PROBES], 1),
    ("BPF_JIT", ["BPF JIT not in this kernel (CONFIG_BPF_JIT): no trampolines, and programs are interpreted, which is slow"
                 + OTHER, CHARTS + PROBES], 1),
    ("DEBUG_INFO_BTF FTRACE_SYSCALLS",
     [NO_BTF % " (CONFIG_DEBUG_INFO_BTF)", NO_CALLS % " (CONFIG_FTRACE_SYSCALLS)",
      CHARTS + WITHOUT_NETWORK.replace("network", "vfs_create, network")], 1),
    ("DEBUG_INFO_BTF KPROBES", [NO_BTF % " (CONFIG_DEBUG_INFO_BTF)", NO_KPROBES % " (CONFIG_KPROBES)",
                                CHARTS + "all but network and applications, " + DIFFER], 1),
    ("DYNAMIC_FTRACE_WITH_DIRECT_CALLS KPROBES",
     [NO_DIRECT % "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS", NO_KPROBES % " (CONFIG_KPROBES)", CHARTS + PERHAPS_SOCKETS], 1),
    ("KPROBES FTRACE_SYSCALLS", [NO_KPROBES % " (CONFIG_KPROBES)", NO_CALLS % " (CONFIG_FTRACE_SYSCALLS)",
                                 TRAMPOLINES + "all but files, VFS, task_error and " + PERHAPS], 1),
    ("DEBUG_INFO_BTF KPROBES FTRACE_SYSCALLS",
     [NO_BTF % " (CONFIG_DEBUG_INFO_BTF)", NO_KPROBES % " (CONFIG_KPROBES)", NO_CALLS % " (CONFIG_FTRACE_SYSCALLS)",
      CHARTS + "all but files, VFS, task_error, network and applications"], 1),
    ("BPF_SYSCALL BPF_EVENTS", ["bpf(2) not in this kernel (CONFIG_BPF_SYSCALL): the plugin cannot run" + OTHER,
                                NO_EVENTS % "CONFIG_BPF_EVENTS"], 2),
    ("PERF_EVENTS BPF_EVENTS KPROBES",
     [NO_EVENTS % "CONFIG_PERF_EVENTS CONFIG_BPF_EVENTS", NO_KPROBES % " (CONFIG_KPROBES)"], 2),
])
def test_symbols_that_are_off(tmp_path, off, lines, status):
    (tmp_path / "config").write_text(without(off))
    assert run("--config", str(tmp_path / "config")) == (lines, "", status)


def test_neither_a_module_nor_a_longer_name_nor_silence_is_yes(tmp_path):
    for instead in ("CONFIG_%s=m", "CONFIG_%s_ON_FTRACE=y", "X"):
        (tmp_path / "config").write_text(without("KPROBES KPROBE_EVENTS", instead=instead))
        assert run("--config", str(tmp_path / "config")) == (FIRECRACKER, "", 1)


def test_a_configuration_may_be_gzipped(tmp_path):
    (tmp_path / "config.gz").write_bytes(gzip.compress(config("firecracker").encode()))
    for shell in SHELLS:
        assert run("--config", str(tmp_path / "config.gz"), shell=shell) == (FIRECRACKER, "", 1)


def test_arguments(tmp_path):
    (tmp_path / "passwd").write_text("root:x:0:0\n")
    for args in (["--config", str(tmp_path / "passwd")], ["--config", str(tmp_path / "none")], ["--config"], ["--root", ""],
                 ["surprise"]):
        out, err, status = run(*args)
        assert (out, status) == ([], 64)
        assert err.startswith("check-kernel-config.sh: ")
        assert err.count("\n") == 1
    out, err, status = run("-h")
    assert out[0].startswith("usage: ")
    assert (err, status) == ("", 0)


# A machine that can do everything: {path: content}; a path that ends in / is a directory.
STATUS = "Name:\tsh\nCapPrm:\t000001ffffffffff\nCapEff:\t%s\nCapBnd:\t000001ffffffffff\n"
ALL, NONE, TWO, BPF = "000001ffffffffff", "0000000000000000", "000000c000000000", "0000008000000000"
MACHINE = {
    "proc/sys/kernel/osrelease": "6.1.0-50-amd64\n",
    "proc/sys/kernel/unprivileged_bpf_disabled": "2\n",
    "proc/sys/kernel/perf_event_paranoid": "3\n",
    "proc/sys/kernel/ftrace_enabled": "1\n",
    "proc/sys/net/core/bpf_jit_enable": "1\n",
    "proc/self/status": STATUS % ALL,
    "proc/self/uid_map": "         0          0 4294967295\n",
    "proc/kallsyms": "0000000000000000 T register_ftrace_direct\n0000000000000000 T trace_call_bpf\n",
    "proc/mounts": "tracefs /sys/kernel/tracing tracefs rw 0 0\n",
    "boot/config-6.1.0-50-amd64": config(),
    "sys/bus/event_source/devices/kprobe/": "",
    "sys/kernel/btf/vmlinux": "",
    "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
    "sys/kernel/tracing/events/syscalls/": "",
    "usr/bin/python3": "#!/bin/sh\n",
}


def machine(root, changes=()):
    """`changes`: {path: content, None for what this machine does not have}; nothing below such a path is there either."""
    changes = dict(changes)
    gone = tuple(path for path, content in changes.items() if content is None)
    for path, content in {**MACHINE, **changes}.items():
        if not gone or not path.startswith(gone):
            file = root / path
            (file if path.endswith("/") else file.parent).mkdir(parents=True, exist_ok=True)
            if not path.endswith("/"):
                file.write_text(content)
                file.chmod(0o755)
    return str(root)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_machine_that_has_everything(tmp_path, shell):
    assert run("--root", machine(tmp_path), shell=shell) == ([], "", 0)


NO_CONFIG = {"boot/": None}
NOTHING_SHOWN = {"proc/kallsyms": None, "proc/sys/net/": None}
SOCKETS = "\0btf_trace_sock_send_length\0"  # as the BTF of a kernel has it
GRANTED = "no configuration of this kernel found: not certain: %s; ebpf.plugin --check tries"


@pytest.mark.parametrize("changes, lines, status", [
    # what the kernel shows beats the configuration, in both directions
    ({"boot/config-6.1.0-50-amd64": without("KPROBES BPF_JIT DEBUG_INFO_BTF BPF_SYSCALL BPF_EVENTS FTRACE_SYSCALLS "
                                            "DYNAMIC_FTRACE_WITH_DIRECT_CALLS")}, [], 0),
    ({"sys/bus/event_source/devices/kprobe/": None, "sys/bus/event_source/devices/software/": ""},
     [NO_KPROBES % "", TRAMPOLINES + NO_SOCKETS], 1),
    ({"sys/kernel/btf/": None}, [NO_BTF % "", CHARTS + WITHOUT_NETWORK], 1),
    ({"sys/kernel/tracing/events/syscalls/": None, "sys/kernel/tracing/events/sched/": ""},
     [NO_CALLS % "", TRAMPOLINES + PROBES], 1),
    ({"proc/sys/kernel/unprivileged_bpf_disabled": None},
     ["bpf(2) not in this kernel: the plugin cannot run" + OTHER], 2),
    # no configuration: it is told only if something depends on it
    (NO_CONFIG, [], 0),
    ({**NO_CONFIG, "proc/sys/net/": None}, [GRANTED % "BPF_JIT"], 1),
    ({**NO_CONFIG, **NOTHING_SHOWN},
     [GRANTED % "PERF_EVENTS TRACEPOINTS BPF_EVENTS BPF_JIT DYNAMIC_FTRACE DYNAMIC_FTRACE_WITH_DIRECT_CALLS"], 1),
    ({**NO_CONFIG, "sys/kernel/btf/": None}, [NO_BTF % " (CONFIG_DEBUG_INFO_BTF)", CHARTS + WITHOUT_NETWORK], 1),
    # where configurations are
    ({**NO_CONFIG, **NOTHING_SHOWN, "lib/modules/6.1.0-50-amd64/config": config()}, [], 0),
    ({**NO_CONFIG, **NOTHING_SHOWN, "lib/modules/6.1.0-50-amd64/build/.config": config()}, [], 0),
    ({**NO_CONFIG, **NOTHING_SHOWN, "usr/lib/modules/6.1.0-50-amd64/config": config()}, [], 0),
    ({**NOTHING_SHOWN, "proc/config.gz": without("BPF_EVENTS")}, [NO_EVENTS % "CONFIG_BPF_EVENTS"], 2),
    # mounts
    ({"sys/kernel/tracing/": None, "sys/kernel/debug/tracing/events/syscalls/": ""}, [], 0),
    ({"sys/kernel/tracing/": None, "proc/mounts": ""}, [NOT_MOUNTED, TRAMPOLINES + ENTRY_ONLY], 1),
    ({"sys/kernel/tracing/": None}, [NO_TRACEFS % ("not permitted", "run as root or give the user access"),
                                     TRAMPOLINES + ENTRY_ONLY], 1),
    ({"sys/kernel/tracing/": None, "proc/mounts": "", "sys/kernel/btf/vmlinux": SOCKETS},
     [NOT_MOUNTED, TRAMPOLINES + "in load mode entry all but task_error, on probes; in load mode return all but files, VFS "
      "and task_error"], 1),
    ({"sys/kernel/tracing/": None, "proc/mounts": "", "sys/kernel/btf/": None},
     [NOT_MOUNTED, NO_BTF % "", CHARTS + "in load mode entry all but vfs_create, task_error, network and applications, on "
      "probes; in load mode return all but files, VFS, task_error, network and applications"], 1),
    # switches
    ({"proc/sys/net/core/bpf_jit_enable": "0\n"},
     ["BPF JIT switched off: programs are interpreted, which is slow; sysctl -w net.core.bpf_jit_enable=1"], 1),
    ({"proc/sys/kernel/ftrace_enabled": "0\n"},
     [NO_FTRACE, CHARTS + NO_SOCKETS], 1),
    ({"proc/sys/kernel/ftrace_enabled": "0\n", "sys/kernel/btf/vmlinux": SOCKETS}, [NO_FTRACE, CHARTS + TRACEPOINTS], 1),
    ({"sys/kernel/security/": None}, [], 0),
    ({"sys/kernel/security/lockdown": "none integrity [confidentiality]\n", "sys/kernel/tracing/": None, "proc/mounts": ""},
     [LOCKED, LOCKED_CHARTS + LOCKED_REST], 1),
    ({"sys/kernel/security/lockdown": "none integrity [confidentiality]\n", "sys/kernel/btf/vmlinux": SOCKETS},
     [LOCKED, LOCKED_CHARTS + LOCKED_REST], 1),
    ({"sys/kernel/security/lockdown": "none integrity [confidentiality]\n", "sys/kernel/btf/": None},
     [LOCKED, NO_BTF % "", CHARTS + "all but files, VFS, task_error, network and applications"], 1),
    # permission
    ({"proc/self/status": STATUS % "0000000000200000"}, [], 0),
    ({"proc/self/status": STATUS % NONE},
     ["missing CAP_BPF CAP_PERFMON: the plugin cannot run; run as root or grant it (before Linux 5.8 CAP_SYS_ADMIN)"], 2),
    ({"proc/self/status": STATUS % BPF},
     ["missing CAP_PERFMON: the plugin cannot run; run as root or grant it (before Linux 5.8 CAP_SYS_ADMIN)"], 2),
    ({"proc/self/status": STATUS % TWO, "proc/sys/kernel/perf_event_paranoid": "2\n"}, [], 0),
    ({"proc/self/status": STATUS % TWO},
     ["kernel.perf_event_paranoid above 2: no probes and no tracepoints of system calls without CAP_SYS_ADMIN; "
      "sysctl -w kernel.perf_event_paranoid=2",
      TRAMPOLINES + "all but files, VFS, task_error and what TCP and UDP send and receive"], 1),
    ({"proc/self/stat": "", "proc/1/stat": ""}, [], 0),
    ({"proc/self/stat": ""},
     ["/proc hides the processes of others: no applications; mount it without hidepid", WITHOUT_APPS], 1),
    ({"proc/self/uid_map": "         0       1000          1\n"},
     ["in a user namespace (unprivileged container): the plugin cannot run; run it outside: capabilities do not count for "
      "BPF in there"], 2),
    # programs
    ({"usr/bin/python3": None}, ["no /usr/bin/python3: the plugin cannot run; apt-get install python3"], 2),
    ({"usr/bin/python3": "#!/bin/sh\necho 3.9 bcc iniconfig\n"},
     ["/usr/bin/python3 older than 3.9: the plugin cannot run; take a newer distribution",
      "no BCC for /usr/bin/python3: the plugin cannot run; apt-get install python3-bpfcc (elsewhere python3-bcc)",
      NO_MODULE % ("iniconfig", "the plugin cannot run", "iniconfig")], 2),
    ({"usr/bin/python3": "#!/bin/sh\necho netaddr\n"},
     [NO_NETADDR, "charts: all but network, on trampolines; where the kernel refuses those, all but network, on probes"], 1),
    ({"usr/bin/python3": "#!/bin/sh\necho netaddr\n", "sys/kernel/security/lockdown": "none integrity [confidentiality]\n"},
     [LOCKED, NO_NETADDR, "charts: all but vfs_create, task_error, network and applications, on trampolines; where the "
      "kernel refuses those, all but files, VFS, task_error, network and applications"], 1),
])
@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="another machine has a line more")
def test_machines(tmp_path, changes, lines, status):
    assert run("--root", machine(tmp_path, changes)) == (lines, "", status)


def test_an_empty_tree_complains_once_of_each_thing(tmp_path):
    out, err, status = run("--root", str(tmp_path))
    assert [line.split(":")[0] for line in out] == ["tracefs not mounted", "no /usr/bin/python3",
                                                    "no configuration of this kernel found"]
    assert (err, status) == ("", 2)


def test_another_machine(tmp_path):
    (tmp_path / "uname").write_text("#!/bin/sh\necho riscv64\n")
    (tmp_path / "uname").chmod(0o755)
    assert run("--root", machine(tmp_path / "root"), path="%s:" % tmp_path) == (
        ["machine riscv64: the plugin cannot run; it runs on x86_64 and aarch64"], "", 2)


@pytest.mark.parametrize("module", ["bcc", "iniconfig", "netaddr"])
def test_python_is_asked_for_its_modules(tmp_path, module):
    root = machine(tmp_path, {"usr/bin/python3": '#!/bin/sh\nexec "%s" "$@"\n' % sys.executable})
    code = "from importlib.util import find_spec; print(find_spec(%r))" % module
    found = subprocess.run([sys.executable, "-I", "-c", code],
                           stdout=subprocess.PIPE, text=True, check=True).stdout.strip() != "None"
    out, err, _ = run("--root", root)
    assert ("no %s for" % module.replace("bcc", "BCC") not in "\n".join(out)) == found
    assert err == ""


@pytest.mark.parametrize("folder", ["bytecode", "build"])
def test_with_a_bytecode_file_bcc_is_not_missed(tmp_path, folder):
    changes = {"usr/bin/python3": "#!/bin/sh\necho bcc\n",
               "%s/%s/bytecode-%s" % (ROOT.lstrip("/"), folder, os.uname().machine): ""}
    assert run("--root", machine(tmp_path, changes)) == ([], "", 0)


@pytest.mark.parametrize("number, lines", [
    (4026531836, []),
    (4026532000, ["in a pid namespace of its own: no applications; start the container with --pid=host", WITHOUT_APPS]),
])
def test_a_pid_namespace(tmp_path, number, lines):
    root = machine(tmp_path, {"proc/self/ns/": ""})
    os.symlink("pid:[%d]" % number, tmp_path / "proc/self/ns/pid")
    assert run("--root", root) == (lines, "", int(bool(lines)))


def test_probes_at_returns_are_root_s(tmp_path):
    root = machine(tmp_path, {"sys/kernel/tracing/kprobe_events": ""})
    (tmp_path / "sys/kernel/tracing/kprobe_events").chmod(0o444)
    without_override = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
    assert run("--root", root, shell=(*without_override, "sh")) == (
        ["/sys/kernel/tracing/kprobe_events not writable: no probes at returns; run as root, or mount it writable",
         TRAMPOLINES + "in load mode entry all but what TCP and UDP receive, on probes; in load mode return " + NO_SOCKETS],
        "", 1)


def test_from_a_pipe(tmp_path):
    """As in curl ... | sudo bash: no path of its own, and nothing that it starts may read the rest of the script."""
    root = machine(tmp_path, {"sys/kernel/btf/": None, "usr/bin/python3": "#!/bin/sh\ncat >/dev/null\necho bcc\n"})
    with open(SCRIPT, encoding="utf-8") as script:
        done = subprocess.run(["sh", "-s", "--", "--root", root], stdin=script, cwd=str(tmp_path), stdout=subprocess.PIPE,
                              text=True, check=False)
    assert [line.split(" ")[0] for line in done.stdout.splitlines()] == ["BTF", "no"]
    assert done.returncode == 2


@pytest.mark.parametrize("checker", [["sh", "-n"], ["dash", "-n"], ["busybox", "sh", "-n"], ["shellcheck", "-s", "sh"]],
                         ids=" ".join)
def test_it_is_posix(checker):
    if not shutil.which(checker[0]):
        pytest.skip(checker[0] + " is not installed")
    subprocess.run([*checker, SCRIPT], check=True)
