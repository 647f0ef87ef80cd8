"""The plugin on machines that lack or refuse something, and what tools/check-kernel-config.sh predicts there."""
import contextlib
import errno
import os
import re
import subprocess
import time

from harness.attached import DEFAULT_GROUPS, missing_feature
from harness.plugin_process import PATIENCE, PLUGIN, ROOT
import pytest

from ebpf_plugin.groups.apps import APPS
from ebpf_plugin.groups.file import FILE
from ebpf_plugin.groups.network import NETWORK
from ebpf_plugin.groups.vfs import VFS
from ebpf_plugin.model.chart import MODES

FTRACE = "/proc/sys/kernel/ftrace_enabled"

HAS_TRAMPOLINES = not missing_feature("trampoline")
FLAGS = {"entry": (), "return": ("-r",)}
in_both_modes = pytest.mark.parametrize("mode", MODES)


def run(*arguments, before="true", command=(), plugin=PLUGIN):
    """The plugin after the shell commands `before`, in a mount namespace of its own, started by `command`."""
    script = 'set -e; %s; exec "$@"' % before
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *command, plugin, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=3 * PATIENCE,
        env=dict(os.environ, NETDATA_USER_CONFIG_DIR="/nowhere"))


def methods(checked):
    """{hook: method} of what --check printed; NOT if it is not shown."""
    return dict(re.findall(r"^  (\w+) +(trampoline|probe|tracepoint|NOT) ", checked.stdout, re.MULTILINE))


def charts(done):
    """Those of groups: the charts of the plugin itself are there on every machine."""
    return set(re.findall(r"^CHART ebpf\.(?!plugin_)(\w+)", done.stdout, re.MULTILINE))


def every_hook(mode="entry", groups=DEFAULT_GROUPS):
    return {hook.name for group in groups for hook in group.hooks if mode in hook.modes}


def every_chart(mode, groups=DEFAULT_GROUPS):
    return {chart.id for group in groups for chart in group.charts if mode in chart.modes}


# {words of tools/check-kernel-config.sh: hooks}
CALLS = {"tcp_send", "tcp_recv", "udp_send", "udp_recv"}
WORDS = {
    "files": every_hook(groups=[FILE]), "VFS": every_hook(groups=[VFS]), "network": every_hook(groups=[NETWORK]),
    "applications": every_hook(groups=[APPS]), "vfs_create": {"create"}, "task_error": {"clone_error"},
    "UDP": {"udp_send", "udp_recv"}, "connections": {"connections"}, "retransmissions": {"retransmit"},
    "what TCP and UDP send and receive": CALLS, "what TCP and UDP receive": {"tcp_recv", "udp_recv"},
}


def run_script(before="true", command=()):
    """tools/check-kernel-config.sh in the same circumstances. Its text is passed: the user may not read the checkout."""
    return run("-c", (ROOT / "tools" / "check-kernel-config.sh").read_text(), before=before, command=command, plugin="sh")


def lost_hooks(output, mode):
    """The hooks that cannot be attached, according to the script's output."""
    text = output.partition("charts: ")[2].rstrip("\n") or "all"
    for_trampolines, both, otherwise = text.partition("; where the kernel refuses those, ")
    text = otherwise if both and not HAS_TRAMPOLINES else for_trampolines
    for_the_mode = re.search("in load mode %s ([^;]*)" % mode, text)
    text = for_the_mode.group(1) if for_the_mode else text
    words = re.fullmatch("all(?: but (.*?))?(?:, on .*)?", text).group(1) or ""
    known = "|".join(sorted(WORDS, key=len, reverse=True))
    assert re.sub(known, "", words).replace(" and ", "").replace(", ", "") == "", text
    return {hook for word in re.findall(known, words) for hook in WORDS[word]} & every_hook(mode)


def assert_script_predicts(checked, mode="entry", before="true", command=()):
    """The script's output in the same circumstances; the hooks that it names are those that --check could not attach."""
    done = run_script(before, command)
    assert done.stderr == ""
    attached = {hook for hook, method in methods(checked).items() if method != "NOT"}
    assert lost_hooks(done.stdout, mode) == every_hook(mode) - attached, done.stdout
    assert done.returncode == (1 if done.stdout else 0)
    return done.stdout


@contextlib.contextmanager
def without_ftrace():
    """Switch ftrace off for the whole machine: only for a virtual one."""
    deadline = time.monotonic() + PATIENCE
    while not wrote(FTRACE, "0"):  # 5.10 refuses until the trampolines of the previous test are detached
        assert time.monotonic() < deadline
        time.sleep(0.5)
    try:
        yield
    finally:
        assert wrote(FTRACE, "1")


def wrote(path, text):
    """False if the kernel says that it is busy."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return True
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
