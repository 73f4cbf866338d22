"""COCO's instances: one JSON file of `images`, `annotations`, `categories`; also the texts of OpenImages (OpenVINO).

`bbox` is the top left corner and the size; `segmentation` has outlines as flat lists, or masks, which are read as their
box. `iscrowd` marks regions to ignore, as MMOCR writes them. The text, if there is one, is in the annotation or in its
`attributes`, under `text_key` or one of the usual names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ocrexp.data.formats.base import DET, IGNORED, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region, first_text
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.json_values import kept_json, mapping, sequence, size_of, text_of
from ocrexp.data.formats.shapes import as_flat, bounds, number, pairs, plain, signed_area, sized_box
from ocrexp.data.formats.user_names import LANGUAGE, UNKNOWN_TEXT, is_ignored, take_marks
from ocrexp.data.formats.writer import CLASS, Writer, class_of
from ocrexp.errors import DataError
from ocrexp.files import as_json

_TEXTS = ("text", "transcription", "utf8_string", "caption")
_DEFAULT = "text"


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(".json"):
        if not folder.only and not _is(folder.probe(name)):
            continue
        path = folder.base / name
        whole = mapping(kept_json(folder, name), str(path))
        images = sequence(whole.get("images"), f"{path}: images")
        labels: dict[str, list[Any]] = {}
        annotations = sequence(whole.get("annotations"), f"{path}: annotations")
        if options.text_key is None:
            _note_attributes(annotations, str(path), account)
        for label in annotations:
            labels.setdefault(str(label.get("image_id")) if isinstance(label, dict) else "", []).append(label)
        classes = {
            str(one.get("id")): str(one.get("name")) for one in whole.get("categories") or () if isinstance(one, dict)
        }
        for image in images:
            yield _entry(folder, name, image, labels.pop(str(mapping(image, str(path)).get("id")), []), classes,
                         options, account)  # fmt: skip
        account.drop("annotation of an image that the file does not list", str(path), sum(map(len, labels.values())))


def _entry(
    folder: Folder, name: str, image: dict[str, Any], labels: list[Any], classes: dict[str, str],
    options: ReadOptions, account: Account,
) -> Entry:  # fmt: skip
    place = f"{folder.base / name}: image {image.get('id')}"
    named = text_of(image, "file_name")
    if not named:
        raise DataError(f"{place}: has no file_name; correct the file")
    regions = []
    for label in labels:
        where = f"{folder.base / name}: annotation {label.get('id') if isinstance(label, dict) else ''}"
        try:
            regions.append(region(label, classes, options.text_key, where, account))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{where}: {error!r}")
    split = split_of(name.rpartition("/")[2]) or split_of(named.rpartition("/")[0])
    return Entry(named, folder.image(named, name), regions, size=size_of(image), split=split, source=place)


def region(
    label: dict[str, Any], classes: dict[str, str], text_key: str | None, place: str, account: Account
) -> Region:
    """The region of an annotation. Raises ValueError, KeyError, TypeError or AttributeError for what is not one."""
    attributes = _attributes(label)
    keys = [text_key] if text_key else _TEXTS
    text = first_text(label, keys) or first_text(attributes if text_key else _any_case(attributes), keys)
    name = classes.get(str(label.get("category_id")), "")
    marked = take_marks({**label, **attributes}) or attributes.get("legible") in (False, 0, "false")
    ignored = bool(label.get("iscrowd")) or marked or text == IGNORED or is_ignored(name)
    extra = {"class": name} if name and name != _DEFAULT else {}
    language = text_of(attributes, LANGUAGE) or ""
    return Region(_outline(label, place, account), None if text == IGNORED else text, ignored, language, extra)


def _outline(label: dict[str, Any], place: str, account: Account) -> Points:
    segments = label.get("segmentation")
    if isinstance(segments, list) and segments:
        outlines = [pairs(one) for one in (segments if isinstance(segments[0], list) else [segments])]
        if len(outlines) > 1:
            account.change("annotation of several outlines, of which the largest was used", place)
        return max(outlines, key=lambda one: abs(signed_area(one)))
    if isinstance(segments, dict):
        account.change("annotation with a mask, read as its box", place)
    return sized_box(*(number(value) for value in label["bbox"]))


def _attributes(label: Any) -> dict[str, Any]:
    attributes = label.get("attributes") if isinstance(label, dict) else None
    return attributes if isinstance(attributes, dict) else {}


def _any_case(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name.casefold(): value for name, value in reversed(attributes.items())}


def _note_attributes(labels: list[Any], place: str, account: Account) -> None:
    """Count a file whose attributes may have texts under a name that is not usual."""
    names = {
        name: None for label in labels for name, value in _attributes(label).items()
        if isinstance(value, str) and value and name != LANGUAGE and not is_ignored(name)
    }  # fmt: skip
    if names and not any(name.casefold() in _TEXTS for name in names):
        account.change(UNKNOWN_TEXT, f"{place}: {', '.join(names)}")


def _is(head: str) -> bool:
    return head.lstrip()[:1] == "{" and all(f'"{key}"' in head for key in ("image_id", "bbox", "file_name"))


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.json")[:20]:
        if _is(head := folder.probe(name)):
            # COCO-Text and TextOCR have the same keys in objects by id.
            sure = 0.6 if '"utf8_string"' in head else 0.9
            return Guess(sure, f"{name} has images and annotations with bbox, as COCO has")
    return NO


class CocoWriter(Writer):
    """Writes `instances_PART.json` beside `images/`; texts are in `attributes`."""

    own_folder = False
    has_language = True
    attributes = frozenset((CLASS,))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._images: list[Any] = []
        self._labels: list[Any] = []
        self._classes: dict[str, int] = {_DEFAULT: 1}

    def put(self, entry: Entry) -> bool:
        """One image and its annotations."""
        width, height = entry.known_size()
        number_ = len(self._images) + 1
        name = self.images.refer(entry)
        self._images.append({"id": number_, "file_name": name, "width": width, "height": height})
        for region in entry.regions or ():
            left, top, right, bottom = bounds(region.points)
            attributes = {"text": region.text} if region.text is not None else {}
            if region.language:
                attributes["language"] = region.language
            category = self._classes.setdefault(class_of(region) or _DEFAULT, len(self._classes) + 1)
            self._labels.append({
                "id": len(self._labels) + 1, "image_id": number_, "category_id": category,
                "bbox": [plain(left), plain(top), plain(right - left), plain(bottom - top)],
                "segmentation": [as_flat(region.points)], "area": plain(abs(signed_area(region.points))),
                "iscrowd": int(region.ignored), "attributes": attributes,
            })  # fmt: skip
        return True

    def close(self) -> None:
        """All images are known."""
        categories = [{"id": number_, "name": name} for name, number_ in self._classes.items()]
        value = {"images": self._images, "annotations": self._labels, "categories": categories}
        (self.folder / f"instances_{self.split}.json").write_text(as_json(value, indent=None), encoding="utf-8")


FORMATS = [
    Format("coco", "COCO instances, OpenImages texts", DET, "instances.json: images, annotations, categories",
           _recognize, _read, CocoWriter, frozenset(("text_key",))),
]  # fmt: skip
