"""The README's "Install under Netdata" on a fresh Debian 12 that has the agent: charts on the agent's default port."""
import os
import re
import shutil
import subprocess

from cleanroot import ROOT, Root, bookworm
import pytest

PROXIES = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}

# as Debian's service starts it, in a network of its own: the port may be taken here
AGENT = """
cd /tmp
env HOME=/var/lib/netdata setpriv --reuid=netdata --regid=netdata --init-groups netdata -D >/dev/null 2>&1 &
for second in $(seq 60); do
    sleep 1
    curl -s http://127.0.0.1:19999/api/v1/charts | grep -o '"id": "ebpf[^"]*"' && break
done
kill $!
wait
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("git"), reason="not root, or no git")
def test_the_charts_are_there_after_three_commands(tmp_path):
    with Root(bookworm(), tmp_path) as fresh:
        prepare(fresh)
        fresh.run("sh", "-c", "cd /root/ebpf.plugin && make deb", environment=PROXIES)
        fresh.run("sh", "-c", "cd /root/ebpf.plugin && apt-get install -y ./build/netdata-ebpf-plugin_*.deb",
                  environment=PROXIES)
        shown = fresh.run("unshare", "-n", "sh", "-c", "ip link set lo up && " + AGENT).stdout
        assert {"ebpf.io", "ebpf.file_descriptor", "ebpf.process_thread"} <= set(re.findall(r'"id": "(\S+)"', shown))


def prepare(system):
    """What a newcomer has: git, make, and a clone. Skips the test where there is no archive."""
    if system.run("apt-get", "update", "-qq", check=False, environment=PROXIES).returncode:
        pytest.skip("no Debian archive")
    system.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "git", "make", "curl", "iproute2",
               environment=PROXIES)
    clone(system)


def clone(system):
    """git clone, but with what is not committed yet."""
    listed = subprocess.run(["git", "-C", ROOT, "-c", "safe.directory=*", "ls-files", "-coz", "--exclude-standard"],
                            capture_output=True, check=True).stdout
    names = [name for name in listed.decode().split("\0") if name and os.path.lexists(ROOT / name)]
    with subprocess.Popen(["tar", "-C", ROOT, "-c", *names], stdout=subprocess.PIPE) as packed:
        unpack = "mkdir /root/ebpf.plugin && tar -C /root/ebpf.plugin --no-same-owner -x"
        subprocess.run(system.command("sh", "-c", unpack), stdin=packed.stdout, check=True)
