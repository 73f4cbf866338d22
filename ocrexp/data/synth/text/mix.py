"""The texts of a drawn recognition dataset: from one source or from several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ocrexp.data.synth.choice import WeightedChoice
from ocrexp.data.synth.rec_texts import TextMaker
from ocrexp.data.synth.text.base import TextPart
from ocrexp.data.synth.text.made_up import MadeUp
from ocrexp.data.synth.words import Split
from ocrexp.errors import DataError
from ocrexp.located import located

Sources = Mapping[str, TextPart | MadeUp | None]
_TRIES = 200


@dataclass(frozen=True)
class TextSources:
    """The sources of `dataset.text`, without those that are null; without any, texts are made up."""

    parts: tuple[TextPart, ...]
    made_up: float
    names: tuple[str, ...] = ()  # of the parts

    @classmethod
    def of(cls, given: Sources | None) -> TextSources:
        """The sources by their names."""
        found = [part for part in (given or {}).values() if part is not None]
        named = {name: part for name, part in (given or {}).items() if isinstance(part, TextPart)}
        made_up = sum(part.weight for part in found if isinstance(part, MadeUp))
        return cls(tuple(named.values()), made_up if found else 1.0, tuple(named))

    def characters(self) -> str:
        """The characters of all parts. Raises ValueError with the name of a part whose file cannot be used."""
        found = ""
        for name, part in zip(self.names, self.parts, strict=True):
            with located(f"text.{name}", type(part)):
                found += part.characters()
        return found

    def prepare(self, allowed: frozenset[str], max_length: int) -> list[str]:
        """Prepare all parts; returns what they drop. Raises ValueError with the name of a part without texts."""
        report = []
        for name, part in zip(self.names, self.parts, strict=True):
            with located(f"text.{name}", type(part)):
                report += part.prepare(allowed, max_length)
        return report

    def settings(self) -> dict[str, Any]:
        """All that determines the texts beside the made-up ones, as plain values; nothing where all are made up."""
        if not self.parts:
            return {}
        return {"text": [part.settings() for part in self.parts], "made_up": self.made_up}


class TextMix:
    """Draws the texts of one split from several sources.

    Args:
        split: "train" or "val".
        made_up: draws the made-up ones.
        sources: prepared sources and the weight of the made-up texts.
    """

    def __init__(self, split: Split, made_up: TextMaker, sources: TextSources) -> None:
        self._split: Split = split
        self._made_up = made_up
        weights: dict[TextPart | None, float] = {None: sources.made_up}  # None: a made-up text
        weights.update((part, part.weight) for part in sources.parts)
        self._choice = WeightedChoice(weights) if sources.parts else None

    def text(self, rng: np.random.Generator) -> str:
        """A text of one of the sources that the characters can write."""
        part = self._choice.draw(rng) if self._choice else None
        if part is None:
            return self._made_up.text(rng)
        for _ in range(_TRIES):
            if self._made_up.fits(text := part.text(self._split, rng)):
                return text
        raise DataError(
            f"{type(part).__name__}: draws no text that fits, for example {text!r}; raise max_length, or change the "
            "characters"
        )
