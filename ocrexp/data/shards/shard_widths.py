"""Batches of images of similar aspect (`loader.multi_scale.by_ratio`) for shards, whose images are known when they are
reached: those of a buffer are sorted, and each batch has the narrowest size that fits its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ocrexp.data.sampler import Indices, Planned, Size
from ocrexp.data.shards.shard_stream import ShardOrder

_GROUP = 4  # the last number of a generator's seed; see shard_stream


class _Stream(Protocol):
    def with_sets(self, start: int, stop: int) -> tuple[Indices, Indices]: ...


class Widths:
    """Divides stretches of a stream into batches of one image size each.

    Args:
        sizes: (height, width); heights take turns.
        batch_size: images of each batch.
        aspects: gives width / height of images by their indices, NaN where it is not known, which counts as that of
            the first size.
    """

    def __init__(
        self, sizes: Sequence[Size], batch_size: int, aspects: Callable[[Indices], npt.NDArray[np.float64]]
    ) -> None:
        self._batch_size = batch_size
        self._aspects = aspects
        self._usual = sizes[0][1] / sizes[0][0]
        self._by_height = [
            sorted(size for size in sizes if size[0] == height) for height in dict.fromkeys(size[0] for size in sizes)
        ]
        self._group: tuple[object, int, list[Planned]] | None = None

    def batch(self, stream: _Stream, own: int, order: ShardOrder, epoch: int, number: int, batches: int) -> Planned:
        """Batch `number` of the `batches` of an epoch that has `own` samples."""
        together = max(order.buffer // self._batch_size, 1)  # batches of a buffer
        group, place = divmod(number, together)
        if self._group is None or self._group[0] is not stream or self._group[1] != group:
            first = group * together
            start = first * self._batch_size
            stop = min(min(first + together, batches) * self._batch_size, own)
            planned = self._divided(*stream.with_sets(start, stop), first)
            if order.shuffle:
                rng = order.rng(epoch, order.rank, group, 0, _GROUP)
                planned = [planned[i] for i in rng.permutation(len(planned))]
            self._group = (stream, group, planned)
        return self._group[2][place]

    def _divided(self, indices: Indices, sets: Indices, first: int) -> list[Planned]:
        """Batches of samples, the narrowest images first; each keeps its share of each set."""
        aspects = self._aspects(indices)
        aspects = np.where(np.isnan(aspects), self._usual, aspects)
        order = np.empty(len(indices), np.int64)
        for number in np.unique(sets):
            own = np.flatnonzero(sets == number)
            order[own] = own[np.argsort(aspects[own], kind="stable")]
        found: list[Planned] = []
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            choices = self._by_height[(first + len(found)) % len(self._by_height)]
            widest = float(aspects[batch].max())
            size = next((size for size in choices if size[1] / size[0] >= widest), choices[-1])
            found.append(Planned(indices[batch], size))
        return found
