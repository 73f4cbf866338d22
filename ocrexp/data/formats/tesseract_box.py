"""Tesseract's `.box` files: characters or lines with boxes whose origin is the bottom left corner of the image.

- `T 131 4681 155 4709 0`: a character, left, bottom, right, top, page; a space is a character (`  155 4681 …`), and
  a tab ends a line. Without these records a line ends where the boxes go back or away, and characters that are far
  apart have a space between them, which is counted.
- `WordStr 131 4670 850 4709 0 #text of the line`.

`level=line` joins characters to lines (the usual level), `level=word` to words. The image has the name of the file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ocrexp.data.formats.base import DET, Format, share_of_lines
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.hocr import LATER_PAGE
from ocrexp.data.formats.safe_files import read_lines
from ocrexp.data.formats.shapes import box
from ocrexp.errors import DataError
from ocrexp.types import UnusableSample

_SIDES = r"(-?\d{1,9}) (-?\d{1,9}) (-?\d{1,9}) (-?\d{1,9})"
_WORD_STR = re.compile(rf"WordStr {_SIDES} (\d+) ?#(.*)")
_NAME = r"(\t(?= ?-?\d)|.{1,100}?(?= )) ?"
_CHARACTER = re.compile(rf"{_NAME}{_SIDES} (\d+)\s*")
_OLD_CHARACTER = re.compile(rf"{_NAME}{_SIDES}()\s*")  # Tesseract 2 has no pages
_SPACE_WIDTH = 0.3  # of the height of the line's highest character: the gap that counts as a space


@dataclass(frozen=True, slots=True)
class _Record:
    """A character, or the text of a line, with its box in pixels, y up."""

    text: str
    left: int
    bottom: int
    right: int
    top: int
    page: int
    whole: bool  # text of a line

    @property
    def height(self) -> int:
        return self.top - self.bottom


def _record(line: str) -> _Record | None:
    if match := _WORD_STR.fullmatch(line):
        left, bottom, right, top, page = (int(match[i]) for i in range(1, 6))
        return _Record(match[6].strip(), left, bottom, right, top, page, whole=True)
    match = _CHARACTER.fullmatch(line) or _OLD_CHARACTER.fullmatch(line)
    if match is None:
        return None
    left, bottom, right, top, page = (int(match[i] or 0) for i in range(2, 7))
    return _Record(match[1], left, bottom, right, top, page, whole=False)


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(".box"):
        path = folder.base / name
        pages: dict[int, list[_Record]] = {}
        try:
            for number, line in read_lines(path, account):
                if (found := _record(line)) is not None:
                    pages.setdefault(found.page, []).append(found)
                else:
                    account.drop(
                        "line that cannot be read", f"{path}:{number}: expected a character, 4 sides and a page"
                    )
        except DataError as error:
            account.drop("label file that cannot be read", str(error))
            continue
        for page in sorted(set(pages) - {0}):
            account.drop(LATER_PAGE, f"{path}: page {page}")
        entry = _entry(folder, name)
        try:
            height = entry.known_size()[1]
        except UnusableSample as error:
            account.drop("image without whose height its boxes cannot be read", f"{path}: {entry.name}: {error}")
            continue
        entry.regions = list(_regions(pages.get(0, []), height, options.level or "line", path, account))
        yield entry


def _entry(folder: Folder, name: str) -> Entry:
    stem = PurePosixPath(name).stem
    image = folder.image_of(stem, name)
    shown = folder.below(image) if image else f"{stem}.tif"
    return Entry(shown, image, [], split=split_of(name.rpartition("/")[0]), source=str(folder.base / name))


def _regions(records: list[_Record], height: int, level: str, path: Path, account: Account) -> Iterator[Region]:
    separated = any(record.text in (" ", "\t") for record in records if not record.whole)
    ends = any(record.text == "\t" for record in records)
    for line in _lines(records, ends):
        whole = line[0].whole
        words = [line] if whole else list(_words(line, separated))
        if not whole and not separated and len(words) > 1:
            account.change("line without spaces, which were put where its characters are apart", f"{path}")
        groups = [words] if level == "line" else [[word] for word in words]
        for group in groups:
            text = " ".join("".join(record.text for record in word) for word in group)
            inner = [record for word in group for record in word]
            sides = (
                min(record.left for record in inner), height - max(record.top for record in inner),
                max(record.right for record in inner), height - min(record.bottom for record in inner),
            )  # fmt: skip
            if whole and not text:
                account.drop("region without a text", f"{path}: WordStr")
                continue
            undivided = whole and level == "word"
            if undivided:
                account.change("WordStr that is not divided further, marked to be ignored", f"{path}: {text[:40]}")
            yield Region(box(*sides), text, undivided)


def _lines(records: list[_Record], ends: bool) -> Iterator[list[_Record]]:
    """The characters of each line with spaces between them; a WordStr is a line."""
    line: list[_Record] = []
    for record in records:
        if record.whole or record.text == "\t" or (not ends and _begins_line(line, record)):
            yield from _trimmed(line)
            line = []
        if record.whole:
            yield [record]
        elif record.text != "\t":
            line.append(record)
    yield from _trimmed(line)


def _trimmed(line: list[_Record]) -> Iterator[list[_Record]]:
    if any(record.text.strip() for record in line):
        yield line


def _begins_line(line: list[_Record], record: _Record) -> bool:
    """Whether a character is left of the one before it, or above or below the line."""
    before = next((one for one in reversed(line) if one.text.strip()), None)
    if before is None or not record.text.strip():
        return False
    most = max(one.height for one in line if one.text.strip())
    back = record.right < before.left - most / 2
    away = max(record.bottom - before.top, before.bottom - record.top) > most
    return back or away


def _words(line: list[_Record], separated: bool) -> Iterator[list[_Record]]:
    """The words of a line: between spaces, or in a file without any where characters are apart."""
    most = max(record.height for record in line)
    word: list[_Record] = []
    for record in line:
        blank = not record.text.strip()
        apart = not separated and word and not (_is_wide(word[-1]) or _is_wide(record))
        if word and (blank or (apart and record.left - word[-1].right > _SPACE_WIDTH * most)):
            yield word
            word = []
        if not blank:
            word.append(record)
    if word:
        yield word


def _is_wide(record: _Record) -> bool:
    """Whether a character is of a script without spaces, whose marks have much room around them."""
    return unicodedata.east_asian_width(record.text[0]) in "WF"


def _recognize(folder: Folder) -> Guess:
    names = folder.like(r".*\.box")
    texts = set(folder.like(r".*\.gt\.txt"))
    for name in names[:20]:
        if f"{name.removesuffix('.box')}.gt.txt" in texts:
            continue  # tesstrain made it from that text
        if share_of_lines(folder.first_lines(name), f"{_CHARACTER.pattern}|{_WORD_STR.pattern}") > 0.5:
            return Guess(0.95, f"{name} has lines of a character, its box and a page")
    return NO


FORMATS = [
    Format("tesseract_box", "Tesseract, jTessBoxEditor", DET,
           "NAME.box: characters or WordStr with boxes from the bottom, as lines (level=line) or words (level=word)",
           _recognize, _read, options=frozenset(("level",))),
]  # fmt: skip
