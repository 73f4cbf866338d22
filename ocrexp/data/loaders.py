"""The loaders of a run, from the values of the `loader` node."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.batch_shares import BatchShareSampler, MultiScaleShareSampler, check_batch_shares
from ocrexp.data.collate import Collate
from ocrexp.data.dataset import EvalPipeline, TrainPipeline
from ocrexp.data.image_size import read_aspects
from ocrexp.data.images import MAX_PIXELS, limit_pixels
from ocrexp.data.loader import Loader
from ocrexp.data.multi_scale import MultiScaleSampler, batch_sizes, checked_sizes
from ocrexp.data.records import Images, StreamedRecords, any_drawn, list_sizes
from ocrexp.data.sampler import EpochSampler, EvalSampler, Sampler, Size
from ocrexp.environment import available_cores

log = logging.getLogger(__name__)

_MOST_AUTO_WORKERS = 8


def resolve_workers(num_workers: int | str, world_size: int = 1, most: int = _MOST_AUTO_WORKERS) -> int:
    """The number of workers that a config asks for; "auto": one core per process is left for training, at most 8.

    A worker makes over a hundred training crops per second, so a CPU never needs more than one; idle ones cost no time.
    """
    if num_workers == "auto":
        cores = available_cores() // world_size
        return min(max(cores - 1, 0), most)
    if isinstance(num_workers, bool) or not isinstance(num_workers, int):
        raise ValueError(f"num_workers: expected a number or auto, got {num_workers!r}")
    return num_workers


def build_train_loader(
    pipeline: TrainPipeline,
    *,
    collate: Collate,
    several_sizes: bool,
    ratios: Sequence[float] | None,
    seed: int,
    rank: int,
    world_size: int,
    batch_size: int,
    eval_batch_size: int,  # noqa: ARG001
    num_workers: int | str,
    prefetch: int,
    shuffle: bool,
    drop_last: bool,
    batch_shares: Sequence[float] | None = None,
    multi_scale: Mapping[str, Any] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Loader:
    """The training loader of a `loader` node; `batch_size` is per rank. Raises ValueError for invalid values.

    `several_sizes`: whether the task's batches may differ in image size, as `multi_scale` makes them.
    """
    _limit_pixels(max_pixels)
    workers = resolve_workers(num_workers, world_size)
    if isinstance(records := pipeline.records, StreamedRecords):
        turns = _turns(multi_scale, several_sizes, batch_size, world_size)
        by_ratio = multi_scale is not None and multi_scale["by_ratio"]
        stream = records.sampler(turns, seed, shuffle, drop_last, rank, world_size, ratios, batch_shares, by_ratio)
        return Loader(pipeline, stream, workers, collate, prefetch)
    counts = list_sizes(records, len(ratios or ()))
    if batch_shares is not None:
        check_batch_shares(batch_shares, counts, ratios)
    order = (shuffle, drop_last, rank, world_size)
    sampler: Sampler
    if multi_scale is None:
        if batch_shares is None:
            sampler = EpochSampler(counts, ratios, batch_size, seed, *order)
        else:
            sampler = BatchShareSampler(counts, batch_shares, batch_size, seed, *order)
    else:
        _require_sizes(several_sizes)
        aspects = _aspects(pipeline) if multi_scale["by_ratio"] else None
        sizes = (multi_scale["sizes"], batch_size, seed, multi_scale["fix_batch"], *order)
        if batch_shares is None:
            sampler = MultiScaleSampler(counts, aspects, ratios, *sizes)
        else:
            sampler = MultiScaleShareSampler(counts, aspects, batch_shares, *sizes)
    return Loader(pipeline, sampler, workers, collate, prefetch)


def _require_sizes(several_sizes: bool) -> None:
    if not several_sizes:
        raise ValueError("multi_scale: only for recognition, a detector's crop has its size; set it to null")


def _turns(
    multi_scale: Mapping[str, Any] | None, several_sizes: bool, batch_size: int, world_size: int
) -> list[tuple[Size | None, int]]:
    """Image size and number of images per rank of streamed batches, which take turns."""
    if multi_scale is None:
        return [(None, batch_size)]
    _require_sizes(several_sizes)
    if multi_scale["by_ratio"] and not multi_scale["fix_batch"]:
        raise ValueError(
            "multi_scale.by_ratio=true: the image sizes of shards are not known before they are read, so the number of "
            "batches depends on fixed batches; set fix_batch=true"
        )
    sizes = checked_sizes(multi_scale["sizes"])
    counts = batch_sizes(sizes, batch_size, world_size, multi_scale["fix_batch"])
    return [(size, count // world_size) for size, count in zip(sizes, counts, strict=True)]


def build_eval_loader(
    pipeline: EvalPipeline,
    *,
    collate: Collate,
    rank: int,
    world_size: int,
    batch_size: int,  # noqa: ARG001
    eval_batch_size: int,
    num_workers: int | str,
    prefetch: int,
    shuffle: bool,  # noqa: ARG001
    drop_last: bool,  # noqa: ARG001
    batch_shares: Sequence[float] | None = None,  # noqa: ARG001
    multi_scale: Mapping[str, Any] | None = None,  # noqa: ARG001
    max_pixels: int = MAX_PIXELS,
) -> Loader:
    """The evaluation loader of a `loader` node: list order, each image once over all ranks.

    Raises ValueError for invalid values.
    """
    _limit_pixels(max_pixels)
    sampler = EvalSampler(len(pipeline), eval_batch_size, rank, world_size)
    # The network is slower than two workers' decoding and resizing, and large images cost memory.
    return Loader(pipeline, sampler, resolve_workers(num_workers, world_size, most=2), collate, prefetch)


def _limit_pixels(max_pixels: int) -> None:
    if max_pixels < 1:
        raise ValueError(f"max_pixels: expected 1 or more, got {max_pixels}")
    limit_pixels(max_pixels)


def _aspects(pipeline: TrainPipeline) -> npt.NDArray[np.float64]:
    if any_drawn(pipeline.records):
        raise ValueError(
            "multi_scale.by_ratio=true: needs fixed images, but they are drawn again in every epoch; "
            "set by_ratio=false, or endless=false of the data set"
        )
    began = time.perf_counter()
    aspects = read_aspects(Images(pipeline.records))
    log.info("read the sizes of %d images from their headers in %.1f s", len(aspects), time.perf_counter() - began)
    return aspects
