"""Right-to-left text: labels are in logical order, as they are typed; networks see it as drawn, from the left."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

Direction = Literal["ltr", "rtl", "auto"]
DIRECTIONS = ("ltr", "rtl", "auto")

_MOSTLY = 0.4  # share of the letters, upper and lower case counted once
_MIRRORED = dict(zip("()[]{}<>«»‹›", ")(][}{><»«›‹", strict=True))


def resolved(direction: str, characters: Iterable[str], source: str = "") -> Literal["ltr", "rtl"]:
    """`auto` is rtl for dictionaries that PaddleOCR treats as Arabic ("arabic" in their path) and for characters that
    are mostly of right-to-left scripts. Raises ValueError."""
    if direction not in DIRECTIONS:
        raise ValueError(f"direction: expected one of {', '.join(DIRECTIONS)}, got {direction!r}")
    if direction != "auto":
        return "rtl" if direction == "rtl" else "ltr"
    letters = {c for entry in characters for c in entry.casefold() if c.isalpha()}
    return "rtl" if "arabic" in source.lower() or sum(map(is_rtl, letters)) > _MOSTLY * len(letters) else "ltr"


def is_rtl(text: str) -> bool:
    """Whether the text holds a letter of a right-to-left script."""
    return any(unicodedata.bidirectional(c) in ("R", "AL") for c in text)


def turned(entries: Sequence[str]) -> list[int]:
    """The order that turns logical into visual order, and back: applied twice it is the identity.

    Of a text with right-to-left letters all is reversed, but runs of Latin letters and digits keep their order, with
    what stands between two of their words. Numbers with a space between them are runs of their own, as Unicode's
    bidirectional algorithm (UAX 9) shows them in a right-to-left line. Other texts stay as they are.
    """
    if not any(map(is_rtl, entries)):
        return list(range(len(entries)))
    order: list[int] = []
    for start, end in reversed(runs(entries)):
        order += range(start, end)
    return order


def runs(entries: Sequence[str]) -> list[tuple[int, int]]:
    """Consecutive (start, end): left-to-right runs as a whole, every other entry alone."""
    spans: list[tuple[int, int]] = []
    start = 0
    while start < len(entries):
        end = start + 1
        if _is_ltr(entries[start]):
            stop = start
            while stop < len(entries) and not is_rtl(entries[stop]):
                stop += 1
            segment = range(start, stop)
            whole = any(_is_letter(entries[i]) for i in segment)
            for i in segment:
                if not whole and entries[i].isspace():
                    break
                if _is_ltr(entries[i]):
                    end = i + 1
        spans.append((start, end))
        start = end
    return spans


def _is_letter(entry: str) -> bool:
    return any(unicodedata.bidirectional(c) == "L" for c in entry)


def _is_ltr(entry: str) -> bool:
    return any(unicodedata.bidirectional(c) in ("L", "EN", "AN") for c in entry)


def mirrored(entries: Sequence[str], known: Collection[str]) -> list[str]:
    """The entries in the other order; brackets outside of left-to-right runs are mirrored where both are known."""
    order = turned(entries)
    result = [entries[i] for i in order]
    if any(map(is_rtl, entries)):
        inside = {i for start, end in runs(entries) if end - start > 1 for i in range(start, end)}
        for place, i in enumerate(order):
            other = _MIRRORED.get(entries[i])
            if i not in inside and other is not None and other in known and entries[i] in known:
                result[place] = other
    return result
