"""Characters that no image shows: control, format and odd space characters, counted in many labels at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.uint32]  # code points

_ALL = 0x110000
_NAMES = {0x09: "tab", 0x0A: "line feed", 0x0D: "carriage return", 0xAD: "soft hyphen", 0xFEFF: "byte order mark"}
# Beside categories Cc, Cf, Zs, Zl and Zp: fillers, blank patterns, a joiner without a shape, what a wrong conversion
# leaves.
_OTHERS = (0x034F, 0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0, 0xFFFC, 0xFFFD)
# Format characters that are drawn: signs of numbers and verses in Arabic, Syriac and Kaithi.
_DRAWN = (*range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD)
_JOINERS = (0x200C, 0x200D)
# Where joiners change what is drawn: from Hebrew to Tibetan, Myanmar, Khmer, Mongolian, other Brahmi scripts, Arabic
# forms, Adlam and similar scripts, and emoji.
_JOINED = (
    (0x0590, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x18AF), (0x1A00, 0x1CFF), (0xA800, 0xABFF), (0xFB50, 0xFDFF),
    (0xFE00, 0xFE0F), (0xFE70, 0xFEFC), (0x10A00, 0x11FFF), (0x1E900, 0x1E95F), (0x2190, 0x2BFF), (0x1F000, 0x1FAFF),
)  # fmt: skip
_IDEOGRAPHIC_SPACE = 0x3000
# Neighbors of an ideographic space where it is an ordinary one.
_WIDE = ((0x2E80, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF))


def code_points(text: str) -> Points:
    """The code points of a text, uint32 [n]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def describe_point(point: int) -> str:
    """`U+200B (zero width space)`."""
    name = _NAMES.get(point) or unicodedata.name(chr(point), "").lower() or "control character"
    return f"U+{point:04X} ({name})"


def find_invisible(points: Points) -> npt.NDArray[np.int64]:
    """Where the characters are that no image shows, line feeds and ordinary spaces excepted.

    Joiners between letters of scripts that they shape, and ideographic spaces beside East Asian characters, are as they
    should be.
    """
    places = np.flatnonzero(_odd()[points])
    if len(places):
        special = points[places]
        places = places[~(_beside(points, places, _joined()) & np.isin(special, _JOINERS))]
        special = points[places]
        places = places[~(_beside(points, places, _wide()) & (special == _IDEOGRAPHIC_SPACE))]
    return places


def count_invisible(text: str, places: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Code point -> in how many of the texts, given with line feeds between them, and the place of the first one."""
    points = code_points(text)
    found = find_invisible(points)
    if not len(found):
        return {}
    owners = np.searchsorted(np.flatnonzero(points == 10), found)
    counts = {}
    for point in np.unique(points[found]).tolist():
        lines = np.unique(owners[points[found] == point])
        counts[point] = (len(lines), places[int(lines[0])])
    return counts


def _beside(points: Points, places: npt.NDArray[np.int64], table: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether the character before or after is in the table."""
    before = table[points[np.maximum(places - 1, 0)]] & (places > 0)
    after = table[points[np.minimum(places + 1, len(points) - 1)]] & (places < len(points) - 1)
    return before | after


@cache
def _odd() -> npt.NDArray[np.bool_]:
    table = np.zeros(_ALL, bool)
    for point in range(0xE1000):  # private use planes behind it have none
        if unicodedata.category(chr(point)) in ("Cc", "Cf", "Zs", "Zl", "Zp"):
            table[point] = True
    table[list(_OTHERS)] = True
    table[[0x0A, 0x20, *_DRAWN]] = False
    return table


def _ranges(ranges: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    table = np.zeros(_ALL, bool)
    for first, last in ranges:
        table[first : last + 1] = True
    return table


@cache
def _joined() -> npt.NDArray[np.bool_]:
    return _ranges(_JOINED)


@cache
def _wide() -> npt.NDArray[np.bool_]:
    return _ranges(_WIDE)
