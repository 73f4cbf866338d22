"""Lines without a tab: what separates the path of the image from its label instead."""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

_SUFFIXES = r"jpe?g|jpe|jfif|png|bmp|dib|gif|tiff?|webp|avif|jp2|pgm|ppm|pbm|pnm|heic"
_LINE = re.compile(
    rf"""\s*(?P<quote>["']?)(?P<path>[^\t]*?\.(?:{_SUFFIXES}))(?P=quote)(?P<mark>\\t|\s*[,;|:=，；]\s*|\s+)(?P<label>\S.*)""",
    re.IGNORECASE | re.DOTALL,
)
_NAMES = {
    ",": "a comma",
    ";": "a semicolon",
    "|": "a bar",
    ":": "a colon",
    "=": "an equals sign",
    "，": "a full-width comma",
    "；": "a full-width semicolon",
    "\\t": "a backslash and a t",
    "": "spaces",
}


class Divided(NamedTuple):
    """The path and the label of a line, and what separates them, in words."""

    path: str
    label: str
    mark: str


def divide(line: str) -> Divided | None:
    """Divide a line that has no tab; None if no path of an image is at its beginning."""
    found = _LINE.match(line)
    if found is None:
        return None
    mark = found["mark"] if found["mark"] == "\\t" else found["mark"].strip()
    label = found["label"]
    if mark in (",", ";") and label.startswith('"'):  # CSV
        rows = list(csv.reader([label.rstrip()], delimiter=mark, strict=False))
        if len(rows) == 1 and len(rows[0]) == 1:
            label = rows[0][0]
    return Divided(found["path"].strip(), label.strip("\r\n"), _NAMES[mark])


_JOINED = re.compile(rf"(?P<end>.*?)(?P<path>[\w./\\-]+\.(?:{_SUFFIXES}))\t(?P<label>.+)", re.IGNORECASE | re.DOTALL)


def second_image(label: str, first: str = "") -> tuple[str, str, str] | None:
    """Where a line end is missing: the first label, the path of the second image, the second label; None elsewhere.

    `first` is the path of the first image: in "onetrain/2.png" the second one begins with the same folder.
    """
    found = _JOINED.fullmatch(label)
    if found is None:
        return None
    end, path = found["end"], found["path"]
    folder = first.partition("/")[0] + "/" if "/" in first else ""
    if folder and (at := path.find(folder)) > 0:
        end, path = end + path[:at], path[at:]
    return (end, path, found["label"]) if end.strip() else None
