"""LabelImg's three forms: Pascal VOC (XML), YOLO (TXT) and CreateML (JSON). Regions are upright boxes with a class.

Texts are in none of them, but some users type the text as the class: `text_key=name` takes it. YOLO's boxes are
relative to the size of the image, which is read from its file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

import yaml

from ocrexp.data.formats.base import DET, BadLabel, Format, each_file, leading_numbers, share_of_lines
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.icdar import label_files
from ocrexp.data.formats.json_values import kept_json, sequence, text_of
from ocrexp.data.formats.safe_files import Element, read_lines, read_text, read_xml
from ocrexp.data.formats.shapes import bounds, box, inside, number, pairs, plain
from ocrexp.data.formats.user_names import is_ignored
from ocrexp.data.formats.writer import CLASS, Writer, class_of
from ocrexp.errors import DataError
from ocrexp.types import UnusableSample

_TEXT_KEY = frozenset(("text_key",))
_YOLO = r"\d+(?: -?\d*\.?\d+(?:[eE]-?\d+)?){4,}\s*"
_DEFAULT = "text"  # class of regions of formats without classes


def _region(box_: list[tuple[float, float]], name: str, options: ReadOptions, ignored: bool = False) -> Region:
    if options.text_key == "name":
        return Region(box_, None if name == "###" else name, ignored or name == "###")
    return Region(box_, None, ignored or is_ignored(name), extra={CLASS: name})


def _read_voc(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    _check_text_key(options)

    def entry(name: str) -> Entry | None:
        path = folder.base / name
        root = read_xml(path)
        if root.tag != "annotation":
            return None
        regions = []
        for element in root.all("object"):
            try:
                sides = [number(element.value("bndbox", side)) for side in ("xmin", "ymin", "xmax", "ymax")]
            except ValueError as error:
                account.drop("annotation that cannot be read", f"{path}:{element.line}: {error}")
                continue
            difficult = element.value("difficult") == "1"
            regions.append(_region(box(*sides), element.value("name"), options, difficult))
        named = root.value("filename")
        image = folder.image(named, name) if named else None
        stem = name.rpartition("/")[2].removesuffix(".xml")
        image = image or folder.image_of(stem, name)
        shown = folder.below(image) if image else named or f"{stem}.jpg"
        split = split_of(name.rpartition("/")[0])
        return Entry(shown, image, regions, size=_voc_size(root), split=split, source=str(path))

    return each_file(folder.files(".xml"), account, entry)


def _voc_size(root: Element) -> tuple[int, int] | None:
    try:
        width, height = (int(number(root.value("size", side))) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _check_text_key(options: ReadOptions) -> None:
    if options.text_key not in (None, "name"):
        raise DataError(f"text_key: expected name (the class is the text) or null, got {options.text_key!r}")


def _read_yolo(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    _check_text_key(options)
    classes = _classes(folder, account)

    def entry(name: str) -> Entry | None:
        path = folder.base / name
        stem = name.rpartition("/")[2].removesuffix(".txt")
        image = folder.image_of(stem, name)
        entry = Entry(folder.below(image) if image else f"{stem}.jpg", image, [], source=str(path))
        entry.split = split_of(name.rpartition("/")[0])
        lines = list(read_lines(path, account))
        if not lines:
            return entry
        if image is None:
            account.drop("image that is not found, without whose size its boxes cannot be read", str(path))
            return None
        try:
            size = entry.known_size()
        except UnusableSample as error:
            account.drop("image that cannot be read", f"{path}: {error}")
            return None
        regions = []
        for line_number, line in lines:
            try:
                regions.append(_yolo_region(line, classes, size, options))
            except BadLabel as bad:
                account.drop("line that cannot be read", f"{path}:{line_number}: {bad}")
        entry.regions = regions
        return entry

    names = [name for name in label_files(folder, ".txt") if _is_yolo(folder, name)]
    return each_file(names, account, entry)


def _yolo_region(line: str, classes: dict[int, str], size: tuple[int, int], options: ReadOptions) -> Region:
    fields = line.split()
    numbers, _ = leading_numbers(" ".join(fields), len(fields), " ")
    name = classes.get(int(numbers[0]), str(int(numbers[0])))
    width, height = size
    if len(fields) in (5, 6):  # the sixth is a score
        x, y, w, h = numbers[1:5]
        points = box((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    elif len(fields) >= 7 and len(fields) % 2:
        points = [(x * width, y * height) for x, y in pairs(numbers[1:])]
    else:
        raise BadLabel(f"expected a class and 4 numbers or points, got {len(fields)} fields")
    return _region([(plain(x), plain(y)) for x, y in points], name, options)


def _is_yolo(folder: Folder, name: str) -> bool:
    lines = folder.first_lines(name)
    return not lines or share_of_lines(lines, _YOLO) > 0.5


def _classes(folder: Folder, account: Account) -> dict[int, str]:
    """The names of classes, from classes.txt, Darknet's obj.names or data.yaml, which is only read for them."""
    for name in folder.like(r"classes\.txt|.*\.names"):
        return {i: line.strip() for i, line in enumerate(read_text(folder.base / name, account).splitlines())}
    for name in folder.like(r"(?:data|dataset)\.ya?ml"):
        try:
            value = yaml.safe_load(read_text(folder.base / name, account))
        except (yaml.YAMLError, RecursionError) as error:
            raise DataError(f"{folder.base / name}: is not YAML ({' '.join(str(error).split())}); correct it") from None
        names = value.get("names") if isinstance(value, dict) else None
        if isinstance(names, list):
            return {i: str(item) for i, item in enumerate(names)}
        if isinstance(names, dict):
            return {int(key): str(item) for key, item in names.items() if str(key).isdigit()}
    return {}


def _read_createml(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    _check_text_key(options)
    for name in folder.files(".json"):
        if '"coordinates"' not in folder.head(name) and not folder.only:
            continue
        path = folder.base / name
        for i, value in enumerate(sequence(kept_json(folder, name), str(path)), start=1):
            named = text_of(value, "image") or text_of(value, "imagefilename")
            if not named:
                account.drop("annotation without an image name", f"{path}: {i}")
                continue
            regions = []
            for label in value.get("annotations") or value.get("annotation") or ():
                try:
                    at = label["coordinates"]
                    x, y, w, h = (number(at[key]) for key in ("x", "y", "width", "height"))
                    middle_box = box(x - w / 2, y - h / 2, x + w / 2, y + h / 2)
                    regions.append(_region(middle_box, text_of(label, "label") or "", options))
                except (ValueError, KeyError, TypeError) as error:
                    account.drop("annotation that cannot be read", f"{path}: {named}: {error!r}")
            split = split_of(name)
            yield Entry(named, folder.image(named, name), regions, split=split, source=f"{path}: {named}")


def _recognize_voc(folder: Folder) -> Guess:
    for name in folder.like(r".*\.xml")[:20]:
        head = folder.head(name)
        if "<bndbox>" in head and "<annotation" in head:
            return Guess(0.95, f"{name} has objects with bndbox")
    return NO


def _recognize_yolo(folder: Folder) -> Guess:
    names = [name for name in folder.like(r".*\.txt") if not name.endswith("classes.txt")]
    for name in names[:20]:
        if share_of_lines(folder.first_lines(name), _YOLO) > 0.5:
            known = folder.like(r"classes\.txt|.*\.names|data(?:set)?\.ya?ml")
            return Guess(0.9 if known else 0.7, f"{name} has lines of a class and 4 numbers")
    return NO


def _recognize_createml(folder: Folder) -> Guess:
    for name in folder.like(r".*\.json")[:20]:
        head = folder.head(name)
        if head.lstrip().startswith("[") and '"coordinates"' in head and '"annotation' in head:
            return Guess(0.95, f"{name} has annotations with coordinates")
    return NO


def _name(region: Region) -> str:
    """What LabelImg shows for a region: its class, else its text."""
    return class_of(region) or ("###" if region.ignored and not region.text else region.text) or _DEFAULT


class VocWriter(Writer):
    """Writes `NAME.xml` beside each image; the class is the text where there is no class."""

    shapes = "boxes"
    attributes = frozenset((CLASS,))

    def put(self, entry: Entry) -> bool:
        """One file."""
        width, height = entry.known_size()
        name = self.images.put(entry, "")
        parts = [
            "<annotation>", f"\t<folder>{escape(self.images.final.name)}</folder>",
            f"\t<filename>{escape(name)}</filename>",
            f"\t<path>{escape(str(self.images.final.absolute() / name))}</path>",
            f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>",
            "\t<segmented>0</segmented>",
        ]  # fmt: skip
        for region in entry.regions or ():
            if region.text is not None and class_of(region) is not None:
                self.account.change("text of a region that has a class, in whose place the class is", entry.source)
            sides = zip(("xmin", "ymin", "xmax", "ymax"), bounds(region.points), strict=True)
            inner = "".join(f"\n\t\t\t<{side}>{plain(value)}</{side}>" for side, value in sides)
            parts.append(
                f"\t<object>\n\t\t<name>{escape(_name(region))}</name>\n\t\t<pose>Unspecified</pose>\n"
                f"\t\t<truncated>0</truncated>\n\t\t<difficult>{int(region.ignored)}</difficult>\n"
                f"\t\t<bndbox>{inner}\n\t\t</bndbox>\n\t</object>"
            )
        parts.append("</annotation>\n")
        path = self.folder / re.sub(r"\.[^./]*$", "", name)
        path.with_name(f"{path.name}.xml").write_text("\n".join(parts), encoding="utf-8")
        return True


class YoloWriter(Writer):
    """Writes `labels/NAME.txt`, `images/NAME` and `classes.txt`."""

    shapes = "boxes"
    has_ignored = has_text = False
    attributes = frozenset((CLASS,))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._classes: dict[str, int] = {}

    def put(self, entry: Entry) -> bool:
        """One file."""
        width, height = entry.known_size()
        name = self.images.put(entry, "images").removeprefix("images/")
        lines = []
        for region in entry.regions or ():
            points, share = inside(region.points, width, height)
            if share == 0:
                self.account.drop("region outside its image", entry.source)
                continue
            if share < 1 - 1e-6:  # programs that train on such files drop images with positions beyond 0..1
                self.account.change("region that reaches beyond its image, cut at the edge", entry.source)
            left, top, right, bottom = bounds(points)
            number_ = self._classes.setdefault(class_of(region) or _DEFAULT, len(self._classes))
            sides = [(left + right) / 2 / width, (top + bottom) / 2 / height]
            sides += [(right - left) / width, (bottom - top) / height]
            lines.append(" ".join([str(number_), *(f"{side:.10f}".rstrip("0").rstrip(".") for side in sides)]) + "\n")
        path = self.folder / "labels" / (re.sub(r"\.[^./]*$", "", name) + ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
        return True

    def close(self) -> None:
        """The classes are known."""
        names = sorted(self._classes, key=lambda name: self._classes[name])
        (self.folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


FORMATS = [
    Format("labelimg_voc", "LabelImg, Pascal VOC", DET, "NAME.xml: object, bndbox; the class is not a text",
           _recognize_voc, _read_voc, VocWriter, _TEXT_KEY),
    Format("labelimg_yolo", "LabelImg, YOLO", DET, "labels/NAME.txt: class x y width height, relative; classes.txt",
           _recognize_yolo, _read_yolo, YoloWriter, _TEXT_KEY),
    Format("createml", "CreateML, LabelImg, Roboflow", DET, "_annotations.createml.json: middle and size of boxes",
           _recognize_createml, _read_createml, None, _TEXT_KEY),
]  # fmt: skip
