"""Texts from a file: one text per line, or JSON lines."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ocrexp.charset.encodings import decoded
from ocrexp.data.synth.checks import require_one_of
from ocrexp.data.synth.shaping import JOINERS, is_mark
from ocrexp.data.synth.text.base import TextPart
from ocrexp.data.synth.words import SPLITS, Split, belongs
from ocrexp.files import read_file

_JSON = {".jsonl", ".ndjson", ".json"}
_UNITS = ("phrase", "line", "word")
_SHOWN = 20  # characters that a message names


class Corpus(TextPart):
    """Texts of a UTF-8 file. White space within a line counts as one space.

    A line of the file belongs to the training or to the validation images by a hash of its letters and digits, so equal
    lines are never in both (with `unit: word`, equal words are never in both).

    Args:
        path: the file: a text per line; with the suffix .jsonl, .ndjson or .json, an object or a string per line.
        text_key: the key of the text in an object.
        unit: what is drawn: `line`: whole lines, and those that are too long are dropped; `word`: single words;
            `phrase`: consecutive words of a line, as many as fit. A line without spaces is cut between characters.
        weight: how often this source is used, relative to the others.

    Raises ValueError for a value that cannot be used; later, with the number of the line, for a file that cannot.
    """

    def __init__(
        self,
        path: str,
        text_key: str = "text",
        unit: Literal["phrase", "line", "word"] = "phrase",
        weight: float = 1.0,
    ) -> None:
        super().__init__(weight)
        require_one_of("unit", unit, _UNITS)
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise ValueError(f"path={path}: file not found; give a text file with one text per line, or JSON lines")
        self.text_key, self.unit = text_key, unit
        self._max_length = 0
        self._texts: dict[Split, list[str]] = {}

    @cached_property
    def _lines(self) -> list[str]:
        """The texts of the file, without empty ones."""
        try:
            data = read_file(self.path)
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be read ({error.strerror or error}); check the file") from error
        try:
            text = decoded(self.path, data)
        except ValueError as error:
            raise ValueError(f"{self.path}:{error}") from None
        is_json = self.path.suffix.lower() in _JSON
        lines = []
        for number, line in enumerate(text.split("\n"), 1):
            line = line.removeprefix("\ufeff")  # joined files have several
            if line.strip():
                lines.append(" ".join((self._json_text(line, number) if is_json else line).split()))
        if not any(lines):
            raise ValueError(f"{self.path}: has no text; write one text per line, or JSON lines")
        return lines

    def _json_text(self, line: str, number: int) -> str:
        where = f"{self.path}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
            raise ValueError(f"{where}: is not JSON ({reason}); write one object or string per line") from None
        if isinstance(value, dict):
            if self.text_key not in value:
                keys = ", ".join(map(str, value)) or "none"
                likely = next((key for key, text in value.items() if isinstance(text, str)), "KEY")
                raise ValueError(f"{where}: has no key {self.text_key!r} (keys: {keys}); set text_key={likely}")
            value = value[self.text_key]
        if not isinstance(value, str):
            raise ValueError(f"{where}: expected a text, got {json.dumps(value)[:40]}; write a string")
        return value

    def characters(self) -> str:
        """All characters of the file that can be seen, sorted, with the space if there are several words in a line."""
        found = set().union(*self._lines)
        return "".join(sorted(c for c in found if c == " " or c in JOINERS or c.isprintable()))

    def prepare(self, allowed: frozenset[str], max_length: int) -> list[str]:
        """Keep what these characters can write; the rest is dropped with a count."""
        self._max_length = max_length
        texts: dict[Split, dict[str, None]] = {split: {} for split in SPLITS}
        missing: Counter[str] = Counter()
        dropped = too_long = 0
        for line in self._lines:
            if self.unit == "line":
                if unknown := set(line) - allowed:
                    missing.update(unknown)
                    dropped += 1
                elif len(line) > max_length:
                    too_long += 1
                else:
                    texts[belongs(line)][line] = None
                continue
            for run in _runs(line.split(" "), allowed):
                if isinstance(run, str):
                    missing.update(set(run) - allowed)
                    dropped += 1
                elif self.unit == "phrase" and " " in allowed:
                    texts[belongs(line)][" ".join(run)] = None
                else:
                    for word in run:
                        texts[belongs(word)][word] = None
        self._texts = {split: list(found) for split, found in texts.items()}
        report = []
        if dropped:
            shown = ", ".join(repr(c) for c, _ in missing.most_common(_SHOWN))
            more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
            what = "lines" if self.unit == "line" else "words"
            report.append(f"{dropped} {what} of {self.path} dropped: no font or charset has {shown}{more}")
        if too_long:
            report.append(
                f"{too_long} of {len(self._lines)} lines of {self.path} dropped: longer than {max_length} characters; "
                "raise max_length, or set unit=phrase"
            )
        for split, found in self._texts.items():
            if not found:
                why = f" ({'; '.join(report)})" if report else ""
                raise ValueError(
                    f"path={self.path}: none of its {len(self._lines)} lines is left for the {split} images{why}; give "
                    "some hundred lines, and fonts and a charset with their characters"
                )
        return report

    def text(self, split: Split, rng: np.random.Generator) -> str:
        """A text of the file, or a part of one."""
        texts = self._texts[split]
        text = texts[int(rng.integers(len(texts)))]
        if len(text) <= self._max_length:
            return text
        words = text.split(" ") if self.unit == "phrase" else [text]
        first = int(rng.integers(len(words)))
        length = len(words[first])
        if length > self._max_length:
            return _part(words[first], self._max_length, rng)
        last = first + 1
        while last < len(words) and length + 1 + len(words[last]) <= self._max_length:
            length += 1 + len(words[last])
            last += 1
        return " ".join(words[first:last])

    def settings(self) -> dict[str, Any]:
        """The file by its content."""
        digest = hashlib.sha256(read_file(self.path)).hexdigest()
        return {**super().settings(), "sha256": digest, "text_key": self.text_key, "unit": self.unit}


def _runs(words: Sequence[str], allowed: frozenset[str]) -> Iterator[list[str] | str]:
    """Consecutive words that can be written, and each of the others alone."""
    run: list[str] = []
    for word in words:
        if allowed.issuperset(word):
            run.append(word)
            continue
        if run:
            yield run
            run = []
        yield word
    if run:
        yield run


def _part(word: str, length: int, rng: np.random.Generator) -> str:
    """Consecutive characters of a long word, `length` at most; a mark stays with its letter, a conjunct whole."""
    starts = [i for i, character in enumerate(word) if i == 0 or _begins(word[i - 1], character)]
    first = starts[int(rng.integers(len(starts)))]
    ends = [i for i in (*starts, len(word)) if first < i <= first + length]
    return word[first : ends[-1]] if ends else word[first : first + length]


def _begins(before: str, character: str) -> bool:
    """Whether a character can begin a text: it is no mark, and nothing joins it to the one before it."""
    return not (is_mark(character) or character in JOINERS or before in JOINERS or unicodedata.combining(before) == 9)
