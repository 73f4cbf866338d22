"""MMOCR 1.x: `{"metainfo", "data_list"}` for detection, spotting and recognition; also the forms of 0.x.

Polygons are flat lists, `bbox` is two corners. 0.x: `NAME TEXT` and `{"filename", "text"}` per line for recognition,
`{"file_name", "annotations": [{"box", "text", "label"}]}` per line for WildReceipt; the same with COCO's annotations
for detection, whose `bbox` is a corner and the size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ocrexp.data.formats import coco
from ocrexp.data.formats.base import IGNORED, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import kept_json, mapping, sequence, size_of, text_of
from ocrexp.data.formats.safe_files import parse_json, read_lines
from ocrexp.data.formats.shapes import as_flat, bounds, box, number, pairs, plain
from ocrexp.data.formats.writer import Writer
from ocrexp.errors import DataError
from ocrexp.files import as_json

_KEPT = ("label",)


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(".json", ".jsonl", ".txt"):
        head = folder.head(name)
        if '"data_list"' in head or '"metainfo"' in head:
            yield from _read_data_list(folder, name, account)
        elif _is_lines(head):
            yield from _read_lines(folder, name, account)
        elif folder.only:
            raise DataError(f"{folder.path}: has no data_list and no lines of JSON with a file name; is it of MMOCR?")


def _read_data_list(folder: Folder, name: str, account: Account) -> Iterator[Entry]:
    path = folder.base / name
    whole = mapping(kept_json(folder, name), str(path))
    meta = whole.get("metainfo")
    task = text_of(meta, "task_name") or ""
    for i, value in enumerate(sequence(whole.get("data_list"), f"{path}: data_list"), start=1):
        place = f"{path}: data_list {i}"
        named = text_of(value, "img_path")
        if not named:
            account.drop("annotation without an image name", place)
            continue
        instances = sequence(value.get("instances") or [], f"{place}: instances")
        entry = Entry(named, folder.image(named, name), size=size_of(value), split=split_of(name), source=place)
        shaped = any("polygon" in one or "bbox" in one for one in instances if isinstance(one, dict))
        if task == "textrecog" or (instances and not shaped):
            entry.text = text_of(instances[0], "text") if instances else None
        else:
            entry.regions = list(_regions(instances, place, account))
        yield entry


def _regions(instances: list[Any], place: str, account: Account) -> Iterator[Region]:
    for i, value in enumerate(instances, start=1):
        try:
            flat = value.get("polygon") or value.get("box")
            points = pairs(flat) if flat else box(*(number(side) for side in value["bbox"]))
            text = text_of(value, "text")
            extra = {key: value[key] for key in _KEPT if key in value}
            yield Region(points, None if text == IGNORED else text, bool(value.get("ignore")) or text == IGNORED,
                         extra=extra)  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{place}: instance {i}: {error!r}")


def _coco_regions(values: list[Any], place: str, account: Account) -> Iterator[Region]:
    """The regions of detection lists of MMOCR 0.x, which are annotations as COCO has them."""
    for i, value in enumerate(values, start=1):
        try:
            yield coco.region(value, {}, None, place, account)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{place}: annotation {i}: {error!r}")


def _read_lines(folder: Folder, name: str, account: Account) -> Iterator[Entry]:
    path = folder.base / name
    for line_number, line in read_lines(path, account):
        place = f"{path}:{line_number}"
        try:
            value = parse_json(line, place)
        except DataError as error:
            account.drop("line that cannot be read", str(error))
            continue
        named = text_of(value, "filename") or text_of(value, "file_name")
        if not named:
            account.drop("line that cannot be read", f"{place}: expected filename or file_name")
            continue
        entry = Entry(named, folder.image(named, name), size=size_of(value), split=split_of(name), source=place)
        if "annotations" in value:
            values = sequence(value["annotations"], place)
            as_coco = any("segmentation" in one or "iscrowd" in one for one in values if isinstance(one, dict))
            entry.regions = list(_coco_regions(values, place, account) if as_coco else _regions(values, place, account))
        else:
            entry.text = text_of(value, "text")
        yield entry


def _is_lines(head: str) -> bool:
    first, end, _ = head.lstrip().partition("\n")
    try:
        value = parse_json(first, "")
    except DataError:
        # A line that is longer than the beginning that is looked at.
        return not end and first.startswith('{"file') and '"annotations"' in first
    keys = value.keys() if isinstance(value, dict) else ()
    return ("file_name" in keys or "filename" in keys) and ("text" in keys or "annotations" in keys)


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.(?:json|jsonl|txt)")[:20]:
        head = folder.head(name)
        if '"metainfo"' in head or ('"data_list"' in head and '"img_path"' in head):
            return Guess(0.95, f"{name} has metainfo and data_list")
        if _is_lines(head):
            return Guess(0.9, f"{name} has lines of JSON with file names, as MMOCR 0.x has")
    return NO


class MmocrWriter(Writer):
    """Writes `PART.json` beside `images/`: textspotting, which holds regions and texts, or textrecog."""

    kinds = ("det", "rec")
    own_folder = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._list: list[Any] = []
        self._kind = "textspotting"

    def put(self, entry: Entry) -> bool:
        """One image."""
        if entry.regions is None:
            self._kind = "textrecog"
            self._list.append({"img_path": self.images.refer(entry), "instances": [{"text": entry.text}]})
            return True
        width, height = entry.known_size()
        instances = []
        for region in entry.regions:
            value: dict[str, Any] = {
                "polygon": as_flat(region.points), "bbox": [plain(side) for side in bounds(region.points)],
                "bbox_label": 0, "ignore": region.ignored,
            }  # fmt: skip
            if region.text is not None or region.ignored:
                value["text"] = region.text if region.text is not None else IGNORED
            instances.append(value)
        self._list.append(
            {"img_path": self.images.refer(entry), "height": height, "width": width, "instances": instances}
        )
        return True

    def close(self) -> None:
        """All images are known."""
        kind = {"textspotting": "TextSpottingDataset", "textrecog": "TextRecogDataset"}[self._kind]
        meta = {"dataset_type": kind, "task_name": self._kind, "category": [{"id": 0, "name": "text"}]}
        text = as_json({"metainfo": meta, "data_list": self._list}, indent=None)
        (self.folder / f"{self.split}.json").write_text(text, encoding="utf-8")


FORMATS = [
    Format("mmocr", "MMOCR 1.x and 0.x", ("det", "rec"), "textdet_train.json: metainfo, data_list; lines of JSON",
           _recognize, _read, MmocrWriter),
]  # fmt: skip
