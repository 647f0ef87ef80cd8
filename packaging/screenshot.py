#!/usr/bin/python3
"""screenshot.py FILE.png [SECONDS]: the agent's dashboard with the menu of our charts, after SECONDS (120) of a mixed load.

Root, with what tests/agent needs, and chromium: apt-get install chromium. The agent runs privately on loopback, with the
package of this checkout, in a Debian 12 that is forgotten afterwards (tests/install/cleanroot.py).
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "plugin"), *(str(ROOT / "tests" / ring) for ring in ("install", "kernel", "agent"))]

from agent import Agent  # noqa: E402
from cleanroot import Root, bookworm, package  # noqa: E402

TRIES, BLANK = 5, 50000  # bytes: a picture of the empty page has 8000
WINDOW = "1400,2600"
# a browser for one picture: nothing of the user's, nothing from elsewhere; root needs --no-sandbox
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--window-size=" + WINDOW]
# files, processes and connections, now more, now less
LOAD = """
import itertools, math, os, socket, tempfile, threading, time
with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as directory:
    def answer():
        while True:
            peer, _ = server.accept()
            with peer:
                peer.sendall(peer.recv(4096) * 4)
    threading.Thread(target=answer, daemon=True).start()
    for turn in itertools.count():
        for i in range(int(20 * (2 + math.sin(turn / 50)))):
            with open("%s/%d" % (directory, i % 7), "ab") as file:
                file.write(b"x" * 1000 * (i % 5))
            try:
                os.unlink("%s/nothing" % directory)
            except OSError:
                pass
        with socket.create_connection(server.getsockname()) as peer:
            peer.sendall(b"y" * 2000)
            peer.recv(8000)
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        for name in os.listdir(directory):
            os.unlink("%s/%s" % (directory, name))
        time.sleep(0.1)
"""


def main(picture, seconds=120.0):
    with tempfile.TemporaryDirectory() as directory, Root(bookworm(), directory) as system:
        system.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "netdata-web", environment={
            name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")})
        system.install(package())
        agent = Agent(system, options="-r", comm="")
        agent.write(agent.config + "/ebpf.conf", "[network viewer]\nips = *\n")  # the load is all on loopback
        with agent:
            agent.collecting()
            with subprocess.Popen([sys.executable, "-c", LOAD], start_new_session=True) as load:
                time.sleep(seconds)
                url = "http://127.0.0.1:%d/#menu_ebpf;after=-%d;before=0;theme=white;utc=UTC" % (agent.port, seconds)
                try:
                    for _ in range(TRIES):
                        subprocess.run([*CHROMIUM, "--user-data-dir=%s/chromium" % directory, "--timeout=30000",
                                        "--virtual-time-budget=30000", "--screenshot=" + os.path.abspath(picture), url],
                                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=180)
                        if os.path.getsize(picture) > BLANK:
                            break
                    else:
                        sys.exit("%s: nothing was drawn in time, %d times; the machine may be busy" % (picture, TRIES))
                finally:
                    os.killpg(load.pid, signal.SIGTERM)
    print("%s: %d kB" % (picture, os.path.getsize(picture) // 1000))


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
