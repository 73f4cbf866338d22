"""What the engine asks of a task; see `ocrexp.tasks.base.Task`, which has all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ocrexp.data.sample_counts import SampleCount
from ocrexp.drawing import Picture
from ocrexp.loggers.base import SampleRow
from ocrexp.report.evaluation import Captioned
from ocrexp.results import EvalResult
from ocrexp.types import Batch


class TrainTask(Protocol):
    """How the samples and results of a training are looked at."""

    def learnable(self, batch: Batch) -> npt.NDArray[np.bool_] | None:
        """Which samples of a batch have something to learn, bool [N]; None if the batch does not state it."""

    def count_lines(self, split: str, counts: Mapping[str, SampleCount]) -> list[str]:
        """What the samples of a split, "train" or "val", have reported while they were read, a line for each reason."""

    def draw_samples(self, result: EvalResult, limit: int) -> list[Captioned]:
        """Up to `limit` evaluated images with ground truth and prediction."""

    def sample_rows(self, result: EvalResult, limit: int) -> list[SampleRow]:
        """Up to `limit` evaluated images as rows of a table."""

    def write_report(self, result: EvalResult, folder: Path) -> dict[str, Picture]:
        """What else an evaluation has to show: files in `folder`, and the pictures among them. Raises OSError."""

    def draw_targets(self, samples: Sequence[Mapping[str, Any]], targets: Any) -> list[Picture]:
        """Transformed training samples as the loss sees them; `targets` is the transform that made their targets."""


class NothingToShow:
    """A training without pictures."""

    def learnable(self, batch: Batch) -> None:
        """Unknown."""
        del batch

    def count_lines(self, split: str, counts: Mapping[str, SampleCount]) -> list[str]:
        """None."""
        del split, counts
        return []

    def draw_samples(self, result: EvalResult, limit: int) -> list[Captioned]:
        """None."""
        del result, limit
        return []

    def sample_rows(self, result: EvalResult, limit: int) -> list[SampleRow]:
        """None."""
        del result, limit
        return []

    def write_report(self, result: EvalResult, folder: Path) -> dict[str, Picture]:
        """None."""
        del result, folder
        return {}

    def draw_targets(self, samples: Sequence[Mapping[str, Any]], targets: Any) -> list[Picture]:
        """None."""
        del samples, targets
        return []
