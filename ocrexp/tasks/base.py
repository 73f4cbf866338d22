"""The contract of a task.

A task is the only place that knows what kind of thing is predicted: how samples become batches, what stands for an
image in which nothing was found, how results are drawn and compared, and how a deployed model of this kind is run. The
engine, the loader, the export and the runtime ask it and have no branch of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ocrexp.data.collate import Empty, EvalBatch
from ocrexp.data.sample_counts import SampleCount
from ocrexp.drawing import Picture
from ocrexp.loggers.base import SampleRow
from ocrexp.report.evaluation import Captioned
from ocrexp.results import EvalResult, ZeroEvidence
from ocrexp.tasks.gate import Compared, Rules
from ocrexp.types import Batch, ImageKind, Record, Sample

Floats = npt.NDArray[Any]

if TYPE_CHECKING:
    from ocrexp.charset.charset import Charset
    from ocrexp.models.model import OCRModel
    from ocrexp.types import DataSource


@dataclass(frozen=True)
class RunFacts:
    """What a task may look at of a run that has been put together.

    Args:
        config: plain nested dicts, resolved.
        source: where the records come from.
        model: with pretrained weights loaded.
        targets: the transform that makes what the loss needs.
        charset: of a recognizer; None for other tasks.
    """

    config: Mapping[str, Any]
    source: DataSource
    model: OCRModel
    targets: Any
    charset: Charset | None = None


class Task(ABC):
    """One kind of prediction.

    `name` is the value of the configuration key `task`; `results` the plural noun of what is predicted, for lines;
    `images` what an image shows, see `ForOneKind`; `several_sizes` whether the batches of one training may have
    different image sizes (`loader.multi_scale`).
    """

    name: ClassVar[str]
    results: ClassVar[str]
    images: ClassVar[ImageKind]
    several_sizes: ClassVar[bool] = False

    # Batches

    @abstractmethod
    def collate_train(self, samples: Sequence[Sample], empty: Empty) -> Batch:
        """A training batch; {} for no sample. Every array that the targets put into a sample is in it."""

    @abstractmethod
    def collate_eval(self, samples: Sequence[Sample], empty: Empty) -> EvalBatch:
        """Sub-batches of equal image shape with `references`; unreadable images come last with `image` None."""

    @abstractmethod
    def nothing_found(self) -> Any:
        """The prediction that stands for an image that could not be read."""

    @abstractmethod
    def learnable(self, batch: Batch) -> npt.NDArray[np.bool_] | None:
        """Which samples of a training batch have something to learn, bool [N]; None if the batch does not state it."""

    # Training

    def record_lines(self, split: str, records: Sequence[Record]) -> list[str]:
        """What is wrong with the labels of a split, "train" or "val", as far as the labels alone show it."""
        del split, records
        return []

    def count_lines(self, split: str, counts: Mapping[str, SampleCount]) -> list[str]:
        """What the samples of a split have reported while they were read, a line for each reason."""
        del split, counts
        return []

    def label_lines(self, facts: RunFacts) -> list[str]:
        """What is wrong with the labels, before training. Raises DataError if none can be used."""
        del facts
        return []

    @abstractmethod
    def zero_causes(self, evidence: ZeroEvidence, facts: RunFacts) -> list[str]:
        """What to check when the metric stays 0: the causes that hold for this run."""

    # Pictures

    @abstractmethod
    def draw_samples(self, result: EvalResult, limit: int) -> list[Captioned]:
        """Up to `limit` evaluated images with ground truth and prediction."""

    def sample_rows(self, result: EvalResult, limit: int) -> list[SampleRow]:
        """Up to `limit` evaluated images as rows of a table; none if the task makes no table."""
        del result, limit
        return []

    def write_report(self, result: EvalResult, folder: Path) -> dict[str, Picture]:
        """What else an evaluation has to show: files in `folder`, and the pictures among them. Raises OSError."""
        del result, folder
        return {}

    @abstractmethod
    def draw_targets(self, samples: Sequence[Mapping[str, Any]], targets: Any) -> list[Picture]:
        """Transformed training samples as the loss sees them; `targets` is the transform that made their targets."""

    def target_panels(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, Picture]]:
        """Pictures of one transformed sample as the loss sees it, with their names; `targets` as in `draw_targets`."""
        del targets
        return [("image", np.ascontiguousarray(sample["image"][..., ::-1]))]

    def target_facts(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, str]]:
        """What else the loss gets of one transformed sample, in words: names and values."""
        del sample, targets
        return []

    # Deployment

    def input_size(self, model: OCRModel, image_shape: Sequence[int] | None) -> tuple[int | None, int | None]:
        """Height and width of the exported network's input; None: any.

        `image_shape` is the configuration's `model.image_shape`; None if it has no such value.
        """
        del model, image_shape
        return None, None

    @abstractmethod
    def describe_postprocess(self, name: str, arguments: Mapping[str, Any], output: str) -> dict[str, Any]:
        """Section `postprocess` of `inference.yml`: class name and arguments of the run's postprocess, and the name of
        the network's output."""

    @abstractmethod
    def client_name(self, resize: Mapping[str, Any], output: str, own_name: str) -> str:
        """The model name under which PaddleOCR's 3.x client treats images as the run's evaluation does."""

    def deployed_postprocess(self, configured: Any, output: str, charset: Charset | None) -> Any:
        """The postprocess that the runtime has for this output, where it is not the configured one."""
        del output, charset
        return configured

    def comparable(self, outputs: Mapping[str, Floats], got: Floats, output: str) -> tuple[Floats, Floats]:
        """The numbers of the trained model's output and of the exported network's that must agree."""
        return outputs[output], got

    @abstractmethod
    def draw_images(self, folder: Path, count: int) -> list[Record]:
        """Pictures to compare an export on where there is no data: files in `folder`, without ground truth."""

    @abstractmethod
    def run_export(self, folder: Path, backend: str, images: Sequence[Any]) -> list[Any]:
        """Predictions of an exported model for image files (or arrays), by the runtime that users deploy."""

    @abstractmethod
    def compare(self, expected: Any, got: Any, rules: Rules) -> Compared:
        """Predictions of the trained model and of the export for one image."""
