"""The values that pass between the parts: records, samples and batches, and the parts that make and change them.

References, predictions and results are in results.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

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

    `without_area` is the number of regions of the label that have none and are not among the polygons, where it is not
    reported otherwise.

    Where `draw` is given there is no file: `draw(epoch)` gives what it would hold, another image every epoch, and its
    texts; `texts` are those of epoch 0. Training only.
    """

    image_path: Path
    texts: tuple[str, ...]
    polygons: tuple[Polygon, ...] = ()
    ignored: tuple[bool, ...] = ()
    source: str = ""
    list_index: int = 0
    without_area: int = 0
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
    label_cppd: npt.NDArray[np.int64]
    label_visionlan: npt.NDArray[np.int64]
    label_abinet: npt.NDArray[np.int64]
    label_satrn: npt.NDArray[np.int64]
    label_rfl: npt.NDArray[np.int64]
    label_spin: npt.NDArray[np.int64]
    label_srn: npt.NDArray[np.int64]
    label_pren: npt.NDArray[np.int64]
    label_seed: npt.NDArray[np.int64]
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


ImageKind = Literal["page", "line"]


@runtime_checkable
class ForOneKind(Protocol):
    """A transform for pages with the polygons of their regions, or for images of one line of text; others take both."""

    images: ImageKind


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
