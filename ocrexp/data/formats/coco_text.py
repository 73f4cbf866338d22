"""COCO-Text (versions 1.4 and 2) and TextOCR: one JSON file of `imgs` and `anns` by id.

COCO-Text: outlines are `mask` (version 2) or `polygon`, counterclockwise from the top left; `legibility` is `legible`
or `illegible`. TextOCR: outlines are `points`; the text `.` marks words that cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ocrexp.data.formats.base import DET, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import kept_json, mapping, size_of, text_of
from ocrexp.data.formats.shapes import clockwise, number, pairs, sized_box
from ocrexp.errors import DataError

_ILLEGIBLE_TEXTOCR = "."


def _read(make: Callable[[dict[str, Any]], Region], key: str) -> Callable[..., Iterator[Entry]]:
    def read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
        del options
        for name in folder.files(".json"):
            if not _is(folder, name, key):
                continue
            where = folder.base / name
            whole = mapping(kept_json(folder, name), str(where))
            images, labels = (mapping(whole.get(part), f"{where}: {part}") for part in ("imgs", "anns"))
            by_image: dict[str, list[tuple[str, Any]]] = {}
            for number_, label in labels.items():
                owner = str(label.get("image_id")) if isinstance(label, dict) else ""
                by_image.setdefault(owner, []).append((number_, label))
            for image_id, image in images.items():
                yield _entry(folder, name, str(image_id), image, by_image.pop(str(image_id), []), make, account)
            account.drop(
                "annotation of an image that the file does not list",
                f"{where}: anns {next(iter(by_image.values()))[0][0]}" if by_image else "",
                sum(map(len, by_image.values())),
            )

    return read


def _entry(
    folder: Folder, name: str, image_id: str, image: Any, labels: list[tuple[str, Any]],
    make: Callable[[dict[str, Any]], Region], account: Account,
) -> Entry:  # fmt: skip
    where = f"{folder.base / name}: image {image_id}"
    file_name = text_of(image, "file_name") or text_of(image, "filename")
    if not file_name:
        raise DataError(f"{where}: has no file_name; correct the file")
    regions = []
    for number_, label in labels:
        try:
            regions.append(make(label))
        except (ValueError, KeyError, TypeError) as error:
            account.drop("annotation that cannot be read", f"{folder.base / name}: anns {number_}: {error}")
    split = split_of(text_of(image, "set") or "") or split_of(name)
    return Entry(file_name, folder.image(file_name, name), regions, size=size_of(image), split=split, source=where)


def _coco_text(label: dict[str, Any]) -> Region:
    flat = label.get("mask") or label.get("polygon")
    points = clockwise(pairs(flat)) if flat else sized_box(*map(number, label["bbox"]))
    text = text_of(label, "utf8_string")
    illegible = label.get("legibility") != "legible"
    language = label.get("language")
    extra = {key: label[key] for key in ("class",) if isinstance(label.get(key), str)}
    return Region(points, text or None, illegible or not text, language if isinstance(language, str) else "", extra)


def _textocr(label: dict[str, Any]) -> Region:
    flat = label.get("points")
    points = pairs(flat) if flat else sized_box(*map(number, label["bbox"]))
    text = text_of(label, "utf8_string")
    ignored = not text or text == _ILLEGIBLE_TEXTOCR
    return Region(points, None if ignored else text, ignored)


def _is(folder: Folder, name: str, key: str) -> bool:
    if folder.only:
        return True
    head = folder.probe(name)
    return '"utf8_string"' in head and f'"{key}"' in head


def _recognize(key: str, what: str) -> Callable[[Folder], Guess]:
    def recognize(folder: Folder) -> Guess:
        for name in folder.like(r".*\.json"):
            head = folder.probe(name)
            if '"utf8_string"' not in head and not ('"imgs"' in head and '"anns"' in head):
                continue
            if f'"{key}"' in head:
                return Guess(0.95, f'{name} has annotations with "utf8_string" and "{key}", as {what}')
        return NO

    return recognize


FORMATS = [
    Format(
        "coco_text", "COCO-Text", DET, "cocotext.v2.json: imgs, anns with utf8_string and legibility",
        _recognize("legibility", "COCO-Text has"), _read(_coco_text, "legibility"),
    ),
    Format(
        "textocr", "TextOCR", DET, "TextOCR_0.1_train.json: imgs, anns with utf8_string and points",
        _recognize("points", "TextOCR has"), _read(_textocr, "points"),
    ),
]  # fmt: skip
