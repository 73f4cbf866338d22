"""docTR's `labels.json` beside `images/`: polygons by image (detection), or one text by image (recognition).

Corners come in any order and are put in order. Polygons may be in an object by class. There are no texts in the labels
for detection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

from ocrexp.data.formats.base import Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import kept_json, mapping
from ocrexp.data.formats.shapes import as_pairs, points_of, sorted_corners
from ocrexp.data.formats.writer import CLASS, Writer, class_of, content
from ocrexp.files import as_json

_LABELS = "labels.json"
_TEXT_BY_IMAGE = re.compile(r'\s*\{\s*"(?:[^"\\]|\\.)+\.\w{3,4}"\s*:\s*"(?:[^"\\]|\\.)*"\s*[,}]')


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    names = [folder.only] if folder.only else folder.like(r"labels\.json")
    for name in names:
        path = folder.base / name
        for image, value in mapping(kept_json(folder, name), str(path)).items():
            place = f"{path}: {image}"
            found = folder.image(f"{name.rpartition('/')[0]}/images/{image}".lstrip("/"), name)
            found = found or folder.image(image, name)
            entry = Entry(image, found, split=split_of(name.rpartition("/")[0]), source=place)
            if isinstance(value, str):
                entry.text = value
            elif isinstance(value, dict) and "polygons" in value:
                entry.regions = list(_regions(value["polygons"], place, account))
            else:
                account.drop("annotation that cannot be read", f"{place}: expected a text or polygons")
                continue
            yield entry


def _regions(value: Any, place: str, account: Account) -> Iterator[Region]:
    groups = value if isinstance(value, dict) else {"": value}
    for name, polygons in groups.items():
        if not isinstance(polygons, list):
            account.drop("annotation that cannot be read", f"{place}: polygons: expected a list")
            continue
        for i, polygon in enumerate(polygons, start=1):
            try:
                points = points_of(polygon)
            except ValueError as error:
                account.drop("annotation that cannot be read", f"{place}: polygon {i}: {error}")
                continue
            extra = {"class": name} if name else {}
            yield Region(sorted_corners(points) if len(points) == 4 else points, None, extra=dict(extra))


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r"labels\.json"):
        head = folder.head(name)
        if '"polygons"' in head and '"img_' in head:
            return Guess(0.95, f"{name} has polygons by image, as docTR has")
        if _texts(head):
            return Guess(0.85, f"{name} has a text by image, as docTR has")
    return NO


def _texts(head: str) -> bool:
    """Whether the beginning of a file is an object of texts by image names."""
    return _TEXT_BY_IMAGE.match(head) is not None


class DoctrWriter(Writer):
    """Writes `labels.json` beside `images/`, with the size and the SHA-256 of each image for detection."""

    kinds = ("det", "rec")
    shapes = "quads"
    has_text = has_ignored = False
    attributes = frozenset((CLASS,))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._labels: dict[str, Any] = {}

    def put(self, entry: Entry) -> bool:
        """One image."""
        if entry.regions is None:
            name = self.images.put(entry, "images").removeprefix("images/")
            self._labels[name] = entry.text
            return True
        width, height = entry.known_size()
        name = self.images.put(entry, "images").removeprefix("images/")
        digest = hashlib.sha256(content(entry)).hexdigest() if entry.image is not None else ""
        classes = set(filter(None, map(class_of, entry.regions)))
        polygons: Any = [as_pairs(region.points) for region in entry.regions]
        if classes:
            polygons = {}
            for region in entry.regions:
                polygons.setdefault(class_of(region) or "text", []).append(as_pairs(region.points))
        self._labels[name] = {"img_dimensions": [height, width], "img_hash": digest, "polygons": polygons}
        return True

    def close(self) -> None:
        """All images are known."""
        (self.folder / _LABELS).write_text(as_json(self._labels), encoding="utf-8")


FORMATS = [
    Format("doctr", "docTR", ("det", "rec"), "labels.json beside images/: polygons, or a text, by image",
           _recognize, _read,
           DoctrWriter),
]  # fmt: skip
