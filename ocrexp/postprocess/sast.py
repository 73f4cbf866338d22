"""From SAST's center lines and offsets to text regions (Wang et al., arXiv 1908.05498, section 3.3).

The quadrilaterals of the pixels of center lines are averaged and suppress each other; each pixel belongs to the
quadrilateral whose center is nearest to the pixel's own; of the pixels of each, some give points of the outline.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ocrexp.data.targets.locality import merge_and_suppress
from ocrexp.postprocess.source import to_source
from ocrexp.results import DetPrediction
from ocrexp.types import Batch

STRIDE = 4  # of the network's maps
SMALLEST_AREA = 5  # of a quadrilateral, in pixels of the maps
SHORTEST_SIDE = 3  # pixels of the maps
COVER = 0.1  # sum of a text's scores as a share of its quadrilateral's area, at least
_EXPANSION = (0.5, 3.0)  # smallest and largest expansion of a side, pixels of the maps

Map = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]  # (n, 2)


class SASTPostProcess:
    """Regions of each image from the outputs of `SASTHead`: `f_score` [N, 1, h, w], `f_border` [N, 4, h, w], `f_tvo`
    [N, 8, h, w], `f_tco` [N, 2, h, w].

    Args:
        tcl_map_thresh: a pixel belongs to a center line if its score is above it.
        nms_thresh: IoU above which two quadrilaterals are of the same region.
        sample_pts_num: pairs of points of an outline; 0: about one for each height of the text, two at least.
        shrink_ratio_of_width: both ends are moved outwards by this share of the height there.
        expand_scale: height of an outline, as a share of what the network gives; each side moves by 0.5 to 3 pixels of
            the maps if it is not 1.

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (2 · pairs, 2), clipped to [0, width] and [0, height]; their scores are the mean scores of their pixels.
    Raises ValueError.

    PaddleOCR moves the ends after scaling to the source image; this makes a difference only where the two ratios
    differ.
    """

    def __init__(
        self,
        tcl_map_thresh: float = 0.5,
        nms_thresh: float = 0.2,
        sample_pts_num: int = 2,
        shrink_ratio_of_width: float = 0.3,
        expand_scale: float = 1.0,
    ) -> None:
        for name, value in (("tcl_map_thresh", tcl_map_thresh), ("nms_thresh", nms_thresh)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")
        if sample_pts_num < 0 or sample_pts_num == 1:
            raise ValueError(f"sample_pts_num: expected 0, or 2 or more, got {sample_pts_num}")
        if shrink_ratio_of_width < 0:
            raise ValueError(f"shrink_ratio_of_width: expected 0 or more, got {shrink_ratio_of_width}")
        if expand_scale <= 0:
            raise ValueError(f"expand_scale: expected a number above 0, got {expand_scale}")
        self.tcl_map_thresh = tcl_map_thresh
        self.nms_thresh = nms_thresh
        self.sample_pts_num = sample_pts_num
        self.shrink_ratio_of_width = shrink_ratio_of_width
        self.expand_scale = expand_scale
        self.box_type = "quad" if sample_pts_num == 2 else "poly"

    def __call__(self, outputs: dict[str, npt.NDArray[np.generic]], batch: Batch) -> list[DetPrediction]:
        images = zip(
            *(np.asarray(outputs[name], np.float32) for name in ("f_score", "f_border", "f_tvo", "f_tco")),
            np.asarray(batch["shape"], np.float64),
            strict=True,
        )
        return [self._regions(*image) for image in images]

    def _regions(
        self, score: Map, border: Map, corners: Map, center: Map, shape: npt.NDArray[np.float64]
    ) -> DetPrediction:
        score = score[0]
        rows, columns = np.nonzero(score > np.float32(self.tcl_map_thresh))
        if not len(rows):
            return DetPrediction([], [])
        pixels = np.stack([columns, rows], axis=1)
        scores = score[rows, columns]
        quads = pixels[:, None] - corners[:, rows, columns].T.reshape(-1, 4, 2).astype(np.float64)
        quads, _ = merge_and_suppress(quads, scores.astype(np.float64), self.nms_thresh)
        owners = _nearest(pixels - center[:, rows, columns].T.astype(np.float64), quads.mean(axis=1))
        outlines, means = [], []
        for index, quad in enumerate(quads):
            own = owners == index
            if own.any() and _is_text(quad, float(scores[own].sum())):
                outlines.append(self._outline(quad, pixels[own], border) * STRIDE)
                means.append(float(scores[own].mean()))
        return DetPrediction(polygons=to_source(outlines, shape), scores=means)

    def _outline(self, quad: Points, pixels: npt.NDArray[np.intp], border: Map) -> Points:
        """Outline of the text of a quadrilateral, from its pixels (n, 2); in pixels of the maps."""
        direction = (quad[1] + quad[2] - quad[0] - quad[3]) / 2
        pixels = pixels[np.argsort(pixels @ direction, kind="stable")]
        chosen = pixels[_spread(len(pixels), self.sample_pts_num or _pairs_of(quad, pixels))]
        offsets = border[:, chosen[:, 1], chosen[:, 0]].T.reshape(-1, 2, 2)[..., ::-1].astype(np.float64)
        if self.expand_scale != 1.0:
            lengths = np.maximum(np.linalg.norm(offsets, axis=2, keepdims=True), 1e-6)
            offsets = offsets * (1 + np.clip(lengths * (self.expand_scale - 1), *_EXPANSION) / lengths)
        pairs = chosen[:, None] + offsets
        begin = _moved(pairs[0], pairs[1], self.shrink_ratio_of_width)
        end = _moved(pairs[-1], pairs[-2], self.shrink_ratio_of_width)
        pairs[0], pairs[-1] = begin, end
        return np.concatenate([pairs[:, 0], pairs[::-1, 1]])


def _nearest(places: Points, centers: Points) -> npt.NDArray[np.intp]:
    """For each place the index of the nearest center."""
    x, y = (places[:, axis, None] - centers[:, axis] for axis in (0, 1))
    return np.asarray((x * x + y * y).argmin(axis=1))


def _is_text(quad: Points, score: float) -> bool:
    """Whether a quadrilateral runs clockwise, is large enough, and is covered by the sum of the scores."""
    following = np.roll(quad, -1, axis=0)
    area = float((quad[:, 0] * following[:, 1] - following[:, 0] * quad[:, 1]).sum() / 2)
    first, second = np.linalg.norm(following - quad, axis=1)[:2]
    return area >= SMALLEST_AREA and min(first, second) >= SHORTEST_SIDE and score >= COVER * area


def _pairs_of(quad: Points, pixels: npt.NDArray[np.intp]) -> int:
    """About one for each height of the text along its center line."""
    lengths = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    width, height = (lengths[0] + lengths[2]) / 2, (lengths[1] + lengths[3]) / 2
    line = pixels[_spread(len(pixels), max(2, int(width)))]
    length = np.linalg.norm(line[1:] - line[:-1], axis=1).sum()
    return max(2, int(length / height))


def _spread(count: int, wanted: int) -> npt.NDArray[np.intp]:
    """`wanted` indices of `count` from the first to the last, in equal steps."""
    return np.linspace(0, count - 1, wanted).astype(np.intp)


def _moved(pair: Points, inner: Points, share: float) -> Points:
    """The pair of points at an end (upper, lower), moved away from the next one by a share of the height there, both
    along the upper and the lower side."""
    ratio = share * np.linalg.norm(pair[0] - pair[1]) / (np.linalg.norm(pair[0] - inner[0]) + 1e-6)
    return pair + (pair - inner) * ratio
