"""The values that pass between the parts: records, samples, batches, predictions and references."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypedDict, runtime_checkable

import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.float32]  # (n, 2), x then y, in pixels of the image it belongs to
Image = npt.NDArray[np.uint8]  # (height, width, 3), BGR
Batch = dict[str, Any]  # arrays (one row per sample) and lists (one entry per sample)

# What a model may ask of an image beside its pixels, in training and evaluation: columns and share of its width that
# are not padding.
IMAGE_FACTS = ("valid_width", "valid_ratio")


class UnusableSample(Exception):
    """A sample that cannot be used, with a short reason; it is counted, never replaced silently."""


@dataclass(frozen=True, slots=True)
class Record:
    """One labeled image as a list names it; nothing of it has been decoded yet.

    `source` is "list file:line number". Detection fills `polygons` (each (n, 2) float32) and `ignored`;
    recognition has one text and no polygon.

    Where `draw` is given there is no file: `draw(epoch)` gives what it would hold, another image every epoch, and its
    texts; `texts` are those of epoch 0. Training only.
    """

    image_path: Path
    texts: tuple[str, ...]
    polygons: tuple[Polygon, ...] = ()
    ignored: tuple[bool, ...] = ()
    source: str = ""
    list_index: int = 0
    draw: Callable[[int], tuple[bytes, tuple[str, ...]]] | None = field(default=None, compare=False)


_LETTERS = 32  # pixels of height, for an example


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A page of `height` × `width` pixels that is resized to less than half: to `share` of its side.

    `key` is the argument of DetResize that bounds the size.
    """

    height: int
    width: int
    share: float
    key: str

    def describe(self) -> str:
        """What happens to the page, without its name and without advice."""
        letters = _LETTERS * self.share
        small = f"{letters:.0f} px" if letters >= 1 else "less than 1 px"
        return (
            f"the page of {self.width}×{self.height} pixels is shrunk to {100 * self.share:.2g} %, letters of "
            f"{_LETTERS} px become {small}"
        )


@dataclass(frozen=True, slots=True)
class SampleCount:
    """How many, and the place of the first one: its record's index, and image and label line in words."""

    count: int
    index: int
    where: str


class Encoded(Protocol):
    """An image file that has been read and is decoded when its pixels are asked for."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""

    def reducible(self, detail: float) -> int:
        """The largest of 1, 2, 4, 8 by which its sides may be divided and still show `detail` times their pixels."""

    def decode(self, reduction: int = 1) -> Image:
        """Its pixels, uint8 [H, W, 3] BGR."""


class Sample(TypedDict, total=False):
    """What transforms get and return; the contracts of a task list the keys that it fills."""

    record: Record
    index: int
    epoch: int
    encoded: Encoded  # the file behind `image`, for a transform that decodes itself
    others: Callable[[np.random.Generator], Sample]  # another record's sample, decoded, drawn at random
    unreadable: str  # why there is no `image` (evaluation only)
    image: npt.NDArray[Any]
    polygons: list[Polygon]
    texts: list[str]
    ignored: npt.NDArray[np.bool_]
    shape: npt.NDArray[np.float64]  # source height, source width, ratio_h, ratio_w
    shrink_map: npt.NDArray[np.uint8]
    shrink_mask: npt.NDArray[np.uint8]
    threshold_map: npt.NDArray[np.float32]
    threshold_mask: npt.NDArray[np.uint8]
    label_ctc: npt.NDArray[np.int64]
    label_attention: npt.NDArray[np.int64]
    label_nrtr: npt.NDArray[np.int64]
    label_sar: npt.NDArray[np.int64]
    label_parseq: npt.NDArray[np.int64]
    label_vitstr: npt.NDArray[np.int64]
    label_cls: npt.NDArray[np.int64]
    length: int  # characters of the text
    size: tuple[int, int]  # height, width of this batch's images (a sampler of several sizes)
    valid_width: int  # columns from the left that are not padding
    valid_ratio: float  # share of the image's width that is not padding
    targets: dict[str, npt.NDArray[Any]]  # evaluation: what the loss needs of it
    counts: dict[str, int]  # what it has to report beside the batch, by reason; see ocrexp.data.sample_counts
    no_targets: str  # evaluation: why the loss cannot be computed for it
    shrunk: Shrunk  # how far the image was shrunk, where it was by more than half


class Transform(Protocol):
    """One step of a pipeline. It may change and return the sample that it was given."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample: ...


@runtime_checkable
class PlainTransform(Protocol):
    """A transform that has a form without randomness, to overfit one batch (`overfit`); others are skipped."""

    def plain(self) -> Transform: ...


@runtime_checkable
class AsksForSteps(Protocol):
    """A target transform that rejects labels for which the model's CTC output has too few steps."""

    @property
    def asks_for_steps(self) -> bool:
        """Whether it is configured so."""

    def know_steps(self, steps: Mapping[tuple[int, ...], int]) -> None:
        """Steps of the output for images of (height, width)."""


@runtime_checkable
class AsksForCharacters(Protocol):
    """A loss or a training transform that has to know the charset's entries, in class order."""

    def know_characters(self, entries: Sequence[str]) -> None: ...


@runtime_checkable
class ReadsEncoded(Protocol):
    """A first transform that decodes the file under `encoded` itself if this is true."""

    reads_encoded: bool


class DataSource(Protocol):
    """Where records come from: label lists, a drawn dataset, a database."""

    def train_records(self) -> Sequence[Record]: ...

    def val_records(self) -> Sequence[Record]: ...

    def fingerprint(self) -> dict[str, str]: ...

    def report(self) -> list[str]: ...


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
