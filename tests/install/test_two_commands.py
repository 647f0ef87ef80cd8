"""The README's "Without a Netdata agent" on a fresh Debian 12: metrics on the default port, and nothing is left running."""
import os
import re
import shutil

from cleanroot import Root, bookworm
import pytest
from test_three_commands import PROXIES, prepare

# in a network of its own: the port may be taken here
SERVE = """
cd /root/ebpf.plugin
make metrics >/tmp/said 2>&1 &
for second in $(seq 240); do
    sleep 1
    curl -sf http://127.0.0.1:9435/metrics && break
done
kill $!
wait
cat /tmp/said >&2
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("git"), reason="not root, or no git")
def test_the_metrics_are_there_after_two_commands(tmp_path):
    with Root(bookworm(), tmp_path) as fresh:
        prepare(fresh)
        # which `make metrics` does as well, but the network of its own has no archive
        fresh.run("sh", "-c", "cd /root/ebpf.plugin && tools/setup.sh run", environment=PROXIES)
        done = fresh.run("unshare", "-n", "sh", "-c", "ip link set lo up && " + SERVE)
        assert {"ebpf_vfs_io_calls_total", "ebpf_file_descriptor_calls_total", "ebpf_process_start_tasks_total"} <= set(
            re.findall(r"(?m)^(ebpf_\w+)[{ ]", done.stdout)), done.stderr
