"""What a logger is: it receives a run's values, pictures and files, and may fail without harm.

A logger is given its settings by the constructor and the run by `start`. `LoggerGroup` (group.py) is what a trainer
holds: it forwards everything and disables a logger that fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

RgbImage = npt.NDArray[np.uint8]  # (height, width, 3), red first


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The run that a logger writes about.

    `config` is the resolved configuration as nested plain dicts and lists; add `fingerprint` (of the data) to it so
    that runs on other data can be distinguished. `resumed`: `run_dir` contains the earlier part of this run,
    `resume_step` how many optimizer steps of it count, and `state` what `state_dict` gave then (both None if unknown).
    `sizes` are of the model: `parameters`, and `gmacs` of one image. `overrides` are what was typed to compose the run
    (of a job of a sweep: what differs between the jobs). `environment` is what `environment.json` contains: versions,
    machine, and under `git` the state of the code.
    """

    name: str
    run_dir: Path
    config: dict[str, Any] = field(default_factory=dict)
    group: str | None = None
    tags: tuple[str, ...] = ()
    resumed: bool = False
    resume_step: int | None = None
    state: dict[str, Any] | None = None
    sizes: dict[str, float] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One evaluated image for a table: its picture, what is true, what was predicted, and a score in 0..1."""

    picture: RgbImage
    path: str
    truth: str
    prediction: str
    score: float


class Logger(Protocol):
    """A destination of a run's values. Any method may raise; the group then disables the logger for the run."""

    def start(self, run: RunInfo) -> None:
        """Open the destination; a resumed run goes on where the earlier one was at `run.resume_step`."""

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        """Values at an optimizer step, named `train/loss`, `val/hmean`, …; several calls may share a step."""

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
        """Pictures; `captions`, where given, has one entry per image."""

    def log_samples(self, name: str, rows: Sequence[SampleRow], step: int) -> None:
        """Evaluated images as a table."""

    def log_summary(self, values: dict[str, float]) -> None:
        """Values of the run as a whole, such as `best/hmean`; they replace earlier ones of the same name."""

    def log_artifact(self, path: Path, name: str, kind: str) -> None:
        """Offer a file or folder to be stored with the run; `kind` for instance `model`."""

    def finish(self, state: str) -> None:
        """Close; `state` is done, pruned, failed or interrupted. Called once, also after a failure of the run."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values that a resumed run needs."""


class BaseLogger:
    """Does nothing at each call; a logger overrides what its destination can take."""

    wants_samples: bool = False  # whether log_samples does something; the rows are not made otherwise

    def start(self, run: RunInfo) -> None:
        pass

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        pass

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
        pass

    def log_samples(self, name: str, rows: Sequence[SampleRow], step: int) -> None:
        pass

    def log_summary(self, values: dict[str, float]) -> None:
        pass

    def log_artifact(self, path: Path, name: str, kind: str) -> None:
        pass

    def finish(self, state: str) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}


def one_line(error: BaseException) -> str:
    """An exception in one line of at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
