"""Characters that look like another one: letters of other scripts, full-width forms, dashes, quotes, spaces.

Letters are those of Unicode's confusables (UTS 39) of Cyrillic and Greek that equal a Latin one in most fonts.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from ocrexp.charset.normalization import is_invisible

_CYRILLIC = dict(zip("АВЕКМНОРСТХІЈЅаеорсухіјѕһԁԛԝ", "ABEKMHOPCTXIJSaeopcyxijshdqw", strict=True))
_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧορν", "ABEZHIKMNOPTYXopv", strict=True))
TO_LATIN = {**_CYRILLIC, **_GREEK}
_TO_CYRILLIC = {latin: own for own, latin in _CYRILLIC.items()}
_TO_GREEK = {latin: own for own, latin in _GREEK.items()}
# Of each kind of dash, those that cannot be distinguished in print, the usual one first.
DASHES = ("-‐‑‒−﹣－⁃", "–", "—―﹘")
QUOTES = ("'’‘ʼ＇`´", '"“”„＂')
_DASH = {character: group[0] for group in DASHES for character in group}
FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ]")
_WORD = re.compile(r"[^\W\d_]+")
_SPACES = re.compile(r"[^\S \t\r\n]")
# What UTF-8 looks like after a conversion from cp1252 or latin-1, and U+FFFD, which a failed conversion leaves.
GARBLED = re.compile("\ufffd|Ã[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[\u0080-\u00ff™œ“”˜¦¢]|Â[\u00a0-\u00bf]")
ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6}|#x[0-9a-fA-F]{1,5});")
_ALL = 0x110000


@cache
def suspects() -> npt.NDArray[np.bool_]:
    """Code points because of which a text is looked at closely, bool [code points]."""
    table = np.zeros(_ALL, bool)
    table[0x300:0x600] = True  # combining marks, Greek, Cyrillic
    for point in (*range(0x80, 0x3400), *range(0xA000, 0xAC00), *range(0xD800, 0x1F000), *range(0xE0000, 0xE0200)):
        character = chr(point)
        if is_invisible(character) or unicodedata.category(character)[0] == "M":
            table[point] = True
    singles = {ord(c) for group in (*DASHES, *QUOTES) for c in group} - {ord(c) for c in "-'\"`"}
    table[[*singles, 0xC2, 0xC3, 0xE2, 0xFFFD]] = True
    table[0xFF01:0xFF5F] = True
    return table


def foreign_letters(text: str) -> tuple[str, str] | None:
    """The first word that mixes scripts, and the word in one script; None if there is none.

    A word is mixed where letters of one script look like letters of the other: "Рaris" with a Cyrillic Р. The letters
    of the script with fewer letters that have no double are replaced.
    """
    if text.isascii():
        return None
    for found in _WORD.finditer(text):
        word = found[0]
        if word.isascii():
            continue
        for script, table, back in (("CYRILLIC", _CYRILLIC, _TO_CYRILLIC), ("GREEK", _GREEK, _TO_GREEK)):
            own = [c for c in word if unicodedata.name(c, "").startswith(script)]
            latin = [c for c in word if c.isascii()]
            if not own or not latin:
                continue
            if all(c in table for c in own) and not (len(own) > len(latin) and all(c in back for c in latin)):
                return word, "".join(table.get(c, c) for c in word)
            if all(c in back for c in latin):
                return word, "".join(back.get(c, c) for c in word)
    return None


def without_foreign_letters(text: str) -> str:
    """The text with each mixed word in one script."""
    while (found := foreign_letters(text)) is not None:
        text = text.replace(found[0], found[1])
    return text


def double_word(text: str) -> str | None:
    """A word of Cyrillic or Greek letters alone, of which each looks like a Latin one; None if there is none."""
    for found in _WORD.finditer(text):
        if len(found[0]) > 1 and all(character in TO_LATIN for character in found[0]):
            return found[0]
    return None


def narrow(text: str) -> str:
    """The text with plain letters and digits in place of full-width ones."""
    return FULL_WIDTH.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)


def usual_dash(character: str) -> str | None:
    """The usual character of a dash's kind; None if it is not a dash."""
    return _DASH.get(character)


def plain_spaces(text: str) -> str:
    """The text with U+0020 in place of other spaces, except ideographic ones."""
    return _SPACES.sub(lambda match: match[0] if match[0] == "\u3000" else " ", text)


def without_entities(text: str) -> str:
    """The text with characters in place of HTML entities."""
    return ENTITY.sub(lambda match: html.unescape(match[0]), text)
