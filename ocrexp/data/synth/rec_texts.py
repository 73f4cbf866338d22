"""Texts for recognition: words, numbers, prices, dates, codes, random strings and phrases, within a charset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ocrexp.data.synth.choice import WeightedChoice
from ocrexp.data.synth.shaping import JOINERS, is_mark, script_of
from ocrexp.data.synth.words import Split, WordMaker, belongs

PRINTABLE = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"  # as en94
)
KINDS = ("word", "number", "price", "date", "code", "random", "phrase")
CASES = ("lower", "title", "upper")
_TRIES = 200  # of a kind, for a text that the charset holds
_PUNCTUATION = ".,:;!?-'"


class TextMaker:
    """Draws the texts of one split: each of them belongs to it alone, phrases by all of their words.

    Args:
        maker: words, numbers and so on of the split.
        characters: the only characters that texts have; " " lets phrases be drawn.
        weights: of the kinds of text (KINDS); a kind that the characters cannot write is skipped, see `left_out`.
        cases: weights of lower case, capital first and capitals (CASES) of words.
        max_length: most characters of a text.
        random_length: fewest and most characters of a random string.
        punctuation: share of the words with a punctuation mark or in brackets.
    """

    def __init__(
        self,
        maker: WordMaker,
        characters: Sequence[str],
        weights: Mapping[str, float],
        cases: Mapping[str, float],
        max_length: int,
        random_length: tuple[int, int],
        punctuation: float,
    ) -> None:
        self._maker = maker
        self._split: Split = maker.split
        self._allowed = frozenset(characters)
        self._random_characters = [c for c in characters if not c.isspace() and c not in JOINERS]
        self._bases = [c for c in self._random_characters if not is_mark(c)]
        self._max_length = max_length
        self._random_length = (min(random_length[0], max_length), min(random_length[1], max_length))
        self._punctuation = punctuation
        self._marks = [mark for mark in _PUNCTUATION if mark in self._allowed]
        self._cases = WeightedChoice(cases)
        makers: dict[str, Callable[[np.random.Generator], str]] = {
            "word": self._word,
            "number": maker.number,
            "price": maker.price,
            "date": maker.date,
            "code": maker.code,
            "random": self._random,
            "phrase": self._phrase,
        }
        self.left_out: list[str] = []
        usable = {}
        for kind, weight in weights.items():
            if weight <= 0:
                continue
            if kind == "random" or self._fitting(makers[kind], np.random.default_rng(0)) is not None:
                usable[kind] = weight
            else:
                self.left_out.append(kind)
        self._kinds = WeightedChoice(usable or {"random": 1.0})
        self._makers = makers

    def text(self, rng: np.random.Generator) -> str:
        """A text of one of the kinds."""
        kind = self._kinds.draw(rng)
        text = self._fitting(self._makers[kind], rng)
        return self._random(rng) if text is None else text

    def fits(self, text: str) -> bool:
        """Whether a text is short enough and all of its characters are allowed."""
        return 0 < len(text) <= self._max_length and self._allowed.issuperset(text)

    def _fitting(self, make: Callable[[np.random.Generator], str], rng: np.random.Generator) -> str | None:
        for _ in range(_TRIES):
            if self.fits(text := make(rng)):
                return text
        return None

    def _word(self, rng: np.random.Generator) -> str:
        word = self._cased(self._maker.word(rng), self._cases.draw(rng))
        if rng.random() < self._punctuation:
            if self._marks and rng.random() < 0.75:
                return word + self._marks[int(rng.integers(len(self._marks)))]
            left, right = ("()", "[]", '""', "''")[int(rng.integers(4))]
            if self.fits(bracketed := f"{left}{word}{right}"):
                return bracketed
        return word

    def _cased(self, word: str, case: str) -> str:
        """The word in a case; in the other one where the charset has but that."""
        if case == "title":
            cased = word.capitalize() if word.islower() else word
        else:
            cased = word.lower() if case == "lower" else word.upper()
        if self._allowed.issuperset(cased):
            return cased
        return next((o for o in (word, word.lower(), word.upper()) if self._allowed.issuperset(o)), cased)

    def _random(self, rng: np.random.Generator) -> str:
        least, most = self._random_length
        pool = self._random_characters
        for _ in range(_TRIES):
            picks = rng.integers(len(pool), size=int(rng.integers(least, most + 1))).tolist()
            text = "".join([pool[pick] for pick in picks])
            if len(self._bases) < len(pool):
                text = self._with_bases(text, picks)
            if belongs(text) == self._split:
                return text
        return text  # a charset of a few characters may have no string of this split that is this short

    def _with_bases(self, text: str, picks: Sequence[int]) -> str:
        """The string with marks behind letters of their own script only; another character in place of the others."""
        kept: list[str] = []
        for character, pick in zip(text, picks, strict=True):
            if is_mark(character) and self._bases:
                fits = bool(kept) and kept[-1].isalpha() and script_of(character) in ("Combining", script_of(kept[-1]))
                character = character if fits else self._bases[pick % len(self._bases)]
            kept.append(character)
        return "".join(kept)

    def _phrase(self, rng: np.random.Generator) -> str:
        words = []
        for _ in range(int(rng.integers(2, 6))):
            words.append(self._word(rng) if rng.random() < 0.85 else self._maker.number(rng))
            if len(words) > 2 and sum(map(len, words)) + len(words) - 1 > self._max_length:
                words.pop()
                break
        return " ".join(words)
