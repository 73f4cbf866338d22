"""From CTC's probabilities to text: the likeliest class of each step, or a search over texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.charset.charset import Charset
from ocrexp.postprocess.tokens import check_classes, learned_texts, prediction
from ocrexp.results import RecPrediction, RecReference
from ocrexp.types import Batch

Floats = npt.NDArray[Any]

_BLANK = 0


class CTCGreedyDecoder:
    """The likeliest class of each step, repeats merged, blanks removed.

    A character's score is its class's probability at the first step of its run.

    Args:
        charset: of the model (the run fills this in).

    Calling it with outputs `ctc` (probabilities [N, T, C]) gives N RecPredictions.
    """

    def __init__(self, charset: Charset) -> None:
        self._charset = charset
        self._codec = charset.codec("ctc")

    def __call__(self, outputs: dict[str, Floats], batch: Batch) -> list[RecPrediction]:
        del batch
        probabilities = outputs["ctc"]
        check_classes(probabilities.shape[-1], self._codec, self._charset)
        ids = probabilities.argmax(axis=-1)
        # Picked, not searched for again: with 18000 classes a pass takes as long as reading some MB a line.
        scores = np.take_along_axis(probabilities, ids[..., None], axis=-1)[..., 0]
        kept = ids != _BLANK
        kept[:, 1:] &= ids[:, 1:] != ids[:, :-1]
        return [
            prediction(self._charset, self._codec.position(row[keep]), score[keep])
            for row, score, keep in zip(ids, scores, kept, strict=True)
        ]

    def learned(self, outputs: dict[str, Floats], batch: Batch) -> tuple[list[RecPrediction], list[RecReference]]:
        """What a training step's logits say, and what they were to."""
        return self({"ctc": softmax(outputs["ctc"])}, batch), learned_texts(self._charset, self._codec, batch)


class CTCBeamDecoder:
    """The likeliest text: prefix beam search over the sum of all alignments (Graves 2012, section 7.5; Hannun 2014).

    Nothing is thrown away but what the beam's width does: the probability of a text that stays in the beam is that of
    all its alignments. A character's score is its class's probability at the step where the search first wrote it.

    Args:
        charset: of the model (the run fills this in).
        beam_width: prefixes kept at each step.

    Calling it with outputs `ctc` (probabilities [N, T, C]) gives N RecPredictions.
    """

    def __init__(self, charset: Charset, beam_width: int = 10) -> None:
        if beam_width < 1:
            raise ValueError(f"beam_width: expected 1 or more, got {beam_width}")
        self._charset = charset
        self._codec = charset.codec("ctc")
        self._width = beam_width

    def __call__(self, outputs: dict[str, Floats], batch: Batch) -> list[RecPrediction]:
        del batch
        probabilities = outputs["ctc"]
        check_classes(probabilities.shape[-1], self._codec, self._charset)
        results = []
        for row in probabilities:
            best, _, steps = beam_search(row, self._width)[0]
            ids = np.array(best, dtype=np.int64)
            results.append(prediction(self._charset, self._codec.position(ids), row[list(steps), ids]))
        return results

    def learned(self, outputs: dict[str, Floats], batch: Batch) -> tuple[list[RecPrediction], list[RecReference]]:
        """What a training step's logits say, and what they were to."""
        return self({"ctc": softmax(outputs["ctc"])}, batch), learned_texts(self._charset, self._codec, batch)


def softmax(logits: Floats) -> Floats:
    """Probabilities over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def beam_search(probabilities: Floats, width: int) -> list[tuple[tuple[int, ...], float, tuple[int, ...]]]:
    """The likeliest label sequences of one image, best first.

    Args:
        probabilities: [T, C], class 0 is the blank.
        width: prefixes kept at each step, and results at most.

    Returns:
        (classes, natural logarithm of the probability, step at which each class was first written).
    """
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities.astype(np.float64))
    classes = logs.shape[1]
    prefixes: list[tuple[int, ...]] = [()]
    written: list[tuple[int, ...]] = [()]
    ends_blank, ends_class = np.zeros(1), np.full(1, -np.inf)
    for step, log in enumerate(logs):
        count = len(prefixes)
        total = np.logaddexp(ends_blank, ends_class)
        last = np.array([prefix[-1] if prefix else _BLANK for prefix in prefixes])
        stay_blank = total + log[_BLANK]
        stay_class = np.where(last == _BLANK, -np.inf, ends_class + log[last])
        # A class equal to the last one is a new character only after a blank.
        grown = total[:, None] + log
        grown[np.arange(count), last] = ends_blank + log[last]
        grown[:, _BLANK] = -np.inf
        index = {prefix: position for position, prefix in enumerate(prefixes)}
        for position, prefix in enumerate(prefixes):
            parent = index.get(prefix[:-1]) if prefix else None
            if parent is not None:
                stay_class[position] = np.logaddexp(stay_class[position], grown[parent, prefix[-1]])
                grown[parent, prefix[-1]] = -np.inf
        scores = np.concatenate([np.logaddexp(stay_blank, stay_class), grown.reshape(-1)])
        keep = np.argpartition(-scores, min(width, len(scores) - 1))[:width]
        keep = keep[np.isfinite(scores[keep])]
        keep = keep[np.argsort(-scores[keep], kind="stable")]
        next_prefixes, next_written = [], []
        ends_blank, ends_class = np.full(len(keep), -np.inf), np.full(len(keep), -np.inf)
        for place, choice in enumerate(keep):
            if choice < count:
                next_prefixes.append(prefixes[choice])
                next_written.append(written[choice])
                ends_blank[place], ends_class[place] = stay_blank[choice], stay_class[choice]
            else:
                parent, new = divmod(int(choice) - count, classes)
                next_prefixes.append((*prefixes[parent], new))
                next_written.append((*written[parent], step))
                ends_class[place] = scores[choice]
        prefixes, written = next_prefixes, next_written
    totals = np.logaddexp(ends_blank, ends_class)
    order = np.argsort(-totals, kind="stable")
    return [(prefixes[i], float(totals[i]), written[i]) for i in order]
