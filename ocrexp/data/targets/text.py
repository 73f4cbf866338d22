"""What the losses of recognizers need of a label: classes in order, one label for each kind of head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from ocrexp.charset.charset import Charset
from ocrexp.charset.codecs import KINDS, CTCCodec
from ocrexp.charset.unknown import UnknownCharacter
from ocrexp.located import option
from ocrexp.nearest import did_you_mean
from ocrexp.types import Sample, UnusableSample


class TextTargets:
    """Adds `label_KIND` (int64, padded to the kind's width) for each kind and `length` (characters) to a sample.

    A label that cannot be learned is rejected, and so counted with its reason: empty, a character outside the charset
    that its policy does not allow, longer than `max_text_length`, or more steps than CTC emits.

    Args:
        charset: of the model (the run fills this in).
        kinds: of the model's heads: `ctc` and others, see `ocrexp.charset.codecs`.
        max_text_length: characters at most.
        ctc_steps: steps that the model emits for a training image; `auto`: what `know_steps` gets; null: not checked.
    """

    def __init__(
        self,
        charset: Charset,
        kinds: Sequence[str] = ("ctc",),
        max_text_length: int = 25,
        ctc_steps: Literal["auto"] | int | None = "auto",
    ) -> None:
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            near = did_you_mean(unknown[0], KINDS) if unknown else ""
            raise ValueError(f"kinds: expected names of {', '.join(KINDS)}, got {list(kinds)}{near}")
        if max_text_length < 1:
            raise ValueError(f"max_text_length: expected 1 or more, got {max_text_length}")
        self._charset = charset
        self.max_text_length = max_text_length
        self._codecs = {kind: KINDS[kind](len(charset)) for kind in kinds}
        self._given = ctc_steps
        self._steps: dict[tuple[int, ...], int] = {}

    @property
    def kinds(self) -> list[str]:
        """Kinds of the labels that it makes."""
        return list(self._codecs)

    @property
    def asks_for_steps(self) -> bool:
        """Whether `know_steps` must be called."""
        return self._given == "auto" and "ctc" in self._codecs

    def know_steps(self, steps: Mapping[tuple[int, ...], int]) -> None:
        """How many steps CTC emits for images of (height, width)."""
        self._steps.update(steps)

    def steps(self, size: tuple[int, ...]) -> int | None:
        """Steps of CTC for images of (height, width); None if it is not known or not asked.

        For any other width (a long image in evaluation) it is estimated, by one step too few rather than too
        many.
        """
        if self._given != "auto":
            return self._given
        if size in self._steps or not self._steps or len(size) != 2:
            return self._steps.get(size)
        (_, width), steps = max(self._steps.items())
        return max(size[1] * steps // width - 1, 1)

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        del rng
        try:
            positions = self._charset.encode(sample["texts"][0])
        except UnknownCharacter as error:
            raise UnusableSample(f"label: {error}") from None
        if not positions:
            raise UnusableSample("label is empty")
        if len(positions) > self.max_text_length:
            raise UnusableSample(f"label is longer than {option(self, 'max_text_length')}={self.max_text_length}")
        if "ctc" in self._codecs:
            steps = self.steps(sample["image"].shape[:2] if self._steps else ())
            if steps is not None and CTCCodec.steps_needed(positions) > steps:
                raise UnusableSample(f"label needs more than the {steps} steps that CTC emits")
        for kind, codec in self._codecs.items():
            sample[f"label_{kind}"] = codec.label(positions, self.max_text_length)  # type: ignore[literal-required]  # checked
        sample["length"] = len(positions)
        return sample

    def read(self, sample: Sample) -> dict[str, str]:
        """The text of each label of a sample, by its kind: for pictures of what is learned."""
        texts = {}
        for kind, codec in self._codecs.items():
            ids = sample[f"label_{kind}"]  # type: ignore[literal-required]
            texts[kind] = self._charset.decode(codec.position(ids[codec.is_character(ids)]).tolist())
        return texts

    def facts(self, sample: Sample) -> list[tuple[str, str]]:
        """What the labels of a sample are, in words: names and values."""
        positions = self._charset.encode(sample["texts"][0])
        facts = [("characters", f"{sample['length']} of {self.max_text_length} that a label can have")]
        if "ctc" in self._codecs:
            steps = self.steps(sample["image"].shape[:2] if self._steps else ())
            emitted = "not checked" if steps is None else f"{steps} emitted"
            facts.append(("CTC steps", f"{CTCCodec.steps_needed(positions)} needed, {emitted}"))
        texts = self.read(sample)
        for kind, codec in self._codecs.items():
            ids: list[int] = sample[f"label_{kind}"].tolist()  # type: ignore[literal-required]
            used = len(ids)
            while used > 1 and ids[used - 1] == codec.padding:
                used -= 1
            padding = f", then {codec.padding} × {len(ids) - used}" if used < len(ids) else ""
            facts += [(f"label {kind}", " ".join(map(str, ids[:used])) + padding), (f"read back {kind}", texts[kind])]
        return facts
