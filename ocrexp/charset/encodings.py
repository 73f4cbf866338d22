"""Encodings of text files that are not UTF-8: recognized, and named with a command that converts the file.

An encoding is named only where it decodes all the lines that are not UTF-8 and most of their characters are ordinary
letters of one of its languages. Several encodings take the same bytes: what is frequent decides, and where that does
not decide, none is named.
"""

from __future__ import annotations

import codecs
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocrexp.charset.encoding_candidates import CANDIDATES, Candidate

_SCORED_BYTES = 100_000
_ODDS = 3.0  # log of how much more probable the best encoding has to be than any other that gives another text
_ORDINARY = 0.85  # least share of ordinary characters in the text of an encoding that is named
_SHOWN = 16
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class EncodingGuess:
    """An encoding: what people call it, what `iconv -f` takes, and some text of the file read with it."""

    name: str
    iconv: str
    example: str


def wide_encoding(data: bytes) -> str | None:
    """iconv's name of UTF-16 or UTF-32 if the bytes, a file's beginning, are in it, with or without a BOM; else None.

    NUL bytes alone do not make UTF-16 or UTF-32: they have to be in the high bytes.
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            return name
    head = data[:4096]
    zeros = [head[place::4].count(0) / max(len(head) // 4, 1) for place in range(4)]
    if min(zeros[2:]) > 0.9 and zeros[0] < 0.05:
        return "utf-32le"
    if min(zeros[:2]) > 0.9 and zeros[3] < 0.05:
        return "utf-32be"
    half = max(len(head) // 2, 1)
    # ASCII characters, as paths and tabs are, have a NUL as their high byte.
    low, high = head[0::2].count(0), head[1::2].count(0)
    if high > 0.2 * half and low < 0.05 * half:
        return "utf-16le"
    if low > 0.2 * half and high < 0.05 * half:
        return "utf-16be"
    return None


def guess_encoding(lines: Sequence[bytes]) -> EncodingGuess | None:
    """The encoding of lines that are not UTF-8; None if none is plausible, or several are."""
    sample = _sample(lines)
    found: list[tuple[float, float, Candidate, str]] = []
    for candidate in CANDIDATES:
        try:
            text = sample.decode(candidate.codec)
        except UnicodeDecodeError:
            continue
        likelihood, ordinary = candidate.score(text)
        found.append((likelihood + math.log(candidate.prior), ordinary, candidate, text))
    found.sort(key=lambda each: -each[0])
    if not found:
        return None
    likelihood, ordinary, best, text = found[0]
    rivals = [each[0] for each in found[1:] if each[3] != text]
    if ordinary < _ORDINARY or (rivals and likelihood < _ODDS + rivals[0]):
        return None
    try:
        for line in lines:
            line.decode(best.codec)
    except UnicodeDecodeError:
        return None
    return EncodingGuess(best.name, best.iconv, _example(text))


def conversion(path: Path, guess: EncodingGuess | None, part: tuple[int, int] | None = None) -> str:
    """What to do with a file that is not UTF-8: the command that converts it, or its `part` (first and last line) where
    other lines are UTF-8 already."""
    name = shlex.quote(str(path))
    if part is not None:
        which = f"sed -n '{part[0]},{part[1]}p' {name}"
        if guess is None:
            return (
                "other lines are UTF-8; convert the lines that are not from the encoding in which they were saved "
                f"(GBK on Chinese Windows: {which} | iconv -f gb18030 -t utf-8)"
            )
        return (
            f"it is {guess.name} ('{guess.example}'), other lines are UTF-8; convert only this part, "
            f"{which} | iconv -f {guess.iconv} -t utf-8"
        )
    if guess is None:
        return (
            "convert the file from the encoding in which it was saved (GBK on Chinese Windows: "
            f"{_whole('gb18030', name)})"
        )
    return f"it is {guess.name} ('{guess.example}'); convert the file, {_whole(guess.iconv, name)}"


def convert_wide(path: Path, encoding: str) -> str:
    """What is wrong with a file in UTF-16 or UTF-32, and the command that converts it."""
    return f"is in {encoding.upper()}; convert it, {_whole(encoding, shlex.quote(str(path)))}"


def decoded(path: Path, content: bytes) -> str:
    """The text of a UTF-8 file without a byte order mark.

    Raises ValueError, "LINE: what is wrong; what to do", for content in another encoding, which is
    named if it is certain.
    """
    if encoding := wide_encoding(content):
        raise ValueError(f"1: {convert_wide(path, encoding)}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        guess = guess_encoding([raw for raw in content.split(b"\n") if not _is_utf8(raw)])
        raise ValueError(f"{line}: not UTF-8; {conversion(path, guess)}") from None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _whole(iconv: str, name: str) -> str:
    return f"iconv -f {iconv} -t utf-8 {name} > new.txt && mv new.txt {name}"


def _sample(lines: Sequence[bytes]) -> bytes:
    parts, size = [], 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > _SCORED_BYTES:
            break
    return b"\n".join(parts)


def _example(text: str) -> str:
    """The first piece with characters beside ASCII."""
    for word in re.split(r"[\s,;:\"\[\]{}()]+", text):
        if not word.isascii():
            # What follows a path's last separator would do as well, but a label is what people know.
            return word[:_SHOWN]
    return text.strip()[:_SHOWN]
