"""Use the upload page of a running server in Chromium, and save screenshots to look at.

    python scripts/check_serve_page.py http://127.0.0.1:8866 IMAGE FOLDER

Needs `chromium` and `chromedriver`, which it drives by WebDriver's JSON. Drops IMAGE and an SVG file on
the page, on a desktop in light and dark and on a phone. Checks that each text has its region, that the error is shown,
that nothing is wider than the screen, and that nothing was loaded from elsewhere. Exit code 0 if all hold.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

SCREENS = {"light": (1200, 900, "light"), "dark": (1200, 900, "dark"), "phone": (390, 844, "dark")}
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
DROP = """
const files = new DataTransfer();
files.items.add(new File([Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0))], "dropped.jpg"));
files.items.add(new File(["<svg/>"], "bad.svg"));
for (const name of ["dragenter", "drop"])
  document.dispatchEvent(new DragEvent(name, {dataTransfer: files, bubbles: true, cancelable: true}));
"""
SEEN = """
return {
  polygons: document.querySelectorAll("polygon").length,
  lines: document.querySelectorAll("li").length,
  errors: [...document.querySelectorAll(".page .bad")].map(each => each.textContent),
  wide: document.documentElement.scrollWidth > innerWidth,
  loaded: performance.getEntriesByType("resource").map(each => each.name),
};
"""


class Browser:
    """A Chromium of one size and color scheme."""

    def __init__(self, width: int, height: int, scheme: str, profile: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
        self._address = f"http://127.0.0.1:{port}"
        arguments = [*FLAGS, f"--user-data-dir={profile}"]
        options = {"args": arguments, "mobileEmulation": {"deviceMetrics": {"width": width, "height": height}}}
        for _ in range(100):
            try:
                made = self._ask("/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit("chromedriver does not answer")
        self._address += f"/session/{made['sessionId']}"
        feature = {"name": "prefers-color-scheme", "value": scheme}
        command = {"cmd": "Emulation.setEmulatedMedia", "params": {"features": [feature]}}
        self._ask("/goog/cdp/execute", command)

    def open(self, address: str) -> None:
        self._ask("/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._ask("/execute/sync", {"script": script, "args": list(arguments)})

    def screenshot(self) -> bytes:
        return base64.b64decode(self._ask("/screenshot"))

    def close(self) -> None:
        self._ask("", method="DELETE")
        self._driver.terminate()
        self._driver.wait()

    def _ask(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self._address + path, data, method=method), timeout=120) as answer:
            return json.load(answer)["value"]


def main(address: str, image: str, folder: str) -> int:
    """Returns 0 where all checks hold."""
    data = base64.b64encode(Path(image).read_bytes()).decode()
    good = True
    for name, (width, height, scheme) in SCREENS.items():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            browser = Browser(width, height, scheme, profile)
            try:
                browser.open(address)
                browser.run(DROP, data)
                for _ in range(600):
                    seen = browser.run(SEEN)
                    if seen["polygons"] and seen["errors"]:
                        break
                    time.sleep(0.2)
                time.sleep(0.5)
                Path(folder, f"{name}.png").write_bytes(browser.screenshot())
            finally:
                browser.close()
        outside = [each for each in seen["loaded"] if not each.startswith((address, "data:", "blob:"))]
        holds = seen["polygons"] == seen["lines"] > 0 and len(seen["errors"]) == 1 and not seen["wide"] and not outside
        print(f"{name}: {seen['polygons']} regions, {seen['lines']} lines, {seen['errors']}, from elsewhere: {outside}")
        good = good and holds
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
