"""Total-Text: curved words, in its own text files and MATLAB files, and with comma-separated points.

- `poly_gt_img1.txt`: `x: [[…]], y: [[…]], ornt: [u'c'], transcriptions: [u'text']`, as Python and NumPy print them:
  padded, and wrapped over several lines;
- `poly_gt_img1.mat`: rows of 'x:', xs, 'y:', ys, text, orientation, in `polygt` or `gt`;
- `gt_img1.txt`: `x1,y1,x2,y2,…,text` with any number of points (Mask TextSpotter), or without texts.

The orientation or the text `#` marks regions to ignore. The image is `img1.jpg`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from ocrexp.data.formats.base import DET, BadLabel, Format, each_file, outline, share_of_lines
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.icdar import FLAGGED, RCTW, label_files, page_entry
from ocrexp.data.formats.mat import read_mat
from ocrexp.data.formats.safe_files import read_text
from ocrexp.data.formats.shapes import number
from ocrexp.errors import DataError

_ENTRY = re.compile(
    r"x:\s*\[\[(?P<x>[^\]]*)\]\],\s*y:\s*\[\[(?P<y>[^\]]*)\]\],\s*ornt:\s*\[(?P<ornt>[^\]]*)\],\s*"
    r"transcriptions:\s*\[(?P<text>u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\"|)\]",
    re.DOTALL,
)
_N = r"-?\d+(?:\.\d+)?"
_COMMAS = rf"{_N},{_N}(?:,{_N},{_N}){{2,}},.*"
_POINTS = rf"\s*{_N}\s*(?:,\s*{_N}\s*,\s*{_N}\s*)+,\s*{_N}\s*"
_EIGHT = rf"{_N}(?:,{_N}){{7}}(?:,(?!{_N},).*)?"  # that is ICDAR 2015
_PREFIX = re.compile(r"^(?:poly_|rect_|t3_)?gt_")
_MARK = "#"


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options

    def entry(name: str) -> Entry | None:
        if name.lower().endswith(".mat"):
            return _with(folder, name, _mat_regions(folder, name, account))
        if "transcriptions:" in folder.head(name):
            return _with(folder, name, _printed_regions(folder, name, account))
        lines = folder.first_lines(name, 20)
        texts = share_of_lines(lines, _POINTS) < 1
        return page_entry(folder, name, parse_commas if texts else _parse_points, account)

    return each_file(label_files(folder, ".txt", ".mat"), account, entry)


def _with(folder: Folder, name: str, regions: list[Region]) -> Entry:
    stem = _PREFIX.sub("", re.sub(r"\.[^.]*$", "", name.rpartition("/")[2]))
    image = folder.image_of(stem, name)
    shown = folder.below(image) if image else f"{stem}.jpg"
    split = split_of(name.rpartition("/")[0])
    return Entry(shown, image, regions, split=split, source=str(folder.base / name))


def _printed_regions(folder: Folder, name: str, account: Account) -> list[Region]:
    path = folder.base / name
    text = read_text(path, account)
    regions = []
    end = 0
    for match in _ENTRY.finditer(text):
        _note_rest(text, end, match.start(), str(path), account)
        end = match.end()
        try:
            xs, ys = ([number(value) for value in re.split(r"[\s,]+", match[part].strip())] for part in ("x", "y"))
            regions.append(_region(_zip(xs, ys), _literal(match["text"]), _literal(match["ornt"])))
        except ValueError as error:
            line = text.count("\n", 0, match.start()) + 1
            account.drop("annotation that cannot be read", f"{path}:{line}: {error}")
    _note_rest(text, end, len(text), str(path), account)
    return regions


def _note_rest(text: str, start: int, end: int, path: str, account: Account) -> None:
    """Count what is between two entries and is not one."""
    if rest := text[start:end].strip():
        line = text.count("\n", 0, start + text[start:end].index(rest)) + 1
        account.drop("annotation that cannot be read", f"{path}:{line}: expected x, y, ornt and transcriptions")


def _literal(text: str) -> str:
    """The text in a literal of Python's, with or without `u`; nothing is evaluated but its escapes."""
    text = text.strip()
    if not text:
        return ""
    try:
        value = ast.literal_eval(text.removeprefix("u"))
    except (ValueError, SyntaxError):
        raise BadLabel(f"expected a text in quotes, got {text[:40]}") from None
    return str(value)


def _mat_regions(folder: Folder, name: str, account: Account) -> list[Region]:
    path = folder.base / name
    values = read_mat(path)
    rows = values.get("polygt", values.get("gt"))
    if rows is None or getattr(rows, "ndim", 0) != 2 or rows.shape[1] < 5:
        raise DataError(f"{path}: has no polygt or gt of 6 columns; is it a label of Total-Text?")
    regions = []
    for i, row in enumerate(rows, start=1):
        try:
            xs, ys = ([number(float(value)) for value in row[column].ravel()] for column in (1, 3))
            ornt = _cell(row[5]) if len(row) > 5 else ""
            regions.append(_region(_zip(xs, ys), _cell(row[4]), ornt))
        except (ValueError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{path}: row {i}: {error}")
    return regions


def _cell(value: Any) -> str:
    return str(value.ravel()[0]) if getattr(value, "size", 0) else ""


def _zip(xs: list[float], ys: list[float]) -> Points:
    if len(xs) != len(ys):
        raise BadLabel(f"expected as many y as x, got {len(xs)} and {len(ys)}")
    return list(zip(xs, ys, strict=True))


def _region(points: Points, text: str, ornt: str) -> Region:
    ignored = _MARK in (text, ornt) or not text
    extra = {"orientation": ornt} if ornt and ornt != _MARK else {}
    return Region(points, None if ignored else text, ignored, extra=extra)


def _parse_points(line: str) -> Region:
    """`x1,y1,x2,y2,…` without a text."""
    return Region(outline([number(field) for field in line.split(",")]), None)


def parse_commas(line: str) -> Region:
    """`x1,y1,x2,y2,…,text`; the text may hold commas, and may be a number."""
    fields = line.strip("\r\n").split(",")
    count = 0
    while count < len(fields) - 1 and re.fullmatch(rf"\s*{_N}\s*", fields[count]):
        count += 1
    count -= count % 2
    text = ",".join(fields[count:])
    if count < 6:
        raise BadLabel(f"expected 3 points or more and a text, got {count // 2} points")
    ignored = text in (_MARK, "###")
    return Region(outline([number(field) for field in fields[:count]]), None if ignored else text or None, ignored)


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.txt")[:20]:
        if "transcriptions:" in folder.head(name) and "ornt:" in folder.head(name):
            return Guess(0.98, f"{name} has x, y, ornt and transcriptions")
    if names := folder.like(r"(?:poly_|t3_)gt_.*\.mat"):
        return Guess(0.9, f"{names[0]} is named as its MATLAB files")
    for name in folder.like(r".*\.txt")[:20]:
        lines = folder.first_lines(name)
        if share_of_lines(lines, rf"{FLAGGED}|{RCTW}") > 0.5:
            continue
        if share_of_lines(lines, _COMMAS) > 0.5 and share_of_lines(lines, _EIGHT) < 0.5:
            return Guess(0.6, f"{name} has lines of points, more than 4, and a text")
    return NO


FORMATS = [
    Format(
        "total_text", "Total-Text", DET, "poly_gt_NAME.txt, .mat; gt_NAME.txt: x1,y1,…,text with any number of points",
        _recognize, _read,
    ),
]  # fmt: skip
