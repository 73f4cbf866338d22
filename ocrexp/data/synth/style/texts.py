"""Texts like those of given labels: their words in other lines, their forms with other digits, random characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ocrexp.data.synth.choice import WeightedChoice
from ocrexp.data.synth.words import core

KINDS = ("label", "form", "words", "random")
_TRIES = 50
_DIGITS = "0123456789"


class LabelTexts:
    """Draws texts that use the characters of some labels only, and at most as many of them.

    Args:
        labels: of real images.
        weights: of the kinds of text (KINDS): a label as it is; a label's form, with other digits and other words; some
            of all words; random characters, the rare ones as often as the others.
        max_length: most characters of a text.
        words: further words, written in the labels' case; those with other characters are dropped.
    """

    def __init__(
        self, labels: Sequence[str], weights: Mapping[str, float], max_length: int, words: Sequence[str] = ()
    ) -> None:
        self._labels = sorted({label for label in labels if 0 < len(label) <= max_length})
        self._most = max_length
        self.capitals = not any(label != label.upper() for label in labels)
        counts = Counter("".join(labels))
        self.characters = sorted(c for c in counts if c != " ")
        allowed = set(self.characters)
        further = [word.upper() if self.capitals else word for word in words]
        kept = [word for word in further if allowed.issuperset(word)]
        self.dropped = len(further) - len(kept)
        self._words = sorted({word for label in labels for word in label.split() if core(word)} | set(kept))
        self._letters = [c for c in self.characters if c.isalpha()]
        self._digits = [c for c in self.characters if c in _DIGITS]
        self._kinds = WeightedChoice(weights)

    def text(self, rng: np.random.Generator) -> str:
        """A text of one of the kinds."""
        kind = self._kinds.draw(rng)
        if kind == "label":
            return self._labels[int(rng.integers(len(self._labels)))]
        make = {"form": self._form, "words": self._some_words, "random": self._random}[kind]
        for _ in range(_TRIES):
            text = make(rng)
            if 0 < len(text) <= self._most:
                return text
        return self._random(rng)[: self._most]

    def _form(self, rng: np.random.Generator) -> str:
        """A label with other digits; its words are replaced by others, or their letters where they are codes."""
        label = self._labels[int(rng.integers(len(self._labels)))]
        parts = []
        for part in label.split(" "):
            coded = any(c.isdigit() for c in part)
            if part.isalpha() and self._words and rng.random() < 0.6:
                part = self._word(rng)
            letters = coded and bool(self._letters) and rng.random() < 0.5
            parts.append("".join(self._other(c, letters, rng) for c in part))
        return " ".join(parts)

    def _other(self, character: str, letters: bool, rng: np.random.Generator) -> str:
        if character in _DIGITS:
            # Zeros are more frequent in amounts and codes than other digits.
            keeps = character == "0" and rng.random() < 0.3
            return character if keeps else self._digits[int(rng.integers(len(self._digits)))]
        if letters and character.isalpha():
            return self._letters[int(rng.integers(len(self._letters)))]
        return character

    def _word(self, rng: np.random.Generator) -> str:
        return self._words[int(rng.integers(len(self._words)))]

    def _some_words(self, rng: np.random.Generator) -> str:
        if not self._words:
            return ""
        return " ".join(self._word(rng) for _ in range(int(rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))) + 1))

    def _random(self, rng: np.random.Generator) -> str:
        length = int(rng.integers(2, 11))
        return "".join(self.characters[i] for i in rng.integers(len(self.characters), size=length).tolist())
