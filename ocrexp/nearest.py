"""The nearest known word to a misspelled one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[object], cutoff: float = 0.6) -> str | None:
    """The known word that a misspelled one is likely to mean; None if none is similar enough."""
    near = difflib.get_close_matches(word, [str(name) for name in known], n=1, cutoff=cutoff)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[object]) -> str:
    """`; did you mean X?` for the nearest known word, else the empty string."""
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def expected_one_of(word: object, known: Iterable[object]) -> str:
    """`expected one of A, B, got 'X'; did you mean A?`: what is wrong with a word that is not among the known ones.

    None is written as null.
    """
    names = ["null" if name is None else str(name) for name in known]
    return f"expected one of {', '.join(names)}, got {word!r}{did_you_mean(str(word), names)}"
