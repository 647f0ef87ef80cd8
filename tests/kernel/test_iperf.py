"""A client and a server of another project: the rows have the bytes that iperf3 reports."""
import json
import os
import shutil
import subprocess

from harness.attached import STOCK_KERNEL
from harness.attached_network import AttachedNetwork
import pytest

LENGTH = ("-n", "20000003")  # bytes
CONTROL = 20_000  # bytes at most of iperf3's other connection, to the same port


pytestmark = [pytest.mark.releases,
              pytest.mark.skipif(not (STOCK_KERNEL or shutil.which("iperf3")), reason="iperf3 (apt-get install iperf3)")]


def iperf(*arguments):
    return subprocess.run(["iperf3", *arguments], stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize("options, key", [
    (LENGTH, "TCP"), (("-R", "-t", "1"), "TCP"),  # with -R and -n iperf3 3.9 does not end
    ((*LENGTH, "-u", "-b", "500M"), "UDP"), ((*LENGTH, "-6"), "TCP")], ids=["tcp", "reverse", "udp", "ipv6"])
def test_rows_have_the_bytes_that_iperf3_reports(pair, options, key):
    here, there = pair
    network = AttachedNetwork("auto", "return", here)
    try:
        server = there.start(os.execvp, "iperf3", ["iperf3", "-s"])
        while not there.run(is_served):
            pass
        address = there.v6 if "-6" in options else there.v4
        report = json.loads(here.run(iperf, "-c", address, "-J", *options))["end"]
        server.kill()
        counters, rows = network.counts()
    finally:
        network.close()
    row = rows["out", key, 5201, address]
    counted = row[2] if "-R" in options else row[0]
    if key == "UDP":
        sent = received = report["sum"]["bytes"]
    else:  # iperf3 does not count what it receives after its end
        sent, received = report["sum_sent"]["bytes"], report["sum_received" if "-R" in options else "sum_sent"]["bytes"]
    assert received <= counted <= sent + CONTROL
    if key == "TCP":  # the kernel's own count of retransmitted segments; one call can send several again
        assert counters["tcp_retransmit"] <= here.retransmissions()


def is_served():
    """Whether a socket listens on the port of iperf3 (state 0A)."""
    return any(":1451 " in line and " 0A " in line for name in ("tcp", "tcp6") for line in open("/proc/net/" + name))
