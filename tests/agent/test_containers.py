"""Charts of a container in the real agent: there with their labels, gone with the container, and there again. The plugin is
played: it writes what outputs/netdata.py writes of such charts."""
from agent import LAUNCHER, Agent

from ebpf_plugin.model.declared import Chart, Dimension
from ebpf_plugin.outputs import netdata_protocol

PATH = r"/machine.slice/machine-qemu\x2d1\x2dweb.scope"
OWN = Chart("file", "file_open", "Files opened", "calls/s", "file (eBPF)", 45061, (Dimension("calls"),),
            type="cgroup_qemu_web", context="cgroup.fd_open", labels=(("cgroup_name", "web"), ("cgroup_path", PATH)))
SERVICES = Chart("file", "file_open", "Files opened", "calls/s", "ebpf syscall", 20061, (Dimension("nginx", name="nginx"),),
                 "stacked", "services", "cgroup", "services.fd_open")

# what stands in /run/now is printed when it changes; a chart has blocks as long as it is declared
PLAYED = """#!/usr/bin/python3
import time
print(%r, end="", flush=True)
before, ticks = "", 0
while True:
    time.sleep(1)
    ticks += 1
    with open("/run/now") as file:
        now = file.read()
    print(now if now != before else "", end="")
    before = now
    for chart, name in ("cgroup_qemu_web.file_open", "calls"), ("services.file_open", "nginx"):
        if chart.startswith("services") or "obsolete" not in now:
            print("BEGIN", chart)
            print("SET", name, "=", 7 * ticks)
            print("END", flush=True)
"""


def test_a_container_comes_goes_and_comes_back(system):
    lines = {chart.type: "".join(netdata_protocol.chart(chart, 1)) for chart in (OWN, SERVICES)}
    system.file(LAUNCHER).unlink()
    system.file(LAUNCHER).write_text(PLAYED % "".join(lines.values()))
    system.file(LAUNCHER).chmod(0o755)
    agent = Agent(system)
    agent.write("/run/now", "")
    with agent:
        for change, there in (("", True), (netdata_protocol.gone(OWN, 1), False), (lines[OWN.type], True)):
            agent.write("/run/now", change)
            agent.until("the charts", lambda: set(agent.charts()) == {SERVICES.full_id, *[OWN.full_id] * there})
            agent.until("values", lambda: agent.get("data", chart=SERVICES.full_id, after=-5))
        found = agent.charts()
        assert found[OWN.full_id]["context"] == "cgroup.fd_open" and found[SERVICES.full_id]["context"] == "services.fd_open"
        labels = found[OWN.full_id]["chart_labels"]
        assert labels["cgroup_name"] == "web" and labels["cgroup_path"] == PATH.replace("\\", "/")
        assert len(agent.plugins()) == 1
