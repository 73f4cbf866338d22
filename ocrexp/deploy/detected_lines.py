"""Which box of a detector shows which labeled line, so that a recognizer can be trained on what it will read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ocrexp.deploy.crop import rectangle
from ocrexp.metrics.det import match_regions
from ocrexp.results import DetReference
from ocrexp.types import Polygon

NO_BOX = "without a box of the detector"
CUT = "cut at an end by the box"
OTHER = "with another line in the box"


@dataclass(slots=True)
class DetectedLines:
    """`lines`: (label's index, where to cut, whether the detector found it), in the order of the labels; `left`: labels
    whose lines the detector does not show as labeled, by reason."""

    lines: list[tuple[int, Polygon, bool]] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def detected_lines(
    labels: DetReference,
    boxes: Sequence[Polygon],
    iou_threshold: float = 0.5,
    most_cut: float = 0.3,
    most_other: float = 0.5,
    add_missed: bool = True,
) -> DetectedLines:
    """Matches boxes with labeled lines, as the detection metric does, and drops boxes that show another text.

    Args:
        labels: polygons in the page's pixels; ignored ones and those without a text are no lines.
        boxes: detected polygons, (n, 2) each.
        iou_threshold: a box belongs to a line above this IoU.
        most_cut: how much of a line's end a box may cut, a share of the line's height.
        most_other: the share of another labeled region that a box may contain.
        add_missed: lines without such a box are cut along their labels.
    """
    import shapely

    match = match_regions(labels.polygons, labels.ignored, boxes, iou_threshold)
    box_of = dict(match.pairs)
    invalid = set(match.invalid_references)
    areas = {i: shapely.Polygon(polygon) for i, polygon in enumerate(labels.polygons) if i not in invalid}
    found = DetectedLines()
    for i, (polygon, text, ignored) in enumerate(zip(labels.polygons, labels.texts, labels.ignored, strict=True)):
        if ignored or not text.strip():
            continue
        box = boxes[box_of[i]] if i in box_of else None
        why = NO_BOX if box is None else ""
        if box is not None and _cut(polygon, box) > most_cut:
            why = CUT
        elif box is not None and i not in invalid:
            shape = shapely.Polygon(box)
            others = (shape.intersection(area).area / area.area for j, area in areas.items() if j != i and area.area)
            why = OTHER if max(others, default=0.0) > most_other else ""
        if box is not None and not why:
            found.lines.append((i, box, True))
            continue
        found.left[why] += 1
        if add_missed:
            found.lines.append((i, polygon, False))
    return found


def _cut(line: Polygon, box: Polygon) -> float:
    """The larger part of the line's two ends that lies outside of the box, as a share of the line's height."""
    corners = np.asarray(line if len(line) == 4 else rectangle(line), dtype=np.float64)
    sides = corners[1] - corners[0], corners[3] - corners[0]
    lengths = [max(float(np.linalg.norm(side)), 1e-6) for side in sides]
    along = sides[int(lengths[1] > lengths[0])] / max(lengths)
    ends, own = corners @ along, np.asarray(box, dtype=np.float64) @ along
    return float(max(own.min() - ends.min(), ends.max() - own.max()) / min(lengths))
