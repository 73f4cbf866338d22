"""How many training samples one worker makes a second, and where its time goes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ocrexp.augment.rec.rec_aug import RecAug
from ocrexp.augment.warp import RandomWarpCrop
from ocrexp.charset.sources import from_labels
from ocrexp.data.collate import Empty
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.images import EncodedImage
from ocrexp.data.lists import DetLists
from ocrexp.data.loader import Loader
from ocrexp.data.rec_lists import RecLists
from ocrexp.data.sampler import EpochSampler
from ocrexp.data.targets.db import DBTargets
from ocrexp.data.targets.text import TextTargets
from ocrexp.data.transforms.rec_resize import RecResize
from ocrexp.data.worker import Collate
from ocrexp.types import Image, Sample


@dataclass(frozen=True, slots=True)
class PipelineTiming:
    """Figures of one worker.

    `images_per_second`: median over the passes, of batches as training gets them. `stages`: median milliseconds an
    image by stage (file, decode, each transform by its class), measured in the worker; stages exclude collation and
    transfer. `decoder_images_per_second`: the same files, decoded whole and nothing else.
    """

    images_per_second: float
    passes: list[float]
    stages: dict[str, float]
    decoder_images_per_second: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "images_per_second": round(self.images_per_second, 1),
            "passes": [round(value, 1) for value in self.passes],
            "stages_ms": {name: round(value, 3) for name, value in self.stages.items()},
            "decoder_images_per_second": round(self.decoder_images_per_second, 1),
        }


def det_mv3_db_pipeline(root: str | Path, train_labels: str = "train_list.txt", seed: int = 0) -> TrainPipeline:
    """The recipe of PaddleOCR's det_mv3_db: flip, rotation of 10 degrees, scale 0.5 to 3, crop of 640x640, all maps."""
    records = DetLists(root, train_labels, train_labels).train_records()
    return TrainPipeline(records, [RandomWarpCrop(), DBTargets()], seed)


def rec_pipeline(root: str | Path, train_labels: str, image_shape: tuple[int, int], seed: int = 0) -> TrainPipeline:
    """RecAug with PaddleOCR's probabilities and ranges, resize to `image_shape` (height, width), CTC's labels."""
    records = RecLists(root, train_labels, train_labels).train_records()
    texts = [record.texts[0] for record in records]
    augment = RecAug(distort=0.333, stretch=0.8, perspective=0.49, blur_sigma=(1.0, 1.0))
    targets = TextTargets(from_labels(texts), max_text_length=max(map(len, texts)), ctc_steps=None)
    return TrainPipeline(records, [augment, RecResize(image_shape), targets], seed)


def time_pipeline(pipeline: TrainPipeline, collate: Collate, passes: int = 5, batch_size: int = 8) -> PipelineTiming:
    """Time whole passes over the pipeline's records with one worker process.

    The first pass, which warms up, is not counted.
    """
    loader = _one_worker(pipeline, batch_size, collate)
    rates = []
    try:
        for epoch in range(passes + 1):
            batches = loader.epoch(epoch)
            first = next(batches)  # the worker is under way
            began = time.perf_counter()
            images = sum(len(batch["index"]) for batch in batches if batch)
            del first
            rates.append(images / (time.perf_counter() - began))
    finally:
        loader.close()
    stages = _stage_times(pipeline, batch_size, passes)
    return PipelineTiming(
        images_per_second=statistics.median(rates[1:]),
        passes=rates[1:],
        stages={name: value for name, value in stages.items() if name != _WHOLE_DECODE},
        decoder_images_per_second=1000 / stages[_WHOLE_DECODE],
    )


_WHOLE_DECODE = "decode of the whole image"


def _one_worker(pipeline: Any, batch_size: int, collate: Any) -> Loader:
    sampler = EpochSampler([len(pipeline)], None, min(batch_size, len(pipeline)), seed=0)
    return Loader(pipeline, sampler, 1, collate)


def _stage_times(pipeline: TrainPipeline, batch_size: int, passes: int) -> dict[str, float]:
    """Median over the passes of the mean milliseconds a stage takes."""
    loader = _one_worker(_TimedPipeline(pipeline), batch_size, _collect)
    means: dict[str, list[float]] = {}
    try:
        for epoch in range(passes):
            rows = [row for batch in loader.epoch(epoch) for row in batch]
            for name in rows[0]:
                means.setdefault(name, []).append(statistics.fmean(row[name] for row in rows))
    finally:
        loader.close()
    return {name: statistics.median(values) for name, values in means.items()}


def _collect(samples: Sequence[Any], empty: Empty) -> list[dict[str, float]]:  # noqa: ARG001
    return [sample["milliseconds"] for sample in samples]


class _TimedImage(EncodedImage):
    """Knows how long its decoding took."""

    milliseconds = 0.0

    def decode(self, reduction: int = 1) -> Image:
        began = time.perf_counter()
        pixels = super().decode(reduction)
        self.milliseconds += 1000 * (time.perf_counter() - began)
        return pixels


class _TimedPipeline:
    """A pipeline that returns times in place of samples."""

    def __init__(self, pipeline: TrainPipeline) -> None:
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.pipeline)

    def describe(self, index: int) -> str:
        return self.pipeline.describe(index)

    def sample(self, index: int, epoch: int) -> Any:
        path = self.pipeline.records[index].image_path
        whole = _TimedImage(path)
        whole.decode()

        times = {}
        began = time.perf_counter()
        encoded = _TimedImage(path)
        times["file"] = 1000 * (time.perf_counter() - began)
        sample: Sample = self.pipeline.labels(index, epoch)
        sample["encoded"] = encoded
        if not self.pipeline.reads_encoded:
            sample["image"] = encoded.decode()
        times["decode"] = 0.0
        rng = np.random.default_rng([self.pipeline.seed, epoch, index])
        for transform in self.pipeline.transforms:
            before = encoded.milliseconds
            began = time.perf_counter()
            sample = transform(sample, rng)
            name = type(transform).__name__
            took = 1000 * (time.perf_counter() - began) - (encoded.milliseconds - before)
            times[name] = times.get(name, 0.0) + took
        times["decode"] = encoded.milliseconds
        times[_WHOLE_DECODE] = whole.milliseconds
        return {"milliseconds": times}
