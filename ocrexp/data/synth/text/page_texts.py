"""The texts of one drawn page, from one source or from several."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ocrexp.data.synth.choice import WeightedChoice
from ocrexp.data.synth.text.base import TextPart
from ocrexp.data.synth.text.mix import TextSources
from ocrexp.data.synth.words import WordMaker

Make = Callable[[np.random.Generator], str]


class PageTexts:
    """Draws the texts of one page, in place of its made-up ones (PageWords).

    The words of a text follow each other, also from line to line. Each page has an object of its own, so that a page
    does not depend on the ones before it. Amounts, dates, numbers and codes of receipts and tables are those of
    templates, and made up where no source has them.

    Args:
        made_up: the made-up texts of the split.
        sources: prepared sources, and the weight of the made-up texts.
    """

    def __init__(self, made_up: WordMaker, sources: TextSources) -> None:
        self._made_up, self._parts = made_up, sources.parts
        weights: dict[TextPart | None, float] = {None: sources.made_up}  # None: a made-up text
        weights.update((part, part.weight) for part in sources.parts)
        self._choice = WeightedChoice(weights)
        self._rest: list[str] = []  # of the current text, in reverse

    def word(self, rng: np.random.Generator) -> str:
        """The next word."""
        return self._next(self._made_up.word, rng)

    def token(self, rng: np.random.Generator) -> str:
        """The next word."""
        return self._next(self._made_up.token, rng)

    def title(self, rng: np.random.Generator) -> str:
        """The next word, in the case of its source."""
        return self._next(self._made_up.title, rng)

    def number(self, rng: np.random.Generator) -> str:
        """An integer."""
        return self._value("integer", self._made_up.number, rng)

    def price(self, rng: np.random.Generator) -> str:
        """An amount; it may have a space."""
        return self._value("amount", self._made_up.price, rng)

    def date(self, rng: np.random.Generator) -> str:
        """A date; it may have spaces."""
        return self._value("date", self._made_up.date, rng)

    def code(self, rng: np.random.Generator) -> str:
        """A serial number."""
        return self._value("serial", self._made_up.code, rng)

    def _next(self, made_up: Make, rng: np.random.Generator) -> str:
        if not self._rest:
            part = self._choice.draw(rng)
            if part is None:
                return made_up(rng)
            self._rest = part.text(self._made_up.split, rng).split(" ")[::-1]
        return self._rest.pop()

    def _value(self, name: str, made_up: Make, rng: np.random.Generator) -> str:
        if (chosen := self._choice.draw(rng)) is not None:
            for part in (chosen, *self._parts):
                if (value := part.value(name, self._made_up.split, rng)) is not None:
                    return value
        return made_up(rng)
