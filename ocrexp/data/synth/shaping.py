"""Scripts whose letters join, stack, reorder or run from right to left: what a font is given so that it draws them.

Labels stay in logical order. A line with right-to-left letters is drawn in the visual order of
`ocrexp.charset.direction`, which the classes of `charset.direction=rtl` have: Unicode's override characters say so to
the library, so that picture and label cannot differ. The rest is HarfBuzz's work, through Pillow's raqm layout.
"""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import features

from ocrexp.charset.direction import is_rtl, runs, turned
from ocrexp.errors import DataError

JOINERS = "\u200c\u200d"  # they determine whether the letters beside them join
_CJK = ("Cjk", "Hangul", "Hiragana", "Katakana")  # scripts with a package of fonts of their own

_RLO, _LRO, _PDF = "\u202e", "\u202d", "\u202c"
# Indic scripts and Thai to Myanmar, Ethiopic apart; Khmer, Mongolian; Brahmi's other descendants.
_STACKED = (
    (0x0900, 0x109F),
    (0x1780, 0x18AF),
    (0x1900, 0x1CFF),
    (0xA800, 0xAAFF),
    (0xABC0, 0xABFF),
    (0x11000, 0x11FFF),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, or a line that cannot be drawn word by word: its number in the line, its text, and what the font is
    given."""

    number: int
    text: str
    drawn: str


@functools.lru_cache(maxsize=1)
def has_raqm() -> bool:
    """Whether Pillow can join, reorder and stack letters (the raqm library)."""
    return bool(features.check("raqm"))


@functools.lru_cache(maxsize=4096)
def needs_shaping(text: str) -> bool:
    """Whether letters drawn one beside the other, in the order of the text, would be wrong."""
    if text.isascii():
        return False
    return is_rtl(text) or any(is_mark(c) or c in JOINERS or _is_stacked(c) for c in text)


def is_mark(character: str) -> bool:
    """Whether the character is drawn on another one."""
    return unicodedata.category(character)[0] == "M"


def script_of(character: str) -> str:
    """The first word of its Unicode name, which is the script's: Arabic, Thai, Combining; "" if it has none."""
    return unicodedata.name(character, "").partition(" ")[0].capitalize()


def require_raqm(text: Iterable[str]) -> None:
    """Raises DataError if a character needs shaping and Pillow cannot do it."""
    if has_raqm():
        return
    for character in text:
        if needs_shaping(character):
            raise DataError(
                f"to draw {script_of(character)} ({character!r}) Pillow needs raqm: pip install --upgrade "
                "Pillow, and apt-get install libfribidi0"
            )


def refuse_missing_script(characters: Iterable[str], drawable: Iterable[str], key: str) -> None:
    """Raises ValueError for a script of which no font draws a single letter.

    It is one that needs shaping, or one that most of the letters belong to, as Chinese in its dictionaries.
    """
    drawn = {script_of(character) for character in drawable if character.isalpha()}
    letters = [character for character in characters if character.isalpha()]
    counts = Counter(map(script_of, letters))
    for character in letters:
        script = script_of(character)
        if script not in drawn and (needs_shaping(character) or counts[script] > len(letters) / 2):
            name = "Chinese" if script == "Cjk" else script
            raise ValueError(f"{key}: no font has {name} ({character!r}); {install_fonts(character)}")


def install_fonts(character: str) -> str:
    """What to do for a font that has the character."""
    package = "fonts-noto-cjk" if script_of(character) in _CJK else "fonts-noto-core"
    return f"apt-get install {package}, then set system_fonts=true, or fonts=FOLDER"


def pieces_of(words: Sequence[str]) -> list[Piece]:
    """The words of a line from left to right, as the font is to draw each.

    Where a word of a right-to-left line is torn apart (Latin letters and others in one word), the line is one piece.
    """
    line = " ".join(words)
    if not is_rtl(line):
        return [Piece(number, word, word) for number, word in enumerate(words)]
    order = turned(line)
    left_to_right = [span for span in runs(line) if span[1] - span[0] > 1]
    placed: list[tuple[int, Piece]] = []
    start = 0
    for number, word in enumerate(words):
        end = start + len(word)
        places = sorted(place for place, i in enumerate(order) if start <= i < end)
        if places and places[-1] - places[0] != len(places) - 1:
            return [Piece(0, line, _overridden(line, 0, len(line), left_to_right))]
        piece = Piece(number, word, _overridden(line, start, end, left_to_right))
        placed.append((places[0] if places else 0, piece))
        start = end + 1
    return [piece for _, piece in sorted(placed, key=lambda each: each[0])]


def _overridden(line: str, start: int, end: int, left_to_right: Sequence[tuple[int, int]]) -> str:
    """Part of a right-to-left line with the characters that force its order: all from the right, runs from the left."""
    parts = [_RLO]
    at = start
    for first, last in left_to_right:
        first, last = max(first, start), min(last, end)
        if first < last:
            parts += [line[at:first], _LRO, line[first:last], _PDF]
            at = last
    return "".join([*parts, line[at:end], _PDF])


def _is_stacked(character: str) -> bool:
    point = ord(character)
    return any(first <= point <= last for first, last in _STACKED)
