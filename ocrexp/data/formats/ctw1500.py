"""SCUT-CTW1500: curved lines of 14 points, in the four forms in which it is distributed.

- `xmin,ymin,xmax,ymax` and 14 offsets from (xmin, ymin): the first release, without texts;
- XML, `<box><label>text</label><segs>28 numbers</segs>`: training labels with texts; the image is named inside;
- 28 numbers, a comma and `####text`; the text `###` marks regions to ignore; `0001001.txt` is of `1001.jpg`;
- 28 numbers and `CARE` or `DO_NOT_CARE`: labels for evaluation, without texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ocrexp.data.formats.base import (
    DET,
    IGNORED,
    BadLabel,
    Format,
    each_file,
    leading_numbers,
    outline,
    share_of_lines,
)  # fmt: skip
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.icdar import label_files, page_entry
from ocrexp.data.formats.safe_files import read_xml
from ocrexp.data.formats.shapes import number

_N = r"\s*-?\d+(?:\.\d+)?\s*"
_OFFSETS = rf"{_N}(?:,{_N}){{31}}"
_HASHES = rf"{_N}(?:,{_N}){{27}},####.*"
_CARE = rf"{_N}(?:,{_N}){{27}},(?:CARE|DO_NOT_CARE)"


def parse(line: str) -> Region:
    """A line of any of the text forms."""
    line = line.strip("\r\n")
    if re.fullmatch(_OFFSETS, line):
        numbers, _ = leading_numbers(line, 32)
        left, top = numbers[:2]
        return Region([(left + dx, top + dy) for dx, dy in outline(numbers[4:])], None)
    numbers, rest = leading_numbers(line, 28)
    if rest in ("CARE", "DO_NOT_CARE"):
        return Region(outline(numbers), None, rest == "DO_NOT_CARE")
    if not rest.startswith("####"):
        raise BadLabel("expected ####text, CARE or DO_NOT_CARE after 28 numbers")
    text = rest[4:]
    return Region(outline(numbers), None if text == IGNORED else text or None, text == IGNORED)


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options

    def entry(name: str) -> Entry:
        if name.lower().endswith(".xml"):
            return _xml_entry(folder, name, account)
        found = page_entry(folder, name, parse, account)
        stem = name.rpartition("/")[2].removesuffix(".txt")
        if found.image is None and re.fullmatch(r"000\d{4}", stem):
            found.image = folder.image_of(stem[3:], name)
            found.name = folder.below(found.image) if found.image else f"{stem[3:]}.jpg"
        return found

    return each_file(label_files(folder, ".txt", ".xml"), account, entry)


def _xml_entry(folder: Folder, name: str, account: Account) -> Entry:
    path = folder.base / name
    regions = []
    image = ""
    for element in read_xml(path).walk():
        if element.tag == "image":
            image = image or element.attributes.get("file", "")
        if element.tag != "box":
            continue
        try:
            segments = [number(value) for value in element.value("segs").split(",")]
            text = element.value("label")
            regions.append(Region(outline(segments), None if text == IGNORED else text or None, text == IGNORED))
        except ValueError as error:
            account.drop("annotation that cannot be read", f"{path}:{element.line}: {error}")
    image = image or name.rpartition("/")[2].replace(".xml", ".jpg")
    found = folder.image(image, name)
    split = split_of(name.rpartition("/")[0])
    return Entry(folder.below(found) if found else image, found, regions, split=split, source=str(path))


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.(?:txt|xml)")[:20]:
        if name.lower().endswith(".xml"):
            head = folder.head(name)
            if "<segs>" in head and "<label>" in head:
                return Guess(0.95, f"{name} has boxes with <segs>")
            continue
        lines = folder.first_lines(name)
        for pattern, what in ((_OFFSETS, "a box and 14 offsets"), (_HASHES, "14 points and ####text"),
                              (_CARE, "14 points and CARE")):  # fmt: skip
            if share_of_lines(lines, pattern) > 0.5:
                return Guess(0.95, f"{name} has lines of {what}")
    return NO


FORMATS = [
    Format("ctw1500", "SCUT-CTW1500", DET, "NAME.txt or NAME.xml: 14 points in any of its forms", _recognize, _read),
]
