"""Tesseract's `.tsv` files: a table of pages, blocks, paragraphs, lines and words.

The columns are `level page_num block_num par_num line_num word_num left top width height conf text`, separated by
tabs; nothing is quoted. `level=line` joins words to lines (the usual level), `level=word` gives words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ocrexp.data.formats.base import DET, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.hocr import LATER_PAGE
from ocrexp.data.formats.safe_files import read_lines
from ocrexp.data.formats.shapes import bounds, box, number, sized_box
from ocrexp.errors import DataError

_HEADER = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
_COLUMNS = _HEADER.split("\t")
_PAGE, _LINE, _WORD = 1, 4, 5


@dataclass(slots=True)
class _Line:
    points: Points | None = None
    words: list[Region] = field(default_factory=list)


@dataclass(slots=True)
class _Page:
    size: tuple[int, int] | None = None
    lines: dict[tuple[int, ...], _Line] = field(default_factory=dict)


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(".tsv"):
        if not folder.only and folder.first_lines(name, 1) != [_HEADER]:
            continue
        path = folder.base / name
        try:
            pages = _pages(path, account)
        except DataError as error:
            account.drop("label file that cannot be read", str(error))
            continue
        for page_number in sorted(pages)[1:]:
            account.drop(LATER_PAGE, f"{path}: page_num {page_number}")
        if not pages:
            account.drop("label file without a page", str(path))
            continue
        page = pages[min(pages)]
        stem = PurePosixPath(name).stem
        image = folder.image_of(stem, name)
        shown = folder.below(image) if image else f"{stem}.jpg"
        regions = [region for line in page.lines.values() for region in _regions(line, options.level or "line")]
        yield Entry(
            shown, image, regions, size=page.size, split=split_of(name.rpartition("/")[0]), source=str(path)
        )  # fmt: skip


def _pages(path: Path, account: Account) -> dict[int, _Page]:
    """The pages of a file by their number."""
    pages: dict[int, _Page] = {}
    for row, line in read_lines(path, account):
        fields = line.split("\t", len(_COLUMNS) - 1)
        if row == 1 and fields[0].strip() == _COLUMNS[0]:
            continue
        try:
            if len(fields) < len(_COLUMNS) - 1:
                raise ValueError(f"expected {len(_COLUMNS)} columns, got {len(fields)}")
            level, page_number, *address = (int(value) for value in fields[:6])
            left, top, width, height, confidence = (number(value) for value in fields[6:11])
        except ValueError as error:
            account.drop("line that cannot be read", f"{path}:{row}: {error}")
            continue
        page = pages.setdefault(page_number, _Page())
        points = sized_box(left, top, width, height)
        if level == _PAGE and width > 0 and height > 0:
            page.size = int(width), int(height)
        elif level == _LINE:
            page.lines.setdefault(tuple(address[:3]), _Line()).points = points
        elif level == _WORD:
            text = fields[11].strip() if len(fields) > len(_COLUMNS) - 1 else ""
            if not text:
                account.drop("region without a text", f"{path}:{row}: word")
                continue
            score = confidence / 100 if 0 <= confidence <= 100 else None  # -1: the word has none
            words = page.lines.setdefault(tuple(address[:3]), _Line()).words
            words.append(Region(points, text, score=score))
    return pages


def _regions(line: _Line, level: str) -> list[Region]:
    """The words of a line, or the line; none if all its words were blank."""
    if level == "word" or not line.words:
        return line.words
    points = line.points or box(*bounds([point for word in line.words for point in word.points]))
    scores = [word.score for word in line.words if word.score is not None]
    text = " ".join(word.text or "" for word in line.words)
    return [Region(points, text, score=sum(scores) / len(scores) if scores else None)]


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.tsv")[:20]:
        if folder.first_lines(name, 1) == [_HEADER]:
            return Guess(0.95, f"{name} begins with {', '.join(_COLUMNS[:2])} and the other columns of Tesseract")
    return NO


FORMATS = [
    Format("tesseract_tsv", "Tesseract", DET, "NAME.tsv: words (level=word), joined to lines (level=line)",
           _recognize, _read, options=frozenset(("level",))),
]  # fmt: skip
