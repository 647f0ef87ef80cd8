#!/usr/bin/python3
"""screenshot.py FILE.png [SECONDS]: the agent's dashboard with some of our charts, after SECONDS (120) of a mixed load.

Root, with what tests/agent needs, and chromium: apt-get install chromium. The agent runs privately on loopback, with the
package of this checkout, in a Debian 12 that is forgotten afterwards (tests/install/cleanroot.py).
"""
import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "plugin"), *(str(ROOT / "tests" / ring) for ring in ("install", "kernel", "agent"))]

from agent import Agent  # noqa: E402
from cleanroot import Root, bookworm, package  # noqa: E402

STARTING = 15  # seconds that the browser keeps the machine busy for, which is not to be in the picture
PATIENCE = 300  # seconds for drawing
WIDTH, HEIGHT = 1200, 1840
# one of each submenu: all would make a picture of 20,000 lines
SHOWN = ("ebpf.file_descriptor", "ebpf.io", "ebpf.process_thread", "ebpf.tcp_bandwidth", "ebpf.outbound_bytes")
# a browser for one picture: nothing of the user's, nothing from elsewhere; root needs --no-sandbox
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--remote-debugging-pipe"]
THEME = "localStorage.setItem('netdataTheme', 'white')"  # from the URL it comes too late for some parts of the page
# Hides the other charts and their headings, and scrolls a little, which opens our menu. The value is what is not drawn yet.
MISSING = """
(function (charts) {
    const places = charts.map(chart => '#chart_' + chart.replace('.', '_'))
    const style = document.getElementById('shown') || document.head.appendChild(document.createElement('style'))
    style.id = 'shown'
    style.textContent = ['.dashboard-section', '.dashboard-section-container', '.netdata-chartblock-container']
        .map(part => `${part}:not(:has(${places})) { display: none }`).join('')
    scrollTo(0, (scrollY + 1) %% 10)
    return charts.filter((chart, i) => !document.querySelector(places[i] + ' canvas')
                                    || !document.querySelector(places[i] + ' [class*=DimensionValue]'))
})(%s)
""" % json.dumps(SHOWN)
CONFIGURATION = "[network viewer]\nips = 127.0.0.1\n[service name]\n%d = Netdata\n"  # the load is all on loopback
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
        for _ in range(int(3 * (2 + math.cos(turn / 50)))):
            with socket.create_connection(server.getsockname()) as peer:
                peer.sendall(b"y" * 4000)
                while peer.recv(16000):
                    pass
            if os.fork() == 0:
                os._exit(0)
            os.wait()
        for name in os.listdir(directory):
            os.unlink("%s/%s" % (directory, name))
        time.sleep(0.1)
"""


class Chromium:
    """A page, spoken to in the DevTools protocol: JSON, ended by a zero byte. It is killed after `patience` seconds."""

    def __init__(self, profile, patience):
        # it reads from descriptor 3 and writes to 4
        command = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null', "sh", *CHROMIUM, "--user-data-dir=" + profile]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, start_new_session=True)
        self._timer = threading.Timer(patience, self._kill)
        self._asked, self._answers, self._session = 0, self._read(), {}

    def _kill(self):
        os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self):
        self._timer.start()
        return self

    def __exit__(self, *_):
        self._timer.cancel()
        self._kill()
        self._process.communicate()

    def _read(self):
        rest = b""
        while part := self._process.stdout.read1():
            *whole, rest = (rest + part).split(b"\0")
            yield from map(json.loads, whole)
        raise EOFError

    def ask(self, method, **parameters):
        """The result of a command; EOFError or BrokenPipeError if the browser is gone."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": parameters, **self._session}
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        answer = next(answer for answer in self._answers if answer.get("id") == self._asked)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def open(self, url):
        page = self.ask("Target.createTarget", url="about:blank")
        attached = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        self.ask("Page.enable")
        self.ask("Page.addScriptToEvaluateOnNewDocument", source=THEME)
        self.ask("Emulation.setDeviceMetricsOverride", width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=url)


def draw(url, profile, seconds):
    """The picture, in bytes, of the dashboard that has been open for some seconds, when SHOWN is there."""
    missing = SHOWN
    with Chromium(profile, seconds + PATIENCE) as browser:
        try:
            browser.open(url)
            time.sleep(seconds)
            while missing:
                time.sleep(1)
                result = browser.ask("Runtime.evaluate", expression=MISSING, returnByValue=True)["result"]
                missing = result.get("value", SHOWN)  # none while there is no page yet
            return base64.b64decode(browser.ask("Page.captureScreenshot", format="png")["data"])
        except (EOFError, BrokenPipeError):
            sys.exit("chromium has ended, or was too slow (%d s); not drawn: %s" % (PATIENCE, ", ".join(missing) or "all"))


def main(picture, seconds=120.0):
    with tempfile.TemporaryDirectory() as directory, Root(bookworm(), directory) as system:
        system.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "netdata-web", environment={
            name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")})
        system.install(package())
        agent = Agent(system, options="-r", comm="")
        agent.write(agent.config + "/ebpf.conf", CONFIGURATION % agent.port)
        with agent:
            agent.collecting()
            with subprocess.Popen([sys.executable, "-c", LOAD], start_new_session=True) as load:
                url = "http://127.0.0.1:%d/#menu_ebpf;after=-%d;before=0;utc=UTC" % (agent.port, seconds)
                try:
                    drawn = draw(url, directory + "/chromium", seconds + STARTING)
                finally:
                    os.killpg(load.pid, signal.SIGTERM)
    pathlib.Path(picture).write_bytes(drawn)
    print("%s: %d kB" % (picture, len(drawn) // 1000))


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
