"""What a format is: how it is recognized, read and written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ocrexp.data.formats.entries import Account, Entry, Guess, Points, ReadOptions
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.shapes import number, pairs
from ocrexp.data.formats.writer import Writer
from ocrexp.errors import DataError

Read = Callable[[Folder, ReadOptions, Account], Iterator[Entry]]
IGNORED = "###"


@dataclass(frozen=True)
class Format:
    """A format of annotations.

    Args:
        name: as `from=` and `to=` take it.
        title: the data set or program, for tables.
        kinds: `det`, `rec`, or both.
        reads: the files, in words, for tables and messages.
        recognize: how sure it is that a folder is in this format.
        read: gives the entries of a folder; what it does not use is in the account.
        writer: None: it is read only.
        options: names of the ReadOptions that it uses.
    """

    name: str
    title: str
    kinds: tuple[str, ...]
    reads: str
    recognize: Callable[[Folder], Guess]
    read: Read
    writer: type[Writer] | None = None
    options: frozenset[str] = frozenset()


DET, REC = ("det",), ("rec",)


class BadLabel(ValueError):
    """A line or an element that cannot be used; the message states what is wrong with it."""


def each_file(names: Sequence[str], account: Account, read: Callable[[str], Entry | None]) -> Iterator[Entry]:
    """The entries of label files of one image each; a file that cannot be read is dropped with its reason."""
    for name in names:
        try:
            entry = read(name)
        except DataError as error:
            account.drop("label file that cannot be read", str(error))
            continue
        if entry is not None:
            yield entry


def leading_numbers(line: str, count: int, separator: str = ",") -> tuple[list[float], str]:
    """The first numbers of a line and what follows the last one's separator, as it is, but for the space that follows
    each separator in some files. Raises BadLabel."""
    fields = line.split(separator, count)
    if len(fields) < count:
        raise BadLabel(f"expected {count} numbers, got {len(fields)} fields")
    try:
        numbers = [number(field.strip()) for field in fields[:count]]
    except ValueError as error:
        raise BadLabel(str(error)) from None
    rest = fields[count] if len(fields) > count else ""
    spaced = separator == "," and all(field.startswith(" ") for field in fields[1:count])
    return numbers, rest.removeprefix(" ") if spaced else rest


def outline(flat: Sequence[float]) -> Points:
    """`[x1, y1, …]` as points. Raises BadLabel."""
    try:
        return pairs(flat)
    except ValueError as error:
        raise BadLabel(str(error)) from None


def share_of_lines(lines: Sequence[str], pattern: str) -> float:
    """The share of lines that match an expression as a whole; 0 if there are none."""
    test = re.compile(pattern)
    return sum(1 for line in lines if test.fullmatch(line.strip("\ufeff\r\n"))) / len(lines) if lines else 0.0


def unquoted(text: str) -> str:
    """A text without the one pair of double quotes around it."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
