"""The encodings that are distinguished, each with the score of a text that it has decoded.

A score adds up the probabilities of the characters beside ASCII, from what part of a text the frequent characters of a
language make.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ocrexp.charset import typical_characters as typical

_RARE = 0.7  # how ordinary a rare Han character is
_STRANGE = math.log(1e-6)  # of a character that texts of the language do not have there
# Words with the marks of Hebrew, Arabic and Thai, which are not letters to Python.
_WORD = re.compile(r"(?:[^\W\d_]|[\u0591-\u05c7\u064b-\u0652\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])+")

Score = Callable[[str], tuple[float, float]]  # text -> log likelihood, share of ordinary characters


@dataclass(frozen=True, slots=True)
class Candidate:
    """An encoding that a file may have; `prior` is how usual it is beside the others."""

    name: str
    codec: str  # Python's name
    iconv: str
    prior: float
    score: Score


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


def _candidates() -> tuple[Candidate, ...]:
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
            Candidate(
                name, codec, iconv, prior,
                partial(_multi_byte, codec=codec, frequent=frequent, share=share, level=level, size=size),
            )
            for name, codec, iconv, prior, frequent, share, level, size in multi
        ),
        *(
            Candidate(name, name, name, prior, partial(_own_script, script=script, frequent=frequent))
            for name, prior, script, frequent in own
        ),
        *(
            Candidate(name, name, name, prior, partial(_latin, languages=languages))
            for name, prior, languages in latin
        ),
    )  # fmt: skip


CANDIDATES = _candidates()
