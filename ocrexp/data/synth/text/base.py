"""What a source of texts for drawn images is: made-up words, a corpus, templates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ocrexp.data.synth.checks import require
from ocrexp.data.synth.words import Split


class TextPart(ABC):
    """A source of texts of a drawn dataset. A dataset may have several, which are chosen by their weights.

    Args:
        weight: how often this source is used, relative to the others.

    Raises ValueError if the weight is not above 0.
    """

    def __init__(self, weight: float = 1.0) -> None:
        require(weight > 0, "weight", weight, "a number above 0")
        self.weight = float(weight)

    def characters(self) -> str:
        """All characters of its texts. Raises ValueError if they cannot be read."""
        return ""

    def prepare(self, allowed: frozenset[str], max_length: int) -> list[str]:
        """Choose what can be written with these characters in at most `max_length` of them.

        Returns one line for each kind of dropped text. Raises ValueError if nothing is left.
        """
        del allowed, max_length
        return []

    @abstractmethod
    def text(self, split: Split, rng: np.random.Generator) -> str:
        """A text of a split, after `prepare`; a text belongs to one split alone."""

    def value(self, name: str, split: Split, rng: np.random.Generator) -> str | None:
        """A value such as an `amount`, `date`, `serial` or `integer`, for receipts and tables; None if it has none."""
        del name, split, rng
        return None

    def settings(self) -> dict[str, Any]:
        """All that determines its texts, as plain values: part of the name of the cache."""
        return {"part": type(self).__name__, "weight": self.weight}
