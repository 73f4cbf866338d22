"""What the samples of training and evaluation have reported while they were read: once each, in lines of the task."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

from ocrexp.data.sample_counts import SampleCount, sum_counts
from ocrexp.engine import distributed
from ocrexp.engine.reporting import Reporter
from ocrexp.engine.task import TrainTask
from ocrexp.engine.train_loader import TrainLoader
from ocrexp.errors import TrainingError


class SampleReports:
    """Asks the loader of every process, and has rank 0 print what it gets."""

    def __init__(self, task: TrainTask, loader: TrainLoader, report: Reporter) -> None:
        self._task = task
        self._loader = loader
        self._report = report
        self._told: set[str] = set()

    def train(self) -> None:
        """Counts of the training samples: once, at the first evaluation or the first end of an epoch."""
        if "train" not in self._told:
            self._tell("train", sum_counts(distributed.gather(self._loader.counts)))

    def val(self, counts: Mapping[str, SampleCount]) -> None:
        """Counts of the first evaluation."""
        if "val" not in self._told:
            self._tell("val", counts)
            self._told.add("val")

    def rejected(self, epoch: int, updates: int) -> None:
        """The samples of an epoch that could not be used. Raises TrainingError if they are the reason for no update."""
        rejected: Counter[str] = sum(distributed.gather(Counter(self._loader.rejected)), Counter())
        self._report.rejected(epoch, rejected, self._loader.examples)
        if not updates and rejected:
            raise TrainingError(
                f"no sample of epoch {epoch + 1} could be used ({', '.join(rejected)}); check labels and augment"
            )

    def _tell(self, split: str, counts: Mapping[str, SampleCount]) -> None:
        if counts:  # none yet before the first step of a resumed run
            self._told.add(split)
        for line in self._task.count_lines(split, counts):
            self._report.say("%s", line, level=logging.WARNING)
