"""Text detection: regions of an image, polygons with scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ocrexp.data.collate import Empty, EvalBatch, by_shape, stack_training
from ocrexp.data.records import some_records
from ocrexp.data.regions import count_lines, crossing_lines
from ocrexp.data.sample_counts import SampleCount
from ocrexp.drawing import Picture
from ocrexp.loggers.base import SampleRow
from ocrexp.report import detection
from ocrexp.report.causes import detection_causes, regions_found
from ocrexp.report.evaluation import Captioned
from ocrexp.report.targets import draw_targets, target_panels
from ocrexp.results import DetPrediction, DetReference, EvalResult, ZeroEvidence
from ocrexp.tasks.base import RunFacts, Task
from ocrexp.tasks.drawn import draw_words
from ocrexp.tasks.gate import Compared, Rules
from ocrexp.types import Batch, Polygon, Record, Sample

# Targets that are 0 outside of text, and the channel of those that have several or an axis for one: DB, CT, PSE, EAST
# and SAST, FCE.
_TEXT_MAPS: dict[str, int | None] = {
    "shrink_map": None,
    "kernel_instance": None,
    "gt_text": None,
    "score_map": 0,
    "p3_maps": 0,
    "p4_maps": 0,
    "p5_maps": 0,
}


class DetTask(Task):
    """Regions with polygons; the metric's names are of boxes."""

    name = "det"
    results = "boxes"
    images = "page"

    def collate_train(self, samples: Sequence[Sample], empty: Empty) -> Batch:
        """`image` uint8 [N,H,W,3] BGR, every target array of the samples [N,…], `index` int64 [N].

        Raises DataError if sizes differ.
        """
        return stack_training(samples, empty, "end augment with a crop to one size")

    def collate_eval(self, samples: Sequence[Sample], empty: Empty) -> EvalBatch:
        """With `references` (DetReference) and `shape` float64 [n,4]: source height and width, ratio_h, ratio_w; with
        `notes` where pages are shrunk by more than half."""
        batches = []
        for group, batch in by_shape(samples, empty):
            batch["references"] = [
                DetReference(list(s["polygons"]), [bool(ignored) for ignored in s["ignored"]], list(s["texts"]))
                for s in group
            ]
            if batch["image"] is not None:
                batch["shape"] = np.stack([sample["shape"] for sample in group]).astype(np.float64)
                batch["notes"] = [_shrunk_note(sample) for sample in group]
            batches.append(batch)
        return batches

    def record_lines(self, split: str, records: Sequence[Record]) -> list[str]:
        """Regions that cross themselves."""
        return crossing_lines(split, records)

    def count_lines(self, split: str, counts: Mapping[str, SampleCount]) -> list[str]:
        """Regions outside their image, and those that are too small in training crops."""
        return count_lines(split, counts)

    def label_lines(self, facts: RunFacts) -> list[str]:
        """Those of the training and the validation records."""
        train, remark = some_records(facts.source.train_records())
        lines = self.record_lines("train", train)
        lines += [f"train: {remark}"] if lines and remark else []
        return [*lines, *self.record_lines("val", facts.source.val_records())]

    def nothing_found(self) -> DetPrediction:
        """No region."""
        return DetPrediction([], [])

    def learnable(self, batch: Batch) -> npt.NDArray[np.bool_] | None:
        """Samples whose map of text holds any."""
        found = [
            np.asarray(batch[name] if channel is None else batch[name][:, channel])
            for name, channel in _TEXT_MAPS.items()
            if name in batch
        ]
        some = [maps.any(axis=(1, 2)) for maps in found]
        return np.asarray(np.any(some, axis=0)) if some else None

    def zero_causes(self, evidence: ZeroEvidence, facts: RunFacts) -> list[str]:
        """See `report.causes`."""
        hints = list(evidence.hints)
        thresh = facts.config["postprocess"].get("box_thresh")
        if thresh is not None and not regions_found(evidence):
            hints.append(f"postprocess.box_thresh={thresh} drops every region with a lower score")
        return detection_causes(evidence, hints)

    def draw_samples(self, result: EvalResult, limit: int) -> list[Captioned]:
        """One picture per image: ground truth on the left, prediction on the right."""
        return [
            Captioned(detection.draw_sample(sample), detection.caption(sample), Path(sample.path).stem)
            for sample in result.samples[:limit]
        ]

    def sample_rows(self, result: EvalResult, limit: int) -> list[SampleRow]:
        """Ground truth beside prediction, with the counts of regions; the score is the image's own hmean."""
        return [detection.sample_row(sample) for sample in result.samples[:limit]]

    def draw_targets(self, samples: Sequence[Mapping[str, Any]], targets: Any) -> list[Picture]:
        """One picture per sample: its polygons and maps."""
        del targets
        return [draw_targets(sample) for sample in samples]

    def target_panels(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, Picture]]:
        """Its polygons and maps."""
        del targets
        return target_panels(sample)

    def target_facts(self, sample: Mapping[str, Any], targets: Any) -> list[tuple[str, str]]:
        """How many regions are learned, and how much of the image is text."""
        del targets
        ignored = int(np.sum(sample["ignored"]))
        facts = [("regions", f"{len(sample['ignored']) - ignored} learned, {ignored} ignored")]
        if "shrink_map" in sample:
            masked = 1 - float(np.mean(sample["shrink_mask"]))
            facts.append(
                ("pixels", f"{float(np.mean(sample['shrink_map'] > 0)):.1%} shrunk text, {masked:.1%} not in the loss")
            )
        return facts

    def describe_postprocess(self, name: str, arguments: Mapping[str, Any], output: str) -> dict[str, Any]:
        """Under the name of the class, which is PaddleOCR's."""
        del output
        return {"name": name, **arguments}

    def client_name(self, resize: Mapping[str, Any], output: str, own_name: str) -> str:
        """For most detectors of the client `resize_long` bounds the longer side; for those of seals it is what the
        shorter side is enlarged to. No name has a rule that resizes the longer side to a length in both directions; a
        bound is the nearest."""
        del output, own_name
        other = resize.get("image_shape") is not None or resize.get("resize_long") is not None
        grows = not other and resize.get("limit_type") in ("min", "resize_short")
        return "PP-OCRv4_mobile_seal_det" if grows else "PP-OCRv5_mobile_det"

    def draw_images(self, folder: Path, count: int) -> list[Record]:
        """Pages of plain words."""
        return draw_words(folder, count, page=True)

    def run_export(self, folder: Path, backend: str, images: Sequence[Any]) -> list[DetPrediction]:
        """By `TextDetector`."""
        from ocrexp.deploy.detector import TextDetector
        from ocrexp.deploy.images import to_bgr

        detector = TextDetector(folder, backend=backend)
        return [detector.find(to_bgr(image)) for image in images]

    def compare(self, expected: DetPrediction, got: DetPrediction, rules: Rules) -> Compared:
        """Every box has its counterpart, one to one. Exactly equal ones belong together; the others must overlap by
        `rules.box_iou`: a pixel whose probability is just the threshold may move a corner by a pixel. A box whose score
        lies within the tolerance of `box_thresh` may be on one side alone."""
        before, after, pairs = _without_equal(expected, got)
        score_difference = max((abs(expected.scores[a] - got.scores[b]) for a, b in pairs), default=0.0)
        different, what = 0, ""
        if before or after:
            moved = _overlapping([expected.polygons[i] for i in before], [got.polygons[i] for i in after], rules)
            limit = rules.box_thresh + rules.tolerance
            lost = [expected.scores[index] for place, index in enumerate(before) if place not in moved]
            new = [got.scores[index] for place, index in enumerate(after) if place not in moved.values()]
            lost, new = ([score for score in scores if score > limit] for scores in (lost, new))
            different = len(lost) + len(new)
            what = f"{len(lost)} of {len(expected.polygons)} boxes lost, {len(new)} new" if different else ""
        return Compared(len(expected.polygons), len(pairs), different, score_difference, what)


def _shrunk_note(sample: Sample) -> str:
    shrunk = sample.get("shrunk")
    if shrunk is None:
        return ""
    return f"{shrunk.describe()}; raise preprocess.resize.{shrunk.key} to keep small letters"


def _without_equal(expected: DetPrediction, got: DetPrediction) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Indices of the boxes that are not exactly equal, of both sides, and the pairs that are."""
    places: dict[tuple[tuple[float, ...], ...], list[int]] = {}
    for index, polygon in enumerate(got.polygons):
        places.setdefault(_key(polygon), []).append(index)
    pairs, before = [], []
    for index, polygon in enumerate(expected.polygons):
        same = places.get(_key(polygon))
        if same:
            pairs.append((index, same.pop(0)))
        else:
            before.append(index)
    return before, sorted(index for indices in places.values() for index in indices), pairs


def _key(polygon: Polygon) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in point) for point in np.asarray(polygon))


def _overlapping(before: Sequence[Polygon], after: Sequence[Polygon], rules: Rules) -> dict[int, int]:
    """Which box of `after` is that of `before`. An outline that crosses itself overlaps with nothing; all its points
    must be within a pixel."""
    from ocrexp.metrics.det import match_regions

    match = match_regions(before, [False] * len(before), after, iou_threshold=rules.box_iou)
    pairs, crossed = dict(match.pairs), list(match.invalid_predictions)
    for index in match.invalid_references:
        outline = np.asarray(before[index])
        same = (place for place in crossed if np.shape(after[place]) == outline.shape)
        near = next((place for place in same if np.abs(np.asarray(after[place]) - outline).max() <= 1), None)
        if near is not None:
            pairs[index] = near
            crossed.remove(near)
    return pairs


TASK = DetTask()
