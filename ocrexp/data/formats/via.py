"""VGG Image Annotator (VIA) 1, 2 and 3: a project, an export as JSON, an export as CSV.

The text is a region attribute whose name users choose: `text_key`, or one of the usual names, or the only one. Of radio
buttons and menus the files hold the key of the option, and projects its text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from ocrexp.data.formats.base import DET, IGNORED, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region, first_text
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import kept_json, mapping, text_of
from ocrexp.data.formats.safe_files import parse_json, read_text
from ocrexp.data.formats.shapes import as_pairs, ellipse, number, sized_box
from ocrexp.data.formats.user_names import LANGUAGE, take_marks, text_key
from ocrexp.data.formats.via3 import images_of, is_project
from ocrexp.data.formats.writer import Writer
from ocrexp.errors import DataError
from ocrexp.files import as_json

_COLUMNS = ("filename", "region_shape_attributes", "region_attributes")
_MARK = "ignore"


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(".json", ".csv"):
        path = folder.base / name
        choices: dict[str, Any] = {}
        if name.lower().endswith(".csv"):
            if not folder.only and not all(column in folder.head(name) for column in _COLUMNS):
                continue
            images = _csv_images(folder, name, account)
        else:
            if not folder.only and not _is_like_via(folder.probe(name)):
                continue
            whole = mapping(kept_json(folder, name), str(path))
            if is_project(whole):
                images, choices = images_of(whole, str(path), account)
            else:
                attributes = whole.get("_via_attributes")
                choices = attributes.get("region") or {} if isinstance(attributes, dict) else {}
                images = mapping(whole.get("_via_img_metadata", whole), str(path))
        key = text_key(_attributes(images), options.text_key, str(path), account)
        for value in images.values():
            if isinstance(value, dict) and isinstance(value.get("filename"), str):
                yield _entry(folder, name, value, key, choices, account)
            else:
                account.drop("image without a filename", str(path))


def _is_like_via(text: str) -> bool:
    """Whether a part of a JSON file is of VIA 1 or 2, or of a project of VIA 3."""
    return '"shape_attributes"' in text or all(key in text for key in ('"metadata"', '"vid"', '"xy"', '"av"'))


def _csv_images(folder: Folder, name: str, account: Account) -> dict[str, Any]:
    """The rows of a CSV export as its JSON export has them."""
    path = folder.base / name
    images: dict[str, Any] = {}
    text = read_text(path, account)
    separator = max(",;\t", key=text.partition("\n")[0].count)  # spreadsheets of some countries write semicolons
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(f"{path}:{rows.line_num}: is not CSV ({error}); export it again") from None
        if row is None:
            return images
        where = f"{path}:{rows.line_num}"
        if not all(isinstance(row.get(column), str) for column in _COLUMNS):
            account.drop("line that cannot be read", f"{where}: expected {', '.join(_COLUMNS)}")
            continue
        image = images.setdefault(row["filename"], {"filename": row["filename"], "regions": []})
        shape = parse_json(row["region_shape_attributes"], where)
        if shape:
            attributes = parse_json(row["region_attributes"] or "{}", where)
            image["regions"].append({"shape_attributes": shape, "region_attributes": attributes})


def _regions_of(image: Any) -> list[Any]:
    """The regions of an image: a list, or in VIA 1 an object with the keys "0", "1", …"""
    regions = image.get("regions") if isinstance(image, dict) else None
    return list(regions.values()) if isinstance(regions, dict) else regions if isinstance(regions, list) else []


def _attributes(images: dict[str, Any]) -> Iterator[str]:
    """The names of the attributes of all regions."""
    for image in images.values():
        for region in _regions_of(image):
            attributes = region.get("region_attributes") if isinstance(region, dict) else None
            if isinstance(attributes, dict):
                yield from attributes


def _entry(
    folder: Folder, name: str, image: dict[str, Any], key: str | None, choices: dict[str, Any], account: Account
) -> Entry:
    place = f"{folder.base / name}: {image['filename']}"
    regions = []
    for i, value in enumerate(_regions_of(image), start=1):
        try:
            points = _outline(value["shape_attributes"])
            attributes = value.get("region_attributes") or {}
            region = _region(points, attributes if isinstance(attributes, dict) else {}, key, choices)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{place}: region {i}: {error!r}")
            continue
        if region is None:
            account.drop(f"shape that encloses nothing ({value['shape_attributes'].get('name')})", place)
        else:
            regions.append(region)
    named = image["filename"]
    return Entry(named, folder.image(named, name), regions, split=split_of(name), source=place)


def _outline(shape: dict[str, Any]) -> Points | None:
    kind = shape["name"]
    if kind == "rect":
        return sized_box(*(number(shape[key]) for key in ("x", "y", "width", "height")))
    if kind in ("polygon", "polyline"):
        xs, ys = shape["all_points_x"], shape["all_points_y"]
        points = [(number(x), number(y)) for x, y in zip(xs, ys, strict=True)]
        return points if len(points) >= 3 else None
    if kind == "ellipse":
        x, y, rx, ry = (number(shape[key]) for key in ("cx", "cy", "rx", "ry"))
        return ellipse(x, y, rx, ry, number(shape.get("theta", 0)) * 57.29577951308232)
    if kind == "circle":
        x, y, radius = (number(shape[key]) for key in ("cx", "cy", "r"))
        return ellipse(x, y, radius, radius)
    return None


def _region(
    points: Points | None, attributes: dict[str, Any], key: str | None, choices: dict[str, Any]
) -> Region | None:
    if points is None:
        return None
    text = first_text(attributes, [key]) if key else None
    options = (choices.get(key) or {}).get("options") if key and isinstance(choices.get(key), dict) else None
    if text is not None and isinstance(options, dict) and isinstance(options.get(text), str) and options[text]:
        text = options[text]
    extra = {name: value for name, value in attributes.items() if name not in (key, LANGUAGE)}
    ignored = take_marks(extra) or text == IGNORED
    language = text_of(attributes, LANGUAGE) or ""
    return Region(points, None if text == IGNORED else text, ignored, language, extra)


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.(?:json|csv)")[:20]:
        is_csv = name.lower().endswith(".csv")
        if "region_shape_attributes" in folder.head(name) if is_csv else _is_like_via(folder.probe(name)):
            return Guess(0.95, f"{name} has region and shape attributes")
    return NO


class ViaWriter(Writer):
    """Writes `via_export.json`, which VIA imports, with the text as `transcription`."""

    has_language = True
    attributes = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._images: dict[str, Any] = {}

    def put(self, entry: Entry) -> bool:
        """One image."""
        name = self.images.put(entry, "")
        regions = []
        for region in entry.regions or ():
            attributes: dict[str, Any] = dict(region.extra)
            if region.text is not None or region.ignored:
                attributes["transcription"] = region.text if region.text is not None else IGNORED
            if region.ignored:
                attributes[_MARK] = "1"
            if region.language:
                attributes[LANGUAGE] = region.language
            xs, ys = zip(*as_pairs(region.points), strict=True)
            shape = {"name": "polygon", "all_points_x": list(xs), "all_points_y": list(ys)}
            regions.append({"shape_attributes": shape, "region_attributes": attributes})
        path = self.folder / name
        size = path.stat().st_size if path.exists() else -1
        self._images[f"{name}{size}"] = {"filename": name, "size": size, "regions": regions, "file_attributes": {}}
        return True

    def close(self) -> None:
        """All images are known."""
        (self.folder / "via_export.json").write_text(as_json(self._images), encoding="utf-8")


FORMATS = [
    Format("via", "VGG Image Annotator", DET, "a project or an export, JSON or CSV: shape and region attributes",
           _recognize, _read, ViaWriter, frozenset(("text_key",))),
]  # fmt: skip
