"""JSON as people and programs write it by mistake: single quotes, trailing commas, several lists one after the other.

Nothing is executed: a small reader accepts what JSON does not allow and states what that was.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from ocrexp.data.checking.delimiter import second_image

QUOTES, COMMAS, JOINED, SINGLE = "json-quotes", "json-commas", "json-joined", "json-single"
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[A-Za-z_]\w*")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_DEEPEST = 50
_LONGEST = 1 << 22  # characters of a label that is read


@dataclass(slots=True)
class Repaired:
    """The labels of a line that was repaired, and the kinds of faults.

    `labels` has one JSON list for the image of the line; `others` are further images that were on the line, with their
    labels.
    """

    label: str
    kinds: list[str]
    others: list[tuple[str, str]] = field(default_factory=list)


class _Unreadable(Exception):
    pass


def repair(label: str) -> Repaired | None:
    """Correct a label that is not JSON; None if it is unclear what was meant."""
    if len(label) > _LONGEST:
        return None
    others: list[tuple[str, str]] = []
    reader = _Reader(label)
    try:
        regions = reader.lists()
        rest = label[reader.at :]
        while rest.strip():
            found = second_image(f"]{rest.strip()}")  # a line end is missing
            if found is None or found[0] != "]":
                return None
            reader.faults.append(JOINED)
            inner = _Reader(found[2])
            others.append((found[1], _as_label(inner.lists())))
            reader.faults += inner.faults
            rest = found[2][inner.at :]
    except (_Unreadable, ValueError, OverflowError):
        return None
    if not reader.faults:
        return None
    return Repaired(_as_label(regions), list(dict.fromkeys(reader.faults)), others)


def _as_label(regions: list[Any]) -> str:
    return json.dumps(regions, ensure_ascii=False)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.faults: list[str] = []

    def lists(self) -> list[Any]:
        """All regions of the lists, or of the single regions, that follow each other here."""
        regions: list[Any] = []
        count = singles = 0
        while self._next() in ("[", "{", "("):
            value = self._value(0)
            count += 1
            if isinstance(value, list):
                regions += value
            else:
                regions.append(value)
                singles += 1
            if self._next() == ",":
                self.at += 1
        if not count:
            raise _Unreadable
        if count > 1:
            self.faults.append(JOINED)
        elif singles:
            self.faults.append(SINGLE)
        return regions

    def _next(self) -> str:
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1
        return self.text[self.at : self.at + 1]

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _Unreadable
        mark = self._next()
        if mark in ("[", "("):
            if mark == "(":
                self.faults.append(QUOTES)  # Python's notation
            return self._items("]" if mark == "[" else ")", depth)
        if mark == "{":
            return self._members(depth)
        if mark in ("'", '"'):
            return self._string(mark)
        if (word := _WORD.match(self.text, self.at)) is not None and word[0] in _WORDS:
            self.at = word.end()
            if word[0][0].isupper():
                self.faults.append(QUOTES)
            return _WORDS[word[0]]
        if (number := _NUMBER.match(self.text, self.at)) is not None and number[0] not in ("", "-"):
            self.at = number.end()
            return int(number[0]) if re.fullmatch(r"-?\d+", number[0]) else float(number[0])
        raise _Unreadable

    def _items(self, end: str, depth: int) -> list[Any]:
        self.at += 1
        items: list[Any] = []
        while self._next() != end:
            items.append(self._value(depth + 1))
            self._comma(end)
        self.at += 1
        return items

    def _members(self, depth: int) -> dict[str, Any]:
        self.at += 1
        members: dict[str, Any] = {}
        while (mark := self._next()) != "}":
            if mark in ("'", '"') and mark:
                key = self._string(mark)
            elif (word := _WORD.match(self.text, self.at)) is not None:
                key, self.at = word[0], word.end()
                self.faults.append(QUOTES)
            else:
                raise _Unreadable
            if self._next() != ":":
                raise _Unreadable
            self.at += 1
            members[key] = self._value(depth + 1)
            self._comma("}")
        self.at += 1
        return members

    def _comma(self, end: str) -> None:
        if self._next() == ",":
            self.at += 1
            if self._next() == end:
                self.faults.append(COMMAS)
        elif self._next() != end:
            raise _Unreadable

    def _string(self, quote: str) -> str:
        if quote == "'":
            self.faults.append(QUOTES)
        parts: list[str] = []
        at = self.at + 1
        while True:
            if at >= len(self.text):
                raise _Unreadable
            character = self.text[at]
            if character == quote:
                break
            if character == "\\":
                escape = self.text[at + 1 : at + 2]
                if escape == "u":
                    parts.append(chr(int(self.text[at + 2 : at + 6], 16)))
                    at += 6
                    continue
                parts.append(_ESCAPES.get(escape, escape))
                at += 2
                continue
            parts.append(character)
            at += 1
        self.at = at + 1
        text = "".join(parts)
        return text.encode("utf-16", "surrogatepass").decode("utf-16")  # pairs of \u escapes become one character
