"""From the maps of a Differentiable Binarization head to text regions (Liao et al., https://arxiv.org/abs/1911.08947).

A map is binarised, its connected regions are outlined, each outline is scored by the mean probability inside and,
because the network learns shrunk regions, grown by distance = area · unclip_ratio / perimeter (Vatti's clipping).
Boxes are those of PaddleOCR's DBPostProcess, in its order, and come with their scores.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import pyclipper

from ocrexp.errors import ConfigError
from ocrexp.types import Batch, DetPrediction, Polygon

Map = npt.NDArray[np.float32]  # (height, width), probabilities
Outline = list[list[float]]  # points (x, y) in pixels of the map
Points = npt.NDArray[np.float32] | npt.NDArray[np.int32]  # (n, 2), x then y, in pixels of the map
Region = tuple[Points, float]  # with its score

DILATION_KERNEL = np.ones((2, 2), dtype=np.uint8)
CONTOUR_TOLERANCE = 0.002  # of the perimeter, when an outline is simplified to a polygon
UNCLIPPED_MARGIN = 2  # the unclipped box must exceed min_size by it, in map pixels


class DBPostProcess:
    """Regions of each image from `outputs["maps"]`, float32 [N, C, H, W], of which channel 0 is used.

    Args:
        thresh: a pixel belongs to a region if its probability is above it.
        box_thresh: a region is kept if its score is at least this.
        unclip_ratio: how far regions are grown; 1.5 undoes a shrink ratio of 0.4.
        max_candidates: at most so many outlines of an image are looked at.
        use_dilation: grow the binary map by one pixel to the right and downwards first.
        score_mode: `fast` takes the mean inside the outline's rectangle (polygon: the simplified outline), `slow`
            that inside the outline itself.
        box_type: `quad` gives rotated rectangles of four points, clockwise from the top left; `poly` polygons.
        min_size: in map pixels: rectangles with a shorter side are dropped, before unclipping below `min_size`
            (`quad`), after it below `min_size + 2`.
        largest_candidates: what `max_candidates` keeps: the outlines of the largest area, or (false) those that are
            found first, which is from the bottom of the image upwards, as PaddleOCR does.
        skip_holes: leave out the outlines of holes; PaddleOCR takes them for regions.

    Called with the batch's `shape`, float64 [N, 4] (source height, source width, ratio_h, ratio_w); polygons are
    float32 (n, 2), rounded to whole source pixels and clipped to [0, width] and [0, height].

    Where PaddleOCR errs: it ignores `score_mode` for polygons; it drops a polygon whose unclipping closes a gap,
    where here the outer ring is kept; it scales by the source size, which puts the boxes of images
    that were padded before resizing in the wrong place, where here the ratios lead. Raises ConfigError.
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
            raise ConfigError(f"postprocess.score_mode is {score_mode!r}: use fast or slow")
        if box_type not in ("quad", "poly"):
            raise ConfigError(f"postprocess.box_type is {box_type!r}: use quad or poly")
        if max_candidates < 1:
            raise ConfigError(f"postprocess.max_candidates is {max_candidates}: it must be at least 1")
        if unclip_ratio < 0:
            raise ConfigError(f"postprocess.unclip_ratio is {unclip_ratio}: it cannot be negative")
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
        outline_region = self._quad if self.box_type == "quad" else self._polygon
        found = [region for c in self._contours(binary) if (region := outline_region(probability, c)) is not None]
        polygons = _to_source([region[0] for region in found], binary.shape, shape)
        return DetPrediction(polygons=polygons, scores=[region[1] for region in found])

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

    def _quad(self, probability: Map, contour: npt.NDArray[np.int32]) -> Region | None:
        if len(contour) < 3 and self.min_size > 0:  # a point or a line has no width
            return None
        corners, shorter = _smallest_rectangle(contour)
        if shorter < self.min_size:
            return None
        if self.score_mode == "slow":
            score = mean_inside(probability, contour)
        else:
            score = mean_inside_rectangle(probability, corners)
        if score < self.box_thresh:
            return None
        rings = unclip(corners, self.unclip_ratio)
        if len(rings) != 1:
            return None
        corners, shorter = _smallest_rectangle(np.array(rings[0], dtype=np.int32))
        return (np.array(corners, dtype=np.float32), score) if shorter >= self.min_size + UNCLIPPED_MARGIN else None

    def _polygon(self, probability: Map, contour: npt.NDArray[np.int32]) -> Region | None:
        simplified = cv2.approxPolyDP(contour, CONTOUR_TOLERANCE * cv2.arcLength(contour, True), True)
        if len(simplified) < 4:
            return None
        score = mean_inside(probability, contour if self.score_mode == "slow" else simplified)
        if score < self.box_thresh:
            return None
        rings = unclip(simplified[:, 0].tolist(), self.unclip_ratio)
        if not rings:
            return None
        ring = np.array(max(rings, key=pyclipper.Area) if len(rings) > 1 else rings[0], dtype=np.int32)
        shorter = min(cv2.minAreaRect(ring)[1])
        return (ring, score) if shorter >= self.min_size + UNCLIPPED_MARGIN else None


def mean_inside(probability: Map, contour: npt.NDArray[np.int32]) -> float:
    """Mean of a map (H, W) inside a contour (n, 1, 2) that lies in it; only the contour's window is looked at."""
    left, top, width, height = cv2.boundingRect(contour)
    mask = np.zeros((height, width), dtype=np.uint8)
    cv2.fillPoly(mask, [contour], 1, offset=(-left, -top))
    return float(cv2.mean(probability[top : top + height, left : left + width], mask)[0])


def mean_inside_rectangle(probability: Map, corners: Outline) -> float:
    """Mean of a map (H, W) inside a rectangle that may reach beyond it; fractions are cut off within its window."""
    height, width = probability.shape
    xs, ys = [corner[0] for corner in corners], [corner[1] for corner in corners]
    left, right = _within(math.floor(min(xs)), width), _within(math.ceil(max(xs)), width)
    top, bottom = _within(math.floor(min(ys)), height), _within(math.ceil(max(ys)), height)
    mask = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
    in_window = np.array([(int(x - left), int(y - top)) for x, y in corners], dtype=np.int32)
    cv2.fillPoly(mask, [in_window], 1)
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], mask)[0])


def unclip(outline: Outline, ratio: float) -> list[Outline]:
    """Rings of an outline grown by area · ratio / perimeter; its fractions are cut off first, as pyclipper does."""
    area, perimeter = _area_and_perimeter(outline)
    if perimeter == 0:
        return []
    offset = pyclipper.PyclipperOffset()
    whole = outline if isinstance(outline[0][0], int) else [[int(x), int(y)] for x, y in outline]
    offset.AddPath(whole, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    rings: list[Outline] = offset.Execute(area * ratio / perimeter)
    return rings


def _area_and_perimeter(outline: Outline) -> tuple[float, float]:
    following = outline[1:] + outline[:1]
    perimeter = sum(map(math.dist, outline, following))
    x0, y0 = outline[0]  # from here, so that large coordinates do not cost digits
    double_area = sum(
        (x - x0) * (v - y0) - (u - x0) * (y - y0) for (x, y), (u, v) in zip(outline, following, strict=True)
    )
    return abs(double_area) / 2, perimeter


def _smallest_rectangle(points: npt.NDArray[np.int32]) -> tuple[Outline, float]:
    """Corners of the smallest rotated rectangle, clockwise from the top left, and its shorter side."""
    rectangle = cv2.minAreaRect(points)
    a, b, c, d = sorted(cv2.boxPoints(rectangle).tolist(), key=lambda point: point[0])
    top_left, bottom_left = (a, b) if b[1] > a[1] else (b, a)
    top_right, bottom_right = (c, d) if d[1] > c[1] else (d, c)
    return [top_left, top_right, bottom_right, bottom_left], min(rectangle[1])


def _to_source(outlines: list[Points], map_shape: tuple[int, ...], shape: npt.NDArray[np.float64]) -> list[Polygon]:
    """Outlines in a map (H, W) to whole pixels of the source image that `shape` describes."""
    if not outlines:
        return []
    map_size = np.array([map_shape[1], map_shape[0]], dtype=np.float64)
    source_size, ratios = shape[1::-1], shape[:1:-1]
    # What was resized is the source or, if that is small, the source padded, and then larger than it. Equal sizes are
    # taken from the source itself: width / (width / source_width) can miss it by a rounding.
    resized_from = map_size / ratios
    resized_from = np.where(np.isclose(resized_from, source_size, rtol=1e-6, atol=0), source_size, resized_from)
    # Rectangles have float32 corners and PaddleOCR under NumPy 2 divides them in float32, whole points of polygons in
    # float64, before it multiplies in float64: this decides which way halves are rounded.
    points = np.concatenate(outlines)
    precision = np.float32 if points.dtype.kind == "f" else np.float64
    share = points.astype(precision) / map_size.astype(precision)
    scaled = np.clip(np.round(share.astype(np.float64) * resized_from), 0, source_size).astype(np.float32)
    return np.split(scaled, np.cumsum([len(outline) for outline in outlines])[:-1])


def _within(value: int, size: int) -> int:
    return min(max(value, 0), size - 1)
