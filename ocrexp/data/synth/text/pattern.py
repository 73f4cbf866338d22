r"""Patterns that texts are drawn from: a small part of regular expressions, and named fields.

`INV-[0-9]{6}` draws INV-204817. A pattern has plain characters, sets `[A-Z0-9]`, choices `(a|b)`, repetitions `?`,
`{3}` and `{2,5}`, digits `\d`, fields `<date>`, and a backslash before a character that is meant as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ocrexp.nearest import did_you_mean

Draw = Callable[[np.random.Generator], str]
_MOST = 100  # repetitions


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str, fields: Mapping[str, Draw]) -> None:
        self._pattern, self._fields, self._at = pattern, fields, 0

    def whole(self) -> Draw:
        """The pattern. Raises ValueError."""
        draw = self._choice()
        if self._at < len(self._pattern):
            raise self._error("has a ) without its (")
        return draw

    def _error(self, what: str) -> ValueError:
        place = min(self._at, len(self._pattern)) + 1
        return ValueError(
            f"{self._pattern!r} {what} (character {place}); correct the pattern, or write "
            "a backslash before a character that is meant as it is"
        )

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _until(self, end: str, what: str) -> str:
        stop = self._pattern.find(end, self._at)
        if stop < 0:
            raise self._error(f"has a {what} without its {end}")
        text = self._pattern[self._at : stop]
        self._at = stop + 1
        return text

    def _choice(self) -> Draw:
        options = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            options.append(self._sequence())
        if len(options) == 1:
            return options[0]
        return lambda rng: options[int(rng.integers(len(options)))](rng)

    def _sequence(self) -> Draw:
        parts: list[Draw] = []
        while (character := self._peek()) and character not in "|)":
            parts.append(self._repeated(self._one()))
        return lambda rng: "".join([part(rng) for part in parts])

    def _one(self) -> Draw:
        character = self._peek()
        if character in "?{":
            raise self._error(f"has a {character} with nothing before it")
        self._at += 1
        if character == "[":
            return _any_of(self._set())
        if character == "<":
            name = self._until(">", "<")
            if name not in self._fields:
                near = did_you_mean(name, self._fields)
                raise self._error(f"has the unknown field <{name}>; expected one of {', '.join(self._fields)}{near}")
            return self._fields[name]
        if character == "(":
            inner = self._choice()
            if self._peek() != ")":
                raise self._error("has a ( without its )")
            self._at += 1
            return inner
        if character == "\\":
            character = self._peek()
            if not character:
                raise self._error("ends with a backslash")
            self._at += 1
            if character == "d":
                return _any_of("0123456789")
        return lambda _: character

    def _set(self) -> str:
        inside = self._until("]", "[")
        found: list[str] = []
        at = 0
        while at < len(inside):
            if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
                first, last = ord(inside[at]), ord(inside[at + 2])
                if last < first:
                    raise self._error(f"has the range {inside[at : at + 3]}, which is empty")
                found += map(chr, range(first, last + 1))
                at += 3
            else:
                found.append(inside[at])
                at += 1
        if not found or found[0] == "^":
            raise self._error("has a set that names no characters" if not found else "has a set of what is not in it")
        return "".join(found)

    def _repeated(self, draw: Draw) -> Draw:
        if self._peek() == "?":
            self._at += 1
            return lambda rng: draw(rng) if rng.random() < 0.5 else ""
        if self._peek() != "{":
            return draw
        self._at += 1
        counts = self._until("}", "{").split(",")
        if len(counts) > 2 or not all(count.isascii() and count.isdigit() for count in counts):
            raise self._error("has a repetition that is not {3} or {2,5}")
        least, most = int(counts[0]), int(counts[-1])
        if not least <= most <= _MOST:
            raise self._error(f"has a repetition that is not between 0 and {_MOST} and in order")
        return lambda rng: "".join([draw(rng) for _ in range(int(rng.integers(least, most + 1)))])


def _any_of(characters: str) -> Draw:
    return lambda rng: characters[int(rng.integers(len(characters)))]


def read_pattern(pattern: str, fields: Mapping[str, Draw]) -> Draw:
    """What draws a text of the pattern. Raises ValueError with the place of what is wrong."""
    return _Reader(pattern, fields).whole()
