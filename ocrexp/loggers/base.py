"""What a logger is: it receives a run's values, pictures and files, and may fail without harm.

A logger is given its settings by the constructor and the run by `start`. `LoggerGroup` (group.py) is what a trainer
holds: it forwards everything and disables a logger that fails.
"""

from __future__ import annotations

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
    `sizes` are of the model: `parameters`, and `gmacs` of one image.
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


class Logger(Protocol):
    """A destination of a run's values. Any method may raise; the group then leaves the logger out of the run."""

    def start(self, run: RunInfo) -> None:
        """Open the destination; a resumed run goes on where the earlier one was at `run.resume_step`."""

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        """Values at an optimizer step, named `train/loss`, `val/hmean`, …; several calls may share a step."""

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
        """Pictures; `captions`, where given, has one entry per image."""

    def log_summary(self, values: dict[str, float]) -> None:
        """Values of the run as a whole, as `zero_shot/hmean`; a resumed run gives them again."""

    def log_artifact(self, path: Path, name: str, kind: str) -> None:
        """Offer a file or folder to be stored with the run; `kind` for instance `model`."""

    def finish(self, state: str) -> None:
        """Close; `state` is done, pruned, failed or interrupted. Called once, also after a failure of the run."""

    def state_dict(self) -> dict[str, Any]:
        """Plain values that a resumed run needs."""


class BaseLogger:
    """Does nothing at each call; a logger overrides what its destination can take."""

    def start(self, run: RunInfo) -> None:
        pass

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        pass

    def log_images(self, name: str, images: list[RgbImage], step: int, captions: list[str] | None = None) -> None:
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
