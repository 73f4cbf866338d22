"""Several sets of shards in one epoch: which set each sample is of, so that any stretch has about the shares.

The pattern is that of `ocrexp.data.batch_shares.interleaved`, but any stretch of it is found without what is before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrexp.data.sampler import Indices


class Mix:
    """Sets that are interleaved evenly, without end.

    Sample k of a set with the share s of all stands where (k + 0.5) / s is sorted in.

    Args:
        shares: of each set, 0 or more; only their proportion counts.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._sets = [number for number, share in enumerate(shares) if share > 0]
        self._steps = [sum(shares) / shares[number] for number in self._sets]
        self._count = len(shares)

    def stretch(self, start: int, stop: int) -> tuple[Indices, Indices]:
        """The set of each sample from `start` to before `stop`, and how many samples of each set are before them."""
        margin = len(self._sets)  # a set is ahead of its share, or behind, by less than one sample
        before = [self._before(step, start - margin) for step in self._steps]
        until = [self._before(step, stop + margin) for step in self._steps]
        numbers = [np.arange(low, high) for low, high in zip(before, until, strict=True)]
        places = np.concatenate([(own + 0.5) * step for own, step in zip(numbers, self._steps, strict=True)])
        sets = np.repeat(np.array(self._sets, np.int64), [len(own) for own in numbers])
        sets = sets[np.argsort(places, kind="stable")]
        first = start - sum(before)
        counts = np.bincount(sets[:first], minlength=self._count)
        counts[self._sets] += np.array(before, np.int64)
        return sets[first : first + stop - start], counts

    def counts(self, stop: int) -> list[int]:
        """How many of the first samples each set has."""
        return [int(count) for count in self.stretch(stop, stop)[1]]

    @staticmethod
    def _before(step: float, place: float) -> int:
        return max(int(np.ceil(place / step - 0.5)), 0)
