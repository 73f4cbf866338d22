"""Training batches of several image sizes, after the idea of PaddleOCR's MultiScaleSampler and RatioSampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocrexp.data.sampler import ORDER_STREAM, Indices, Planned, Size, check_epoch, check_lists, draw

# A global batch is a multiple of this if it is large enough, so that up to 8 ranks get equal parts.
_QUANTUM = 8


@dataclass(frozen=True, slots=True)
class _Step:
    """A batch of every epoch: from which bin's samples (and what narrower bins left), its size, its samples."""

    bin: int
    size: Size
    count: int


def batch_sizes(sizes: Sequence[Size], batch_size: int, world_size: int, fix_batch: bool) -> list[int]:
    """How many images of each size a full batch has over all ranks, `batch_size` per rank of the first one."""
    full = batch_size * world_size
    found = []
    for size in sizes:
        wanted = full * (sizes[0][0] * sizes[0][1]) / (size[0] * size[1])
        quantum = next((q for q in (_QUANTUM, 4, 2) if q <= wanted), 1)
        same = fix_batch or wanted == full
        found.append(full if same else max(int(wanted / quantum) * quantum // world_size, 1) * world_size)
    return found


class MultiScaleSampler:
    """Batches that have one of several image sizes each; a function of (seed, epoch) alone.

    The sizes take turns. A batch holds `batch_size` images per rank of the first size; of another size as many as have
    about the same pixels, rounded down to a multiple of 8 (below 8: to 4, 2 or 1) over all ranks, so that 1, 2, 4 or 8
    ranks see together the same batches (unless that is less than one image per rank, which each gets at least).
    Each rank takes its contiguous part.

    With `by_ratio` images of like aspect share a batch, which then has the narrowest width of its height that holds
    them all (an image that is too long for the widest is squeezed into it). What does not fill a batch goes to the next
    wider one, so at most one batch per epoch is incomplete. The order of the batches is random.

    Every index of the epoch is in one batch; only the last, incomplete batch is cut to a multiple of the ranks, or left
    out with `drop_last`. Shares of lists (`ratios`, as EpochSampler has them) are drawn evenly over the aspects: how
    many batches of which size an epoch has is then the same in all of them, which schedules rely on.

    Args:
        list_sizes: records of each list, which stand one after the other.
        aspects: width / height of each record's image, NaN where unknown (as if of the first size); None: not by ratio.
        sizes: (height, width); `batch_size` is for the first.
        fix_batch: `batch_size` images per rank for every size.
        ratios, batch_size, seed, shuffle, drop_last, rank, world_size: as EpochSampler has them.

    Raises ValueError for invalid values, DataError if an epoch has no batch.
    """

    def __init__(
        self,
        list_sizes: Sequence[int],
        aspects: npt.NDArray[np.float64] | None,
        ratios: Sequence[float] | None,
        sizes: Sequence[Sequence[int]],
        batch_size: int,
        seed: int,
        fix_batch: bool = False,
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        shares = check_lists(list_sizes, ratios, batch_size)
        self.sizes = checked_sizes(sizes)
        self.batch_size = batch_size
        self.fix_batch = fix_batch
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self._batches = dict(zip(self.sizes, batch_sizes(self.sizes, batch_size, world_size, fix_batch), strict=True))
        self._records = sum(list_sizes)
        self._by_ratio = aspects is not None
        self._edges = np.unique([width / height for height, width in self.sizes]) if self._by_ratio else np.array([0.0])
        bins = np.zeros(self._records, np.int64)
        if aspects is not None:
            first = self.sizes[0]
            known = np.where(np.isnan(aspects), first[1] / first[0], aspects)
            bins = np.minimum(np.searchsorted(self._edges, known), len(self._edges) - 1)
        self._divide(list_sizes, shares, bins)
        self._steps = self._plan_steps(drop_last)
        check_epoch(len(self._steps), sum(shares), batch_size, world_size, drop_last)

    def _divide(self, list_sizes: Sequence[int], shares: Sequence[int], bins: Indices) -> None:
        """Strata, the records of one list in one bin, bin after bin, and how many of each an epoch takes."""
        self._strata: list[list[Indices]] = [[] for _ in self._edges]
        self._shares: list[list[int]] = [[] for _ in self._edges]
        start = 0
        for size, share in zip(list_sizes, shares, strict=True):
            own = bins[start : start + size]
            counts = np.bincount(own, minlength=len(self._edges))
            for b, part in enumerate(_apportion(share, counts)):
                self._strata[b].append(start + np.flatnonzero(own == b))
                self._shares[b].append(part)
            start += size

    def __len__(self) -> int:
        """Batches of an epoch, the same on every rank and in every epoch."""
        return len(self._steps)

    def global_batch(self, size: Size) -> int:
        """Images of a full batch of this size over all ranks."""
        return self._batches[size]

    def shapes(self) -> list[tuple[Size | None, int]]:
        """Each image size and how many images of it a full batch of this rank has."""
        return [(size, self.global_batch(size) // self.world_size) for size in self.sizes]

    def _choices(self, b: int) -> list[Size]:
        """The sizes that take turns for the samples of a bin."""
        if not self._by_ratio:
            return self.sizes
        choices = []
        for height in dict.fromkeys(height for height, _ in self.sizes):
            widths = sorted(width for h, width in self.sizes if h == height)
            choices.append((height, next((w for w in widths if w / height >= self._edges[b]), widths[-1])))
        return choices

    def _plan_steps(self, drop_last: bool) -> list[_Step]:
        steps: list[_Step] = []
        left = 0
        for b, shares in enumerate(self._shares):
            choices = self._choices(b)
            left += sum(shares)
            while left >= (count := self.global_batch(size := choices[len(steps) % len(choices)])):
                steps.append(_Step(b, size, count))
                left -= count
        left = left // self.world_size * self.world_size
        if left and not drop_last:
            steps.append(_Step(b, size, left))
        return steps

    def plan(self, epoch: int) -> list[Planned]:
        """This rank's batches of an epoch with their sizes."""
        rng = np.random.default_rng([self.seed, epoch, *ORDER_STREAM])
        order = self._order(rng)
        ends = np.cumsum([step.count for step in self._steps])
        batches = [
            Planned(np.array_split(order[end - step.count : end], self.world_size)[self.rank], step.size)
            for step, end in zip(self._steps, ends.tolist(), strict=True)
        ]
        return [batches[i] for i in rng.permutation(len(batches))] if self.shuffle else batches

    def _order(self, rng: np.random.Generator) -> Indices:
        """All indices of an epoch, the narrowest bin first; what does not fill a batch joins the next bin."""
        pools = []
        for strata, shares in zip(self._strata, self._shares, strict=True):
            drawn = np.concatenate(draw(strata, shares, self._records, rng))
            pools.append(rng.permutation(drawn) if self.shuffle else drawn)
        return np.concatenate(pools)

    def batches(self, epoch: int) -> list[Indices]:
        """This rank's batches of an epoch without their sizes."""
        return [planned.indices for planned in self.plan(epoch)]

    def first_indices(self, count: int) -> Indices:
        """The first indices of epoch 0 on this rank."""
        return np.concatenate(self.batches(0))[:count]


def checked_sizes(sizes: Sequence[Sequence[int]]) -> list[Size]:
    """Different sizes in their order. Raises ValueError for what is not a list of [height, width]."""
    if not sizes or any(len(size) != 2 or min(size) < 1 for size in sizes):
        raise ValueError(
            "multi_scale.sizes: expected [[height, width], ...], such as [[48, 320], [32, 320]], got "
            f"{[list(size) for size in sizes]}"
        )
    return [(int(height), int(width)) for height, width in dict.fromkeys(map(tuple, sizes))]


def _apportion(total: int, counts: npt.NDArray[np.int64]) -> list[int]:
    """`total` shared out in proportion to `counts`, in whole numbers (largest remainders)."""
    if counts.sum() == 0:
        return [0] * len(counts)
    exact = total * counts / counts.sum()
    shares = np.floor(exact).astype(np.int64)
    largest = np.argsort(shares - exact, kind="stable")
    shares[largest[: total - shares.sum()]] += 1
    return [int(share) for share in shares]
