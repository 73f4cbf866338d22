"""From the tokens of heads that write one character at each step to text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.charset.charset import Charset
from ocrexp.charset.codecs import Codec, Ids, Kind
from ocrexp.errors import ConfigError
from ocrexp.results import RecPrediction, RecReference
from ocrexp.types import Batch

Floats = npt.NDArray[Any]


class TokenDecoder:
    """The characters up to the end token; other special tokens are dropped.

    PaddleOCR's attention decoder reads on after the end, its NRTR decoder prints `<s>` and `<unk>`, its SAR decoder
    `<UKN>`, an empty text scores NaN, and a batch of two images of NRTR is taken for something else.

    Args:
        charset: of the model (the run fills this in).
        kind: of the head.

    Calling it with the head's outputs (probabilities [N, L, C] under `kind`, or `nrtr_ids` and `nrtr_scores` [N, L])
    gives N RecPredictions.
    """

    def __init__(self, charset: Charset, kind: Kind) -> None:
        if kind == "ctc":
            raise ValueError("kind=ctc: is not supported here; use postprocess=ctc_greedy or ctc_beam")
        self._charset = charset
        self._codec = charset.codec(kind)
        self._kind = kind

    def __call__(self, outputs: dict[str, Floats], batch: Batch) -> list[RecPrediction]:
        del batch
        if f"{self._kind}_ids" in outputs:
            ids, scores = outputs[f"{self._kind}_ids"], outputs[f"{self._kind}_scores"]
        else:
            probabilities = outputs[self._kind]
            check_classes(probabilities.shape[-1], self._codec, self._charset)
            ids, scores = probabilities.argmax(axis=-1), probabilities.max(axis=-1)
        if self._kind == "vitstr":
            # The first step stands for the begin token and is not learned.
            ids, scores = ids[:, 1:], scores[:, 1:]
        return [self._read(row, score) for row, score in zip(ids, scores, strict=True)]

    def learned(self, outputs: dict[str, Floats], batch: Batch) -> tuple[list[RecPrediction], list[RecReference]]:
        """What a training step's logits say, given the label's characters before each, and what they were to."""
        logits = outputs[self._kind]
        # PARSeq: [orders, N, S, C], the first order is that of reading.
        return self({self._kind: logits[0] if logits.ndim == 4 else logits}, batch), learned_texts(
            self._charset, self._codec, batch
        )

    def _read(self, ids: Ids, scores: Floats) -> RecPrediction:
        ends = np.flatnonzero(ids == self._codec.end)
        stop = int(ends[0]) if len(ends) else len(ids)
        ids, scores = ids[:stop], scores[:stop]
        kept = self._codec.is_character(ids)
        return prediction(self._charset, self._codec.position(ids[kept]), scores[kept])


def prediction(charset: Charset, positions: Ids, scores: Floats) -> RecPrediction:
    """Text and scores; the text's score is the mean, 0 for an empty text. Classes without a character (empty lines of
    a dictionary) are dropped."""
    if charset.has_empty:
        kept = [place for place, position in enumerate(positions.tolist()) if charset.characters[position]]
        positions, scores = positions[kept], scores[kept]
    score = float(scores.mean()) if len(scores) else 0.0
    found = positions.tolist()
    return RecPrediction(charset.decode(found), score, tuple(float(scores[place]) for place in charset.order(found)))


def learned_texts(charset: Charset, codec: Codec, batch: Batch) -> list[RecReference]:
    """The texts of a training batch's labels, as the charset writes them."""
    first = int(codec.start is not None)
    return [
        RecReference(charset.decode(codec.position(label[first : first + length]).tolist()))
        for label, length in zip(batch[f"label_{codec.kind}"], batch["length"], strict=True)
    ]


def check_classes(predicted: int, codec: Codec, charset: Charset) -> None:
    """Raises ConfigError if a model's number of classes is not the charset's."""
    expected = codec.classes + codec.surplus
    if predicted not in (expected, codec.classes):
        raise ConfigError(
            f"the model has {predicted} classes, but the charset ({charset.source}) needs {expected}; use the "
            "charset with which the model was trained"
        )
