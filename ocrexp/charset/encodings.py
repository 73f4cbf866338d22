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
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ocrexp.charset import typical_characters as typical

_SCORED_BYTES = 100_000
_ODDS = 3.0  # log of how much more probable the best encoding has to be than any other that gives another text
_ORDINARY = 0.85  # least share of ordinary characters in the text of an encoding that is named
_RARE = 0.7  # how ordinary a rare Han character is
_STRANGE = math.log(1e-6)  # of a character that texts of the language do not have there
# Words with the marks of Hebrew, Arabic and Thai, which are not letters to Python.
_WORD = re.compile(r"(?:[^\W\d_]|[\u0591-\u05c7\u064b-\u0652\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])+")
_SHOWN = 16
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

Score = Callable[[str], tuple[float, float]]  # text -> log likelihood, share of ordinary characters


@dataclass(frozen=True, slots=True)
class EncodingGuess:
    """An encoding: what people call it, what `iconv -f` takes, and some text of the file read with it."""

    name: str
    iconv: str
    example: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    codec: str  # Python's name
    iconv: str
    prior: float
    score: Score


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
    found: list[tuple[float, float, _Candidate, str]] = []
    for candidate in _CANDIDATES:
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


# Scores: probabilities of the characters beside ASCII, from what part of a text a language's frequent ones make


def _multi_byte(
    text: str, codec: str, frequent: frozenset[str], share: float, level: tuple[int, int, int], size: int
) -> tuple[float, float]:
    """Han, kana and Hangul. `share` of a text are `frequent`; most others are of the character set's first level, which
    has `size` characters: lead bytes and least trail byte in `level`."""
    characters = [character for character in text if not character.isascii()]
    often, seldom, rare = (math.log(p) for p in (share / len(frequent), (0.96 - share) / size, 0.02 / 20_000))
    total, ordinary = 0.0, 0.0
    first, last, least = level
    for character in characters:
        if character in frequent:
            total += often
            ordinary += 1
            continue
        raw = character.encode(codec, "replace")
        if len(raw) == 2 and first <= raw[0] <= last and raw[1] >= least:
            total += seldom
            ordinary += 1
        elif len(raw) > 1 and character.isalpha():
            total += rare
            ordinary += _RARE  # dictionaries hold many of them
        else:
            total += _STRANGE
    return total, ordinary / max(len(characters), 1)


def _own_script(text: str, script: str, frequent: frozenset[str]) -> tuple[float, float]:
    """An alphabet of its own: words without ASCII letters, with capitals in their place."""
    often, seldom = math.log(0.65 / len(frequent)), math.log(0.3 / 30)
    total, ordinary, seen = 0.0, 0, 0
    for word in _WORD.findall(text):
        if word.isascii():
            continue
        strange = sum(1 for character in word if not character.isascii())
        seen += strange
        cased = word.lower() != word.upper()
        sound = word[0].isalpha() and all(unicodedata.name(c, "").startswith(script) for c in word)
        if not sound or (cased and not (word.isupper() or word[1:] == word[1:].lower())):
            total += strange * _STRANGE
            continue
        ordinary += strange
        total += sum(often if character in frequent else seldom for character in word.lower())
        total -= len(word) if cased and word.isupper() and len(word) > 1 else 0.0  # capitals alone are less common
    return _with_marks(text, total, ordinary, seen)


def _latin(text: str, languages: Sequence[str]) -> tuple[float, float]:
    """Latin with accents: letters of one language, in words that have ASCII letters as well."""
    letters: list[str] = []
    total, seen = 0.0, 0
    for word in _WORD.findall(text):
        strange = [character for character in word if not character.isascii()]
        seen += len(strange)
        if not strange:
            continue
        if len(strange) == len(word) > 1 or any(map(str.isupper, word[1:])) > word.isupper():
            total += len(strange) * _STRANGE
        else:
            letters += strange
    found = []
    for language in languages:
        own = frozenset(language + language.upper())
        known = sum(1 for character in letters if character in own)
        often, seldom = math.log(0.9 / len(language)), math.log(0.02 / 60)
        found.append(total + known * often + (len(letters) - known) * seldom)
    every = frozenset("".join(languages) + "".join(languages).upper())
    return _with_marks(text, max(found), sum(1 for character in letters if character in every), seen)


def _with_marks(text: str, total: float, ordinary: int, seen: int) -> tuple[float, float]:
    """What is not part of a word: quotes, dashes and signs, which all windows encodings have, or strange ones."""
    others = [character for character in text if not character.isascii()]
    marks = sum(1 for character in others if character in typical.MARKS and not character.isalpha())
    total += marks * math.log(0.05 / 20) + max(len(others) - seen - marks, 0) * _STRANGE
    return total, (ordinary + marks) / max(len(others), 1)


def _candidates() -> tuple[_Candidate, ...]:
    # name, Python's codec, iconv's name, prior, frequent, their share, first level, its size
    gb2312, big5 = (0xB0, 0xD7, 0xA1), (0xA4, 0xC6, 0x40)
    multi = (
        ("GB18030 (GBK)", "gb18030", "gb18030", 1.0, typical.HAN, 0.75, gb2312, 3200),
        ("Big5", "big5", "big5", 0.3, typical.HANT, 0.75, big5, 4900),
        ("Big5 (cp950)", "cp950", "cp950", 0.2, typical.HANT, 0.75, big5, 4900),
        ("Big5 (Hong Kong)", "big5hkscs", "big5-hkscs", 0.1, typical.HANT, 0.75, big5, 4900),
        ("Shift_JIS", "cp932", "cp932", 0.3, typical.JAPANESE, 0.85, (0x88, 0x98, 0x40), 2600),
        ("EUC-JP", "euc_jp", "euc-jp", 0.05, typical.JAPANESE, 0.85, (0xB0, 0xCF, 0xA1), 2600),
        ("EUC-KR", "cp949", "cp949", 0.3, typical.HANGUL, 0.85, (0xB0, 0xC8, 0xA1), 2000),
    )
    own = (
        ("cp1251", 0.3, "CYRILLIC", typical.CYRILLIC),
        ("koi8-u", 0.02, "CYRILLIC", typical.CYRILLIC),  # has KOI8-R's letters and the Ukrainian ones
        ("cp866", 0.02, "CYRILLIC", typical.CYRILLIC),
        ("cp1253", 0.05, "GREEK", typical.GREEK),
        ("cp1255", 0.05, "HEBREW", typical.HEBREW),
        ("cp1256", 0.1, "ARABIC", typical.ARABIC),
        ("cp874", 0.05, "THAI", typical.THAI),
    )
    latin = (
        ("cp1252", 0.5, typical.WESTERN),
        ("cp1250", 0.1, typical.CENTRAL),
        ("cp1254", 0.1, typical.TURKISH),
        ("cp1257", 0.03, typical.BALTIC),
        ("iso-8859-2", 0.02, typical.CENTRAL),
        ("cp850", 0.02, typical.WESTERN),
        ("mac-roman", 0.02, typical.WESTERN),
        ("cp852", 0.01, typical.CENTRAL),
    )
    return (
        *(
            _Candidate(
                name, codec, iconv, prior,
                partial(_multi_byte, codec=codec, frequent=frequent, share=share, level=level, size=size),
            )
            for name, codec, iconv, prior, frequent, share, level, size in multi
        ),
        *(
            _Candidate(name, name, name, prior, partial(_own_script, script=script, frequent=frequent))
            for name, prior, script, frequent in own
        ),
        *(
            _Candidate(name, name, name, prior, partial(_latin, languages=languages))
            for name, prior, languages in latin
        ),
    )  # fmt: skip


_CANDIDATES = _candidates()
