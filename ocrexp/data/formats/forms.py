"""Forms and receipts with entities: FUNSD, XFUND (one JSON for many forms), CORD.

`level=word` gives words, `level=line` the entities of FUNSD and XFUND, which may span several lines, and the printed
lines of CORD. Label, id and links stay as attributes of the regions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ocrexp.data.formats.base import DET, Format, each_file
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import kept_json, mapping, sequence, size_of, text_of
from ocrexp.data.formats.safe_files import read_json
from ocrexp.data.formats.shapes import box, number, smallest_rectangle
from ocrexp.errors import DataError

_LEVEL = frozenset(("level",))
_KEPT = ("label", "id", "linking")


def _entities(values: list[Any], level: str, place: str, account: Account) -> list[Region]:
    """Words or entities of a form, in FUNSD's shape."""
    regions = []
    for i, value in enumerate(values, start=1):
        try:
            extra = {key: value[key] for key in _KEPT if key in value}
            words = value.get("words") or []
            undivided = level == "word" and not words
            for item in words if level == "word" and words else [value]:
                text = text_of(item, "text") or ""
                points = box(*(number(side) for side in item["box"]))
                if not text.strip():
                    account.drop(f"{level} with an empty text", f"{place}: entity {i}")
                    continue
                if undivided:
                    account.change("entity without words, marked to be ignored", f"{place}: entity {i}")
                regions.append(Region(points, text, undivided, extra=extra if level == "line" else {}))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{place}: entity {i}: {error!r}")
    return regions


def _read_funsd(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    def entry(name: str) -> Entry | None:
        path = folder.base / name
        value = read_json(path)
        if not isinstance(value, dict) or "form" not in value:
            return None
        stem = name.rpartition("/")[2].removesuffix(".json")
        image = folder.image_of(stem, name)
        regions = _entities(sequence(value["form"], f"{path}: form"), options.level or "word", str(path), account)
        shown = folder.below(image) if image else f"{stem}.png"
        return Entry(shown, image, regions, split=split_of(name.rpartition("/")[0]), source=str(path))

    return each_file(folder.files(".json"), account, entry)


def _read_xfund(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(".json"):
        if '"documents"' not in folder.head(name) and not folder.only:
            continue
        path = folder.base / name
        whole = mapping(kept_json(folder, name), str(path))
        language = text_of(whole, "lang") or ""
        for i, form in enumerate(sequence(whole.get("documents"), f"{path}: documents"), start=1):
            place = f"{path}: documents {i}"
            image = mapping(mapping(form, place).get("img"), f"{place}: img")
            file_name = text_of(image, "fname")
            if not file_name:
                raise DataError(f"{place}: img has no fname; correct the file")
            values = sequence(form.get("document"), f"{place}: document")
            regions = _entities(values, options.level or "line", place, account)
            for region in regions:
                region.language = language
            split = split_of(text_of(whole, "split") or "") or split_of(name)
            yield Entry(
                file_name, folder.image(file_name, name), regions, size=size_of(image), split=split, source=place
            )


def _read_cord(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    def entry(name: str) -> Entry | None:
        path = folder.base / name
        value = read_json(path)
        if not isinstance(value, dict) or "valid_line" not in value:
            return None
        stem = name.rpartition("/")[2].removesuffix(".json")
        image = folder.image_of(stem, name)
        meta = value.get("meta")
        regions = _cord_regions(value, options.level or "word", str(path), account)
        for quad in value.get("dontcare") or ():
            try:
                regions.append(Region(_quad(quad), None, True))
            except (ValueError, KeyError, TypeError) as error:
                account.drop("annotation that cannot be read", f"{path}: dontcare: {error!r}")
        size = size_of(meta.get("image_size")) if isinstance(meta, dict) else None
        split = split_of(name.rpartition("/")[0])
        shown = folder.below(image) if image else f"{stem}.png"
        return Entry(shown, image, regions, size=size, split=split, source=str(path))

    return each_file(folder.files(".json"), account, entry)


def _cord_regions(value: dict[str, Any], level: str, place: str, account: Account) -> list[Region]:
    words: list[tuple[object, Region]] = []
    for i, line in enumerate(sequence(value["valid_line"], f"{place}: valid_line"), start=1):
        try:
            extra = {key: line[key] for key in ("category", "group_id") if key in line}
            for word in line["words"]:
                text = text_of(word, "text") or ""
                if not text.strip():
                    account.drop("word with an empty text", f"{place}: valid_line {i}")
                    continue
                words.append((word.get("row_id"), Region(_quad(word["quad"]), text, extra=dict(extra))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{place}: valid_line {i}: {error!r}")
    if level == "word":
        return [region for _, region in words]
    rows: dict[object, list[Region]] = {}
    for position, (row, region) in enumerate(words):
        rows.setdefault(("row", row) if row is not None else ("word", position), []).append(region)
    return [_joined(regions) for regions in rows.values()]


def _joined(regions: list[Region]) -> Region:
    """The words of a printed line as one region, from left to right."""
    if len(regions) == 1:
        return regions[0]
    ordered = sorted(regions, key=lambda region: min(x for x, _ in region.points))
    points = smallest_rectangle([point for region in ordered for point in region.points])
    return Region(points, " ".join(region.text or "" for region in ordered), extra=ordered[0].extra)


def _quad(value: dict[str, Any]) -> Points:
    """The corners by their numbers: the order of the keys means nothing."""
    return [(number(value[f"x{i}"]), number(value[f"y{i}"])) for i in range(1, 5)]


def _recognize(keys: tuple[str, ...]) -> Callable[[Folder], Guess]:
    def recognize(folder: Folder) -> Guess:
        for name in folder.like(r".*\.json")[:20]:
            head = folder.head(name)
            if head.lstrip().startswith("{") and all(f'"{key}"' in head for key in keys):
                return Guess(0.95, f"{name} has {', '.join(keys)}")
        return NO

    return recognize


FORMATS = [
    Format("funsd", "FUNSD", DET, "annotations/NAME.json: form of entities with words (level=word, line)",
           _recognize(("form", "words", "box")), _read_funsd, options=_LEVEL),
    Format("xfund", "XFUND", DET, "zh.train.json: documents (level=line, word)",
           _recognize(("documents", "document", "box")), _read_xfund, options=_LEVEL),
    Format("cord", "CORD", DET, "json/receipt_00000.json: valid_line of words (level=word, line)",
           _recognize(("valid_line", "quad")), _read_cord, options=_LEVEL),
]  # fmt: skip
