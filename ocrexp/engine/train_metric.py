"""The evaluation's metric on training batches, where `trainer.metric_during_train` asks for it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import paddle

from ocrexp.results import Metric, Postprocess, ReadsTraining
from ocrexp.types import Batch


class TrainMetric:
    """Reads the outputs of the last steps before each log line; the steps before these cost nothing.

    The outputs are those of the learning model, with dropout and the batch's own statistics; a head that is given the
    characters before the one it is to read (attention, NRTR, SAR, PARSeq) is measured so. The texts to be read are what
    the labels of the batch contain, so that joined or turned words are compared as they are.

    Args:
        postprocess: with `learned(outputs, batch) -> (predictions, references)`.
        metric: of the evaluation; a copy of it counts.
        steps: how many before each log line.
        log_every_steps: steps of a logging interval.

    Raises ValueError for a postprocess that does not read training outputs.
    """

    def __init__(self, postprocess: Postprocess, metric: Metric, steps: int, log_every_steps: int) -> None:
        if not isinstance(postprocess, ReadsTraining):
            raise ValueError(
                f"metric_during_train: {type(postprocess).__name__} cannot compute a metric on training "
                "batches, only recognizers and classifiers can; set it to false"
            )
        self._read = postprocess.learned
        self._metric = copy.deepcopy(metric)
        self._metric.reset()
        self._steps = steps
        self._every = log_every_steps
        self._any = False

    def wants(self, step: int) -> bool:
        """Whether the step after `step` steps is looked at."""
        return self._every - step % self._every <= self._steps

    def add(self, outputs: dict[str, paddle.Tensor], batch: Batch) -> None:
        """Count a batch; `outputs` are the model's in training."""
        arrays = {name: np.asarray(value.detach().astype("float32").numpy()) for name, value in outputs.items()}
        predictions, references = self._read(arrays, batch)
        self._metric.update(predictions, references)
        self._any = True

    def take(self) -> dict[str, float]:
        """`train/<name>` of what was counted since the last call; empty if nothing was."""
        if not self._any:
            return {}
        values: dict[str, Any] = self._metric.compute()
        self._metric.reset()
        self._any = False
        return {f"train/{name}": value for name, value in values.items() if "/" not in name}
