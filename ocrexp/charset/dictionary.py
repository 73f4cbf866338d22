"""PaddleOCR dictionaries: one class per line, and what is wrong with a line that no label matches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ocrexp.charset.normalization import is_invisible
from ocrexp.charset.unknown import describe_character
from ocrexp.files import MOST_TEXT, read_file

BOM = "\ufeff"
_ROW = 10  # characters: a line that is as long contains more than one entry and its number
_NUMBERED = (
    re.compile(r"(?P<entry>\S+)[\t ,;:=]+\d+"),
    re.compile(r"\d+[\t ,;:=]+(?P<entry>\S+)"),
)
_QUOTED = re.compile(r"""(["'])(?P<entry>.+)\1,?""")


def read_lines(path: Path) -> list[str]:
    """The lines of a dictionary as PaddleOCR numbers its classes: empty ones too, but not what follows the last end of
    line. A byte order mark in front of a line is not part of it, unless it is the complete line.

    Raises OSError, and ValueError, "LINE: what is wrong; what to do", for content that is not UTF-8 text.
    """
    from ocrexp.charset.encodings import decoded

    text = decoded(path, read_file(path, MOST_TEXT))
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{line}: contains a NUL character; delete it, or copy the dictionary again")
    return entries_of(text)


def entries_of(text: str) -> list[str]:
    """The entries of a dictionary's text; see `read_lines`."""
    # Not splitlines(): some characters of dictionaries count as line ends there.
    lines = [line.strip("\r") for line in text.split("\n")]
    if lines[-1] == "":
        lines.pop()
    return [line if line == BOM else line.removeprefix(BOM) for line in lines]


def explain_missing(character: str, entries: Sequence[str], source: str) -> str:
    """Where a dictionary contains a character that is not one of its entries: the line, what it is, and what to do.

    "" if no entry of several characters contains it.
    """
    if not character.strip():
        return ""
    for number, entry in enumerate(entries, start=1):
        if character in entry and entry != character:
            return f"{source}:{number}: {_explained(entry, character, entries)}"
    return ""


def explain_most(entries: Sequence[str], source: str) -> str:
    """What the first entry of several characters is, where most entries have several; else "".

    A model's own dictionary is rarely such a file: its texts would have the spaces or numbers in them.
    """
    several = [(number, entry) for number, entry in enumerate(entries, start=1) if len(entry) > 1]
    if 2 * len(several) <= len(entries):
        return ""
    number, entry = several[0]
    bare = _bare(entry)
    found = next((match["entry"] for form in (*_NUMBERED, _QUOTED) if (match := form.fullmatch(bare))), bare)
    character = found if len(found) == 1 or found != entry else found[0]
    return f"{source}:{number}: {_explained(entry, character, entries)}"


def _explained(entry: str, character: str, entries: Sequence[str]) -> str:
    shown = entry if len(entry) <= 30 else f"{entry[:30]}…"
    what = f"expected one character, got {shown!r} ({len(entry)} characters)"
    bare = _bare(entry)
    if "\r" in entry:
        return f"{what}, whose lines end with CR alone; save the dictionary with LF as the end of line"
    if bare == character:
        alike = sum(len(line) > len(_bare(line)) > 0 for line in entries)
        lines = "this line" if alike == 1 else f"this and {alike - 1} more line{'s' if alike > 2 else ''}"
        return f"{what}: {describe_character(character)} with spaces or invisible characters; delete them on {lines}"
    if any((found := form.fullmatch(bare)) and character in found["entry"] for form in _NUMBERED):
        return f"{what}: a line with a number; delete the number and the tab or space beside it on each line"
    if (quoted := _QUOTED.fullmatch(bare)) and character in quoted["entry"]:
        return f"{what}: a line in quotes; delete the quotes and commas on each line"
    if len(entry) >= _ROW or len(entries) == 1:
        return f"{what}: several characters on one line; write one character per line"
    return f"{what}; if {describe_character(character)} is to be a class of its own, add a line with it alone"


def _bare(entry: str) -> str:
    """The entry without spaces and invisible characters at its ends."""
    start, end = 0, len(entry)
    while start < end and _is_nothing(entry[start]):
        start += 1
    while start < end and _is_nothing(entry[end - 1]):
        end -= 1
    return entry[start:end]


def _is_nothing(character: str) -> bool:
    return character == " " or is_invisible(character)
