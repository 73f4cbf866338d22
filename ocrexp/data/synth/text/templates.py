"""Texts from templates: dates, amounts, addresses and serial numbers of a country, and patterns of your own."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ocrexp.data.synth.checks import checked_weights, require_one_of
from ocrexp.data.synth.choice import WeightedChoice
from ocrexp.data.synth.text.base import TextPart
from ocrexp.data.synth.text.locales import LOCALES
from ocrexp.data.synth.text.pattern import Draw, read_pattern
from ocrexp.data.synth.words import SPLITS, Split, WordMaker, belongs
from ocrexp.errors import DataError

KINDS = ("date", "amount", "address", "serial")
_SERIALS = ("[A-Z]{2}-[0-9]{6}", "[0-9]{4}-[0-9]{4}-[0-9]{4}", "(SN|NO|ID)[0-9]{8}", "[A-Z][0-9]{2}[A-Z]{3}[0-9]{3}")
_TRIES = 200
_MOST_TRIES = 10_000
_SAMPLE = 400  # texts that show which characters there are


class Templates(TextPart):
    """Dates, amounts, addresses, serial numbers, and texts of patterns. A text belongs to one split alone.

    Args:
        kinds: weights of date, amount, address and serial; None: the same for all, or none where patterns are given.
        patterns: patterns as in `ocrexp.data.synth.text.pattern`, a list, or a mapping from pattern to weight. Fields:
            <date>, <amount>, <address>, <serial>, <name>, <word>, <integer>, <percent>, <time>.
        locale: how amounts, dates and addresses are written.
        weight: how often this source is used, relative to the others.

    Raises ValueError for a value that cannot be used.
    """

    def __init__(
        self,
        kinds: Mapping[str, float] | None = None,
        patterns: Sequence[str] | Mapping[str, float] | None = None,
        locale: str = "en_US",
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight)
        require_one_of("locale", locale, LOCALES)
        given = dict(patterns) if isinstance(patterns, Mapping) else dict.fromkeys(patterns or (), 1.0)
        if any(weight <= 0 for weight in given.values()):
            raise ValueError("patterns: expected weights above 0; remove a pattern that is not wanted")
        weights = checked_weights("kinds", kinds, KINDS) if kinds else {}
        if not given and not weights:
            weights = dict.fromkeys(KINDS, 1.0)
        self._settings = {"kinds": weights, "patterns": given, "locale": locale}
        self._locale = LOCALES[locale]
        script = "cyrillic" if locale == "ru_RU" else "latin"
        fields = self._values = self._fields(WordMaker("train", (script,)))
        sources = [(f"<{kind}>", weight) for kind, weight in weights.items() if weight > 0] + list(given.items())
        self._patterns: list[tuple[str, Draw, float]] = []  # with their weights
        for pattern, share in sources:
            try:
                self._patterns.append((str(pattern), read_pattern(str(pattern), fields), float(share)))
            except ValueError as error:
                raise ValueError(f"patterns: {error}") from None
        self._choice = WeightedChoice({draw: share for _, draw, share in self._patterns})

    def _fields(self, words: WordMaker) -> dict[str, Draw]:
        def serial(rng: np.random.Generator) -> str:
            return serials[int(rng.integers(len(serials)))](rng)

        def address(rng: np.random.Generator) -> str:
            return self._digits(addresses[int(rng.integers(len(addresses)))](rng))

        serials = [read_pattern(pattern, {}) for pattern in _SERIALS]
        fields: dict[str, Draw] = {
            "date": self._date,
            "amount": self._amount,
            "address": address,
            "serial": serial,
            "name": lambda rng: words.word(rng).capitalize(),
            "word": words.word,
            "integer": lambda rng: self._digits(str(int(rng.integers(10 ** int(rng.integers(1, 5)))))),
            "percent": lambda rng: self._digits(f"{int(rng.integers(1, 100))}%"),
            "time": lambda rng: self._digits(f"{int(rng.integers(24)):02d}:{int(rng.integers(60)):02d}"),
        }
        addresses = [read_pattern(pattern, fields) for pattern in self._locale.addresses]
        return fields

    def _digits(self, text: str) -> str:
        if self._locale.digits.isascii():
            return text
        return text.translate(dict(zip(map(ord, "0123456789"), self._locale.digits, strict=True)))

    def _date(self, rng: np.random.Generator) -> str:
        day = datetime.date(1990, 1, 1) + datetime.timedelta(days=int(rng.integers(365 * 45)))
        text = self._locale.dates[int(rng.integers(len(self._locale.dates)))]
        parts = {"%-d": str(day.day), "%-m": str(day.month), "%d": f"{day.day:02d}", "%m": f"{day.month:02d}"}
        for name, value in {**parts, "%Y": str(day.year), "%y": f"{day.year % 100:02d}"}.items():
            text = text.replace(name, value)
        return self._digits(text)

    def _amount(self, rng: np.random.Generator) -> str:
        """An amount; small ones are more frequent."""
        locale = self._locale
        cents = int(10 ** float(rng.uniform(1, 8)))
        scale = 10**locale.decimals
        whole, rest = divmod(cents, scale)
        number = _grouped(whole, locale.group, locale.lakh)
        if locale.decimals:
            number += f"{locale.decimal}{rest:0{locale.decimals}d}"
        return locale.amounts[int(rng.integers(len(locale.amounts)))].replace("#", self._digits(number))

    def _text(self, rng: np.random.Generator) -> str:
        return self._choice.draw(rng)(rng)

    def characters(self) -> str:
        """The characters of some hundred texts of each pattern, sorted."""
        rng = np.random.default_rng(0)
        return "".join(sorted({c for _, draw, _ in self._patterns for _ in range(_SAMPLE) for c in draw(rng)}))

    def prepare(self, allowed: frozenset[str], max_length: int) -> list[str]:
        """Drop patterns of which no text fits."""
        rng = np.random.default_rng(0)
        kept = []
        report = []
        for name, draw, share in self._patterns:
            texts = [draw(rng) for _ in range(_TRIES)]
            fitting = [text for text in texts if 0 < len(text) <= max_length and allowed.issuperset(text)]
            missing = [split for split in SPLITS if not any(belongs(text) == split for text in fitting)]
            if not fitting:
                report.append(
                    f"pattern {name} dropped: none of its texts, such as {texts[0]!r}, has the allowed characters "
                    f"and at most {max_length} of them"
                )
            elif missing:
                raise ValueError(
                    f"patterns: {name} has too few texts, none is left for the {missing[0]} images; add what varies"
                )
            else:
                kept.append((name, draw, share))
        if not kept:
            raise ValueError(f"patterns: nothing can be drawn ({report[0]}); change the characters or max_length")
        self._patterns = kept
        self._choice = WeightedChoice({draw: share for _, draw, share in kept})
        return report

    def text(self, split: Split, rng: np.random.Generator) -> str:
        """A text of one of the patterns."""
        for _ in range(_MOST_TRIES):
            if belongs(text := self._text(rng)) == split:
                return text
        raise DataError(f"patterns: too few texts, such as {text!r}, for the {split} images; add what varies")

    def value(self, name: str, split: Split, rng: np.random.Generator) -> str | None:
        """The field of this name as the locale writes it."""
        for _ in range(_MOST_TRIES):
            if belongs(text := self._values[name](rng)) == split:
                return text
        return None

    def settings(self) -> dict[str, Any]:
        """The patterns with their weights, and the locale."""
        return {**super().settings(), **self._settings}


def _grouped(whole: int, sign: str, lakh: bool) -> str:
    """Digits in groups of three; with `lakh` the groups above the thousands have two."""
    digits = str(whole)
    if not lakh or len(digits) <= 3:
        return f"{whole:,}".replace(",", sign)
    head, tail = digits[:-3], digits[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return sign.join([*reversed(groups), tail])
