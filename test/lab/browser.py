"""A headless Chromium, driven over its DevTools protocol: a pipe, JSON, and Python's standard library."""

import base64
import json
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

from .wait import now, until

PROGRAM = "/usr/bin/chromium"
ANSWER_BOUND_S = 60.0


class Browser:
    """One page.  `console`, `violations` and `requests` are what it did since `open`."""

    def __init__(self, directory: Path) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        self._log = directory / "chromium.log"

        def move() -> None:
            # The browser reads descriptor 3 and writes 4: over what stands there, after both are safe.
            commands, answers = os.dup(to_browser), os.dup(from_browser)
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [
                    PROGRAM,
                    "--headless=new",
                    "--remote-debugging-pipe",
                    # Its sandbox wants user namespaces of its own, which a container may not give.
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    f"--user-data-dir={directory}/profile",
                    "about:blank",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                close_fds=False,
                preexec_fn=move,
                start_new_session=True,
                env={**os.environ, "HOME": str(directory), "XDG_CONFIG_HOME": str(directory)},
            )
        os.close(to_browser)
        os.close(from_browser)
        self._pending = b""
        self._number = 0
        self._session = ""
        self._clear()
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            self._call(f"{domain}.enable")

    def _clear(self) -> None:
        self.console: list[str] = []
        self.violations: list[str] = []
        self.requests: list[str] = []

    def close(self) -> None:
        for fd in (self._write, self._read):
            os.close(fd)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next_message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - now()))
            part = os.read(self._read, 1 << 20) if ready else b""
            if not part:
                raise RuntimeError(f"chromium does not answer:\n{self._log.read_text()[-2000:]}")
            self._pending += part
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)

    def _note(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.console.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.console.append(str(told["args"]))
            case "Log.entryAdded":
                self.console.append(f"{told['entry']['level']}: {told['entry']['text']}")
            case "Audits.issueAdded":
                if "contentSecurityPolicy" in json.dumps(told["issue"]):
                    self.violations.append(json.dumps(told["issue"]))

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = now() + ANSWER_BOUND_S
        while True:
            answer = self._next_message(deadline)
            if answer.get("id") != self._number:
                self._note(answer)
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def open(self, url: str) -> None:
        # What the page before it still asks is not this page's.
        self._call("Page.navigate", url="about:blank")
        until("the page before is left", lambda: self.run("location.href") == "about:blank", 60)
        self._clear()
        self._call("Page.navigate", url=url)
        until("the page is loaded", lambda: self.run("document.readyState") == "complete", 60)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        return self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    def texts(self, selector: str) -> list[str]:
        return self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => one.innerText)")

    def size(self, width: int, height: int = 800, scale: float = 1) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def prefer(self, **features: str) -> None:
        """Media features, e.g. prefers_color_scheme="dark"."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self._call("Emulation.setEmulatedMedia", features=wanted)

    def press(self, key: str, code: int) -> None:
        text = {"text": "\r"} if key == "Enter" else {"text": " "} if key == " " else {}
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    def tab(self) -> str:
        """The next stop of the keyboard: its id, or its text."""
        self.press("Tab", 9)
        return self.run("document.activeElement.id || document.activeElement.value || document.activeElement.textContent")

    def accessible(self) -> set[tuple[str, str]]:
        """Roles and names, as a screen reader is given them."""
        nodes = self._call("Accessibility.getFullAXTree")["nodes"]
        shown = [node for node in nodes if not node.get("ignored")]
        return {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in shown}

    def screenshot(self, path: Path) -> None:
        height = self.run("document.documentElement.scrollHeight")
        width = self.run("document.documentElement.clientWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        picture = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(picture["data"]))
