"""Corrected texts: what no image shows is removed, and what looks like another character is written as that one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping

from ocrexp.charset.normalization import Normalization
from ocrexp.data.checking import lookalikes

_SEVERAL = re.compile("  +")
_CLEAN = Normalization(form=None, invisible="clean")


class TextFixer:
    """Corrects texts.

    Args:
        characters: of the data, with their numbers: the most frequent dash of a kind replaces the others.
        wanted: kinds of problems to correct.
    """

    def __init__(self, characters: Mapping[str, int], wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._dashes: dict[str, str] = {}
        for group in lookalikes.DASHES:
            used = sorted((c for c in group if characters.get(c)), key=lambda c: -characters[c])
            self._dashes |= dict.fromkeys(used[1:], *used[:1])

    def __call__(self, text: str) -> tuple[str, list[str]]:
        """The corrected text, and the kinds of problems that it had."""
        found: list[str] = []
        if text.isascii() and text.isprintable() and "&" not in text and "  " not in text and text.strip(" ") == text:
            return text, found
        for kind, step in (
            ("text-entities", lookalikes.without_entities),
            ("text-nbsp", lookalikes.plain_spaces),
            ("text-invisible", _without_invisible),
            ("text-full-width", lookalikes.narrow),
            ("text-lookalike", lookalikes.without_foreign_letters),
            ("text-dashes", self._usual_dashes),
            ("text-unnormalized", lambda each: unicodedata.normalize("NFC", each)),
            ("text-double-space", lambda each: _SEVERAL.sub(" ", each)),
            ("text-spaces", lambda each: each.strip(" ")),
        ):
            if kind in self._wanted and (fixed := step(text)) != text and fixed.strip():
                text = fixed
                found.append(kind)
        return text, found

    def _usual_dashes(self, text: str) -> str:
        return "".join(self._dashes.get(character, character) for character in text)


def _without_invisible(text: str) -> str:
    return _CLEAN(text.replace("\u3000", "\ue000")).replace("\ue000", "\u3000")
