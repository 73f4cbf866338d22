"""Use the upload page of a running server in Chromium, and save screenshots to look at.

    python scripts/check_serve_page.py http://127.0.0.1:8866 IMAGE FOLDER

Needs `chromium`, `chromedriver` and pytest, of whose helpers it uses the browser. Drops IMAGE and an SVG file on
the page, on a desktop in light and dark and on a phone. Checks that each text has its region, that the error is shown,
that nothing is wider than the screen, and that nothing was loaded from elsewhere. Exit code 0 if all hold.
"""

from __future__ import annotations

import base64
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
from browser import browser

SCREENS = {"light": (1200, 900, False), "dark": (1200, 900, True), "phone": (390, 844, True)}  # width, height, dark
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


def main(address: str, image: str, folder: str) -> int:
    """Returns 0 where all checks hold."""
    data = base64.b64encode(Path(image).read_bytes()).decode()
    good = True
    for name, (width, height, dark) in SCREENS.items():
        with browser() as window:
            window.size(width, height, touch=name == "phone")
            window.dark(dark)
            window.open(address)
            window.run(DROP, data)
            window.wait("document.querySelector('polygon') && document.querySelector('.page .bad')", seconds=120)
            time.sleep(0.5)
            seen = window.run(SEEN)
            window.screenshot(Path(folder, f"{name}.png"))
        outside = [each for each in seen["loaded"] if not each.startswith((address, "data:", "blob:"))]
        holds = seen["polygons"] == seen["lines"] > 0 and len(seen["errors"]) == 1 and not seen["wide"] and not outside
        print(f"{name}: {seen['polygons']} regions, {seen['lines']} lines, {seen['errors']}, from elsewhere: {outside}")
        good = good and holds
    return int(not good)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
