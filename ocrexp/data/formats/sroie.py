"""SROIE: lines of receipts, `x1,y1,…,x4,y4,TEXT` per line, in a file per image, sometimes not in UTF-8.

`NAME(1).txt` beside `NAME.txt` is a copy in the original archive, and is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ocrexp.data.formats.base import DET, BadLabel, Format, each_file, leading_numbers, share_of_lines
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.icdar import label_files, page_entry, region

_LINE = r"(?:\s*-?\d+\s*,){8}.*"
_NAME = re.compile(r"^X\d{8,}|^\d{3,}\.csv$")
_COPY = re.compile(r"\(\d+\)(\.\w+)$")


def parse(line: str) -> Region:
    """A line; its text is not quoted, whatever it holds."""
    numbers, text = leading_numbers(line, 8)
    if not text.strip():
        raise BadLabel("expected a text after 8 numbers")
    return region(numbers, text.strip())


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    names = label_files(folder, ".txt", ".csv")
    originals = set(names)
    used = []
    for name in names:
        if _COPY.search(name) and _COPY.sub(r"\1", name) in originals:
            account.drop("copy of a label file", str(folder.base / name))
        else:
            used.append(name)
    return each_file(used, account, lambda name: page_entry(folder, name, parse, account))


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.(?:txt|csv)")[:20]:
        if _NAME.match(name.rpartition("/")[2]) and share_of_lines(folder.first_lines(name), _LINE) > 0.5:
            return Guess(0.95, f"{name} has lines of 8 coordinates and a text, and is named as its files")
    return NO


FORMATS = [
    Format("sroie", "ICDAR 2019 SROIE", DET, "X51005200931.txt: x1,y1,…,x4,y4,TEXT", _recognize, _read),
]
