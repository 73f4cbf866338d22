"""What the trainer asks of a loader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Protocol

from ocrexp.data.sample_counts import SampleCounts
from ocrexp.types import Batch


class TrainLoader(Protocol):
    """What gives training batches; see `ocrexp.data.loader.Loader`."""

    wait_seconds: float
    num_workers: int
    rejected: Counter[str]
    examples: dict[str, list[str]]
    counts: SampleCounts

    @property
    def batch_size(self) -> int: ...

    @property
    def dataset_size(self) -> int: ...

    def __len__(self) -> int: ...

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]: ...

    def close(self) -> None: ...
