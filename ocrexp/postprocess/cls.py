"""From a classifier's probabilities to labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.classes import checked_labels
from ocrexp.results import ClsPrediction, ClsReference
from ocrexp.types import Batch

Floats = npt.NDArray[Any]


class ClsPostProcess:
    """The most probable label of each image, from `outputs["cls"]` [N, C] (probabilities).

    Args:
        labels: names of the classes, in the order of the outputs.

    Raises ValueError if the network has another number of classes.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = checked_labels(labels)

    def __call__(self, outputs: dict[str, Floats], batch: Batch) -> list[ClsPrediction]:
        del batch
        probabilities = outputs["cls"]
        if probabilities.shape[-1] != len(self.labels):
            raise ValueError(f"labels: expected {probabilities.shape[-1]} names, one per class of the network")
        best = probabilities.argmax(axis=-1)
        return [
            ClsPrediction(self.labels[int(index)], float(row[index]))
            for index, row in zip(best, probabilities, strict=True)
        ]

    def learned(self, outputs: dict[str, Floats], batch: Batch) -> tuple[list[ClsPrediction], list[ClsReference]]:
        """What a training step's logits say, and what they were to say."""
        logits = outputs["cls"] - outputs["cls"].max(axis=-1, keepdims=True)
        shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        references = [ClsReference(self.labels[int(index)]) for index in np.asarray(batch["label_cls"])]
        return self({"cls": shares}, batch), references
