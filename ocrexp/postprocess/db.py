"""From the maps of a Differentiable Binarization head to text regions (Liao et al., https://arxiv.org/abs/1911.08947).

A map is binarized, its connected regions are outlined, each outline is scored by the mean probability inside and,
because the network learns shrunk regions, grown by distance = area · unclip_ratio / perimeter (Vatti's clipping).
Boxes are those of PaddleOCR's DBPostProcess, in its order, and come with their scores.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import pyclipper

from ocrexp.postprocess.offset import Points, Ring, areas_and_perimeters, as_points, grown, grown_rectangles
from ocrexp.results import DetPrediction
from ocrexp.types import Batch, Polygon

Map = npt.NDArray[np.float32]  # (height, width), probabilities
Contour = npt.NDArray[np.int32]  # (n, 1, 2), x then y, in pixels of the map

DILATION_KERNEL = np.ones((2, 2), dtype=np.uint8)
CONTOUR_TOLERANCE = 0.002  # of the perimeter, when an outline is simplified to a polygon
UNCLIPPED_MARGIN = 2  # the unclipped box must exceed min_size by it, in map pixels


class DBPostProcess:
    """Regions of each image from `outputs["maps"]`, float32 [N, C, H, W], of which channel 0 is used.

    Args:
        thresh: a pixel belongs to a region if its probability is above it.
        box_thresh: a region is kept if its score is at least this.
        unclip_ratio: how far regions are grown; 1.5 undoes a shrink ratio of 0.4.
        max_candidates: maximum number of outlines per image.
        use_dilation: grow the binary map by one pixel to the right and downwards first.
        score_mode: `fast` takes the mean inside the outline's rectangle (polygon: the simplified outline), `slow`
            that inside the outline itself.
        box_type: `quad` gives rotated rectangles of four points, clockwise from the top left; `poly` polygons.
        min_size: in map pixels: rectangles with a shorter side are dropped, before unclipping below `min_size`
            (`quad`), after it below `min_size + 2`.
        largest_candidates: what `max_candidates` keeps: the outlines of the largest area, or (false) those that are
            found first, which is from the bottom of the image upwards, as PaddleOCR does.
        skip_holes: skip the outlines of holes; PaddleOCR takes them for regions.

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (n, 2), rounded to whole source pixels and clipped to [0, width] and [0, height].

    Where PaddleOCR errs: it ignores `score_mode` for polygons; it drops a polygon whose unclipping closes a gap,
    where here the outer ring is kept; it scales by the source size, which puts the boxes of images
    that were padded before resizing in the wrong place, where here the ratios lead. Raises ValueError.
    """

    def __init__(
        self,
        thresh: float = 0.3,
        box_thresh: float = 0.7,
        unclip_ratio: float = 2.0,
        max_candidates: int = 1000,
        use_dilation: bool = False,
        score_mode: str = "fast",
        box_type: str = "quad",
        min_size: int = 3,
        largest_candidates: bool = False,
        skip_holes: bool = False,
    ) -> None:
        if score_mode not in ("fast", "slow"):
            raise ValueError(f"score_mode: expected fast or slow, got {score_mode!r}")
        if box_type not in ("quad", "poly"):
            raise ValueError(f"box_type: expected quad or poly, got {box_type!r}")
        if max_candidates < 1:
            raise ValueError(f"max_candidates: expected 1 or more, got {max_candidates}")
        if unclip_ratio < 0:
            raise ValueError(f"unclip_ratio: expected 0 or more, got {unclip_ratio}")
        self.thresh = thresh
        self.box_thresh = box_thresh
        self.unclip_ratio = unclip_ratio
        self.max_candidates = max_candidates
        self.use_dilation = use_dilation
        self.score_mode = score_mode
        self.box_type = box_type
        self.min_size = min_size
        self.largest_candidates = largest_candidates
        self.skip_holes = skip_holes

    def __call__(self, outputs: dict[str, npt.NDArray[np.generic]], batch: Batch) -> list[DetPrediction]:
        maps = np.asarray(outputs["maps"], dtype=np.float32)
        shapes = np.asarray(batch["shape"], dtype=np.float64)
        # One after the other: most calls are so short that threads only wait for each other's turn (measured: 1.5
        # times slower with two).
        return [self.regions(probability, shape) for probability, shape in zip(maps[:, 0], shapes, strict=True)]

    def regions(self, probability: Map, shape: npt.NDArray[np.float64]) -> DetPrediction:
        """Regions of one map (H, W) in the image described by `shape` (see the class)."""
        probability = np.ascontiguousarray(probability)
        binary = (probability > np.float32(self.thresh)).view(np.uint8)
        if self.use_dilation:
            binary = cv2.dilate(binary, DILATION_KERNEL)
        outline_all = self._quads if self.box_type == "quad" else self._polygons
        outlines, scores = outline_all(probability, self._contours(binary))
        return DetPrediction(polygons=_to_source(outlines, binary.shape, shape), scores=scores)

    def of_pages(self, count: int) -> DBPostProcess:
        """The same for maps as large as `count` ordinary ones, with `count` times as many candidates."""
        larger = copy.copy(self)
        larger.max_candidates *= count
        return larger

    def _contours(self, binary: npt.NDArray[np.uint8]) -> Sequence[npt.NDArray[np.int32]]:
        contours: Sequence[npt.NDArray[np.int32]]
        if self.skip_holes:
            found, hierarchy = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
            contours = [c for c, links in zip(found, hierarchy[0], strict=True) if links[3] < 0] if found else []
        else:
            contours = cv2.findContours(binary, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)[0]
        if self.largest_candidates and len(contours) > self.max_candidates:
            areas = np.array([cv2.contourArea(contour) for contour in contours])
            kept = np.sort(np.argsort(-areas, kind="stable")[: self.max_candidates])
            return [contours[index] for index in kept]
        return contours[: self.max_candidates]

    # Both look at all regions together, step by step: arithmetic on the few points of one region costs NumPy or Python
    # more time in calls than in sums.
    def _quads(self, probability: Map, contours: Sequence[Contour]) -> tuple[list[Points], list[float]]:
        if self.min_size > 0:  # a point or a line has no width
            contours = [contour for contour in contours if len(contour) >= 3]
        corners, shorter = smallest_rectangles(contours)
        wide = np.flatnonzero(shorter >= self.min_size)
        corners = corners[wide]
        if self.score_mode == "slow":
            scores = [mean_inside(probability, contours[index]) for index in wide.tolist()]
        else:
            scores = means_inside_rectangles(probability, corners)
        kept = [index for index, score in enumerate(scores) if not score < self.box_thresh]
        scores, found = [scores[index] for index in kept], unclip_rectangles(corners[kept], self.unclip_ratio)
        rings = [(ring, score) for ring, score in zip(found, scores, strict=True) if ring is not None]
        corners, shorter = smallest_rectangles([ring for ring, _ in rings])
        wide = np.flatnonzero(shorter >= self.min_size + UNCLIPPED_MARGIN)
        return list(corners[wide]), [rings[index][1] for index in wide.tolist()]

    def _polygons(self, probability: Map, contours: Sequence[Contour]) -> tuple[list[Points], list[float]]:
        outlines: list[Points] = []
        scores = []
        for contour in contours:
            simplified = cv2.approxPolyDP(contour, CONTOUR_TOLERANCE * cv2.arcLength(contour, True), True)
            if len(simplified) < 4:
                continue
            score = mean_inside(probability, contour if self.score_mode == "slow" else simplified)
            if not score < self.box_thresh:
                outlines.append(simplified[:, 0])
                scores.append(score)
        found: list[tuple[Points, float]] = []
        for rings, score in zip(unclip(outlines, self.unclip_ratio), scores, strict=True):
            if rings:
                ring = as_points(max(rings, key=pyclipper.Area) if len(rings) > 1 else rings[0])
                if min(cv2.minAreaRect(ring)[1]) >= self.min_size + UNCLIPPED_MARGIN:
                    found.append((ring, score))
        return [ring for ring, _ in found], [score for _, score in found]


def mean_inside(probability: Map, contour: npt.NDArray[np.int32]) -> float:
    """Mean of a map (H, W) inside a contour (n, 1, 2) that lies in it; only the contour's window is looked at."""
    left, top, width, height = cv2.boundingRect(contour)
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(mask, [contour], 1, offset=(-left, -top))
    return float(cv2.mean(probability[top : top + height, left : left + width], mask)[0])


def means_inside_rectangles(probability: Map, corners: npt.NDArray[np.float32]) -> list[float]:
    """Means of a map (H, W) inside rectangles (n, 4, 2) that may reach beyond it.

    The fractions of the corners are cut off within the rectangle's window.
    """
    largest = np.array(probability.shape[::-1]) - 1
    low = np.clip(np.floor(corners.min(axis=1)).astype(np.int64), 0, largest)
    high = np.clip(np.ceil(corners.max(axis=1)).astype(np.int64), 0, largest)
    in_windows = (corners.astype(np.float64) - low[:, None]).astype(np.int32)
    means = []
    for (left, top), (right, bottom), in_window in zip(low.tolist(), high.tolist(), in_windows, strict=True):
        mask = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
        cv2.fillPoly(mask, [in_window], 1)
        means.append(cv2.mean(probability[top : bottom + 1, left : right + 1], mask)[0])
    return means


def unclip(outlines: Sequence[Points], ratio: float) -> list[list[Ring]]:
    """Rings of each outline (n, 2) grown by area · ratio / perimeter; none of an outline without a perimeter."""
    if not outlines:
        return []
    areas, perimeters = (figures.tolist() for figures in areas_and_perimeters(outlines))
    return [
        grown(outline, area * ratio / perimeter) if perimeter else []
        for outline, area, perimeter in zip(outlines, areas, perimeters, strict=True)
    ]


def unclip_rectangles(corners: npt.NDArray[np.float32], ratio: float) -> list[Points | None]:
    """As `unclip`, of rectangles (n, 4, 2); None for one that does not come to one ring."""
    if not len(corners):
        return []
    areas, perimeters = areas_and_perimeters(corners)
    distances = areas * ratio / np.maximum(perimeters, np.finfo(np.float64).tiny)
    rings: list[Points | None] = list(grown_rectangles(corners, distances))
    for index in [index for index, ring in enumerate(rings) if ring is None]:
        several = unclip([corners[index]], ratio)[0]
        rings[index] = as_points(several[0]) if len(several) == 1 else None
    return rings


def smallest_rectangles(outlines: Sequence[Points]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """The smallest rotated rectangles around outlines.

    Returns their corners (n, 4, 2), clockwise from the top left, and their shorter sides (n,).
    """
    rectangles = [cv2.minAreaRect(outline) for outline in outlines]
    corners = np.array([cv2.boxPoints(rectangle) for rectangle in rectangles], dtype=np.float32).reshape(-1, 4, 2)
    from_left = np.argsort(corners[..., 0], axis=1, kind="stable")
    left, right = np.split(np.take_along_axis(corners, from_left[..., None], axis=1), 2, axis=1)
    # Of the two on the left the upper one first, of those on the right likewise; where they are level, as they come.
    left = np.where((left[:, 1, 1] > left[:, 0, 1])[:, None, None], left, left[:, ::-1])
    right = np.where((right[:, 1, 1] > right[:, 0, 1])[:, None, None], right, right[:, ::-1])
    ordered = np.stack([left[:, 0], right[:, 0], right[:, 1], left[:, 1]], axis=1)
    return ordered, np.array([min(rectangle[1]) for rectangle in rectangles], dtype=np.float64)


def _to_source(outlines: list[Points], map_shape: tuple[int, ...], shape: npt.NDArray[np.float64]) -> list[Polygon]:
    """Outlines in a map (H, W) to whole pixels of the source image that `shape` describes."""
    if not outlines:
        return []
    map_size = np.array([map_shape[1], map_shape[0]], dtype=np.float64)
    source_size, ratios = shape[1::-1], shape[:1:-1]
    # What was resized is the source or, if that is small, the source padded, and then larger than it. Equal sizes are
    # taken from the source itself: width / (width / source_width) can miss it by a rounding.
    resized_from = map_size / ratios
    resized_from = np.where(abs(resized_from - source_size) <= 1e-6 * source_size, source_size, resized_from)
    # Rectangles have float32 corners and PaddleOCR under NumPy 2 divides them in float32, whole points of polygons in
    # float64, before it multiplies in float64: this decides which way halves are rounded.
    points = np.concatenate(outlines)
    precision = np.float32 if points.dtype.kind == "f" else np.float64
    share = points.astype(precision) / map_size.astype(precision)
    scaled = np.clip(np.round(share.astype(np.float64) * resized_from), 0, source_size).astype(np.float32)
    ends = np.cumsum([len(outline) for outline in outlines]).tolist()
    return [scaled[start:end] for start, end in zip([0, *ends], ends, strict=False)]
