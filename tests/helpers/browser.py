"""A real browser for tests: Chromium through its driver, by WebDriver's HTTP (https://www.w3.org/TR/webdriver2)."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager

import pytest

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
]  # fmt: skip


class Browser:
    """One window."""

    def __init__(self, address, profile):
        self._address = address
        options = {"args": [*_FLAGS, f"--user-data-dir={profile}"]}
        logs = {"goog:loggingPrefs": {"browser": "ALL"}}
        made = self._send(
            "POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, **logs}}}
        )
        self._session = f"/session/{made['sessionId']}"

    def _send(self, method, path, value=None):
        data = None if value is None else json.dumps(value).encode()
        asked = urllib.request.Request(self._address + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def open(self, address):
        self._send("POST", f"{self._session}/url", {"url": address})

    def run(self, script, *arguments):
        """The value that the script returns."""
        return self._send("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, condition, seconds=30):
        """Wait until an expression is true; returns its value."""
        until = time.monotonic() + seconds
        while not (value := self.run(f"return {condition}")):
            assert time.monotonic() < until, f"{condition} stays {value!r}"
            time.sleep(0.05)
        return value

    def press(self, *keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._send("POST", f"{self._session}/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def size(self, width, height, touch=False):
        """Size of the page itself, as a phone or a screen has it."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)

    def dark(self, on):
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        self._devtools("Emulation.setEmulatedMedia", {"features": features})

    def _devtools(self, command, values):
        return self._send("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": values})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self._send("GET", f"{self._session}/screenshot")))

    def complaints(self):
        """What the console says: errors, and what the page's policy has refused."""
        return [line["message"] for line in self._send("POST", f"{self._session}/se/log", {"type": "browser"})]

    def close(self):
        self._send("DELETE", self._session)


@contextmanager
def browser():
    """A browser; skips the test where there is none."""
    driver = shutil.which("chromedriver")
    if driver is None or not (shutil.which("chromium") or shutil.which("google-chrome")):
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            port = next(
                line.rpartition(" ")[2].strip(". \n") for line in process.stdout if "successfully on port" in line
            )
            window = Browser(f"http://127.0.0.1:{port}", profile)
            try:
                yield window
            finally:
                window.close()
        finally:
            process.terminate()
            process.wait()
