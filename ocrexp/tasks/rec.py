"""Text recognition: the text of a word or line image."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ocrexp.charset.codecs import KINDS
from ocrexp.data.collate import Empty, EvalBatch, by_shape, stack_training, valid_columns
from ocrexp.drawing import Picture
from ocrexp.loggers.base import SampleRow
from ocrexp.metrics.rec import RecCounts
from ocrexp.report import recognition
from ocrexp.report.causes import recognition_causes
from ocrexp.report.evaluation import SHEET, Captioned
from ocrexp.report.targets import draw_texts, text_image
from ocrexp.report.text_report import write_text_report
from ocrexp.results import EvalResult, RecPrediction, RecReference, ZeroEvidence
from ocrexp.tasks.base import Floats, RunFacts, Task
from ocrexp.tasks.drawn import draw_words
from ocrexp.tasks.gate import Compared, Rules
from ocrexp.types import Batch, Record, Sample

if TYPE_CHECKING:
    from ocrexp.charset.charset import Charset
    from ocrexp.models.model import OCRModel

log = logging.getLogger(__name__)

_ONE_SIZE = (
    "with preprocess.resize.widen=true add loader=multi_scale loader.multi_scale.by_ratio=true, or set it only in "
    "eval; otherwise end augment with resize: ${preprocess.resize}"
)


class RecTask(Task):
    """A text and its score for each image."""

    name = "rec"
    results = "texts"
    images = "line"
    several_sizes = True

    def collate_train(self, samples: Sequence[Sample], empty: Empty) -> Batch:
        """`image` uint8 [N,H,W,3] BGR, `valid_width` int64 [N] (columns from the left that are not padding; all,
        where a sample does not state it), `valid_ratio` float32 [N], `label_KIND` int64 [N,L] for each kind that the
        samples have, `length` int64 [N] (characters), `index` int64 [N].

        Raises DataError if sizes differ.
        """
        batch = stack_training(samples, empty, _ONE_SIZE)
        if samples:
            batch.update(valid_columns(samples))
            if "length" in samples[0]:
                batch["length"] = np.array([sample["length"] for sample in samples], np.int64)
        return batch

    def collate_eval(self, samples: Sequence[Sample], empty: Empty) -> EvalBatch:
        """With `references` (RecReference), `valid_width` int64 [n] and `valid_ratio` float32 [n]."""
        batches = []
        for group, batch in by_shape(samples, empty):
            batch["references"] = [RecReference(sample["texts"][0]) for sample in group]
            if batch["image"] is not None:
                batch.update(valid_columns(group))
            batches.append(batch)
        return batches

    def nothing_found(self) -> RecPrediction:
        """No text."""
        return RecPrediction("", 0.0)

    def learnable(self, batch: Batch) -> npt.NDArray[np.bool_] | None:
        """Samples with at least one character."""
        return np.asarray(batch["length"]).reshape(-1) > 0 if "length" in batch else None

    def label_lines(self, facts: RunFacts) -> list[str]:
        """Characters that the charset lacks, texts that are too long for the targets or for CTC."""
        from ocrexp.data.label_check import check_labels, check_val_labels
        from ocrexp.data.records import some_records
        from ocrexp.errors import ConfigError
        from ocrexp.models.steps import ctc_steps

        assert facts.charset is not None
        height, width = facts.config["model"]["image_shape"]

        def steps(width: int) -> int | None:
            try:
                return ctc_steps(facts.model, (height, width))
            except (ConfigError, ValueError):  # paddle raises ValueError for a size that a layer cannot take
                return None

        # With several sizes the widths follow the images.
        one_width = None if facts.config["loader"]["multi_scale"] else width
        targets = facts.targets
        records, remark = some_records(facts.source.train_records())
        lines = check_labels(records, facts.charset, targets.kinds, targets.max_text_length, steps, one_width)
        lines += [f"train: {remark}"] if lines and remark else []
        return [*lines, *check_val_labels(facts.source.val_records(), facts.charset)]

    def zero_causes(self, evidence: ZeroEvidence, facts: RunFacts) -> list[str]:
        """See `report.causes`."""
        head = facts.model.coverage.parts.get("head") if facts.model.coverage else None
        return recognition_causes(
            evidence,
            hints=evidence.hints,
            charset=facts.charset,
            labels=lambda: [(text, record.source) for record in facts.source.val_records() for text in record.texts],
            head_share=head.share if head else None,
        )

    def draw_samples(self, result: EvalResult, limit: int) -> list[Captioned]:
        """One sheet of the first SHEET crops with the texts that were read."""
        del limit
        shown = result.samples[:SHEET]
        if not shown:
            return []
        case = result.details.case if isinstance(result.details, RecCounts) else "keep"
        right = sum(recognition.is_right(sample, case) for sample in shown)
        return [Captioned(recognition.draw_sheet(shown, case=case), f"{right} of {len(shown)} read right", "sheet")]

    def sample_rows(self, result: EvalResult, limit: int) -> list[SampleRow]:
        """Crops with label, reading and its score."""
        return [
            recognition.sample_row(sample, sample.reference.text, sample.prediction.text)
            for sample in result.samples[:limit]
        ]

    def write_report(self, result: EvalResult, folder: Path) -> dict[str, Picture]:
        """Character confusions, worst samples, accuracy by length."""
        return write_text_report(result.details, result.worst, folder) if isinstance(result.details, RecCounts) else {}

    def draw_targets(self, samples: Sequence[Mapping[str, Any]], targets: Any) -> list[Picture]:
        """One sheet of text images with the texts of their labels."""
        return draw_texts(samples, targets.read)

    def target_panels(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, Picture]]:
        """The image; its padding is darker."""
        del targets
        return [("image, padding darker" if "valid_width" in sample else "image", text_image(sample))]

    def target_facts(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, str]]:
        """The encoded labels, the texts that they contain, and the steps of CTC."""
        return list(targets.facts(sample))

    def input_size(self, model: OCRModel, image_shape: Sequence[int] | None) -> tuple[int | None, int | None]:
        """The height of its images; the width too where positions are learned or images are rectified."""
        assert image_shape is not None
        height, width = image_shape
        return int(height), int(width) if model.fixed_width else None

    def describe_postprocess(self, name: str, arguments: Mapping[str, Any], output: str) -> dict[str, Any]:
        """Under PaddleOCR's name of the decoder."""
        if name == "CTCBeamDecoder":
            log.warning(
                "postprocess=ctc_beam is not exported; exported recognizers use the most probable class of each step"
            )
        return {"name": KINDS[output].decoder, **{key: value for key, value in arguments.items() if key != "kind"}}

    def client_name(self, resize: Mapping[str, Any], output: str, own_name: str) -> str:
        """The client treats all recognizers alike, and can run those with CTC alone: another kind keeps its own name,
        which the client refuses."""
        del resize
        return "PP-OCRv5_mobile_rec" if output == "ctc" else own_name

    def deployed_postprocess(self, configured: Any, output: str, charset: Charset | None) -> Any:
        """The runtime takes the likeliest class of each CTC step, also for a run that is evaluated by beam search."""
        from ocrexp.postprocess.ctc import CTCGreedyDecoder

        return CTCGreedyDecoder(charset) if output == "ctc" and charset is not None else configured

    def comparable(self, outputs: Mapping[str, Floats], got: Floats, output: str) -> tuple[Floats, Floats]:
        """Of heads that write characters one after another only the steps up to the end: what follows is arbitrary."""
        if f"{output}_ids" in outputs:  # NRTR gives the chosen classes, after the one that begins
            ids, scores = outputs[f"{output}_ids"][:, 1:], outputs[f"{output}_scores"][:, 1:]
            steps = min(ids.shape[1], got.shape[1])
            chosen = np.take_along_axis(got[:, :steps], ids[:, :steps, None], axis=2)[..., 0]
            kept = _until_end(ids[:, :steps], KINDS[output].of_outputs(got.shape[2]).end)
            return np.where(kept, scores[:, :steps], 0), np.where(kept, chosen, 0)
        expected = outputs[output]
        if not KINDS[output].sequential or expected.shape != got.shape:
            return expected, got
        kept = _until_end(expected.argmax(axis=-1), KINDS[output].of_outputs(expected.shape[-1]).end)[..., None]
        return np.where(kept, expected, 0), np.where(kept, got, 0)

    def draw_images(self, folder: Path, count: int) -> list[Record]:
        """Lines of one plain word each."""
        return draw_words(folder, count, page=False)

    def run_export(self, folder: Path, backend: str, images: Sequence[Any]) -> list[RecPrediction]:
        """By `TextRecognizer`."""
        from ocrexp.deploy.recognizer import TextRecognizer

        texts, _ = TextRecognizer(folder, backend=backend)(list(images))
        return [RecPrediction(text, float(score)) for text, score in texts]

    def compare(self, expected: RecPrediction, got: RecPrediction, rules: Rules) -> Compared:
        """The same text. While numbers agree, a text can differ only where two classes are equally likely to within
        twice their difference; there is no allowance for that, as it does not happen in practice."""
        del rules
        if expected.text != got.text:
            return Compared(1, 0, 1, what=f"{expected.text!r} became {got.text!r}")
        return Compared(1, 1, score_difference=abs(expected.score - got.score))


def _until_end(ids: Floats, end: int | None) -> npt.NDArray[np.bool_]:
    """Which steps come before the end token, that one included, bool like `ids` [N, L]."""
    ended = np.cumsum(ids == end, axis=1) > 0
    return ~np.concatenate([np.zeros_like(ended[:, :1]), ended[:, :-1]], axis=1)


TASK = RecTask()
