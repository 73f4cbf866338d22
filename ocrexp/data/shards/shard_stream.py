"""The order in which the shards of a set are read: random, and within a buffer of consecutive samples any order.

Each rank has shards, or a stretch of the epoch, of its own. An epoch's order is a function of (seed, epoch), so that it
can be entered at any sample: nothing is saved but the number of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ocrexp.data.sampler import Indices
from ocrexp.data.shards.shard_set import ShardSet
from ocrexp.errors import DataError

# An index is one number: which time the shard is read in the epoch, its number, and the number of the sample in it.
_SAMPLE_BITS, SHARD_BITS = 24, 20
_AHEAD = 4  # shards that are copied while one is counted
_MOST_TURNS = 1 << 18
# The last number of a generator's seed; those of samples end with _SAMPLE.
_SAMPLE, _BUFFER, _ORDER = 1, 2, 3


def index_of(turn: int, shard: int, samples: Indices) -> Indices:
    """Indices of samples of a shard."""
    return samples + ((turn << SHARD_BITS | shard) << _SAMPLE_BITS)


def parts_of(index: int) -> tuple[int, int, int]:
    """Turn, shard and sample of an index."""
    sample = index & ((1 << _SAMPLE_BITS) - 1)
    shard = (index >> _SAMPLE_BITS) & ((1 << SHARD_BITS) - 1)
    return index >> (_SAMPLE_BITS + SHARD_BITS), shard, sample


def first_turn(indices: Indices) -> Indices:
    """The indices of the same samples where each shard is read for the first time in an epoch."""
    return indices & ((1 << _SAMPLE_BITS + SHARD_BITS) - 1)


def sample_stream(index: int) -> list[int]:
    """What tells the random numbers of a sample from those of all others of its epoch."""
    turn, shard, sample = parts_of(index)
    return [shard, sample, turn, _SAMPLE]


@dataclass(frozen=True)
class ShardOrder:
    """What an order depends on.

    Args:
        buffer: consecutive samples of a rank that are shuffled together.
        seed, shuffle, rank, world_size: as for EpochSampler.
    """

    buffer: int
    seed: int
    shuffle: bool = True
    rank: int = 0
    world_size: int = 1

    def rng(self, epoch: int, *which: int) -> np.random.Generator:
        """Random numbers of an epoch; `which` are four numbers."""
        return np.random.default_rng([self.seed, epoch, *which])

    def with_buffer(self, buffer: int) -> ShardOrder:
        """The same with another buffer."""
        return replace(self, buffer=max(buffer, 1))


class ShardStream:
    """The samples of a rank in an epoch, one after the other: the parts of shards, shuffled in buffers.

    With known counts, an epoch is laid out over all ranks, and each has an equally long stretch of it. Without, each
    rank reads every n-th shard, and a shard is counted when it is reached. After its last shard, a set begins again.

    Args:
        shard_set: the shards.
        members: numbers of the shards of this set.
        number: of this set, where there are several.
        counts: samples of each shard of `shard_set`; None: they are not known.
        own: samples of this rank in an epoch.
        order, epoch: which order it is.
    """

    def __init__(
        self,
        shard_set: ShardSet,
        members: Indices,
        number: int,
        counts: Indices | None,
        own: int,
        order: ShardOrder,
        epoch: int,
    ) -> None:
        self._shards = shard_set
        self._members = members
        self._number = number
        self._counts = counts
        self._own = own
        self._by = order
        self._epoch = epoch
        self._turns: list[Indices] = []  # the shards of each turn in their order
        self._ends = [0]  # in the rank's samples, of each part
        self._parts: list[tuple[int, int, int]] = []  # turn, shard, first sample
        self._block: tuple[int, Indices] | None = None
        if counts is not None and own:
            self._lay_out(counts)

    def samples(self, start: int, stop: int) -> Indices:
        """The samples of a stretch."""
        size = self._by.buffer
        found = [np.empty(0, np.int64)]
        while start < stop:
            block = start // size
            end = min((block + 1) * size, stop)
            found.append(self._shuffled(block)[start - block * size : end - block * size])
            start = end
        return np.concatenate(found)

    def _shuffled(self, block: int) -> Indices:
        if self._block is None or self._block[0] != block:
            start = block * self._by.buffer
            stop = min(start + self._by.buffer, self._own)
            first = self._part_of(start)
            last = self._part_of(stop - 1)
            parts = []
            for part in range(first, last + 1):
                turn, shard, offset = self._parts[part]
                low, high = max(start, self._ends[part]), min(stop, self._ends[part + 1])
                parts.append(index_of(turn, shard, np.arange(low, high) - self._ends[part] + offset))
            self._bring(first, last)
            indices = np.concatenate(parts)
            if self._by.shuffle:
                rng = self._by.rng(self._epoch, self._by.rank, block, self._number, _BUFFER)
                indices = rng.permutation(indices)
            self._block = (block, indices)
        return self._block[1]

    def _bring(self, first: int, last: int) -> None:
        """Wait for local copies of the shards of these parts, and start to copy those of as many more."""
        soon = [shard for _, shard, _ in self._parts[last + 1 : 2 * last - first + 2]]
        if self._counts is None:  # the parts are known up to here
            place = last + 1
            soon = [self._shard_at(place + more)[1] for more in range(last - first + 1)]
        self._shards.bring([shard for _, shard, _ in self._parts[first : last + 1]], soon, self._number)

    def _lay_out(self, counts: Indices) -> None:
        """All parts of the rank, from the counts of all shards."""
        low = self._by.rank * self._own
        high = low + self._own
        turns = -(-high // int(counts[self._members].sum()))
        order = np.concatenate([self._order(turn) for turn in range(turns)])
        ends = np.concatenate([[0], np.cumsum(counts[order])])
        first, last = np.searchsorted(ends, low, "right") - 1, np.searchsorted(ends, high, "left")
        for place in range(int(first), int(last)):
            start, stop = max(int(ends[place]), low), min(int(ends[place + 1]), high)
            if start < stop:
                self._parts.append((place // len(self._members), int(order[place]), start - int(ends[place])))
                self._ends.append(stop - low)

    def _part_of(self, sample: int) -> int:
        """The part that a sample is in; counts shards until it is reached."""
        empty = 0
        while self._ends[-1] <= sample:
            place = len(self._parts)
            self._shards.bring([], [self._shard_at(place + more)[1] for more in range(_AHEAD)], self._number)
            turn, shard = self._shard_at(place)
            count = self._shards.count(shard)
            self._parts.append((turn, shard, 0))
            self._ends.append(self._ends[-1] + count)
            empty = 0 if count else empty + 1
            if empty > len(self._members):
                raise DataError(f"none of the {len(self._members)} training shards has a sample; give other shards")
        return int(np.searchsorted(self._ends, sample, "right")) - 1

    def _shard_at(self, place: int) -> tuple[int, int]:
        """Turn and number of a shard in the rank's order without end."""
        own = len(range(self._by.rank, len(self._members), self._by.world_size))
        turn, place = divmod(place, own)
        if turn >= _MOST_TURNS:
            raise DataError(f"an epoch needs the training shards {turn} times; lower samples")
        while len(self._turns) <= turn:
            self._turns.append(self._order(len(self._turns))[self._by.rank :: self._by.world_size])
        return turn, int(self._turns[turn][place])

    def _order(self, turn: int) -> Indices:
        if not self._by.shuffle:
            return self._members
        return self._by.rng(self._epoch, turn, 0, self._number, _ORDER).permutation(self._members)
