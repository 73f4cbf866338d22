"""Cuts pictures of elongated pages, such as a screenshot of a chat, into strips side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ocrexp.drawing import BAND, Picture, side_by_side
from ocrexp.types import Polygon

ELONGATED = 4  # longer side ÷ shorter side from which a picture is cut
MOST_STRIPS = 12
GAP = 24  # pixels between strips


def strip_count(height: int, width: int) -> int:
    """The number of strips that makes an elongated image about as high as wide."""
    longer, shorter = max(height, width), min(height, width)
    return min(math.ceil(math.sqrt(longer / shorter)), MOST_STRIPS) if longer > ELONGATED * shorter else 1


def cuts_between(shown: Picture, polygons: Sequence[Polygon], strips: int, longest: int) -> list[int]:
    """Positions of the cuts along the longer side, including both ends; outside of polygons if such a place is
    near."""
    axis = 0 if shown.shape[0] >= shown.shape[1] else 1
    length = shown.shape[axis]
    strips = min(strips, math.ceil(length / longest))
    free = np.ones(length + 1, dtype=bool)
    for polygon in polygons:
        along = polygon[:, 1 - axis]
        free[max(0, math.floor(along.min())) : math.ceil(along.max()) + 1] = False
    places = np.flatnonzero(free)
    cuts = [0]
    for number in range(1, strips):
        wanted = round(length * number / strips)
        near = places[abs(places - wanted) < length / strips / 4]
        cuts.append(int(near[abs(near - wanted).argmin()]) if len(near) else wanted)
    return [*cuts, length]


def folded(panels: Sequence[Picture], cuts: Sequence[int]) -> Picture:
    """Panels of equal size side by side, strip by strip; for a wide picture one above the other."""
    high = panels[0].shape[0] >= panels[0].shape[1]
    if len(cuts) == 2:
        return side_by_side(panels)
    strips: list[Picture] = []
    for start, end in itertools.pairwise(cuts):
        parts = [panel[start:end] if high else panel[:, start:end] for panel in panels]
        strips.append(side_by_side(parts) if high else _stacked(parts, 2))
    return side_by_side(strips, gap=GAP) if high else _stacked(strips, GAP)


def _stacked(pictures: Sequence[Picture], gap: int) -> Picture:
    width = max(picture.shape[1] for picture in pictures)
    rows: list[Picture] = []
    for picture in pictures:
        if rows:
            rows.append(_fill(gap, width))
        rows.append(np.hstack([picture, _fill(picture.shape[0], width - picture.shape[1])]))
    return np.vstack(rows)


def _fill(height: int, width: int) -> Picture:
    return np.full((height, width, 3), BAND, dtype=np.uint8)
