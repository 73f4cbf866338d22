"""The bytes of a label list as UTF-8, whatever encoding they are in: recognized, named, converted in memory."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ocrexp.charset.encodings import EncodingGuess, conversion, convert_wide, guess_encoding, wide_encoding
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.label_format import short
from ocrexp.data.packed import PackedLines, SomeLines, read_packed_bytes


class Digest(Protocol):
    """What `hashlib` makes."""

    def update(self, data: bytes, /) -> None: ...


_BOM = codecs.BOM_UTF8


@dataclass(frozen=True, slots=True)
class DecodedList:
    """A list in UTF-8.

    Args:
        lines: its lines; those in no known encoding are as they were.
        converted: what reading has corrected: the kind of problem, and of how many lines.
        undecoded: numbers of the lines that are not UTF-8 and in no known encoding.
    """

    lines: PackedLines
    converted: dict[str, int]
    undecoded: frozenset[int] = frozenset()


def read_decoded(path: Path, split: str, problems: Problems, digest: Digest | None = None) -> DecodedList:
    """Read a list and convert it to UTF-8 in memory; reports what it was in. `digest` is updated with its bytes.

    Raises DataError for a file that cannot be read.
    """
    data = read_packed_bytes(path)
    if digest is not None:
        digest.update(data)
    whole = Place(split, str(path))
    if (wide := wide_encoding(data[:4096])) is not None:
        text = data.decode(wide, "replace").lstrip("\ufeff")
        problems.add("encoding-wide", Place(split, str(path), 1), f"the list {convert_wide(path, wide)}", "")
        lines = PackedLines(path, text.encode("utf-8"))
        return DecodedList(lines, {"encoding-wide": len(lines)})
    converted: dict[str, int] = {}
    if marks := data.startswith(_BOM) + data.count(b"\n" + _BOM):
        converted["encoding-bom"] = marks
    if data.startswith(_BOM):
        problems.add("encoding-bom", Place(split, str(path), 1), "the list begins with a byte order mark")
    if inner := data.count(b"\n" + _BOM):
        line = data[: data.index(b"\n" + _BOM)].count(b"\n") + 2
        what = f"{inner} lines begin with a byte order mark (lists that were joined)"
        problems.add("encoding-bom", Place(split, str(path), line), what, count=inner)
    if b"\r" in data:
        data, ends = _line_ends(data, whole, problems)
        converted |= {"line-ends": ends} if ends else {}
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _converted(PackedLines(path, data), split, problems, converted)
    return DecodedList(PackedLines(path, data), converted)


def _line_ends(data: bytes, whole: Place, problems: Problems) -> tuple[bytes, int]:
    """The data with LF where lines end with CR alone, and how many of these there are."""
    pairs = data.count(b"\r\n")
    if b"\n" not in data:
        what = f"its {data.count(bytes([13]))} lines end with CR alone"
        problems.add("line-ends", Place(whole.split, whole.file, 1), what, f"tr '\\r' '\\n' < {whole.file} > new.txt")
        return data.replace(b"\r", b"\n"), data.count(b"\r")
    if pairs:
        problems.add("line-crlf", whole, f"{pairs} lines end with CR LF", "PaddleOCR and ocrexp read them")
    return data, 0


def _converted(lines: PackedLines, split: str, problems: Problems, converted: dict[str, int]) -> DecodedList:
    """The lines that are not UTF-8 converted from the encoding that all of them are in."""
    strange = [i for i in range(len(lines)) if not _is_utf8(lines[i])]
    guess = guess_encoding(SomeLines(lines, strange))
    accented = any(not lines[i].isascii() for i in set(range(len(lines))) - set(strange))
    numbers = lines.numbers[strange]
    advice = conversion(lines.path, guess, (int(numbers[0]), int(numbers[-1])) if accented else None)
    kind = "encoding-unknown" if guess is None else "encoding-other"
    named = "" if guess is None else f": it is {guess.name}"
    for i, number in zip(strange, numbers.tolist(), strict=True):
        try:
            lines[i].decode("utf-8")
        except UnicodeDecodeError as error:
            shown = short(lines[i].decode(guess.iconv)) if guess else ""
            what = f"byte 0x{lines[i][error.start]:02x} at column {error.start + 1} is not UTF-8{named}"
            problems.add(kind, Place(split, str(lines.path), number), f"{what}, {shown}" if shown else what, advice)
            advice = f"as for line {numbers[0]}"
    if guess is None:
        return DecodedList(lines, converted, frozenset(numbers.tolist()))
    return DecodedList(_rebuilt(lines, set(strange), guess), {**converted, "encoding-other": len(strange)})


def _rebuilt(lines: PackedLines, strange: set[int], guess: EncodingGuess) -> PackedLines:
    """The same lines, with the same numbers, in UTF-8."""
    rows = [b""] * (int(lines.numbers[-1]) if len(lines) else 0)
    for i, number in enumerate(lines.numbers.tolist()):
        raw = lines[i]
        rows[number - 1] = raw.decode(guess.iconv).encode("utf-8") if i in strange else raw
    rebuilt = PackedLines(lines.path, b"\n".join(rows))
    assert np.array_equal(rebuilt.numbers, lines.numbers)
    return rebuilt


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
