"""Texts of labels: characters that no image shows or that look like others, spaces, normal form; characters counted."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ocrexp.charset.unknown import describe_character
from ocrexp.data.checking import lookalikes
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.invisible import code_points, describe_point, find_invisible
from ocrexp.data.label_format import short

_ALL = 0x110000
# What makes an ASCII text worth a closer look: spaces at an end or in a row, an entity, a control character.
_ASCII = re.compile(r"^ |[^ \n] $|  |&[a-z#][\w#]*;|[\x00-\x09\x0b-\x1f\x7f]", re.MULTILINE)
_RARE_SCRIPT = 0.01  # share of letters: words of a script that is rarer may be look-alikes
_KEPT = 200  # words that are looked at again at the end

PlaceOf = Callable[[int], Place]


class TextCheck:
    """Looks at the texts of one split; `finish` reports what only all of them show.

    Attributes:
        characters: how often each code point occurs, int64 [code points].
        texts: number of texts.
    """

    def __init__(self, split: str, problems: Problems) -> None:
        self.characters: npt.NDArray[np.int64] = np.zeros(_ALL, np.int64)
        self.texts = 0
        self._split = split
        self._problems = problems
        self._doubles: list[tuple[Place, str, str]] = []
        self._first: dict[str, Place] = {}  # of dashes and quotes

    def look(self, texts: Sequence[str], place: PlaceOf) -> None:
        """Look at some texts; `place(i)` is where text i of them is."""
        self.texts += len(texts)
        joined = "\n".join(texts)
        if joined.count("\n") >= len(texts) > 0:  # line feeds in texts of databases or in JSON
            joined = "\n".join(text.replace("\n", "\r") for text in texts)
        if joined.isascii():
            self.characters[:128] += np.bincount(np.frombuffer(joined.encode(), np.uint8), minlength=128)
            if _ASCII.search(joined):
                for i, text in enumerate(texts):
                    if "\n" in text or _ASCII.search(text):
                        self._in_any_script(text, place(i))
            return
        points = code_points(joined)
        values, counts = np.unique(points, return_counts=True)
        self.characters[values] += counts
        flagged = np.flatnonzero(lookalikes.suspects()[points])
        owners = set(np.searchsorted(np.flatnonzero(points == 10), flagged).tolist())
        normal = unicodedata.is_normalized("NFC", joined)
        for i, text in enumerate(texts):
            if i in owners or (not normal and not unicodedata.is_normalized("NFC", text)):
                self._closely(text, place(i))
            elif "\n" in text or _ASCII.search(text):
                self._in_any_script(text, place(i))

    def finish(self, counts: npt.NDArray[np.int64]) -> None:
        """Report several dashes or quotes, and words that look like Latin in data that is Latin.

        `counts`: the characters of all splits, which decide what is usual.
        """
        for group in lookalikes.DASHES:
            self._one_of_many(group, counts)
        names = [c for group in lookalikes.DASHES for c in group if c != "-" and self.characters[ord(c)]]
        if len({lookalikes.usual_dash(c) for c in [*names, *("-" if counts[ord("-")] else "")]}) > 1:
            self._note("text-dash-kinds", [c for group in lookalikes.DASHES for c in group])
        for group in lookalikes.QUOTES:
            if sum(bool(self.characters[ord(c)]) for c in group) > 1:
                self._note("text-quote-kinds", group)
        letters = Counter({script: self._letters(script) for script in ("LATIN", "CYRILLIC", "GREEK")})
        if letters["LATIN"] and max(letters["CYRILLIC"], letters["GREEK"]) < _RARE_SCRIPT * letters["LATIN"]:
            for where, word, text in self._doubles:
                script = "Cyrillic" if "CYRILLIC" in unicodedata.name(word[0]) else "Greek"
                what = f"{word!r} in {short(text)} is in {script} letters that all look Latin, as nearly all labels are"
                self._problems.add("text-lookalike", where, what)

    def _closely(self, text: str, place: Place) -> None:
        problems = self._problems
        self._in_any_script(text, place)
        if (mixed := lookalikes.foreign_letters(text)) is not None:
            wrong = sorted({a for a, b in zip(*mixed, strict=True) if a != b})
            what = f"{mixed[0]!r} contains {', '.join(map(describe_character, wrong))} in a word of other letters"
            problems.add("text-lookalike", place, what, f"write {mixed[1]!r}")
        elif len(self._doubles) < _KEPT and (word := lookalikes.double_word(text)) is not None:
            self._doubles.append((place, word, text))
        if found_wide := lookalikes.FULL_WIDTH.findall(text):
            shown = "".join(found_wide[:8])
            problems.add("text-full-width", place, f"{short(text)} contains the full-width {shown!r}")
        if not unicodedata.is_normalized("NFC", text):
            problems.add("text-unnormalized", place, f"{short(text)} is not in Unicode's form NFC")
        if (garbled := lookalikes.GARBLED.search(text)) is not None:
            problems.add("text-garbled", place, f"{short(text)} contains {garbled[0]!r}")
        for character in set(text) - {"-"}:
            if lookalikes.usual_dash(character) is not None:
                self._first.setdefault(character, place)

    def _in_any_script(self, text: str, place: Place) -> None:
        self._spaces(text, place)
        if (entity := lookalikes.ENTITY.search(text)) is not None:
            self._problems.add("text-entities", place, f"{short(text)} contains {entity[0]!r}")
        points = code_points(text)
        spaces: list[int] = []
        invisible: list[int] = [0x0A] if "\n" in text else []
        for point in np.unique(points[find_invisible(points)]).tolist():
            if point != 0xFFFD:
                (spaces if unicodedata.category(chr(point))[0] == "Z" else invisible).append(point)
        for kind, found in (("text-nbsp", spaces), ("text-invisible", invisible)):
            if found:
                self._problems.add(kind, place, f"{short(text)} contains {', '.join(map(describe_point, found))}")

    def _spaces(self, text: str, place: Place) -> None:
        if text[:1] == " " or text[-1:] == " ":
            where = "begins and ends" if text[:1] == text[-1:] else "begins" if text[:1] == " " else "ends"
            self._problems.add("text-spaces", place, f"{short(text)} {where} with a space")
        if "  " in text.strip(" "):
            self._problems.add("text-double-space", place, f"{short(text)} contains several spaces in a row")

    def _one_of_many(self, group: str, counts: npt.NDArray[np.int64]) -> None:
        """Report dashes of one kind that are several characters: all but the most frequent one."""
        used = sorted((c for c in group if counts[ord(c)]), key=lambda c: -counts[ord(c)])
        for character in used[1:]:
            number = int(self.characters[ord(character)])
            if number:
                what = (
                    f"{describe_character(character)} occurs {number} times, and looks like "
                    f"{describe_character(used[0])}, which occurs {int(counts[ord(used[0])])} times"
                )
                place = self._first.get(character, Place(self._split, ""))
                self._problems.add("text-dashes", place, what, count=number)

    def _note(self, kind: str, group: Sequence[str]) -> None:
        used = [c for c in group if self.characters[ord(c)]]
        what = ", ".join(f"{describe_character(c)} {int(self.characters[ord(c)])}×" for c in used)
        self._problems.add(kind, self._first.get(used[-1], Place(self._split, "")), what)

    def _letters(self, script: str) -> int:
        ranges = {"LATIN": (0x41, 0x250), "CYRILLIC": (0x400, 0x530), "GREEK": (0x370, 0x400)}
        first, last = ranges[script]
        return int(self.characters[first:last].sum())
