"""Which records make which batch of which epoch, on which rank."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ocrexp.errors import DataError

Indices = npt.NDArray[np.int64]
Size = tuple[int, int]  # height, width

# Keeps the stream of an epoch's order apart from those of its samples, [seed, epoch, index, repetition]: trailing zeros
# do not count there, so that of [seed, epoch] alone would be sample 0's.
ORDER_STREAM = (0, 0, 1)


class Planned(NamedTuple):
    """A batch to load: its indices, and its image size where the sampler gives one."""

    indices: Indices
    size: Size | None = None


class Sampler(Protocol):
    """What the loader needs of a sampler."""

    batch_size: int

    def __len__(self) -> int: ...

    def plan(self, epoch: int) -> Sequence[Planned]: ...

    def shapes(self) -> list[tuple[Size | None, int]]: ...

    def first_indices(self, count: int) -> Indices: ...


def check_lists(list_sizes: Sequence[int], ratios: Sequence[float] | None, batch_size: int) -> list[int]:
    """How many records of each list an epoch takes. Raises ValueError for invalid values."""
    ratios = [1.0] * len(list_sizes) if ratios is None else list(ratios)
    if len(ratios) != len(list_sizes):
        raise ValueError(
            f"ratios: expected one value for each of the {len(list_sizes)} training lists, got {len(ratios)}"
        )
    if any(ratio < 0 for ratio in ratios):
        raise ValueError(f"ratios: expected shares of 0 or more, got {ratios}")
    if batch_size < 1:
        raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
    return [round(ratio * size) for ratio, size in zip(ratios, list_sizes, strict=True)]


def check_epoch(batches: int, images: int, batch_size: int, world_size: int, drop_last: bool) -> None:
    """Raises DataError for an epoch without a batch."""
    if batches == 0:
        if images < world_size:
            raise DataError(
                f"{images} training images per epoch cannot be shared by {world_size} processes; "
                f"train with {max(images, 1)} or fewer (trainer.devices), or add images"
            )
        least = batch_size * world_size if drop_last else world_size
        raise DataError(
            f"{images} training images per epoch do not fill one batch of {least}; "
            "lower the loader's batch_size, set its drop_last=false, or add images"
        )


def draw(groups: Sequence[Indices], shares: Sequence[int], records: int, rng: np.random.Generator) -> list[Indices]:
    """A number of indices of each group, without replacement; beyond all of them, all again as repetitions.

    Repetition r of record i is i + r * records.
    """
    parts = []
    for group, share in zip(groups, shares, strict=True):
        whole, rest = divmod(share, len(group)) if len(group) else (0, 0)
        drawn = np.sort(rng.permutation(len(group))[:rest])
        repeated = [group + repetition * records for repetition in range(whole)]
        parts.append(np.concatenate([*repeated, group[drawn] + whole * records]).astype(np.int64))
    return parts


class EpochSampler:
    """Batches of training indices; a function of (seed, epoch) alone, so an epoch can be entered anywhere.

    From list i (its records are consecutive) `ratios[i]` of the records are drawn again for every epoch,
    without replacement; a ratio of 2.5 takes all of them twice and half of them a third time. An index states which
    time it is: repetition r of record i is i + r * records, which `TrainPipeline` separates again. A global batch is a
    slice of the epoch's order; each rank takes its own contiguous part of it, so 2 ranks with batch 4 see together
    what 1 with batch 8 sees. The last global batch is cut to a multiple of the ranks, or dropped with `drop_last`.
    """

    def __init__(
        self,
        list_sizes: Sequence[int],
        ratios: Sequence[float] | None,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.list_sizes = [int(size) for size in list_sizes]
        self._shares = check_lists(self.list_sizes, ratios, batch_size)
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.rank = rank
        self.world_size = world_size
        self._epoch_size = sum(self._shares)
        check_epoch(len(self), self._epoch_size, batch_size, world_size, drop_last)

    def _kept(self) -> int:
        """Images of an epoch over all ranks after cutting the end."""
        unit = self.batch_size * self.world_size if self.drop_last else self.world_size
        return self._epoch_size // unit * unit

    def __len__(self) -> int:
        """Batches of an epoch, the same on every rank."""
        return -(-self._kept() // (self.batch_size * self.world_size))

    def order(self, epoch: int) -> Indices:
        """All indices of an epoch over all ranks, repetitions counted in as the class says."""
        rng = np.random.default_rng([self.seed, epoch, *ORDER_STREAM])
        starts = np.cumsum([0, *self.list_sizes])
        groups = [np.arange(start, end, dtype=np.int64) for start, end in pairwise(starts.tolist())]
        indices = np.concatenate(draw(groups, self._shares, int(starts[-1]), rng))
        return rng.permutation(indices) if self.shuffle else indices

    def batches(self, epoch: int) -> list[Indices]:
        """This rank's batches of an epoch."""
        order = self.order(epoch)[: self._kept()]
        step = self.batch_size * self.world_size
        return [
            np.array_split(order[start : start + step], self.world_size)[self.rank]
            for start in range(0, len(order), step)
        ]

    def plan(self, epoch: int) -> list[Planned]:
        """This rank's batches of an epoch, of no size in particular."""
        return [Planned(indices) for indices in self.batches(epoch)]

    def shapes(self) -> list[tuple[Size | None, int]]:
        """Images of a full batch of this rank, of no size in particular."""
        return [(None, self.batch_size)]

    def first_indices(self, count: int) -> Indices:
        """The first indices of epoch 0 on this rank."""
        return np.concatenate(self.batches(0))[:count]


class EvalSampler:
    """Every index once, in order; over several ranks each takes its own share and none is skipped or doubled."""

    def __init__(self, size: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        if batch_size < 1:
            raise ValueError(f"eval_batch_size: expected 1 or more, got {batch_size}")
        self.batch_size = batch_size
        self._indices: Indices = np.array_split(np.arange(size, dtype=np.int64), world_size)[rank]

    def __len__(self) -> int:
        return -(-len(self._indices) // self.batch_size)

    def batches(self, epoch: int = 0) -> list[Indices]:  # noqa: ARG002
        """This rank's batches; the same in every epoch."""
        return [self._indices[i : i + self.batch_size] for i in range(0, len(self._indices), self.batch_size)]

    def plan(self, epoch: int = 0) -> list[Planned]:
        """This rank's batches, of no size in particular."""
        return [Planned(indices) for indices in self.batches(epoch)]

    def shapes(self) -> list[tuple[Size | None, int]]:
        """Images of a full batch of this rank, of no size in particular."""
        return [(None, self.batch_size)]

    def first_indices(self, count: int) -> Indices:
        """The first indices of this rank."""
        return self._indices[:count]
