"""labelme and X-AnyLabeling: one JSON file per image with `shapes`; the text is a shape's description, else its label.

A label that is beside a description in the same file is a class. A rectangle is opposite corners in any order, a circle
its middle and a point of its edge. The label `###` and the flags `ignore` and `difficult` mark regions to ignore.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ocrexp.data.formats.base import DET, IGNORED, Format, each_file
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import size_of, text_of
from ocrexp.data.formats.safe_files import read_json
from ocrexp.data.formats.shapes import as_pairs, bounds, box, ellipse, points_of
from ocrexp.data.formats.user_names import is_ignored, take_marks
from ocrexp.data.formats.writer import CLASS, Writer, class_of
from ocrexp.errors import DataError
from ocrexp.files import as_json

# Rotated boxes: X-AnyLabeling writes `rotation`, newer versions of labelme `oriented_rectangle`.
_OUTLINES = ("polygon", "linestrip", "rotation", "oriented_rectangle", "quadrilateral")


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    if options.text_key not in (None, "label", "description"):
        raise DataError(f"text_key: expected label or description, or null, got {options.text_key!r}")

    def entry(name: str) -> Entry | None:
        path = folder.base / name
        value = read_json(path)
        if not isinstance(value, dict) or not isinstance(value.get("shapes"), list):
            return None
        regions = []
        classes = _classes(value["shapes"])
        for i, shape in enumerate(value["shapes"], start=1):
            try:
                region = _region(shape, options.text_key, classes)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                account.drop("annotation that cannot be read", f"{path}: shape {i}: {error!r}")
                continue
            if region is None:
                account.drop(f"shape that encloses nothing ({shape.get('shape_type')})", f"{path}: shape {i}")
            else:
                if shape.get("shape_type") == "mask":
                    account.change("mask, read as its box", f"{path}: shape {i}")
                regions.append(region)
        named = (text_of(value, "imagePath") or "").replace("\\", "/")
        stem = PurePosixPath(name).stem
        image = (folder.image(named, name) if named else None) or folder.image_of(stem, name)
        shown = folder.below(image) if image else PurePosixPath(named).name or f"{stem}.jpg"
        size = size_of(value, "imageWidth", "imageHeight")
        split = split_of(name.rpartition("/")[0])
        return Entry(shown, image, regions, size=size, split=split, source=str(path))

    return each_file(folder.files(".json"), account, entry)


def _classes(shapes: list[Any]) -> set[str]:
    """The labels that are classes: they are beside a description, which is then the text."""
    described = (shape for shape in shapes if isinstance(shape, dict) and text_of(shape, "description"))
    return {label for shape in described if (label := text_of(shape, "label"))}


def _region(shape: dict[str, Any], text_key: str | None, classes: set[str]) -> Region | None:
    outline = _outline(shape.get("shape_type") or "polygon", points_of(shape["points"]))
    if outline is None:
        return None
    label, description = text_of(shape, "label"), text_of(shape, "description")
    is_class = label in classes or (classes and is_ignored(label or ""))
    text = description or (None if is_class else label)
    text = {"label": label, "description": description}.get(text_key or "", text) or None
    marked = take_marks(dict(shape.get("flags") or {})) or shape.get("difficult") is True
    ignored = marked or IGNORED in (label, text) or (label != text and is_ignored(label or ""))
    extra = {"class": label} if label and label not in (text, IGNORED) else {}
    if shape.get("group_id") is not None:
        extra["group_id"] = shape["group_id"]
    return Region(outline, None if text == IGNORED else text, ignored, extra=extra)


def _outline(kind: str, points: Points) -> Points | None:
    """The outline of a shape; None if it encloses nothing."""
    if kind in ("rectangle", "mask"):
        return box(*bounds(points))
    if kind == "circle":
        (x, y), edge = points[:2]
        radius = math.dist((x, y), edge)
        return ellipse(x, y, radius, radius)
    return points if kind in _OUTLINES and len(points) >= 3 else None


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.json")[:20]:
        head = folder.head(name)
        if '"shapes"' in head and ('"shape_type"' in head or '"imagePath"' in head):
            return Guess(0.95, f'{name} has "shapes"')
        if head.lstrip().startswith("{") and '"imageData": "' in head:  # it is long; the shapes may be behind it
            return Guess(0.9, f'{name} has "imageData"')
    return NO


class LabelmeWriter(Writer):
    """Writes `NAME.json` beside each image, without the image's data."""

    attributes = frozenset((CLASS, "group_id"))

    def put(self, entry: Entry) -> bool:
        """One file."""
        width, height = entry.known_size()
        name = self.images.put(entry, "")
        shapes = []
        for region in entry.regions or ():
            own = class_of(region)
            text = region.text if region.text is not None else IGNORED if region.ignored else None
            if text is None and own is None:
                text = self.text(region, entry.source)
            shape = {
                "label": own if own is not None else text,
                "points": as_pairs(region.points),
                "group_id": region.extra.get("group_id"),
                "description": text if own is not None else "",
                "shape_type": "polygon",
                "flags": {"ignore": True} if region.ignored else {},
            }
            shapes.append(shape)
        path = self.folder / PurePosixPath(name).with_suffix(".json")
        value: dict[str, Any] = {
            "version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": PurePosixPath(name).name, "imageData": None,
            "imageHeight": height, "imageWidth": width,
        }  # fmt: skip
        path.write_text(as_json(value), encoding="utf-8")
        return True


FORMATS = [
    Format("labelme", "labelme, X-AnyLabeling", DET, "NAME.json: shapes; the text is the label or the description",
           _recognize, _read, LabelmeWriter, frozenset(("text_key",))),
]  # fmt: skip
