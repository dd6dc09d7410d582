"""A headless Chromium that tests drive by its own protocol, over pipes: no library, no port.

Source: https://chromedevtools.github.io/devtools-protocol/ (messages end with a null byte on file descriptors 3 and 4).
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, final

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
"""Under which a browser may be installed."""

SECONDS = 60.0
"""Longest wait for an answer: the machine may be busy."""


def find_browser() -> str | None:
    """The path of a browser, None without one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@final
class Browser:
    """One page of a headless browser; a context manager.

    Args:
        profile: An empty folder for what the browser keeps.
        width: Of the window, in pixels.
        height: Of the window, in pixels.

    Attributes:
        complaints: What consoles and the browser's log said, and what was not caught.
        requests: Addresses that the page asked for.
    """

    def __init__(self, profile: Path, width: int = 1280, height: int = 900) -> None:
        path = find_browser()
        assert path is not None
        self.complaints: list[str] = []
        self.requests: list[str] = []
        read_end, self._write = os.pipe()
        self._read, write_end = os.pipe()
        command = f'exec "$0" "$@" 3<&{read_end} 4>&{write_end}'
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            ["bash", "-c", command, path, *options],
            pass_fds=(read_end, write_end),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_end)
        os.close(write_end)
        self._buffer, self._number, self._session = b"", 0, ""
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(own["targetId"] for own in targets if own["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._ask(f"{domain}.enable")
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def open(self, address: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._ask("Page.navigate", url=address)
        until = time.monotonic() + SECONDS
        while self.evaluate("document.readyState + location.href") != f"complete{address}":
            assert time.monotonic() < until, f"{address} does not load"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def point_at(self, selector: str, *, click: bool = False) -> None:
        """Bring the pointer to the middle of the first element that fits, and click there."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(f"{found}.scrollIntoView({{block: 'center'}})")
        x, y = self.evaluate(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({found}.getBoundingClientRect())")
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a picture of what is seen, or of the whole page."""
        shot = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._area(whole))
        path.write_bytes(base64.b64decode(shot["data"]))

    def without_scripts(self) -> None:
        """Let no page run a script from now on."""
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def _area(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def _next(self) -> Any:
        until = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(until - time.monotonic(), 0.0))
            assert ready, "the browser does not answer"
            data = os.read(self._read, 2**20)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(told)[:500])
