"""A crop of one size at any place, through words where it falls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ocrexp.augment.clipping import clip_regions
from ocrexp.augment.geometry import as_polygon, boxes_of
from ocrexp.augment.warp import RandomWarpCrop
from ocrexp.types import ImageKind, Sample


class ClipCrop:
    """Cuts a window of the frame's size, without a change of scale, and the regions with it.

    What of a cut region lies in the window stays a region, other than in crops that keep words whole (`EastRandomCrop`)
    or ignore cut ones (`RandomWarpCrop` with crop=cut): edges of crops look like edges of images to the network. An
    image that is smaller than the frame is placed anywhere in it, black elsewhere.

    Args:
        size: width and height of the window, pixels.
        max_tries: windows tried until one shows enough of a legible region; then one around such a region is taken.
        min_visible: regions of which a smaller share of their area is left become ignored.

    Raises ValueError for invalid values.
    """

    images: ClassVar[ImageKind] = "page"

    def __init__(self, size: Sequence[int] = (640, 640), max_tries: int = 50, min_visible: float = 0.25) -> None:
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"size: expected width and height, 1 pixel or more each, got {list(size)}")
        if max_tries < 1:
            raise ValueError(f"max_tries: expected a whole number, 1 or more, got {max_tries}")
        if not 0 <= min_visible <= 1:
            raise ValueError(f"min_visible: expected a number from 0 to 1, got {min_visible}")
        self.width, self.height = int(size[0]), int(size[1])
        self.max_tries, self.min_visible = max_tries, min_visible

    def plain(self) -> RandomWarpCrop:
        """The same frame without randomness: the whole image (debug=overfit)."""
        return RandomWarpCrop((self.width, self.height), flip=0.0, rotate=(0, 0), scale=(1, 1), crop="whole")

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        image = sample["image"]
        height, width = image.shape[:2]
        ignored = np.asarray(sample["ignored"], dtype=bool)
        boxes = boxes_of(sample["polygons"])[~ignored]
        x, y = self._place(boxes, width, height, rng)
        frame = np.zeros((self.height, self.width, *image.shape[2:]), image.dtype)
        source = image[max(y, 0) : y + self.height, max(x, 0) : x + self.width]
        top, left = max(-y, 0), max(-x, 0)
        frame[top : top + source.shape[0], left : left + source.shape[1]] = source
        sample["image"] = frame
        clip_regions(sample, width, height, self.min_visible)  # what a label places beyond the image is not there
        offset = np.array([x, y], np.float64)
        sample["polygons"] = [as_polygon(polygon - offset) for polygon in sample["polygons"]]
        clip_regions(sample, self.width, self.height, self.min_visible)
        return sample

    def _place(self, boxes: np.ndarray, width: int, height: int, rng: np.random.Generator) -> tuple[int, int]:
        """Where in the image the frame's corner lies; below 0 if the image is smaller."""
        room = np.array([width - self.width, height - self.height])
        low, high = np.minimum(room, 0), np.maximum(room, 0)
        corner = low
        for _ in range(self.max_tries):
            corner = rng.integers(low, high + 1)
            if not len(boxes) or self._shows(boxes, corner).any():
                return int(corner[0]), int(corner[1])
        box = boxes[rng.integers(len(boxes))]
        middle = np.round((box[:2] + box[2:]) / 2).astype(int) - (self.width // 2, self.height // 2)
        corner = np.clip(middle, low, high)
        return int(corner[0]), int(corner[1])

    def _shows(self, boxes: np.ndarray, corner: np.ndarray) -> np.ndarray:
        """Which boxes have enough of their area in the frame."""
        ends = corner + np.array([self.width, self.height])
        sides = np.clip(np.minimum(boxes[:, 2:], ends) - np.maximum(boxes[:, :2], corner), 0, None)
        areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6), axis=1)
        shown = np.prod(sides, axis=1)
        return (shown > 0) & (shown >= self.min_visible * areas)
