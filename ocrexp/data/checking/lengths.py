"""Texts against the model: characters that the charset lacks, lengths against max_text_length and the steps of CTC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ocrexp.charset.charset import Charset
from ocrexp.charset.codecs import CTCCodec
from ocrexp.charset.saved import from_saved
from ocrexp.charset.unknown import describe_character
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.label_check import count_characters, known_points, wider_advice
from ocrexp.data.label_format import short

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextLimits:
    """What a recognizer can learn.

    Args:
        charset: its characters.
        kinds: of its heads.
        max_text_length: of its targets.
        steps: image width → steps that CTC emits, None for a width that the model does not take; None: not checked.
        width: of training images; None: they have several widths.
        given_steps: what the targets state in place of the model.
    """

    charset: Charset
    kinds: tuple[str, ...] = ("ctc",)
    max_text_length: int = 25
    steps: Callable[[int], int | None] | None = None
    width: int | None = None
    given_steps: int | None = None

    def emitted(self) -> int | None:
        """Steps for a training image; None where they are not known."""
        if "ctc" not in self.kinds:
            return None
        if self.given_steps is not None or self.steps is None or self.width is None:
            return self.given_steps
        return self.steps(self.width)


@dataclass
class LengthCheck:
    """Checks the texts of one split; `lengths` has the characters of each, `needed` the steps of CTC."""

    split: str
    limits: TextLimits
    problems: Problems
    lengths: list[Counts] = field(default_factory=list)
    needed: list[Counts] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    unknown_texts: int = 0
    longest: int = 0
    most_steps: int = 0
    _first: dict[str, list[tuple[Place, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        charset = self.limits.charset
        self._known = known_points(charset)
        self._lenient = from_saved(charset.saved(), charset.source)
        self._emitted = self.limits.emitted()

    def look(self, texts: Sequence[str], place: Callable[[int], Place]) -> None:
        """Look at some texts; `place(i)` is where text i of them is."""
        charset, problems = self.limits.charset, self.problems
        sound, lengths, steps = count_characters(list(map(charset.normalize, texts)), self._known)
        for i in np.flatnonzero(~sound).tolist():
            coverage = self._lenient.check([(texts[i], "")])
            self.unknown_texts += bool(coverage.unknown)
            for character, count in coverage.unknown.items():
                self.unknown[character] += count
                places = self._first.setdefault(character, [])
                if len(places) < 3:
                    places.append((place(i), texts[i]))
            positions = self._lenient.encode(texts[i])
            lengths[i], steps[i] = len(positions), CTCCodec.steps_needed(positions)
        self.lengths.append(lengths)
        self.needed.append(steps)
        limit = self.limits.max_text_length
        for i in np.flatnonzero(lengths > limit).tolist():
            what = f"{short(texts[i])} has {lengths[i]} characters, targets.max_text_length is {limit}"
            problems.add("text-too-long", place(i), what)
        if self._emitted is not None:
            for i in np.flatnonzero((steps > self._emitted) & (lengths <= limit)).tolist():
                problems.add(
                    "text-steps", place(i), f"{short(texts[i])} needs {steps[i]} steps, CTC emits {self._emitted}", None
                )

    def finish(self) -> None:
        """Report unknown characters, and the values that would keep all texts."""
        self._report_unknown()
        if not self.lengths:
            return
        lengths, needed = np.concatenate(self.lengths), np.concatenate(self.needed)
        self.longest, self.most_steps = int(lengths.max(initial=0)), int(needed.max(initial=0))

    def advice(self) -> list[tuple[str, str]]:
        """What would keep the texts that are too long for the model: what to set, and why."""
        lines = []
        limits, emitted = self.limits, self._emitted
        if self.longest > limits.max_text_length:
            why = f"the longest text of {self.split} has as many characters"
            lines.append((f"targets.max_text_length={self.longest}", why))
        why = f"texts of {self.split} need up to {self.most_steps} steps of CTC, the model emits {emitted}"
        if emitted is not None and self.most_steps > emitted and limits.width:
            if limits.steps is None:
                tried = -(-limits.width * self.most_steps // (emitted * 8)) * 8
                lines.append((f"images about {tried} wide (model.image_shape)", why))
            else:
                lines.append((wider_advice(limits.steps, limits.width, emitted, self.most_steps), why))
        return lines

    def _report_unknown(self) -> None:
        charset = self.limits.charset
        for character, count in self.unknown.most_common():
            places = self._first[character]
            kind = "text-outside-charset" if self.split == "train" else "text-unreadable"
            if self._is_allowed(character):
                kind = "text-dropped"
            where = "; ".join(f"{place} {short(text)}" for place, text in places[:3])
            more = f" and {count - len(places)} more" if count > len(places) else ""
            what = f"{describe_character(character)} {count}×, not in the charset ({charset.source}): {where}{more}"
            advice = charset.explain(character) or None
            if character == " " and advice is None:
                advice = "set charset.use_space_char=true"
            self.problems.add(kind, places[0][0], what, advice, count=count)

    def _is_allowed(self, character: str) -> bool:
        """Whether the charset's policy drops or replaces it."""
        try:
            self.limits.charset.encode(character)
        except ValueError:
            return False
        return True
