"""PAGE XML and ALTO: pages with lines and words, as transcription programs and libraries write them.

`level=line` gives lines (the usual level), `level=word` words. The text of a line is its own; where it has none, that
of its words, joined by spaces. ALTO's positions are scaled from its unit to pixels of the page's stated size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from ocrexp.data.formats.base import DET, BadLabel, Format, each_file, outline
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.safe_files import Element, read_xml
from ocrexp.data.formats.shapes import bounds, box, number, sized_box, unclosed
from ocrexp.errors import DataError
from ocrexp.types import UnusableSample

_LEVEL = frozenset(("level",))
_SOFT_HYPHEN = "\u00ad"  # what is on the page is a hyphen
_PER_INCH = {"inch1200": 1200.0, "mm10": 254.0}


def _read_page(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    tag = "Word" if options.level == "word" else "TextLine"

    def entry(name: str) -> Entry | None:
        path = folder.base / name
        page = read_xml(path).first("Page")
        if page is None:
            return None
        regions = []
        for element, ignored in _at_level(page, tag, ("TextRegion", "TextLine", "Word")):
            if (region := _page_region(element, str(path), account)) is not None:
                _ignore(region, ignored, element, str(path), account)
                regions.append(region)
        found = _page_image(folder, name, page.attributes.get("imageFilename", ""))
        found.regions = regions
        found.size = _size(page, "imageWidth", "imageHeight")
        return found

    return each_file(folder.files(".xml"), account, entry)


def _at_level(page: Element, tag: str, levels: tuple[str, ...]) -> Iterator[tuple[Element, bool]]:
    """The elements with a name, and whether they are larger ones with a text that contain none (True)."""
    for element in page.walk():
        if element.tag == tag:
            yield element, False
        elif element.tag in levels[: levels.index(tag)] and _has_text(element):
            inner = (one for one in element.walk() if one is not element)
            if all(one.tag not in levels for one in inner):
                yield element, True


def _has_text(element: Element) -> bool:
    return element.tag != "TextRegion" or bool(_page_text(element))


def _ignore(region: Region, ignored: bool, element: Element, path: str, account: Account) -> None:
    """Mark what is not divided into lines or words: it is text, which a detector must not learn as background."""
    if ignored:
        region.ignored = True
        account.change(f"{element.tag} that is not divided further, marked to be ignored", f"{path}:{element.line}")


def _page_image(folder: Folder, name: str, named: str) -> Entry:
    """The entry of a page: its image is named in the file, or has the name of the file."""
    stem = PurePosixPath(name).stem
    image = (folder.image(named, name) if named else None) or folder.image_of(stem, name)
    if image is None and named:
        image = folder.image_of(PurePosixPath(named.replace("\\", "/")).stem, name)
    shown = folder.below(image) if image else PurePosixPath(named.replace("\\", "/")).name or f"{stem}.jpg"
    return Entry(shown, image, [], split=split_of(name.rpartition("/")[0]), source=str(folder.base / name))


def _page_region(element: Element, path: str, account: Account) -> Region | None:
    coords = element.first("Coords")
    try:
        if coords is None:
            raise BadLabel("has no Coords")
        if "points" in coords.attributes:
            points = _point_list(coords.attributes["points"])
        else:
            points = [(number(p.attributes["x"]), number(p.attributes["y"])) for p in coords.all("Point")]
    except (ValueError, KeyError) as error:
        account.drop("annotation that cannot be read", f"{path}:{element.line}: {element.tag} {error}")
        return None
    text = _page_text(element) or " ".join(filter(None, map(_page_text, element.all("Word"))))
    extra = {"id": element.attributes["id"]} if "id" in element.attributes else {}
    language = element.attributes.get("language", element.attributes.get("primaryLanguage", ""))
    return Region(points, text or None, language=language, extra=dict(extra))


def _page_text(element: Element) -> str:
    """The text of an element itself: of several the one with the lowest index."""
    texts = element.all("TextEquiv")
    if not texts:
        return ""
    best = min(texts, key=lambda one: int(one.attributes["index"]) if one.attributes.get("index", "").isdigit() else 0)
    return best.value("Unicode")


def _point_list(text: str) -> Points:
    """Points as `x,y x,y` or `x y x y`."""
    return unclosed(outline([number(value) for value in re.split(r"[\s,;]+", text.strip())]))


def _size(element: Element, width: str, height: str) -> tuple[int, int] | None:
    try:
        found = int(number(element.attributes[width])), int(number(element.attributes[height]))
    except (KeyError, ValueError):
        return None
    return found if found[0] > 0 and found[1] > 0 else None


def _read_alto(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    tag = "String" if options.level == "word" else "TextLine"

    def entry(name: str) -> Entry | None:
        path = folder.base / name
        root = read_xml(path)
        page = root.first("Layout", "Page")
        if page is None:
            return None
        description = root.first("Description")
        source = description.value("sourceImageInformation", "fileName") if description else ""
        found = _page_image(folder, name, source)
        unit = description.value("MeasurementUnit") if description else ""
        scale = (1.0, 1.0)
        if unit in _PER_INCH:
            try:
                scale = _scale(page, found)
            except (UnusableSample, DataError) as error:
                account.drop(f"page in {unit} whose size in pixels is not known", f"{path}: {error}")
                return None
        else:
            found.size = _size(page, "WIDTH", "HEIGHT")
        found.regions = []
        for element, ignored in _at_level(page, tag, ("TextLine", "String")):
            if (region := _alto_region(element, scale, str(path), account)) is not None:
                _ignore(region, ignored, element, str(path), account)
                found.regions.append(region)
        return found

    return each_file(folder.files(".xml"), account, entry)


def _scale(page: Element, entry: Entry) -> tuple[float, float]:
    """Pixels per unit, from the size of the image and the page's size in units."""
    stated = _size(page, "WIDTH", "HEIGHT")
    if stated is None:
        raise DataError("the page has no WIDTH and HEIGHT")
    width, height = entry.known_size()
    return width / stated[0], height / stated[1]


def _alto_region(element: Element, scale: tuple[float, float], path: str, account: Account) -> Region | None:
    try:
        points = _alto_outline(element)
    except (ValueError, KeyError) as error:
        account.drop("annotation that cannot be read", f"{path}:{element.line}: {element.tag} {error!r}")
        return None
    points = [(x * scale[0], y * scale[1]) for x, y in points]
    extra = {"id": element.attributes["ID"]} if "ID" in element.attributes else {}
    language = element.attributes.get("LANG", "")
    return Region(points, _alto_text(element) or None, language=language, extra=dict(extra))


def _alto_outline(element: Element) -> Points:
    """The polygon of an element, else its box, else the box around its strings."""
    polygon = element.first("Shape", "Polygon")
    if polygon is not None and "POINTS" in polygon.attributes:
        return _point_list(polygon.attributes["POINTS"])
    if "HPOS" not in element.attributes and (strings := element.all("String")):
        return box(*bounds([point for string in strings for point in _alto_outline(string)]))
    sides = (number(element.attributes[key]) for key in ("HPOS", "VPOS", "WIDTH", "HEIGHT"))
    return sized_box(*sides)


def _alto_text(element: Element) -> str:
    """The strings of a line. Spaces are where it states them (SP), or between all strings where it states none."""
    if element.tag == "String":
        return element.attributes.get("CONTENT", "").strip()
    spaced = element.first("SP") is not None
    text = ""
    for child in element.children:
        content = child.attributes.get("CONTENT", "")
        if child.tag == "String":
            text = f"{text} {content.strip()}" if text and not spaced else text + content.strip()
        elif child.tag == "SP":
            text = f"{text.rstrip(' ')} "
        elif child.tag == "HYP":
            text = text.rstrip(" ") + ("-" if content in ("", _SOFT_HYPHEN) else content)
    return text.strip()


def _recognize_page(folder: Folder) -> Guess:
    for name in folder.like(r".*\.xml")[:20]:
        head = folder.head(name)
        if "PcGts" in head and "imageFilename" in head:
            return Guess(0.95, f"{name} has PcGts with imageFilename")
    return NO


def _recognize_alto(folder: Folder) -> Guess:
    for name in folder.like(r".*\.xml")[:20]:
        head = folder.head(name)
        if re.search(r"<(?:\w+:)?alto[\s>]", head, re.IGNORECASE) and "Layout" in head:
            return Guess(0.95, f"{name} has alto with a Layout")
    return NO


FORMATS = [
    Format("page_xml", "PAGE XML", DET, "NAME.xml: TextLine (level=line) or Word (level=word)", _recognize_page,
           _read_page, options=_LEVEL),
    Format("alto", "ALTO", DET, "NAME.xml: TextLine (level=line) or String (level=word)", _recognize_alto, _read_alto,
           options=_LEVEL),
]  # fmt: skip
