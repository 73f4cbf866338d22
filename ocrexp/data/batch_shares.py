"""Batches with a fixed share from each training list (`loader.batch_shares`), so that a model keeps what it could read.

The lists are interleaved evenly over an epoch: any stretch of it, and so the part of a batch that each rank takes, has
about the shares; a batch has them exactly where its share of each list is a whole number.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ocrexp.data.multi_scale import MultiScaleSampler
from ocrexp.data.sampler import ORDER_STREAM, EpochSampler, Indices, draw

log = logging.getLogger(__name__)


def check_batch_shares(shares: Sequence[float], list_sizes: Sequence[int], ratios: Sequence[float] | None) -> None:
    """Raises ValueError for shares that cannot be, or that contradict `dataset.ratios`."""
    if ratios is not None:
        raise ValueError(
            f"batch_shares: {list(shares)} and the data set's ratios={list(ratios)} both state how often a "
            "list is used; set one of them to null"
        )
    if len(shares) != len(list_sizes):
        raise ValueError(
            f"batch_shares: expected one number for each of the {len(list_sizes)} training lists, got {len(shares)}"
        )
    numbers = all(isinstance(share, int | float) and not isinstance(share, bool) for share in shares)
    if not numbers or not all(0 <= share < math.inf for share in shares) or not shares[0] > 0:
        raise ValueError(
            f"batch_shares: expected numbers of 0 or more, above 0 for the first list, got {list(shares)}; [6,2] takes "
            "6 of 8 images from the first list"
        )
    for number, (share, size) in enumerate(zip(shares, list_sizes, strict=True), start=1):
        if share and not size:
            raise ValueError(
                f"batch_shares: training list {number} has no usable image; set its share to 0 or remove it"
            )


def interleaved(first: int, shares: Sequence[float]) -> npt.NDArray[np.int64]:
    """The list of each image of an epoch that has `first` images of list 0 and the others by their shares.

    Image k of a list with the share s of all stands where (k + 0.5) / s is sorted in: each stretch of n images then has
    n·s of the list, rounded up or down.
    """
    total = sum(shares)
    end = first * total / shares[0]
    places = [
        (np.arange(math.ceil(end * share / total - 0.5)) + 0.5) * (total / share) if share else np.empty(0)
        for share in shares
    ]
    lists = np.repeat(np.arange(len(shares)), [len(place) for place in places])
    return lists[np.argsort(np.concatenate(places), kind="stable")]


def log_shares(shares: Sequence[float], counts: Sequence[int], list_sizes: Sequence[int] | None, batch: int) -> None:
    """One line: what a batch and an epoch take from each list; without `list_sizes` they are not known."""
    total = sum(shares)
    parts = []
    for number, (share, count) in enumerate(zip(shares, counts, strict=True)):
        part = f"list {number + 1}: {batch * share / total:g} of {batch} images in each batch, {count} per epoch"
        parts.append(part if list_sizes is None else f"{part} ({count / max(list_sizes[number], 1):.3g} of the list)")
    log.info("%s", "; ".join(parts))


class BatchShareSampler(EpochSampler):
    """An EpochSampler whose batches have a fixed share from each list.

    An epoch takes each record of the first list once. Of each other list it takes as many as the shares ask for, drawn
    again for each epoch without replacement; a list that is too short is repeated, as `dataset.ratios` above 1 does.

    Args:
        shares: one number for each list, of 0 or more; only their proportion counts.
        list_sizes, batch_size, seed, shuffle, drop_last, rank, world_size: as EpochSampler has them.
    """

    def __init__(
        self,
        list_sizes: Sequence[int],
        shares: Sequence[float],
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_batch_shares(shares, list_sizes, None)
        self._lists = interleaved(list_sizes[0], shares)
        counts = np.bincount(self._lists, minlength=len(list_sizes)).tolist()
        ratios = [count / size if size else 0.0 for count, size in zip(counts, list_sizes, strict=True)]
        super().__init__(list_sizes, ratios, batch_size, seed, shuffle, drop_last, rank, world_size)
        if rank == 0:
            log_shares(shares, counts, list_sizes, batch_size * world_size)

    def order(self, epoch: int) -> Indices:
        """All indices of an epoch over all ranks, the lists interleaved."""
        rng = np.random.default_rng([self.seed, epoch, *ORDER_STREAM])
        starts = np.cumsum([0, *self.list_sizes]).tolist()
        groups = [np.arange(start, end, dtype=np.int64) for start, end in pairwise(starts)]
        order = np.empty(len(self._lists), np.int64)
        for number, drawn in enumerate(draw(groups, self._shares, starts[-1], rng)):
            order[self._lists == number] = rng.permutation(drawn) if self.shuffle else drawn
        return order


class MultiScaleShareSampler(MultiScaleSampler):
    """A MultiScaleSampler whose batches have a fixed share from each list, as BatchShareSampler has them.

    With `by_ratio` the first list decides how many images of which aspect an epoch has. The others give images of the
    same bin; where a list has too few of them, of the next narrower bins as well, then the same images again, and if it
    has no narrower ones at all, wider ones, which are squeezed.

    Args:
        shares: one number for each list, of 0 or more; only their proportion counts.
        list_sizes, aspects, sizes, batch_size, seed, fix_batch, shuffle, drop_last, rank, world_size: as
            MultiScaleSampler has them.
    """

    def __init__(
        self,
        list_sizes: Sequence[int],
        aspects: npt.NDArray[np.float64] | None,
        shares: Sequence[float],
        sizes: Sequence[Sequence[int]],
        batch_size: int,
        seed: int,
        fix_batch: bool = False,
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        check_batch_shares(shares, list_sizes, None)
        self._lists = interleaved(list_sizes[0], shares)
        super().__init__(
            list_sizes, aspects, None, sizes, batch_size, seed, fix_batch, shuffle, drop_last, rank, world_size
        )
        if rank == 0:
            counts = np.bincount(self._lists, minlength=len(list_sizes)).tolist()
            log_shares(shares, counts, list_sizes, self.global_batch(self.sizes[0]))

    def _divide(self, list_sizes: Sequence[int], shares: Sequence[int], bins: Indices) -> None:
        """Strata and shares: those of the first list as without `batch_shares`, of the others by its bins."""
        super()._divide(list_sizes, shares, bins)
        first = np.cumsum([own[0] for own in self._shares])
        places = np.append(np.flatnonzero(self._lists == 0) + 1, len(self._lists))
        self._ends = [
            0 if not n else len(self._lists) if n == first[-1] else int(places[n - 1]) for n in first.tolist()
        ]
        records = [[strata[number] for strata in self._strata] for number in range(len(list_sizes))]
        for b, (start, end) in enumerate(pairwise([0, *self._ends])):
            self._shares[b] = np.bincount(self._lists[start:end], minlength=len(list_sizes)).tolist()
            self._strata[b] = [
                own[b] if number == 0 else _enough(own, b, wanted)
                for number, (own, wanted) in enumerate(zip(records, self._shares[b], strict=True))
            ]

    def _order(self, rng: np.random.Generator) -> Indices:
        order = np.empty(len(self._lists), np.int64)
        for strata, shares, (start, end) in zip(self._strata, self._shares, pairwise([0, *self._ends]), strict=True):
            lists = self._lists[start:end]
            for number, drawn in enumerate(draw(strata, shares, self._records, rng)):
                order[start:end][lists == number] = rng.permutation(drawn) if self.shuffle else drawn
        return _as_repetitions(order % self._records, self._records)


def _enough(bins: Sequence[Indices], b: int, wanted: int) -> Indices:
    """Records of bin b, of narrower ones too if it has fewer than `wanted`, or of wider ones if there are no others."""
    found = bins[b]
    for narrower in reversed(bins[:b]):
        if len(found) >= wanted:
            break
        found = np.concatenate([narrower, found])
    for wider in bins[b + 1 :]:
        if len(found):
            break
        found = wider
    return found


def _as_repetitions(order: Indices, records: int) -> Indices:
    """The order with repetitions numbered: the r-th repetition of record i becomes i + r * records, r from 0."""
    by_record = np.argsort(order, kind="stable")
    found = order[by_record]
    begins = np.flatnonzero(np.diff(found, prepend=-1))
    repetitions = np.empty(len(order), np.int64)
    repetitions[by_record] = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    return order + repetitions * records
