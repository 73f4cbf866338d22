"""References and predictions, what an evaluation makes of them, and the parts that it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from ocrexp.types import Batch, Polygon, SampleCount


@dataclass(frozen=True, slots=True)
class DetReference:
    """Ground truth of one image for detection, in original image coordinates."""

    polygons: list[Polygon]
    ignored: list[bool]
    texts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DetPrediction:
    """Detected regions of one image in original image coordinates, with their scores in 0..1."""

    polygons: list[Polygon]
    scores: list[float]


@dataclass(frozen=True, slots=True)
class RecReference:
    """Ground truth of one image for recognition: the raw text of the label."""

    text: str


@dataclass(frozen=True, slots=True)
class RecPrediction:
    """Recognized text of one image; `score` is the mean of its characters' scores in 0..1, 0 if there are none."""

    text: str
    score: float
    char_scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ClsReference:
    """Ground truth of one image for classification: the label as the list has it."""

    label: str


@dataclass(frozen=True, slots=True)
class ClsPrediction:
    """The most probable label of one image and its probability; "" and 0 for an image that could not be read."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class EvalSample:
    """One evaluated image, kept for pictures and reports."""

    path: str
    prediction: Any
    reference: Any


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """What became of one evaluated image; see HasOutcomes. `index` is its place in the list, from 0."""

    index: int
    path: str
    values: Mapping[str, Any]


@dataclass(slots=True)
class Noted:
    """Images about which there is something to report: how many, and the first with its sentence.

    A batch of an evaluation names them under `notes`, a sentence (or "") for each image.
    """

    count: int = 0
    first: str = ""

    def add(self, path: str, note: str) -> None:
        """Count an image, unless its note is empty."""
        if note:
            self.first = self.first or f"{path}: {note}"
            self.count += 1

    def line(self, images: int) -> str:
        """One line about all of them; "" if there are none."""
        if self.count < 2:
            return self.first
        return f"{self.first} ({self.count} of {images} images have this note, this is the first)"


@dataclass(frozen=True, slots=True)
class EvalResult:
    """An evaluation: the metric's values, some samples, and how long it took.

    `worst` are the samples that are most wrong, and `details` the counts behind the values, of a metric that has
    `severity` and `details`. `losses` is the validation loss (`loss` and its parts, empty if it was not asked for),
    `not_in_loss` the number of readable images without it, by reason. `noted`: see Noted. `counts` is
    what the samples had to report. `outcomes` are of single images in the order of the list, of a metric that has them
    and as far as they were asked for.
    """

    metrics: dict[str, float]
    samples: list[EvalSample]
    images: int
    seconds: float
    unreadable: list[str] = field(default_factory=list)
    worst: list[EvalSample] = field(default_factory=list)
    details: Any = None
    losses: dict[str, float] = field(default_factory=dict)
    not_in_loss: dict[str, int] = field(default_factory=dict)
    noted: Noted = field(default_factory=Noted)
    counts: Mapping[str, SampleCount] = field(default_factory=dict)
    outcomes: Sequence[ImageOutcome] = ()


@dataclass(frozen=True, slots=True)
class ZeroEvidence:
    """What is known when a metric stays 0.

    `losses` are those of the last logging interval (`train/loss`, `train/loss_<part>`); `empty_share` of the training
    samples looked at had nothing to learn (None: batches do not state it); `passed_over` steps were skipped because
    their loss was not finite; `hints` are those of the configuration; `first_loss` is the mean `train/loss` of the
    first logging interval.
    """

    result: EvalResult
    losses: dict[str, float] = field(default_factory=dict)
    empty_share: float | None = None
    passed_over: int = 0
    hints: Sequence[str] = ()
    first_loss: float | None = None


class Metric(Protocol):
    """Accumulates over batches; `main` names the value that decides which checkpoint is best (higher is better).

    Values whose names hold a "/" are for the loggers; lines omit them. See HasSeverity and HasDetails for what a
    metric may have beside.
    """

    main: str

    def update(self, predictions: list[Any], references: list[Any]) -> None: ...

    def compute(self) -> dict[str, float]: ...

    def reset(self) -> None: ...

    def state(self) -> Any: ...

    def merge(self, states: list[Any]) -> None: ...


@runtime_checkable
class HasSeverity(Protocol):
    """A metric that measures how wrong a prediction is, 0 for a correct one: `EvalResult.worst` comes from it."""

    def severity(self, prediction: Any, reference: Any) -> float: ...


@runtime_checkable
class HasDetails(Protocol):
    """A metric that gives the counts behind its values, `EvalResult.details`."""

    def details(self) -> Any: ...


@runtime_checkable
class HasOutcomes(Protocol):
    """A metric that tells what became of a single image, for comparisons of runs on the same images."""

    def outcome(self, prediction: Any, reference: Any) -> dict[str, Any]:
        """Values for a line of JSON. `hits` and `of` are numbers whose sums over all images give the main value,
        sum(hits) / sum(of); others are for people. Texts are `label`, `read` and `score`; regions are `truth`,
        `ignored` and `found`, each polygon a flat list of x and y in pixels of the image.

        Called for images that `update` has counted just before.
        """


@runtime_checkable
class ReadsTraining(Protocol):
    """A postprocess that reads the outputs of training, for `trainer.metric_during_train`."""

    def learned(self, outputs: dict[str, npt.NDArray[Any]], batch: Batch) -> tuple[list[Any], list[Any]]:
        """Predictions, and the labels of the batch as predictions."""


class Postprocess(Protocol):
    """Turns the arrays of a model's outputs into predictions in original image coordinates."""

    def __call__(self, outputs: dict[str, npt.NDArray[Any]], batch: Batch) -> list[Any]: ...
