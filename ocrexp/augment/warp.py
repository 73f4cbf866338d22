"""The single warp: flip, rotation, scale and crop in one resampling from the file's pixels to the training crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import cv2
import numpy as np

from ocrexp.augment import geometry
from ocrexp.augment.crop import cut_window, fit_window
from ocrexp.types import Image, ImageKind, Sample

# A word that loses less than this many pixels to the frame still counts as whole.
_CUT_TOLERANCE = 1.0
_MIN_CROP_SIDE_RATIO = 0.1  # PaddleOCR's


class RandomWarpCrop:
    """Flip, rotate, scale and crop with one affine warp; polygons go through the same matrix in float64.

    `crop="fit"` is PaddleOCR's chain Fliplr, Affine, Resize, EastRandomCropData: a window of any size that cuts no
    legible word, scaled to fill the frame with its aspect kept, black at the right and bottom. The window fills the
    frame whatever the image was resized to before, so all that `scale` does there (and in PaddleOCR) is to take detail
    away: an image scaled by 0.5 and then enlarged is blurred. Scales above 1 add nothing.

    `crop="cut"`: `scale` is the size of the words. A frame-sized window is cut from the image scaled by it, around a
    random legible word and through as few others as can be; words that the frame cuts become ignored regions.

    `crop="whole"`: the whole image, as large as the frame allows; with flip 0, rotate [0, 0], scale [1, 1] nothing is
    random.

    Regions completely outside of the image or the frame are dropped, and words that rotation moves beyond the image's
    own frame are kept: the canvas grows to hold what of them is on the image, never what a label places outside.

    Args:
        size: width and height of the crop, pixels.
        flip: probability of mirroring left and right.
        rotate: range of the angle, degrees.
        scale: range of the scale, uniform.
        crop: "fit", "cut" or "whole".
        reference_side: with "cut", the longest side to which an image is brought before `scale` counts (that of the
            evaluation, for instance); null: `scale` is of the file's own pixels.
        min_crop_side_ratio: with "fit", the smallest side of the window, as a share of the image's side; null: 0.1.
        max_tries: windows tried before the whole image ("fit") or the best so far ("cut") is taken.
        keep_ratio: with "fit", false stretches the window to the frame.
        reduced_decode: decode a JPEG at 1/2, 1/4, 1/8 of its size where the warp shrinks it at least that much; that
            is faster, and smoother than skipping over its pixels.
    """

    images: ClassVar[ImageKind] = "page"

    reads_encoded = True

    def __init__(
        self,
        size: Sequence[int] = (640, 640),
        flip: float = 0.5,
        rotate: Sequence[float] = (-10, 10),
        scale: Sequence[float] = (0.5, 3.0),
        crop: str = "fit",
        reference_side: int | None = None,
        min_crop_side_ratio: float | None = None,
        max_tries: int = 10,
        keep_ratio: bool = True,
        reduced_decode: bool = True,
    ) -> None:
        self.width, self.height = self._pair("size", size)
        self.rotate = self._pair("rotate", rotate)
        self.scale = self._pair("scale", scale)
        if crop not in ("fit", "cut", "whole"):
            raise ValueError(f"crop: expected fit, cut or whole, got {crop!r}")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"size: expected [width, height] of 1 pixel or more, got {list(size)}")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale: expected [low, high], above 0, got {list(scale)}")
        if self.rotate[0] > self.rotate[1]:
            raise ValueError(f"rotate: expected [low, high], got {list(rotate)}")
        if not 0 <= flip <= 1:
            raise ValueError(f"flip: expected a probability from 0 to 1, got {flip}")
        if crop != "cut" and reference_side is not None:
            raise ValueError("reference_side: only for crop=cut; set crop=cut or remove it")
        if crop == "cut" and not keep_ratio:
            raise ValueError("keep_ratio=false: only for crop=fit; set crop=fit or remove it")
        if crop != "fit" and min_crop_side_ratio is not None:
            raise ValueError("min_crop_side_ratio: only for crop=fit; set crop=fit or remove it")
        if min_crop_side_ratio is not None and not 0 <= min_crop_side_ratio <= 1:
            raise ValueError(f"min_crop_side_ratio: expected a share from 0 to 1, got {min_crop_side_ratio}")
        if max_tries < 1:
            raise ValueError(f"max_tries: expected 1 or more, got {max_tries}")
        self.flip = flip
        self.crop = crop
        self.reference_side = reference_side
        self.min_crop_side_ratio = _MIN_CROP_SIDE_RATIO if min_crop_side_ratio is None else min_crop_side_ratio
        self.max_tries = max_tries
        self.keep_ratio = keep_ratio
        self.reduced_decode = reduced_decode

    def plain(self) -> RandomWarpCrop:
        """The same frame without randomness: the whole image (debug=overfit)."""
        return RandomWarpCrop((self.width, self.height), flip=0.0, rotate=(0, 0), scale=(1, 1), crop="whole")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        height, width = sample["image"].shape[:2] if "image" in sample else sample["encoded"].size
        on_image = _leave_out_beyond(sample, width, height)
        flip = bool(rng.random() < self.flip)
        angle = rng.uniform(*self.rotate)
        scale = rng.uniform(*self.scale)

        matrix = geometry.flip_and_rotate(width, height, flip, angle)
        if self.crop == "cut":
            if self.reference_side is not None:
                scale *= self.reference_side / max(height, width)
            matrix = geometry.compose(matrix, geometry.scaling(scale, scale))
            height, width = height * scale, width * scale
        polygons = geometry.transform(on_image, matrix)
        boxes = geometry.boxes_of([p for p, ignored in zip(polygons, sample["ignored"], strict=True) if not ignored])
        # The canvas: the image's own frame, grown to hold what the rotation moves out of it.
        corners = np.vstack([[(0, 0, width, height)], boxes]) if len(boxes) else np.array([(0, 0, width, height)])
        left, top = np.floor(corners[:, :2].min(axis=0))
        right, bottom = np.ceil(corners[:, 2:].max(axis=0))
        boxes = boxes - (left, top, left, top)
        if self.crop != "cut":
            window = (0.0, 0.0, right - left, bottom - top)
            if self.crop == "fit":
                window = fit_window(
                    boxes, int(right - left), int(bottom - top), self.min_crop_side_ratio, self.max_tries, rng
                )
            zoom_x, zoom_y = self.width / window[2], self.height / window[3]
            if self.keep_ratio:
                zoom_x = zoom_y = min(zoom_x, zoom_y)
            detail = min(scale, 1.0)
        else:
            window = cut_window(boxes, right - left, bottom - top, (self.width, self.height), self.max_tries, rng)
            zoom_x = zoom_y = 1.0
            detail = 1.0
        last = geometry.compose(
            geometry.translation(-left - window[0], -top - window[1]), geometry.scaling(zoom_x, zoom_y)
        )
        content = max(int(window[2] * zoom_x), 1), max(int(window[3] * zoom_y), 1)

        net = max(zoom_x, zoom_y) * (scale if self.crop == "cut" else 1.0)
        source, source_scale = self._source(sample, min(net, detail), detail if detail < net else None)
        whole = geometry.compose(geometry.scaling(*source_scale), matrix, last)
        sample["image"] = geometry.warp(source, whole, content, (self.width, self.height))
        boxes = geometry.boxes_of(geometry.transform(polygons, last))
        moved = geometry.transform(sample["polygons"], geometry.compose(matrix, last))
        sample["polygons"] = [geometry.as_polygon(polygon) for polygon in moved]
        return _keep_visible(sample, boxes, content, whole_words=self.crop == "cut")

    def _source(self, sample: Sample, needed: float, detail: float | None) -> tuple[Image, tuple[float, float]]:
        """Pixels to sample from and the scale from them to the file's own size.

        `needed`: how many of them, a side, as a share of the file's. `detail`: bring the image down to this share
        first.
        """
        if "image" in sample:
            pixels = sample["image"]
            height, width = pixels.shape[:2]
            reduction = 1
        else:
            encoded = sample["encoded"]
            height, width = encoded.size
            reduction = encoded.reducible(needed) if self.reduced_decode else 1
            pixels = encoded.decode(reduction)
        if detail is None:
            return pixels, (reduction, reduction)
        small = max(round(width * detail), 1), max(round(height * detail), 1)
        if small != (pixels.shape[1], pixels.shape[0]):
            pixels = cv2.resize(pixels, small, interpolation=cv2.INTER_LINEAR)
        return pixels, (width / small[0], height / small[1])

    def _pair(self, name: str, values: Sequence) -> tuple:
        if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != 2:
            raise ValueError(f"{name}: expected two numbers, got {values!r}")
        return values[0], values[1]


def _leave_out_beyond(sample: Sample, width: int, height: int) -> list[np.ndarray]:
    """Drop regions completely outside of the image; returns the others with their points moved onto it."""
    polygons = sample["polygons"]
    boxes = geometry.boxes_of(polygons)
    reaches = (boxes[:, :2] < 0).any(axis=1) | (boxes[:, 2:] > (width, height)).any(axis=1)
    if not reaches.any():
        return list(polygons)
    kept = (boxes[:, 2] > 0) & (boxes[:, 3] > 0) & (boxes[:, 0] < width) & (boxes[:, 1] < height)
    _select(sample, kept)
    return [np.clip(polygon, 0, (width, height)) for polygon in sample["polygons"]]


def _keep_visible(sample: Sample, boxes: np.ndarray, content: tuple[int, int], whole_words: bool) -> Sample:
    """Drop regions outside of the content (width, height); with `whole_words`, ignore those that its edges cut.

    `boxes`: of what of the regions lies on the image, in the frame's pixels.
    """
    visible = (boxes[:, 2] > 0) & (boxes[:, 3] > 0) & (boxes[:, 0] < content[0]) & (boxes[:, 1] < content[1])
    if whole_words and len(boxes):
        low, high = -_CUT_TOLERANCE, np.array(content) + _CUT_TOLERANCE
        cut = (boxes[:, :2] < low).any(axis=1) | (boxes[:, 2:] > high).any(axis=1)
        sample["ignored"] = np.asarray(sample["ignored"], dtype=bool) | cut
    _select(sample, visible)
    return sample


def _select(sample: Sample, kept: np.ndarray) -> None:
    """Drop the regions that are not `kept`."""
    places = np.flatnonzero(kept)
    sample["polygons"] = [sample["polygons"][i] for i in places]
    sample["texts"] = [sample["texts"][i] for i in places]
    sample["ignored"] = np.asarray(sample["ignored"], dtype=bool)[places]


class EastRandomCrop(RandomWarpCrop):
    """PaddleOCR's EastRandomCropData alone, for lists of augmenters: a window that cuts no word, brought to `size`."""

    def __init__(
        self,
        size: Sequence[int] = (640, 640),
        max_tries: int = 10,
        min_crop_side_ratio: float = _MIN_CROP_SIDE_RATIO,
        keep_ratio: bool = True,
    ) -> None:
        super().__init__(
            size=size,
            flip=0.0,
            rotate=(0, 0),
            scale=(1, 1),
            min_crop_side_ratio=min_crop_side_ratio,
            max_tries=max_tries,
            keep_ratio=keep_ratio,
        )
