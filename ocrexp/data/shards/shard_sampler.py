"""Which samples of shards make which batch of which epoch, on which rank."""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import overload

import numpy as np
import numpy.typing as npt

from ocrexp.data.batch_shares import check_batch_shares, log_shares
from ocrexp.data.sampler import Indices, Planned, Size, check_epoch, check_lists
from ocrexp.data.shards.shard_mix import Mix
from ocrexp.data.shards.shard_set import ShardSet
from ocrexp.data.shards.shard_stream import SHARD_BITS, ShardOrder, ShardStream
from ocrexp.data.shards.shard_widths import Widths
from ocrexp.errors import DataError

log = logging.getLogger(__name__)

Aspects = Callable[[Indices], npt.NDArray[np.float64]]  # indices -> width / height of their images, NaN where unknown


class ShardSampler:
    """Batches of training indices of shards, a function of (seed, epoch) alone.

    With known counts, an epoch is all samples, and each rank has an equally long stretch of the shards' order. With
    `samples`, an epoch is that number of samples: each rank reads every n-th shard, from the beginning again if that is
    not enough, and a shard is counted when it is reached.

    With `ratios` or `batch_shares`, each set of shards has an order of its own, and the sets are interleaved evenly
    over the epoch.

    Args:
        shard_set: the shards.
        set_sizes: number of shards of each set, which stand one after the other.
        counts: samples of each shard; None with `samples`.
        samples: of an epoch over all ranks.
        turns: image size (None: no size in particular) and number of images of this rank's batches, which take turns.
        order: the buffer, the seed, this rank.
        drop_last: as for EpochSampler.
        ratios: the share of each set that an epoch uses, drawn again for each epoch; above 1 it is repeated.
        batch_shares: the share of each batch that is of each set; an epoch has all samples of the first set, or
            `samples`.
        aspects: what gives the aspects of images. Images of similar aspect of a buffer then share a batch, which has
            the narrowest size of `turns` that fits them; all turns have the same number of images. None: not by aspect.

    Raises ValueError for invalid values, DataError for an epoch without a batch, or fewer shards than ranks.
    """

    def __init__(
        self,
        shard_set: ShardSet,
        set_sizes: Sequence[int],
        counts: Indices | None,
        samples: int,
        turns: Sequence[tuple[Size | None, int]],
        order: ShardOrder,
        drop_last: bool = False,
        ratios: Sequence[float] | None = None,
        batch_shares: Sequence[float] | None = None,
        aspects: Aspects | None = None,
    ) -> None:
        self.batch_size = turns[0][1]
        if self.batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {self.batch_size}")
        if len(shard_set) >> SHARD_BITS:
            raise DataError(f"{len(shard_set)} shards are more than {1 << SHARD_BITS}; use larger shards")
        self.turns = list(turns)
        self._shards = shard_set
        self._counts = counts
        self._order = order
        self._drop_last = drop_last
        ends = np.cumsum([0, *set_sizes]).tolist()
        self._sets = [np.arange(start, end, dtype=np.int64) for start, end in pairwise(ends)]
        self._mix = self._mixed(samples, ratios, batch_shares)
        if counts is None and (fewest := min(map(len, self._used()))) < order.world_size:
            raise DataError(
                f"{fewest} training shards cannot be shared by {order.world_size} processes; write more shards, or "
                "train with fewer processes (trainer.devices)"
            )
        self._widths = (
            None if aspects is None else Widths([size for size, _ in turns if size], self.batch_size, aspects)
        )
        batches = turns if aspects is None else turns[:1]
        self._starts = np.cumsum([0, *(count for _, count in batches)]).tolist()  # of the batches of a round
        images = samples if self._mix is None else self.own * order.world_size
        check_epoch(len(self), images, self.batch_size, order.world_size, drop_last)

    def _mixed(self, samples: int, ratios: Sequence[float] | None, batch_shares: Sequence[float] | None) -> Mix | None:
        """How the sets are mixed; None: they are read as one. Sets the number of samples of this rank, and of each
        set."""
        world_size = self._order.world_size
        self.own = samples // world_size
        if ratios is None and batch_shares is None:
            self._sets = [np.concatenate(self._sets)]
            self._owns = [self.own]
            return None
        known = self._counts
        sizes = [len(one) if known is None else int(known[one].sum()) for one in self._sets]
        if batch_shares is not None:
            check_batch_shares(batch_shares, sizes, ratios)
            mix = Mix(batch_shares)
            if known is not None:
                end = sizes[0] // world_size * sum(batch_shares) / batch_shares[0]
                self.own = sum(math.ceil(end * share / sum(batch_shares) - 0.5) for share in batch_shares)
            self._owns = mix.counts(self.own)
            if self._order.rank == 0:
                log_shares(
                    batch_shares,
                    [own * world_size for own in self._owns],
                    None if known is None else sizes,
                    self.batch_size * world_size,
                )
            return mix
        self._owns = [share // world_size for share in check_lists(sizes, ratios, self.batch_size)]
        self.own = sum(self._owns)
        return Mix(self._owns) if self.own else None

    def _used(self) -> list[Indices]:
        """The sets of which an epoch has samples."""
        return [one for one, own in zip(self._sets, self._owns, strict=True) if own] or [np.empty(0, np.int64)]

    def __len__(self) -> int:
        """Batches of an epoch, the same on every rank."""
        rounds, left = divmod(self.own, self._starts[-1])
        full = bisect_right(self._starts, left) - 1  # batches of the last round
        return rounds * (len(self._starts) - 1) + full + (left > self._starts[full] and not self._drop_last)

    def plan(self, epoch: int) -> ShardPlan:
        """This rank's batches of an epoch, made when they are asked for."""
        return ShardPlan(self, epoch, range(len(self)))

    def shapes(self) -> list[tuple[Size | None, int]]:
        """Image sizes, and how many images of each a full batch of this rank has."""
        return list(self.turns)

    def epoch(self, epoch: int) -> MixedStream:
        """The samples of an epoch of this rank."""
        streams = [
            ShardStream(self._shards, members, number, self._counts, own, self._order_of(own), epoch)
            for number, (members, own) in enumerate(zip(self._sets, self._owns, strict=True))
        ]
        return MixedStream(streams, self._mix)

    def _order_of(self, own: int) -> ShardOrder:
        """The order of a set, whose part of the buffer is its part of the epoch."""
        if self._mix is None:
            return self._order
        return self._order.with_buffer(math.ceil(self._order.buffer * own / self.own))

    def batch(self, stream: MixedStream, epoch: int, number: int) -> Planned:
        """A batch of an epoch, whose samples are `stream`."""
        if self._widths is not None:
            return self._widths.batch(stream, self.own, self._order, epoch, number, len(self))
        rounds, turn = divmod(number, len(self.turns))
        size, count = self.turns[turn]
        start = rounds * self._starts[-1] + self._starts[turn]
        return Planned(stream.samples(start, min(start + count, self.own)), size)

    def first_indices(self, count: int) -> Indices:
        """The first indices of epoch 0 on this rank."""
        return self.epoch(0).samples(0, min(count, self.own))


class MixedStream:
    """The samples of a rank in an epoch, of one set or several.

    Args:
        streams: of each set.
        mix: how they are mixed; None: there is one.
    """

    def __init__(self, streams: Sequence[ShardStream], mix: Mix | None) -> None:
        self._streams = streams
        self._mix = mix

    def samples(self, start: int, stop: int) -> Indices:
        """The samples of a stretch."""
        return self.with_sets(start, stop)[0]

    def with_sets(self, start: int, stop: int) -> tuple[Indices, Indices]:
        """The samples of a stretch, and the set of each."""
        if self._mix is None:
            return self._streams[0].samples(start, stop), np.zeros(stop - start, np.int64)
        sets, before = self._mix.stretch(start, stop)
        found = np.empty(len(sets), np.int64)
        for number in np.unique(sets).tolist():
            of_set = sets == number
            first = int(before[number])
            found[of_set] = self._streams[number].samples(first, first + int(of_set.sum()))
        return found, sets


class ShardPlan(Sequence[Planned]):
    """Batches of an epoch that are made when they are asked for; one after the other is fastest."""

    def __init__(self, sampler: ShardSampler, epoch: int, batches: range, stream: MixedStream | None = None) -> None:
        self._sampler = sampler
        self._epoch = epoch
        self._batches = batches
        self._stream = stream or sampler.epoch(epoch)

    def __len__(self) -> int:
        return len(self._batches)

    @overload
    def __getitem__(self, index: int) -> Planned: ...

    @overload
    def __getitem__(self, index: slice) -> ShardPlan: ...

    def __getitem__(self, index: int | slice) -> Planned | ShardPlan:
        if isinstance(index, slice):
            return ShardPlan(self._sampler, self._epoch, self._batches[index], self._stream)
        return self._sampler.batch(self._stream, self._epoch, self._batches[index])
