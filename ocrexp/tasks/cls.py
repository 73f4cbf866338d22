"""Classification of text images by their direction: one of a few labels for each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.collate import Empty, EvalBatch, by_shape, stack_training, valid_columns
from ocrexp.data.records import text_portions
from ocrexp.drawing import INK, Picture
from ocrexp.errors import DataError
from ocrexp.loggers.base import SampleRow
from ocrexp.report.evaluation import SHEET, Captioned
from ocrexp.report.recognition import cell, draw_sheet, file_name, sample_row, sheet
from ocrexp.report.targets import text_image
from ocrexp.results import (
    ClsPrediction,
    ClsReference,
    EvalResult,
    EvalSample,
    RecPrediction,
    RecReference,
    ZeroEvidence,
)
from ocrexp.tasks.base import RunFacts, Task
from ocrexp.tasks.drawn import draw_words
from ocrexp.tasks.gate import Compared, Rules
from ocrexp.types import Batch, Record, Sample

if TYPE_CHECKING:
    from ocrexp.models.model import OCRModel

_SHOWN = 5  # labels that the configuration does not name


class ClsTask(Task):
    """A label and its score for each image."""

    name = "cls"
    results = "labels"
    images = "line"

    def collate_train(self, samples: Sequence[Sample], empty: Empty) -> Batch:
        """`image` uint8 [N,H,W,3] BGR, `label_cls` int64 [N], `valid_width` int64 [N], `valid_ratio` float32 [N],
        `index` int64 [N]. Raises DataError if sizes differ."""
        batch = stack_training(samples, empty, "end augment with resize: ${preprocess.resize}")
        return {**batch, **valid_columns(samples)} if samples else batch

    def collate_eval(self, samples: Sequence[Sample], empty: Empty) -> EvalBatch:
        """With `references` (ClsReference), `valid_width` int64 [n] and `valid_ratio` float32 [n]."""
        batches = []
        for group, batch in by_shape(samples, empty):
            batch["references"] = [ClsReference(sample["texts"][0].strip()) for sample in group]
            if batch["image"] is not None:
                batch.update(valid_columns(group))
            batches.append(batch)
        return batches

    def nothing_found(self) -> ClsPrediction:
        """No label."""
        return ClsPrediction("", 0.0)

    def learnable(self, batch: Batch) -> npt.NDArray[np.bool_] | None:
        """Every sample has a label."""
        return np.ones(len(batch["label_cls"]), bool) if "label_cls" in batch else None

    def label_lines(self, facts: RunFacts) -> list[str]:
        """Labels that the configuration does not name, and labels without an image."""
        labels = list(facts.targets.labels)
        lines = []
        for split, records in (("train", facts.source.train_records()), ("val", facts.source.val_records())):
            counts: Counter[str] = Counter()
            places: dict[str, int] = {}
            start = 0
            for portion in text_portions(records):
                found = [text.strip() for text in portion]
                counts.update(found)
                for label in set(found) - places.keys():
                    places[label] = start + found.index(label)
                start += len(found)
            unknown = [label for label in counts if label not in labels]
            first = {label: records[places[label]].source for label in unknown[:_SHOWN]}
            if counts and len(unknown) == len(counts):
                label = unknown[0]
                raise DataError(
                    f"{first[label]}: no label of the list is in labels={labels}, the first is '{label[:40]}'; "
                    "set labels=[…] to those of the list"
                )
            lines += [
                f"{first[label]}: label '{label[:40]}' is not in labels={labels}, {counts[label]} times in the "
                f"{split} list; these images are {'skipped' if split == 'train' else 'counted as wrong'}"
                for label in unknown[:_SHOWN]
            ]
            lines += [f"the {split} list has no image with label '{label}'" for label in labels if not counts[label]]
        return lines

    def zero_causes(self, evidence: ZeroEvidence, facts: RunFacts) -> list[str]:
        """An accuracy of 0 means that every label is wrong: the labels of the two lists differ, or are swapped."""
        del facts
        said = Counter(sample.prediction.label for sample in evidence.result.samples)
        truth = Counter(sample.reference.label for sample in evidence.result.samples)
        return [
            f"every label is wrong: the model predicts {dict(said)}, but the list has {dict(truth)}; "
            "compare labels with both lists (debug=targets draws the training samples)",
            *evidence.hints,
        ]

    def draw_samples(self, result: EvalResult, limit: int) -> list[Captioned]:
        """One sheet of the first SHEET images with their labels."""
        del limit
        shown = result.samples[:SHEET]
        if not shown:
            return []
        right = sum(sample.prediction.label == sample.reference.label for sample in shown)
        picture = draw_sheet([_as_text(sample) for sample in shown])
        return [Captioned(picture, f"{right} of {len(shown)} classified right", "sheet")]

    def sample_rows(self, result: EvalResult, limit: int) -> list[SampleRow]:
        """Images with label, predicted label and its probability."""
        return [
            sample_row(sample, sample.reference.label, sample.prediction.label) for sample in result.samples[:limit]
        ]

    def draw_targets(self, samples: Sequence[Mapping[str, Any]], targets: Any) -> list[Picture]:
        """One sheet of the transformed images with their labels."""
        cells = [
            cell(
                np.ascontiguousarray(sample["image"][..., ::-1]),
                [("label", [(targets.labels[int(sample["label_cls"])], INK)])],
                file_name(sample),
            )
            for sample in samples
        ]
        return [sheet(cells, columns=3)] if cells else []

    def target_panels(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, Picture]]:
        """The image; its padding is darker."""
        del targets
        return [("image, padding darker" if "valid_width" in sample else "image", text_image(sample))]

    def target_facts(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, str]]:
        """The class."""
        index = int(sample["label_cls"])
        return [("class", f"{index}, label {targets.labels[index]}")]

    def input_size(self, model: OCRModel, image_shape: Sequence[int] | None) -> tuple[int | None, int | None]:
        """The size of its images, to which all are padded or squeezed."""
        del model
        assert image_shape is not None
        height, width = image_shape
        return int(height), int(width)

    def describe_postprocess(self, name: str, arguments: Mapping[str, Any], output: str) -> dict[str, Any]:
        """In PaddleOCR's words."""
        del output
        return {"name": name, "label_list": [str(label) for label in arguments["labels"]]}

    def client_name(self, resize: Mapping[str, Any], output: str, own_name: str) -> str:
        """The client's classifiers squeeze images to one size in another way: none of its names fits."""
        del resize, output
        return own_name

    def draw_images(self, folder: Path, count: int) -> list[Record]:
        """Lines of one plain word each."""
        return draw_words(folder, count, page=False)

    def run_export(self, folder: Path, backend: str, images: Sequence[Any]) -> list[ClsPrediction]:
        """By `TextClassifier`."""
        from ocrexp.deploy.classifier import TextClassifier

        _, results, _ = TextClassifier(folder, backend=backend)(list(images))
        return [ClsPrediction(label, float(score)) for label, score in results]

    def compare(self, expected: ClsPrediction, got: ClsPrediction, rules: Rules) -> Compared:
        """The same label."""
        del rules
        if expected.label != got.label:
            return Compared(1, 0, 1, what=f"'{expected.label}' became '{got.label}'")
        return Compared(1, 1, score_difference=abs(expected.score - got.score))


def _as_text(sample: EvalSample) -> EvalSample:
    prediction, reference = sample.prediction, sample.reference
    return EvalSample(sample.path, RecPrediction(prediction.label, prediction.score), RecReference(reference.label))


TASK = ClsTask()
