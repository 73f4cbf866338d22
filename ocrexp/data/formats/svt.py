"""Street View Text (`train.xml`, `test.xml`) and ICDAR 2003 (`words.xml`, `locations.xml`): boxes as attributes."""

from __future__ import annotations

from collections.abc import Iterator

from ocrexp.data.formats.base import DET, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.safe_files import Element, read_xml
from ocrexp.data.formats.shapes import middle, number, sized_box, turned


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(".xml"):
        if "taggedRectangle" not in folder.head(name) and not folder.only:
            continue
        root = read_xml(folder.base / name)
        for image in root.all("image"):
            yield _entry(folder, name, image, account)


def _entry(folder: Folder, name: str, image: Element, account: Account) -> Entry:
    path = folder.base / name
    named = image.value("imageName")
    regions = []
    boxes = image.first("taggedRectangles")
    for element in boxes.all("taggedRectangle") if boxes else ():
        try:
            x, y, width, height = (number(element.attributes[key]) for key in ("x", "y", "width", "height"))
            points = sized_box(x, y, width, height)
            degrees = number(element.attributes.get("rotation", "0"))
        except (KeyError, ValueError) as error:
            account.drop("annotation that cannot be read", f"{path}:{element.line}: {error}")
            continue
        regions.append(Region(turned(points, degrees, middle(points)), element.value("tag") or None))
    size = image.first("Resolution") or image.first("resolution")
    found = folder.image(named, name)
    entry = Entry(
        folder.below(found) if found else named, found, regions, split=split_of(name), source=f"{path}:{image.line}"
    )
    if size is not None:
        try:
            entry.size = (int(number(size.attributes["x"])), int(number(size.attributes["y"])))
        except (KeyError, ValueError):
            entry.size = None
    return entry


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.xml")[:20]:
        if "taggedRectangle" in folder.head(name):
            return Guess(0.95, f"{name} has images with taggedRectangles")
    return NO


FORMATS = [
    Format("svt", "SVT, ICDAR 2003", DET, "test.xml, words.xml: image, taggedRectangle, tag", _recognize, _read),
]
