"""labelme: one JSON file per image with `shapes`; the text is the shape's label, or its description where it has one.

A rectangle is two opposite corners in any order, a circle its middle and a point of its edge. The label `###` and the
flags `ignore` and `difficult` mark regions to ignore.
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
from ocrexp.data.formats.writer import Writer
from ocrexp.errors import DataError
from ocrexp.files import as_json

_FLAGS = ("ignore", "difficult")


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    if options.text_key not in (None, "label", "description"):
        raise DataError(f"text_key: expected label or description, or null, got {options.text_key!r}")

    def entry(name: str) -> Entry | None:
        path = folder.base / name
        value = read_json(path)
        if not isinstance(value, dict) or not isinstance(value.get("shapes"), list):
            return None
        regions = []
        for i, shape in enumerate(value["shapes"], start=1):
            try:
                region = _region(shape, options.text_key)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                account.drop("annotation that cannot be read", f"{path}: shape {i}: {error!r}")
                continue
            if region is None:
                account.drop(f"shape that encloses nothing ({shape.get('shape_type')})", f"{path}: shape {i}")
            else:
                regions.append(region)
        named = (text_of(value, "imagePath") or "").replace("\\", "/")
        stem = PurePosixPath(name).stem
        image = (folder.image(named, name) if named else None) or folder.image_of(stem, name)
        shown = folder.below(image) if image else PurePosixPath(named).name or f"{stem}.jpg"
        size = size_of(value, "imageWidth", "imageHeight")
        split = split_of(name.rpartition("/")[0])
        return Entry(shown, image, regions, size=size, split=split, source=str(path))

    return each_file(folder.files(".json"), account, entry)


def _region(shape: dict[str, Any], text_key: str | None) -> Region | None:
    kind = shape.get("shape_type") or "polygon"
    points = points_of(shape["points"])
    outline: Points
    if kind == "rectangle":
        outline = box(*bounds(points))
    elif kind == "circle":
        (x, y), edge = points[:2]
        radius = math.dist((x, y), edge)
        outline = ellipse(x, y, radius, radius)
    elif kind in ("polygon", "linestrip") and len(points) >= 3:
        outline = points
    else:
        return None
    label, description = text_of(shape, "label"), text_of(shape, "description")
    text = (
        label if text_key == "label" else description if text_key == "description" else description or label
    ) or None
    flags = shape.get("flags") or {}
    ignored = IGNORED in (label, text) or any(flags.get(flag) is True for flag in _FLAGS)
    extra = {"class": label} if label is not None and label not in (text, IGNORED) else {}
    if shape.get("group_id") is not None:
        extra["group_id"] = shape["group_id"]
    return Region(outline, None if text == IGNORED else text, ignored, extra=extra)


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.json")[:20]:
        head = folder.head(name)
        if '"shapes"' in head and ('"shape_type"' in head or '"imagePath"' in head):
            return Guess(0.95, f'{name} has "shapes"')
    return NO


class LabelmeWriter(Writer):
    """Writes `NAME.json` beside each image, without the image's data."""

    has_extra = True

    def put(self, entry: Entry) -> bool:
        """One file."""
        width, height = entry.known_size()
        name = self.images.put(entry, "")
        shapes = []
        for region in entry.regions or ():
            own = region.extra.get("class")
            text = region.text if region.text is not None else IGNORED if region.ignored else None
            if text is None and own is None:
                text = self.text(region, entry.source)
            shape = {
                "label": str(own) if own is not None else text,
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
    Format("labelme", "labelme", DET, "NAME.json: shapes; the text is the label or the description", _recognize, _read,
           LabelmeWriter, frozenset(("text_key",))),
]  # fmt: skip
