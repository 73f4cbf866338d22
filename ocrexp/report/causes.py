"""Why a metric stays 0: the likely causes, from what an evaluation and the losses show. One function a task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from ocrexp.charset.charset import Charset
from ocrexp.charset.saved import from_saved
from ocrexp.metrics.rec import RecCounts
from ocrexp.results import ZeroEvidence

SHOWN_SAMPLES = 5
LOW_LOSS = 0.05  # of CTC or cross entropy: the training texts are known
HEAD_LOADED = 0.5
MANY_EMPTY = 0.1  # share of training samples without anything to learn, from which on it is a cause
STUCK = 0.9  # of the first loss; a loss above it has hardly fallen
NEAR = 0.3  # norm_edit_distance from which on characters are being read

LabelsWithPlaces = Callable[[], Iterable[tuple[str, str]]]  # (text, where it stands)


def detection_causes(evidence: ZeroEvidence, hints: Sequence[str] = ()) -> list[str]:
    """What to check when no region is found right, of the causes that what was seen allows; `hints` are what the
    configuration says."""
    lines = []
    if evidence.empty_share is not None and evidence.empty_share >= MANY_EMPTY:
        lines.append(
            f"{evidence.empty_share:.0%} of the inspected training samples have empty targets; causes are a crop that "
            "misses the words, or labels in other coordinates than the images"
        )
    lines += hints
    if found := regions_found(evidence):
        lines.append(
            f"{found} regions are found in the first {len(evidence.result.samples)} images, but none overlaps a label "
            "enough; compare both in plots/predictions; the labels may be in other coordinates than the images "
            "(debug=targets draws them), or the model needs more steps"
        )
        return lines
    lines.append(
        "no region passes the thresholds; an early model has low scores, postprocess.box_thresh=0.3 shows more"
    )
    lines.append("label coordinates and image size: debug=targets draws the first samples with their targets")
    return lines


def learning_rate_causes(lr: float, first: float | None, last: float | None) -> list[str]:
    """What the training loss shows of the learning rate: [] where it has fallen, so that steps are all that is missing.

    Args:
        lr: the learning rate now, which the schedule has made of `optim.lr`.
        first: mean loss of the first logging interval; None: not known.
        last: mean loss of the last one; what a loss that is not finite means is stated elsewhere.
    """
    if lr == 0:
        return ["the learning rate is 0 now, so the weights do not change; check optim.lr and optim.schedule"]
    if first is None or last is None or not math.isfinite(first) or not math.isfinite(last):
        return []
    moved = f"the training loss went from {first:.4g} to {last:.4g} with a learning rate of {lr:g} now"
    if last > first:
        return [f"{moved}: it is too high; try a tenth of optim.lr, or a warm-up (optim.schedule.warmup_steps)"]
    if last > STUCK * first:
        return [f"{moved}: it has hardly fallen; train longer, or try ten times optim.lr and a tenth of it"]
    return []


def regions_found(evidence: ZeroEvidence) -> int:
    """Detected regions in the images that were kept of the last evaluation."""
    return sum(len(sample.prediction.polygons) for sample in evidence.result.samples)


def recognition_causes(
    evidence: ZeroEvidence,
    hints: Sequence[str] = (),
    charset: Charset | None = None,
    labels: LabelsWithPlaces = tuple,
    head_share: float | None = None,
) -> list[str]:
    """What to check when no text is read right, what is seen before what may be.

    Args:
        evidence: of the last evaluation and the steps before it.
        hints: what follows from the configuration.
        charset: of the model.
        labels: the evaluation's labels with their places, asked for only here.
        head_share: how much of the head came from model.pretrained, 0..1; None: nothing was to be loaded.
    """
    lines = []
    counts = evidence.result.details
    if isinstance(counts, RecCounts) and counts.samples:
        lines += _outputs(evidence, counts)
    lines += _losses(evidence)
    if charset is not None:
        lines += _coverage(charset, labels())
    if head_share is not None and head_share < HEAD_LOADED:
        lines.append(
            f"only {head_share:.0%} of the head was loaded from model.pretrained, the rest started from random values; "
            "if its charset differs, model.pretrained_charset=DICTIONARY keeps the common characters"
        )
    lines += hints
    for sample in evidence.result.samples[:SHOWN_SAMPLES]:
        lines.append(
            f"label {sample.reference.text!r} is read as {sample.prediction.text!r} "
            f"(score {sample.prediction.score:.2f}): {sample.path}"
        )
    return lines


def _outputs(evidence: ZeroEvidence, counts: RecCounts) -> list[str]:
    lines = []
    metrics = evidence.result.metrics
    if counts.empty == counts.samples:
        lines.append(
            f"all {counts.samples} outputs are empty, only blanks; every CTC model begins so; if it lasts, try a lower "
            "or warmed-up optim.lr, shorter texts first, and check that images and labels belong together "
            "(debug=targets)"
        )
    elif counts.empty > counts.samples / 2:
        lines.append(
            f"{counts.empty} of {counts.samples} outputs are empty; the model begins to predict text, train longer"
        )
    if len(counts.predicted) == 1:
        (character,) = counts.predicted
        lines.append(
            f"the only character of all outputs is {character!r}, so the model ignores the images; optim.lr may "
            "be too high, or the images contain no text (debug=targets draws them)"
        )
    elif len({sample.prediction.text for sample in evidence.result.samples}) == 1 and len(evidence.result.samples) > 1:
        text = evidence.result.samples[0].prediction.text
        if text:
            lines.append(f"the first {len(evidence.result.samples)} images are all read as {text!r}; check optim.lr")
    lines += [
        f"{name} is {metrics[name]:.3f}, so {what}"
        for name, what in _NEARLY.items()
        if metrics.get(name, 0.0) > metrics.get("accuracy", 0.0)
    ]
    if metrics.get("norm_edit_distance", 0.0) > NEAR:
        lines.append(
            f"norm_edit_distance is {metrics['norm_edit_distance']:.3f}; characters are read, but whole texts not "
            "yet; train longer"
        )
    return lines


_NEARLY = {
    "accuracy_no_spaces": "the errors are spaces; charset.use_space_char=true adds the space to the charset",
    "accuracy_ignore_case": "the errors are upper and lower case; metric.case=upper or lower ignores case",
    "accuracy_ignore_case_punctuation": "the errors are punctuation, spaces or case",
}


def _losses(evidence: ZeroEvidence) -> list[str]:
    lines = []
    if evidence.passed_over:
        lines.append(
            f"{evidence.passed_over} steps were skipped because their loss was not finite; with CTC the cause is a "
            "label longer than the steps of the model (trainer.nonfinite=stop names the image)"
        )
    name = next((name for name in ("train/loss_ctc", "train/loss") if name in evidence.losses), None)
    if name is None:
        return lines
    loss = evidence.losses[name]
    if not math.isfinite(loss):
        lines.append(
            f"{name} is {loss}; a label is longer than the model's steps, or numbers are out of range; lower optim.lr"
        )
    elif loss == 0:
        lines.append(f"{name} is exactly 0, so the labels contain nothing to learn; check targets and charset.unknown")
    elif loss < LOW_LOSS:
        lines.append(
            f"{name} is {loss:.3g}, so the training texts are learned; if the evaluation images differ from the "
            "training images, compare preprocess with augment (debug=targets), or the labels of the two lists"
        )
    if evidence.empty_share:
        lines.append(f"{evidence.empty_share:.0%} of the inspected training samples have no character to learn")
    return lines


def _coverage(charset: Charset, labels: Iterable[tuple[str, str]]) -> list[str]:
    """Labels that the model cannot write, whatever it learns."""
    texts = list(labels)
    # The policy is for training; here every unknown character is counted.
    counted = from_saved(charset.saved(), charset.source).check(texts)
    lines = []
    if counted.unknown:
        share = counted.incomplete / counted.texts
        lines.append(f"the charset cannot write {share:.0%} of the evaluation's labels: {counted.describe()}")
    if charset.lower and (upper := sum(text != text.lower() for text, _ in texts)):
        lines.append(
            f"the charset is lower-case, but {upper} of {len(texts)} evaluation labels have upper case; "
            "metric.case=lower ignores case"
        )
    return lines
