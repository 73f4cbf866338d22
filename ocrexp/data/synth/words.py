"""Texts to draw: made-up words, numbers, prices, dates and codes, of two sets that share no text.

A text belongs to one split alone by a stable hash of its letters and digits, so validation pages hold no word,
number or price that a training page shows, whatever the seeds.
"""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from ocrexp.charset.encodings import decoded
from ocrexp.files import read_file
from ocrexp.nearest import did_you_mean

Split = Literal["train", "val"]
SPLITS: tuple[Split, Split] = ("train", "val")
VAL_SHARE = 5  # one text in five belongs to validation

_CLUSTERS = ("br", "ch", "cl", "cr", "dr", "fl", "gr", "pl", "pr", "qu", "sh", "sl", "st", "th", "tr", "wh")
# Per script: first consonants, vowels, last consonants. Repeated entries are more frequent.
_SYLLABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "latin": (
        (*"bcdfghjklmnprstvwzbcdflmnprst", *_CLUSTERS, "", ""),
        ("a", "e", "i", "o", "u", "a", "e", "i", "o", "y", "ai", "ea", "ee", "io", "oo", "ou"),
        ("", "", "", "", "n", "r", "s", "t", "l", "m", "d", "ck", "ng", "nt", "rs", "st", "x", "mp", "ll", "gh"),
    ),
    "latin_ext": (
        tuple("bcdfghjklmnprstvzçčšžñłř"),
        ("a", "e", "i", "o", "u", "á", "à", "é", "è", "ê", "í", "ó", "ö", "ø", "ú", "ü", "ä", "å", "æ"),
        ("", "", "", "n", "r", "s", "t", "l", "ß", "ń", "ś"),
    ),
    "greek": (
        tuple("βγδζθκλμνξπρστφχψκμνπρστ"),
        ("α", "ε", "η", "ι", "ο", "υ", "ω", "ά", "έ", "ή", "ί", "ό", "ύ", "ώ", "ου", "αι"),
        ("", "", "", "ν", "ρ", "λ"),
    ),
    "cyrillic": (
        tuple("бвгджзклмнпрстфхцчшщвдклмнпрст"),
        ("а", "е", "и", "о", "у", "ы", "э", "ю", "я", "а", "е", "и", "о"),
        ("", "", "", "н", "р", "й", "ть", "л", "м", "ст"),
    ),
    "arabic": (tuple("ابتجحدرزسشصطعغفقكلمنهوي"), ("", "", "ا", "و", "ي"), ("", "", "ة", "ن", "ات")),
    "hebrew": (tuple("אבגדהוזחטיכלמנסעפצקרשת"), ("", "", "ו", "י"), ("", "", "ה", "ם", "ות", "ים")),
    "devanagari": (
        (*"कखगघचछजझटठडणतथदधनपफबभमयरलवशषसह", "क्ष", "त्र", "ज्ञ", "श्र", "प्र", "स्त", "द्य"),
        ("", "", "ा", "ि", "ी", "ु", "ू", "े", "ै", "ो", "ौ", "ं"),
        ("", "", "न", "र", "त", "ल"),
    ),
    "thai": (
        (*"กขคงจชดตถทนบปพฟมยรลวสหอ", "เก", "แม", "โร", "ไป", "ใน", "เส"),
        ("า", "า", "ี", "ิ", "ู", "ุ", "่า", "้า", "ี่", "ั้ง", "ัน", ""),
        ("", "", "น", "ม", "ง", "ก", "ย"),
    ),
    "hangul": (tuple("가나다라마바사아자차카하고노도로모보소오구누두루무부수우"
              "기니디리미비시이한국산서울인천강남역동원"), ("",), ("",)),
    "kana": (
        tuple("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんがぎぐげござじずぜぞだでど"
              "アイウエオカキクケコサシスセソタチツテトナニネノハヒフヘホマミムメモヤユヨラリルレロワンガギグゲゴザジズダデド"),
        ("",), ("", "", "", "ー", "ん"),
    ),
    "han": (
        tuple("的一是不了人我在有他这中大来上国和地到出要下年生会自学对可以子得里后日本東京時分行金水木火土山川田口目手足心力"
              "花草春夏秋冬南西北高小長少多新古今何男女先車電話店食飲肉魚米茶書名前間天気雨雪風空海石林森町村市区県道"),
        ("",), ("",),
    ),
}  # fmt: skip
_SYLLABLE_COUNTS = (0.3, 0.72, 0.94)  # shares of words of up to 1, 2, 3 syllables; the rest has 4
SCRIPTS = tuple(_SYLLABLES)


def letters_of(script: str) -> str:
    """The characters of a script's made-up words and their capitals, sorted. Raises KeyError for an unknown script."""
    small = {character for parts in _SYLLABLES[script] for part in parts for character in part}
    return "".join(sorted(small | {c.upper() for c in small if len(c.upper()) == 1}))


def core(text: str) -> str:
    """What makes two texts the same word: their letters and digits without case."""
    return "".join(ch for ch in text.casefold() if ch.isalnum())


def split_of(text: str) -> Split:
    """The split that a text belongs to; stable across machines and versions."""
    return "val" if zlib.crc32(core(text).encode()) % VAL_SHARE == 0 else "train"


def belongs(text: str) -> Split:
    """The split of any text: by its letters and digits as for words, by the complete text if it has none."""
    if core(text):
        return split_of(text)
    return "val" if zlib.crc32(text.encode()) % VAL_SHARE == 0 else "train"


def read_words(path: Path) -> list[str]:
    """The words of a file, one per line, in its order, without repeated or empty ones. Raises ValueError."""
    try:
        content = read_file(path)
    except OSError as error:
        raise ValueError(
            f"words={path}: cannot be read ({error.strerror or error}); give a UTF-8 text file with one word per line"
        ) from error
    try:
        lines = decoded(path, content).splitlines()
    except ValueError as error:
        raise ValueError(f"words={path}:{error}") from None
    words = list(dict.fromkeys(word for line in lines if core(word := line.strip())))
    for split in SPLITS:
        if not any(split_of(word) == split for word in words):
            raise ValueError(
                f"words={path}: its {len(words)} words leave none for the {split} pages, which share no word "
                "with the others; give some hundred words, one per line"
            )
    return words


class PageWords(Protocol):
    """What the layouts of pages ask for."""

    def word(self, rng: np.random.Generator) -> str: ...

    def token(self, rng: np.random.Generator) -> str: ...

    def title(self, rng: np.random.Generator) -> str: ...

    def number(self, rng: np.random.Generator) -> str: ...

    def price(self, rng: np.random.Generator) -> str: ...

    def date(self, rng: np.random.Generator) -> str: ...

    def code(self, rng: np.random.Generator) -> str: ...


class WordMaker:
    """Draws the texts of one split.

    Args:
        split: "train" or "val".
        scripts: scripts of the made-up words, of SCRIPTS, drawn with equal chance.
        words: words to use instead of made-up ones (those of the other split are dropped).
    """

    def __init__(self, split: Split, scripts: Sequence[str] = ("latin",), words: Sequence[str] | None = None) -> None:
        unknown = [script for script in scripts if script not in _SYLLABLES]
        if unknown or not scripts:
            near = did_you_mean(unknown[0], SCRIPTS) if unknown else ""
            raise ValueError(f"scripts: expected names of {', '.join(SCRIPTS)}, got {list(scripts)}{near}")
        self.split = split
        self._scripts = tuple(scripts)
        self._words = None if words is None else [word for word in words if split_of(word) == split]

    @property
    def count(self) -> int | None:
        """How many words of the file are this split's; None for made-up words."""
        return None if self._words is None else len(self._words)

    def _own(self, make: Callable[[], str]) -> str:
        text = make()
        while split_of(text) != self.split:
            text = make()
        return text

    def word(self, rng: np.random.Generator) -> str:
        """A word, as a rule in lower case, of two letters at least."""
        if self._words is not None:
            return self._words[int(rng.integers(len(self._words)))]
        return self._own(lambda: self._syllables(rng))

    def _syllables(self, rng: np.random.Generator) -> str:
        first, vowels, last = _SYLLABLES[self._scripts[int(rng.integers(len(self._scripts)))]]
        while True:
            draw = rng.random(10).tolist()
            count = bisect.bisect(_SYLLABLE_COUNTS, draw[9]) + 1
            parts = []
            for part in range(count):
                parts.append(first[int(draw[2 * part] * len(first))])
                parts.append(vowels[int(draw[2 * part + 1] * len(vowels))])
            text = "".join(parts) + last[int(draw[8] * len(last))]
            if len(text) > 1:
                return text

    def number(self, rng: np.random.Generator) -> str:
        """An integer of 2 to 7 digits, the long ones sometimes in groups of three."""

        def make() -> str:
            value = int(rng.integers(10, 10 ** int(rng.integers(2, 8))))
            return f"{value:,}" if value > 9999 and rng.random() < 0.3 else str(value)

        return self._own(make)

    def price(self, rng: np.random.Generator) -> str:
        """An amount with two decimals, with or without a currency sign."""

        def make() -> str:
            value = float(rng.integers(10, 10 ** int(rng.integers(3, 6)))) / 100
            sign = ("", "", "$", "€", "£")[int(rng.integers(5))]
            return f"{sign}{value:,.2f}"

        return self._own(make)

    def date(self, rng: np.random.Generator) -> str:
        """A date or a time of day."""

        def make() -> str:
            day, month, year = int(rng.integers(1, 29)), int(rng.integers(1, 13)), int(rng.integers(1990, 2031))
            hour, minute = int(rng.integers(24)), int(rng.integers(60))
            forms = (
                f"{day:02d}/{month:02d}/{year}",
                f"{year}-{month:02d}-{day:02d}",
                f"{day}.{month}.{year}",
                f"{hour:02d}:{minute:02d}",
                f"{hour:02d}:{minute:02d}:{day:02d}",
            )
            return forms[int(rng.integers(len(forms)))]

        return self._own(make)

    def code(self, rng: np.random.Generator) -> str:
        """Letters and digits: an article number, a plate, a telephone number, a share in percent, an address."""

        def make() -> str:
            capitals = "".join("ABCDEFGHJKLMNPRSTUVWXYZ"[int(i)] for i in rng.integers(23, size=3))
            a, b = int(rng.integers(10, 1000)), int(rng.integers(1000, 10000))
            forms = (f"{capitals}-{a}", f"{capitals[:2]}{b}", f"{a:03d}-{b}", f"{a % 100}%", f"No.{a}", f"#{b}")
            return forms[int(rng.integers(len(forms)))]

        return self._own(make)

    def token(self, rng: np.random.Generator) -> str:
        """Any text without a space: mostly words in the cases that print has, some numbers, prices, dates, codes."""
        kind = rng.random()
        if kind < 0.84:
            word = self.word(rng)
            style = rng.random()
            if style < 0.3:
                word = word.capitalize()
            elif style < 0.45:
                word = word.upper()
            ending = rng.random()
            if ending < 0.06:
                word += ".,:;!?"[int(rng.integers(6))]
            elif ending < 0.08:
                word = f"({word})"
            return word
        if kind < 0.89:
            return self.number(rng)
        if kind < 0.93:
            return self.price(rng)
        return self.date(rng) if kind < 0.965 else self.code(rng)

    def title(self, rng: np.random.Generator) -> str:
        """A word as a heading has it: capitals or a capital first."""
        word = self.word(rng)
        return word.upper() if rng.random() < 0.6 else word.capitalize()
