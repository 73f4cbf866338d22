"""Pictures of detections beside the ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ocrexp.data.images import read_image
from ocrexp.drawing import (
    IGNORED,
    MISSED,
    RIGHT,
    WRONG,
    Color,
    Picture,
    captioned,
    draw_polygons,
    shrink_to_fit,
    side_by_side,
    write_beside,
)
from ocrexp.loggers.base import SampleRow
from ocrexp.metrics.det import match_regions
from ocrexp.results import DetPrediction, DetReference, EvalSample
from ocrexp.types import Polygon, UnusableSample

MISSING_SIZE = (360, 480)  # of the panel that stands for an image that cannot be read


def draw_sample(sample: EvalSample, longest: int = 900, iou_threshold: float = 0.5) -> Picture:
    """Ground truth on the left, prediction on the right, RGB uint8; each panel at most `longest` pixels a side.

    Green: found, or right. Pink, filled: missed. Orange, filled, with its score: matches nothing. Gray dashes: marked
    "ignore", or a detection inside such a region. Polygons that cross themselves are drawn as ignored.
    """
    reference: DetReference = sample.reference
    prediction: DetPrediction = sample.prediction
    try:
        image, factor = shrink_to_fit(np.ascontiguousarray(read_image(Path(sample.path))[..., ::-1]), longest)
    except UnusableSample as error:
        blank = np.full((*MISSING_SIZE, 3), 90, dtype=np.uint8)
        return captioned(blank, f"{Path(sample.path).name}: {error}")
    match = match_regions(reference.polygons, reference.ignored, prediction.polygons, iou_threshold)
    found = [pair[0] for pair in match.pairs]
    right = [pair[1] for pair in match.pairs]
    skipped = match.ignored_references + match.invalid_references
    aside = match.ignored_predictions + match.invalid_predictions

    truth = _panel(image, reference.polygons, factor, found, match.missed, skipped, MISSED)
    detected = _panel(image, prediction.polygons, factor, right, match.wrong, aside, WRONG)
    for index in match.wrong:
        write_beside(detected, prediction.polygons[index], f"{prediction.scores[index]:.2f}", WRONG, factor)
    name = Path(sample.path).name.encode("ascii", "replace").decode()  # OpenCV draws no other characters
    left = captioned(
        truth,
        f"ground truth of {name}",
        [(f"{len(found)} found", RIGHT), (f"{len(match.missed)} missed", MISSED), (f"{len(skipped)} ignored", IGNORED)],
    )
    other = captioned(
        detected,
        "prediction",
        [(f"{len(right)} right", RIGHT), (f"{len(match.wrong)} wrong", WRONG), (f"{len(aside)} ignored", IGNORED)],
    )
    return side_by_side([left, other], at_bottom=True)  # the bands may differ in height, the images do not


def caption(sample: EvalSample) -> str:
    """The image's file name with its counts."""
    match = match_regions(sample.reference.polygons, sample.reference.ignored, sample.prediction.polygons)
    return f"{Path(sample.path).name}: {len(match.pairs)} found, {len(match.missed)} missed, {len(match.wrong)} wrong"


def sample_row(sample: EvalSample, longest: int = 600) -> SampleRow:
    """The picture of `draw_sample`, how many regions there are, and what became of them."""
    match = match_regions(sample.reference.polygons, sample.reference.ignored, sample.prediction.polygons)
    found, missed, wrong = len(match.pairs), len(match.missed), len(match.wrong)
    of = match.counted_references + match.counted_predictions
    regions = len(sample.reference.polygons)
    return SampleRow(
        draw_sample(sample, longest),
        sample.path,
        f"{regions} region" + ("" if regions == 1 else "s"),
        f"{found} found, {missed} missed, {wrong} wrong",
        2 * found / of if of else 1.0,
    )


def _panel(
    image: Picture,
    polygons: Sequence[Polygon],
    factor: float,
    good: list[int],
    bad: list[int],
    aside: list[int],
    bad_color: Color,
) -> Picture:
    panel = image.copy()
    draw_polygons(panel, [polygons[index] for index in aside], IGNORED, factor, 2, dashed=True)
    draw_polygons(panel, [polygons[index] for index in good], RIGHT, factor, 2)
    draw_polygons(panel, [polygons[index] for index in bad], bad_color, factor, 2, tint=0.3)
    return panel
