"""A headless Chromium over its debugging pipe: opens a page, reads its events and its look."""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARY = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip

_WIRE = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
"""The browser reads from descriptor 3 and writes to 4."""


AXE = os.environ.get("AXE", "")
"""Path of axe-core's script, where one is at hand: npm pack axe-core."""


class Page:
    """One page. ``events`` holds all that the browser told, in order."""

    def __init__(self, to_browser, from_browser):
        self._out, self._in, self._rest = to_browser, from_browser, b""
        self._ids = itertools.count(1)
        self._session = None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Send a command and wait for its answer; messages in between are kept in ``events``."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url):
        """Go to ``url`` and wait until it has loaded."""
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())
        self.evaluate("new Promise(done => setTimeout(done, 200))")  # late messages

    def axe(self):
        """What axe-core finds by every rule, best practices and WCAG AAA included; folds open."""
        self.evaluate("document.querySelectorAll('details').forEach(folded => folded.open = true)")
        self.evaluate(Path(AXE).read_text(encoding="utf-8") + ";0")
        return self.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag2aaa', 'wcag21a', 'wcag21aa', "
            "'wcag22aa', 'best-practice']}).then(r => r.violations.map("
            "v => v.id + ': ' + v.nodes[0].html.slice(0, 120)))"
        )

    def evaluate(self, expression):
        """Value of a JavaScript expression; the page's policy does not bind the debugger."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def size(self, width, height=900, scale=1):
        """Show the page on a screen of this many CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def media(self, *, scheme="light", medium="screen"):
        """Ask for a light or dark page, on screen or in print."""
        self.call(
            "Emulation.setEmulatedMedia",
            media=medium,
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def click(self, selector, at=(0.5, 0.5)):
        """Press and release the mouse on the first element, at a share of its width and height."""
        where = self.evaluate(
            f"(() => {{ const e = document.querySelector('{selector}'); "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            f"return [r.x + {at[0]} * r.width, r.y + {at[1]} * r.height]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=where[0],
                y=where[1],
                button="left",
                clickCount=1,
            )

    def processor_seconds(self):
        """Processor time of the page's process so far; needs ``Performance.enable``."""
        metrics = self.call("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "ProcessTime")

    def screenshot(self, path):
        """Save the whole page as PNG."""
        image = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)[
            "data"
        ]
        Path(path).write_bytes(base64.b64decode(image))

    def told(self, *methods):
        """What the browser told by these methods."""
        return [event["params"] for event in self.events if event.get("method") in methods]

    def _read(self):
        deadline = time.monotonic() + 60
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0, deadline - time.monotonic()))
            assert ready, "Chromium did not answer within a minute"
            chunk = os.read(self._in, 1 << 16)
            assert chunk, "Chromium went away"
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def chromium():
    """Start a browser with a profile of its own; it ends with the block."""
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to_child, from_child)]

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            sys.executable,
            "-c",
            _WIRE,
            *map(str, theirs),
            BINARY,
            *_FLAGS,
            f"--user-data-dir={profile}",
        ]
        silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        process = subprocess.Popen(command, pass_fds=theirs, **silent)
        for fd in (*theirs, to_child, from_child):
            os.close(fd)
        try:
            yield Page(from_parent, to_parent)
        finally:
            process.terminate()
            process.wait(30)
            os.close(from_parent)
            os.close(to_parent)
