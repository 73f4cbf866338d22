"""Samples as a training or an evaluation sees them, asked for by record and epoch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.records import StreamedRecords
from ocrexp.data.sampler import Indices, Planned, Size
from ocrexp.types import Sample, UnusableSample

_KEPT_EPOCHS = 8


class PlansEpochs(Protocol):
    """What is needed of a sampler."""

    def plan(self, epoch: int) -> Sequence[Planned]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A record's turn in an epoch: its index with repetitions, its batch's image size, and whether the epoch uses it
    (with `ratios` below 1 it may not)."""

    index: int
    size: Size | None
    used: bool


class TrainVariants:
    """Training samples, pixel for pixel as the training on one process sees them.

    Args:
        pipeline: of training.
        sampler: of training; it decides the image size of each batch.
        streamed: of records in shards that are known by their place in `InMemory`: the index of each for training.
    """

    def __init__(self, pipeline: TrainPipeline, sampler: PlansEpochs, streamed: Indices | None = None) -> None:
        self.pipeline = pipeline
        self._streamed = streamed
        self._sampler = sampler
        self._plans: OrderedDict[int, tuple[Indices, Indices, list[Size | None]]] = OrderedDict()

    def turn(self, index: int, epoch: int) -> Turn:
        """The first turn of a record in an epoch."""
        indices, batches, sizes = self._plan(epoch)
        if self._streamed is not None:
            index = int(self._streamed[index])
        places = np.flatnonzero(first_turns(self.pipeline, indices) == index)
        if not len(places):
            return Turn(index, sizes[0] if sizes else None, False)
        first = places[np.argmin(indices[places])]
        return Turn(int(indices[first]), sizes[int(batches[first])], True)

    def sample(self, turn: Turn, epoch: int) -> Sample:
        """The transformed sample. Raises UnusableSample, and DataError where a transform fails."""
        return self.pipeline.sample(turn.index, epoch, turn.size)

    def _plan(self, epoch: int) -> tuple[Indices, Indices, list[Size | None]]:
        """Indices of an epoch, the number of the batch of each, and the image size of each batch."""
        if epoch not in self._plans:
            plan = list(self._sampler.plan(epoch))  # those of shards are made each time they are asked for
            batches = np.repeat(np.arange(len(plan)), [len(planned.indices) for planned in plan])
            sizes = [planned.size for planned in plan]
            self._plans[epoch] = np.concatenate([planned.indices for planned in plan]), batches, sizes
            while len(self._plans) > _KEPT_EPOCHS:
                self._plans.popitem(last=False)
        return self._plans[epoch]


def first_turns(pipeline: TrainPipeline, indices: Indices) -> Indices:
    """The indices of the same records where each has its first turn in an epoch."""
    if isinstance(pipeline.records, StreamedRecords):
        return pipeline.records.first_turn(indices)
    return indices % len(pipeline)


def evaluation_sample(pipeline: EvalPipeline, index: int) -> Sample:
    """An evaluation's sample in the form of a training sample: targets beside the image, regions in its coordinates.

    Args:
        pipeline: of evaluation, with `TargetsBeside` as its last transform.
        index: of the record.

    Raises UnusableSample for an image that cannot be read or has no targets.
    """
    sample: dict[str, Any] = dict(pipeline.sample(index, 0))
    for reason in ("unreadable", "no_targets"):
        if reason in sample:
            raise UnusableSample(str(sample[reason]))
    shape = sample.get("shape")
    if shape is not None and len(shape) == 4:
        scale = np.array([shape[3], shape[2]], np.float32)  # x, y
        sample["polygons"] = [polygon * scale for polygon in sample["polygons"]]
    return cast(Sample, sample | sample.get("targets", {}))
