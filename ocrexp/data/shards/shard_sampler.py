"""The order in which shards are read: shards in random order, and within a buffer of consecutive samples any order.

Each rank has shards, or a stretch of the epoch, of its own. An epoch's order is a function of (seed, epoch), so that it
can be entered at any batch: nothing is saved but the number of the batch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import overload

import numpy as np

from ocrexp.data.sampler import Indices, Planned, Size, check_epoch
from ocrexp.data.shards.shard_set import ShardSet
from ocrexp.errors import DataError

# An index is one number: which time the shard is read in the epoch, its number, and the number of the sample in it.
_SAMPLE_BITS, _SHARD_BITS = 24, 20
_AHEAD = 4  # shards that are copied while one is counted
_MOST_TURNS = 1 << 18
# The last number of a generator's seed; those of samples end with _SAMPLE.
_SAMPLE, _BUFFER, _ORDER = 1, 2, 3


def index_of(turn: int, shard: int, samples: Indices) -> Indices:
    """Indices of samples of a shard."""
    return samples + ((turn << _SHARD_BITS | shard) << _SAMPLE_BITS)


def parts_of(index: int) -> tuple[int, int, int]:
    """Turn, shard and sample of an index."""
    sample = index & ((1 << _SAMPLE_BITS) - 1)
    shard = (index >> _SAMPLE_BITS) & ((1 << _SHARD_BITS) - 1)
    return index >> (_SAMPLE_BITS + _SHARD_BITS), shard, sample


def first_turn(indices: Indices) -> Indices:
    """The indices of the same samples where each shard is read for the first time in an epoch."""
    return indices & ((1 << _SAMPLE_BITS + _SHARD_BITS) - 1)


def sample_stream(index: int) -> list[int]:
    """What tells the random numbers of a sample from those of all others of its epoch."""
    turn, shard, sample = parts_of(index)
    return [shard, sample, turn, _SAMPLE]


class ShardSampler:
    """Batches of training indices of shards, a function of (seed, epoch) alone.

    With known counts, an epoch is all samples, and each rank has an equally long stretch of the shards' order. With
    `samples`, an epoch is that number of samples: each rank reads every n-th shard, from the beginning again if that is
    not enough, and a shard is counted when it is reached.

    Args:
        shard_set: the shards.
        counts: samples of each shard; None with `samples`.
        samples: of an epoch over all ranks.
        buffer: consecutive samples of a rank that are shuffled together.
        turns: image size (None: no size in particular) and number of images of this rank's batches, which take turns.
        seed, shuffle, drop_last, rank, world_size: as for EpochSampler.

    Raises ValueError for invalid values, DataError for an epoch without a batch, or fewer shards than ranks.
    """

    def __init__(
        self,
        shard_set: ShardSet,
        counts: Indices | None,
        samples: int,
        buffer: int,
        turns: Sequence[tuple[Size | None, int]],
        seed: int,
        shuffle: bool = True,
        drop_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.batch_size = turns[0][1]
        if self.batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {self.batch_size}")
        if counts is None and len(shard_set) < world_size:
            raise DataError(
                f"{len(shard_set)} training shards cannot be shared by {world_size} processes; write more shards, or "
                "train with fewer processes (trainer.devices)"
            )
        if len(shard_set) >> _SHARD_BITS:
            raise DataError(f"{len(shard_set)} shards are more than {1 << _SHARD_BITS}; use larger shards")
        self.turns = list(turns)
        self._starts = np.cumsum([0, *(count for _, count in turns)]).tolist()  # of the batches of a round
        self.own = samples // world_size  # of this rank in an epoch
        self._shards = shard_set
        self._counts = counts
        self._buffer = max(buffer, 1)
        self._seed = seed
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._rank = rank
        self._world_size = world_size
        check_epoch(len(self), samples, self.batch_size, world_size, drop_last)

    def __len__(self) -> int:
        """Batches of an epoch, the same on every rank."""
        rounds, left = divmod(self.own, self._starts[-1])
        full = bisect_right(self._starts, left) - 1  # batches of the last round
        return rounds * len(self.turns) + full + (left > self._starts[full] and not self._drop_last)

    def plan(self, epoch: int) -> ShardPlan:
        """This rank's batches of an epoch, made when they are asked for."""
        return ShardPlan(_Stream(self, epoch), range(len(self)))

    def shapes(self) -> list[tuple[Size | None, int]]:
        """Image sizes, and how many images of each a full batch of this rank has."""
        return list(self.turns)

    def planned(self, batch: int) -> tuple[int, int, Size | None]:
        """The first sample of a batch, the one behind its last, and its image size."""
        rounds, turn = divmod(batch, len(self.turns))
        size, count = self.turns[turn]
        start = rounds * self._starts[-1] + self._starts[turn]
        return start, min(start + count, self.own), size

    def first_indices(self, count: int) -> Indices:
        """The first indices of epoch 0 on this rank."""
        return _Stream(self, 0).samples(0, min(count, self.own))


class ShardPlan(Sequence[Planned]):
    """Batches of an epoch that are made when they are asked for; one after the other is fastest."""

    def __init__(self, stream: _Stream, batches: range) -> None:
        self._stream = stream
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    @overload
    def __getitem__(self, index: int) -> Planned: ...

    @overload
    def __getitem__(self, index: slice) -> ShardPlan: ...

    def __getitem__(self, index: int | slice) -> Planned | ShardPlan:
        if isinstance(index, slice):
            return ShardPlan(self._stream, self._batches[index])
        start, stop, size = self._stream.sampler.planned(self._batches[index])
        return Planned(self._stream.samples(start, stop), size)


class _Stream:
    """The samples of a rank in an epoch, one after the other: the parts of shards, shuffled in buffers."""

    def __init__(self, sampler: ShardSampler, epoch: int) -> None:
        self.sampler = sampler
        self._epoch = epoch
        self._turns: list[Indices] = []  # the shards of each turn in their order
        self._ends = [0]  # in the rank's samples, of each part
        self._parts: list[tuple[int, int, int]] = []  # turn, shard, first sample
        self._block: tuple[int, Indices] | None = None
        if sampler._counts is not None:
            self._lay_out(sampler._counts)

    def samples(self, start: int, stop: int) -> Indices:
        """The samples of a stretch."""
        size = self.sampler._buffer
        found = []
        while start < stop:
            block = start // size
            end = min((block + 1) * size, stop)
            found.append(self._shuffled(block)[start - block * size : end - block * size])
            start = end
        return np.concatenate(found)

    def _shuffled(self, block: int) -> Indices:
        if self._block is None or self._block[0] != block:
            sampler = self.sampler
            start = block * sampler._buffer
            stop = min(start + sampler._buffer, sampler.own)
            first = self._part_of(start)
            last = self._part_of(stop - 1)
            parts = []
            for part in range(first, last + 1):
                turn, shard, offset = self._parts[part]
                low, high = max(start, self._ends[part]), min(stop, self._ends[part + 1])
                parts.append(index_of(turn, shard, np.arange(low, high) - self._ends[part] + offset))
            self._bring(first, last)
            indices = np.concatenate(parts)
            if sampler._shuffle:
                indices = self._rng(sampler._rank, block, 0, _BUFFER).permutation(indices)
            self._block = (block, indices)
        return self._block[1]

    def _bring(self, first: int, last: int) -> None:
        """Wait for local copies of the shards of these parts, and start to copy those of as many more."""
        soon = [shard for _, shard, _ in self._parts[last + 1 : 2 * last - first + 2]]
        if self.sampler._counts is None:  # the parts are known up to here
            place = last + 1
            soon = [self._shard_at(place + more)[1] for more in range(last - first + 1)]
        self.sampler._shards.bring([shard for _, shard, _ in self._parts[first : last + 1]], soon)

    def _lay_out(self, counts: Indices) -> None:
        """All parts of the rank, from the counts of all shards."""
        order = self._order(0)
        ends = np.concatenate([[0], np.cumsum(counts[order])])
        low = self.sampler._rank * self.sampler.own
        high = low + self.sampler.own
        first, last = np.searchsorted(ends, low, "right") - 1, np.searchsorted(ends, high, "left")
        for place in range(int(first), int(last)):
            start, stop = max(int(ends[place]), low), min(int(ends[place + 1]), high)
            if start < stop:
                self._parts.append((0, int(order[place]), start - int(ends[place])))
                self._ends.append(stop - low)

    def _part_of(self, sample: int) -> int:
        """The part that a sample is in; counts shards until it is reached."""
        sampler = self.sampler
        empty = 0
        while self._ends[-1] <= sample:
            place = len(self._parts)
            sampler._shards.bring([], [self._shard_at(place + more)[1] for more in range(_AHEAD)])
            turn, shard = self._shard_at(place)
            count = sampler._shards.count(shard)
            self._parts.append((turn, shard, 0))
            self._ends.append(self._ends[-1] + count)
            empty = 0 if count else empty + 1
            if empty > len(sampler._shards):
                raise DataError(f"none of the {len(sampler._shards)} training shards has a sample; give other shards")
        return int(np.searchsorted(self._ends, sample, "right")) - 1

    def _shard_at(self, place: int) -> tuple[int, int]:
        """Turn and number of a shard in the rank's order without end."""
        sampler = self.sampler
        own = len(range(sampler._rank, len(sampler._shards), sampler._world_size))
        turn, place = divmod(place, own)
        if turn >= _MOST_TURNS:
            raise DataError(f"samples={sampler.own} needs the training shards {turn} times; lower it")
        while len(self._turns) <= turn:
            self._turns.append(self._order(len(self._turns))[sampler._rank :: sampler._world_size])
        return turn, int(self._turns[turn][place])

    def _order(self, turn: int) -> Indices:
        count = len(self.sampler._shards)
        if not self.sampler._shuffle:
            return np.arange(count, dtype=np.int64)
        return self._rng(turn, 0, 0, _ORDER).permutation(count)

    def _rng(self, *which: int) -> np.random.Generator:
        return np.random.default_rng([self.sampler._seed, self._epoch, *which])
