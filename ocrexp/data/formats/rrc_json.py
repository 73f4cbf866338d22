"""ICDAR 2019's JSON labels: ArT and LSVT (one file for all images), ReCTS (one file per image).

ArT, LSVT: `{"gt_1": [{"transcription", "points": [[x, y], …], "illegibility", "language"}]}`; the image is `gt_1.jpg`.
LSVT's weak labels have no points: one text per image. ReCTS: `{"chars", "lines"}` with flat points and `ignore`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ocrexp.data.formats.base import DET, IGNORED, Format, each_file
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import kept_json, mapping, sequence, text_of
from ocrexp.data.formats.safe_files import read_json
from ocrexp.data.formats.shapes import points_of

_BY_IMAGE = re.compile(r'\s*\{\s*"[^"]*"\s*:\s*\[\s*(?:\{|\])')


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(".json"):
        if not _is(folder, name):
            continue
        where = str(folder.base / name)
        for key, values in mapping(kept_json(folder, name), where).items():
            yield _entry(folder, name, key, sequence(values, f"{where}: {key}"), account)


def _entry(folder: Folder, name: str, key: str, values: list[Any], account: Account) -> Entry:
    place = f"{folder.base / name}: {key}"
    image = folder.image_of(key, name)
    entry = Entry(folder.below(image) if image else f"{key}.jpg", image, split=split_of(name), source=place)
    if values and not any(isinstance(value, dict) and "points" in value for value in values):
        text = text_of(values[0], "transcription")
        account.drop("further text of an image without points", place, len(values) - 1)
        entry.text = (
            None if text == IGNORED or (isinstance(values[0], dict) and values[0].get("illegibility")) else text
        )
        return entry
    entry.regions = []
    for i, value in enumerate(values, start=1):
        try:
            text = text_of(value, "transcription")
            ignored = value.get("illegibility") is True or text == IGNORED
            language = str(value.get("language") or "")
            points = points_of(value["points"])
            entry.regions.append(Region(points, None if text == IGNORED else text, ignored, language))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{place}: annotation {i}: {error!r}")
    return entry


def _is(folder: Folder, name: str) -> bool:
    head = folder.head(name)
    return bool(_BY_IMAGE.match(head)) and '"transcription"' in head and '"ignore"' not in head


def _recognize(language: bool) -> Callable[[Folder], Guess]:
    def recognize(folder: Folder) -> Guess:
        for name in folder.like(r".*\.json"):
            if _is(folder, name) and ('"language"' in folder.head(name)) == language:
                with_language = "with" if language else "without"
                return Guess(0.9, f"{name} has lists of transcriptions by image, {with_language} languages")
        return NO

    return recognize


def _read_rects(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    level = "chars" if options.level == "word" else "lines"

    def entry(name: str) -> Entry | None:
        path = folder.base / name
        value = read_json(path)
        if not isinstance(value, dict) or "lines" not in value:
            return None
        stem = name.rpartition("/")[2].removesuffix(".json")
        image = folder.image_of(stem, name)
        regions = []
        for i, item in enumerate(sequence(value.get(level), f"{path}: {level}"), start=1):
            try:
                text = text_of(item, "transcription")
                ignored = bool(item.get("ignore")) or text == IGNORED
                regions.append(Region(points_of(item["points"]), None if text == IGNORED else text, ignored))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                account.drop("annotation that cannot be read", f"{path}: {level} {i}: {error!r}")
        shown = folder.below(image) if image else f"{stem}.jpg"
        return Entry(shown, image, regions, split=split_of(name.rpartition("/")[0]), source=str(path))

    return each_file(folder.files(".json"), account, entry)


def _recognize_rects(folder: Folder) -> Guess:
    for name in folder.like(r".*\.json")[:20]:
        head = folder.head(name)
        if '"chars"' in head and ('"lines"' in head or len(head) > 60_000) and '"ignore"' in head:
            return Guess(0.95, f'{name} has "chars" and "lines" with "ignore"')
    return NO


FORMATS = [
    Format(
        "icdar2019_art", "ICDAR 2019 ArT", ("det", "rec"),
        "train_labels.json: polygons, language, illegibility by image; task 2: a text per image",
        _recognize(language=True), _read,
    ),
    Format(
        "icdar2019_lsvt", "ICDAR 2019 LSVT", ("det", "rec"),
        "train_full_labels.json: polygons, illegibility by image; weak labels: a text per image",
        _recognize(language=False), _read,
    ),
    Format(
        "rects", "ICDAR 2019 ReCTS", DET, "NAME.json: lines (level=line) and chars (level=word)",
        _recognize_rects, _read_rects, options=frozenset(("level",)),
    ),
]  # fmt: skip
