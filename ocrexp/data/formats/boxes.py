"""MSRA-TD500 and HUST-TR400: rotated boxes of lines, one `NAME.gt` per image.

`index difficult x y width height angle [text]`: the corner and the size before the turn by `angle` radians about the
middle of the box, clockwise on the screen. MSRA-TD500 has no texts; column 2 is not one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ocrexp.data.formats.base import DET, BadLabel, Format, each_file, leading_numbers, share_of_lines
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.icdar import page_entry
from ocrexp.data.formats.shapes import middle, sized_box, turned

_LINE = r"\d+ [01] -?[\d.]+ -?[\d.]+ [\d.]+ [\d.]+ -?[\d.e-]+"


def parse(line: str) -> Region:
    """A line of a `.gt` file."""
    (_, difficult, x, y, width, height, angle), text = leading_numbers(line.strip(), 7, " ")
    if width <= 0 or height <= 0:
        raise BadLabel(f"expected a width and a height above 0, got {width:g} and {height:g}")
    points = sized_box(x, y, width, height)
    return Region(turned(points, math.degrees(angle), middle(points)), text.strip() or None, difficult == 1)


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    return each_file(folder.files(".gt"), account, lambda name: page_entry(folder, name, parse, account))


def _recognize(with_text: bool) -> Callable[[Folder], Guess]:
    def recognize(folder: Folder) -> Guess:
        pattern = rf"{_LINE} .*\S.*" if with_text else rf"{_LINE}\s*"
        for name in folder.like(r".*\.gt")[:20]:
            if share_of_lines(folder.first_lines(name), pattern) > 0.5:
                what = "an angle and a text" if with_text else "an angle"
                return Guess(0.95, f"{name} has lines of index, difficult, a box, {what}")
        return NO

    return recognize


FORMATS = [
    Format(
        "msra_td500", "MSRA-TD500", DET, "NAME.gt: index difficult x y width height angle; no texts",
        _recognize(with_text=False), _read,
    ),
    Format(
        "hust_tr400", "HUST-TR400", DET, "NAME.gt: as MSRA-TD500, with a text", _recognize(with_text=True), _read,
    ),
]  # fmt: skip
