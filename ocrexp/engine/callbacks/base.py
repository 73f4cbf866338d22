"""What a callback is, and what it sees of a run.

A callback hears about a run at five moments. It may write files under `run.run_dir`, send values and pictures through
`run.loggers` and ask the run to end with `run.request_stop(reason)`; it never touches weights. Callbacks are called on
the main rank only, in the order of the config, after the loggers have got the values of the same moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ocrexp.engine.status import DONE
from ocrexp.engine.task import TrainTask
from ocrexp.loggers.base import SampleRow
from ocrexp.results import EvalResult


class LoggerSink(Protocol):
    """The part of a logger (or of a group of loggers) that callbacks use."""

    def log_metrics(self, values: dict[str, float], step: int) -> None: ...

    def log_images(
        self, name: str, images: list[npt.NDArray[np.uint8]], step: int, captions: list[str] | None = None
    ) -> None: ...

    @property
    def wants_samples(self) -> bool: ...

    def log_samples(self, name: str, rows: Sequence[SampleRow], step: int) -> None: ...

    def log_artifact(self, path: Path, name: str, kind: str) -> None: ...


class RunView(Protocol):
    """What a callback may read of the running training."""

    @property
    def run_dir(self) -> Path: ...

    @property
    def step(self) -> int:
        """Optimizer steps done since the very beginning, resumed parts included."""

    @property
    def epoch(self) -> int:
        """The epoch being trained, counted from 0."""

    @property
    def total_steps(self) -> int:
        """Optimizer steps that the whole run makes."""

    @property
    def best_metrics(self) -> dict[str, float]:
        """All values of the best evaluation so far; empty before the first."""

    @property
    def main_metric(self) -> str:
        """Name of the value that decides which evaluation is best, for instance `hmean`; higher is better."""

    @property
    def task(self) -> TrainTask:
        """What knows how samples and results of this kind are drawn."""

    @property
    def loggers(self) -> LoggerSink: ...

    def request_stop(self, reason: str, state: str = DONE) -> None:
        """End the run after the present step, with a final evaluation, as if `max_steps` had been reached.

        `state` is what the run then ends as: done or pruned.
        """


class Callback:
    """Does nothing at each moment; override what is needed."""

    def on_fit_start(self, run: RunView) -> None:
        """Before the first step (also of a resumed run, after the states have been restored)."""

    def on_step_end(self, run: RunView, values: Mapping[str, float]) -> None:
        """After a logging interval: `values` as sent to the loggers (`train/loss`, `train/lr`, …).

        Called every `trainer.log_every_steps` steps and not at each one, because reading a loss makes a GPU wait.
        """

    def on_epoch_end(self, run: RunView) -> None:
        """After the last step of an epoch, before an evaluation that is due there."""

    def on_evaluation_end(self, run: RunView, result: EvalResult, is_best: bool) -> None:
        """After an evaluation: metric values, some samples, and whether it is the best so far."""

    def on_fit_end(self, run: RunView, state: str) -> None:
        """When training is over; `state` is done, pruned, failed or interrupted. Must not raise for a failed run."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values (numbers, strings, lists, dicts) that a resumed run needs; saved in the checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
