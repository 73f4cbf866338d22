"""What the losses of recognisers need of a label: classes in order, one label for each kind of head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrexp.data.charset import Charset, UnknownCharacter
from ocrexp.data.codecs import KINDS, CTCCodec
from ocrexp.errors import ConfigError
from ocrexp.types import Sample, UnusableSample


class TextTargets:
    """Adds `label_KIND` (int64, padded to the kind's width) for each kind and `length` (characters) to a sample.

    A label that cannot be learnt is rejected, and so counted with its reason: empty, a character outside the charset
    that its policy does not allow, longer than `max_text_length`, or more steps than CTC emits.

    Args:
        charset: of the model (the run fills this in).
        kinds: of the model's heads: `ctc`, `attention`, `nrtr`, `sar`, `parseq`, `vitstr`.
        max_text_length: characters at most.
        ctc_steps: steps that the model emits for a training image; null: not checked here.
    """

    def __init__(
        self,
        charset: Charset,
        kinds: Sequence[str] = ("ctc",),
        max_text_length: int = 25,
        ctc_steps: int | None = None,
    ) -> None:
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            raise ConfigError(f"targets.kinds={list(kinds)}: choose from {', '.join(KINDS)}")
        if max_text_length < 1:
            raise ConfigError(f"targets.max_text_length={max_text_length}: give at least 1")
        self._charset = charset
        self._codecs = {kind: KINDS[kind](len(charset)) for kind in kinds}
        self._length = max_text_length
        self._steps = ctc_steps

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        del rng
        try:
            positions = self._charset.encode(sample["texts"][0])
        except UnknownCharacter as error:
            raise UnusableSample(f"label: {error}") from None
        if not positions:
            raise UnusableSample("label is empty")
        if len(positions) > self._length:
            raise UnusableSample(f"label is longer than targets.max_text_length={self._length}")
        if self._steps is not None and "ctc" in self._codecs and CTCCodec.steps_needed(positions) > self._steps:
            raise UnusableSample(f"label needs more than the {self._steps} steps that CTC emits")
        for kind, codec in self._codecs.items():
            sample[f"label_{kind}"] = codec.label(positions, self._length)  # type: ignore[literal-required]  # checked
        sample["length"] = len(positions)
        return sample
