"""The targets of SAST (Wang et al., arXiv 1908.05498): center lines of text, and offsets to sides, corners and center.

Drawn as PaddleOCR's SASTProcessTrain does after its augmentation, except for its faults: see `SASTTargets`.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.regions import LEGIBLE
from ocrexp.data.targets.maps import pixels_inside, why_lost
from ocrexp.data.targets.ribbons import (
    Ribbon,
    as_ribbon,
    corners,
    mean_sides,
    narrowed,
    shortened,
    to_outline,
    to_quads,
)
from ocrexp.types import Sample

STRIDE = 4  # of the maps
LINE_SHARE = 0.3  # height of a center line as a share of the text's
CUT = 0.15  # of the text's height is cut off each end of a center line
ILLEGIBLE = 0.15  # weight of illegible regions in the loss
Map = npt.NDArray[np.float32]


class SASTTargets:
    """Adds maps at stride 4 to a sample, float32 [channels, H/4, W/4], in pixels of the maps:

    - `score_map` [1, …]: 1 at center lines of text; `training_mask` [1, …]: 0.15 in illegible regions, else 1.
    - `border_map` [5, …]: at center lines, y and x to the upper and to the lower side of the text, and 2 / height of
      the piece of the text (or its width, if that is smaller).
    - `tvo_map` [9, …]: x and y of the pixel minus those of the four corners, and 1 / shorter side.
    - `tco_map` [3, …]: x and y of the pixel minus those of the center, and 1 / shorter side.

    Reads `polygons`, `ignored` and the size of `image`, whose sides should be multiples of 4. A region whose shorter
    side is below `min_text_size` is marked in `ignored`. Legible regions and those that are lost whole within the
    canvas are added to the sample's `counts`.

    Where PaddleOCR errs: regions that are too small are background; upright text has its center line
    across it, but its corners along it; corners outside of the image move to its border; outlines need equally many
    points in the whole image; flipped ones begin at the wrong end; where pieces of a center line overlap is a hole.

    Args:
        min_text_size: pixels.
    """

    def __init__(self, min_text_size: float = 4) -> None:
        if min_text_size < 0:
            raise ValueError(f"min_text_size: expected 0 or more, got {min_text_size}")
        self.min_text_size = min_text_size

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:  # noqa: ARG002
        height, width = sample["image"].shape[:2]
        ignored = np.array(sample["ignored"], dtype=bool)
        size = height // STRIDE, width // STRIDE
        score, mask = np.zeros((1, *size), np.float32), np.ones((1, *size), np.float32)
        border, tvo, tco = (np.zeros((channels, *size), np.float32) for channels in (5, 9, 3))
        counts = sample.setdefault("counts", {})
        counts[LEGIBLE] = len(ignored) - int(np.count_nonzero(ignored))
        for index, polygon in enumerate(sample["polygons"]):
            ribbon = None if ignored[index] else as_ribbon(polygon)
            if ribbon is None or not self._fits(ribbon):
                reason = None if ignored[index] else why_lost(polygon, width, height, self.min_text_size)
                if reason:
                    counts[reason] = counts.get(reason, 0) + 1
                ignored[index] = True
                cv2.fillPoly(mask[0], [(polygon / STRIDE).astype(np.int32)], ILLEGIBLE)
                continue
            ribbon = ribbon / np.float32(STRIDE)
            line = narrowed(ribbon, LINE_SHARE)
            _draw_line(ribbon, line, score[0], border)
            _draw_offsets(ribbon, line, tvo, tco)
        sample["ignored"] = ignored
        maps: dict[str, Any] = {
            "score_map": score,
            "border_map": border,
            "training_mask": mask,
            "tvo_map": tvo,
            "tco_map": tco,
        }
        return cast(Sample, {**sample, **maps})

    def _fits(self, ribbon: Ribbon) -> bool:
        quad, _ = corners(ribbon / np.float32(STRIDE))
        return min(mean_sides(quad)) * STRIDE >= self.min_text_size


def _draw_line(ribbon: Ribbon, line: Ribbon, score: Map, border: Map) -> None:
    """A center line, and the offsets from it to the sides of the text."""
    pieces, owners = shortened(line, CUT, 1 / LINE_SHARE)
    quads = to_quads(ribbon)
    for piece, owner in zip(np.round(to_quads(pieces)).astype(np.int32), owners, strict=True):
        rows, columns = pixels_inside(piece, *score.shape)
        score[rows, columns] = 1
        quad = quads[owner].astype(np.float64)
        offsets = _to_sides(quad, rows, columns)
        if offsets is not None:
            border[:4, rows, columns] = offsets
            border[4, rows, columns] = 2 / max(min(mean_sides(quad)), 1.0)


def _to_sides(
    quad: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64] | None:
    """y and x from pixels to the upper and to the lower side (4, n), in the mean direction of the two other sides; None
    for a piece without height."""
    left, right = quad[0] - quad[3], quad[1] - quad[2]
    angle = (np.arctan2(left[1], left[0]) + np.arctan2(right[1], right[0])) / 2
    direction = np.array([np.cos(angle), np.sin(angle)])
    pixels = np.stack([columns, rows], axis=1)
    found = []
    for start, end in ((quad[0], quad[1]), (quad[3], quad[2])):
        along = end - start
        across = direction[0] * along[1] - direction[1] * along[0]
        if abs(across) < 1e-6:
            return None
        away = start - pixels
        steps = (away[:, 0] * along[1] - away[:, 1] * along[0]) / across
        found += [steps * direction[1], steps * direction[0]]
    return np.stack(found)


def _draw_offsets(ribbon: Ribbon, line: Ribbon, tvo: Map, tco: Map) -> None:
    """The offsets from a text's whole center line to its corners and its center."""
    quad, center = corners(ribbon)
    rows, columns = pixels_inside(np.round(to_outline(line)).astype(np.int32), *tvo.shape[1:])
    tvo[:8:2, rows, columns] = columns - quad[:, :1]
    tvo[1:8:2, rows, columns] = rows - quad[:, 1:]
    tco[0, rows, columns] = columns - center[0]
    tco[1, rows, columns] = rows - center[1]
    norm = 1 / max(min(mean_sides(quad)), 1.0)
    tvo[8, rows, columns] = norm
    tco[2, rows, columns] = norm
