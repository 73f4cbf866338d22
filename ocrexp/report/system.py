"""Pictures of what a detector and a recognizer got wrong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ocrexp.deploy.draw import draw_reading, text_picture
from ocrexp.deploy.fonts import FontFinder
from ocrexp.drawing import BAND, IGNORED, INK, MISSED, RIGHT, WRONG, Color, Picture
from ocrexp.metrics.system import SystemMetric, SystemPrediction
from ocrexp.results import DetReference
from ocrexp.types import Image

_LISTED = 14  # misread texts below a picture
_SIZE = 16  # pixels of their font
_BLACK: Color = (25, 25, 30)


def draw_system_sample(
    image: Image,
    prediction: SystemPrediction,
    reference: DetReference,
    metric: SystemMetric,
    title: str = "",
    finder: FontFinder | None = None,
) -> Picture:
    """The image with its boxes, the texts beside it, and a list of what was misread below; RGB uint8.

    Green: box and text right. Orange: misread, or (gray text) a box that matches nothing. Pink: missed, with the text
    of the label. Blue-gray: not counted.
    """
    finder = finder or FontFinder()
    match = metric.match(prediction, reference)
    colors: list[Color] = [IGNORED] * len(prediction.polygons)
    inks: list[Color] = [IGNORED] * len(prediction.polygons)
    for _, column in match.right:
        colors[column], inks[column] = RIGHT, _BLACK
    for _, column in match.misread:
        colors[column], inks[column] = WRONG, WRONG
    for column in match.boxes.wrong:
        colors[column] = WRONG
    missed = match.boxes.missed
    panel = draw_reading(
        image,
        [*prediction.polygons, *(reference.polygons[row] for row in missed)],
        [*prediction.texts, *(reference.texts[row] for row in missed)],
        [*prediction.scores, *(0.0 for _ in missed)],
        title=title,
        note=f"{len(match.right)} right, {len(match.misread)} misread, {len(missed)} missed, "
        f"{len(match.boxes.wrong)} boxes too many",
        finder=finder,
        colors=[*colors, *(MISSED for _ in missed)],
        inks=[*inks, *(MISSED for _ in missed)],
    )
    rows = [
        f"{reference.texts[row]}   →   {prediction.texts[column] or '∅'}" for row, column in match.misread[:_LISTED]
    ]
    if len(match.misread) > _LISTED:
        rows.append(f"… and {len(match.misread) - _LISTED} more")
    return _stacked([panel, *(text_picture(row, _SIZE, INK, BAND, finder) for row in rows)])


def draw_missing(title: str, reason: str, finder: FontFinder | None = None) -> Picture:
    """What stands for an image that could not be read."""
    return text_picture(f"{title}: {reason}", _SIZE, INK, BAND, finder or FontFinder())


def _stacked(pictures: Sequence[Picture]) -> Picture:
    width = max(picture.shape[1] for picture in pictures)
    filled = []
    for picture in pictures:
        fill = np.full((picture.shape[0], width - picture.shape[1], 3), BAND, dtype=np.uint8)
        filled.append(np.hstack([picture, fill]))
    return np.vstack(filled)
