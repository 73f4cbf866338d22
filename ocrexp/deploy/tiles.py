"""Runs a detector on pages that are too large for one pass.

The page is cut into overlapping tiles, and the maps of the tiles are joined to one map of the whole page. Each seam is
in the middle of an overlap, where both tiles have seen the surroundings. Regions are then found in the whole map, so
that a line that crosses a seam, or is longer than a tile, is one region.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.transforms.resize import LONG_STRIDE, STRIDE, DetResize
from ocrexp.types import Image

Map = npt.NDArray[np.float32]

SMALLEST, LARGEST = 640, 1536  # sides of a tile in pixels
_USUAL = 960  # side of a tile if the resize only enlarges
_AT_ONCE = 1_000_000  # maximum pixels of the tiles of one batch; more would need memory and save no time


@dataclass(frozen=True)
class Tiling:
    """How a page is cut.

    Args:
        source: height and width of the page.
        size: height and width of the page as the network sees it, and of its map.
        tile: height and width of every tile, multiples of 32.
        tops: first row of the tiles in `size`, ascending multiples of 32.
        lefts: first column of the tiles, likewise.
    """

    source: tuple[int, int]
    size: tuple[int, int]
    tile: tuple[int, int]
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    @property
    def shape(self) -> npt.NDArray[np.float64]:
        """Source height, source width, ratio_h, ratio_w, which map regions back to the page."""
        ratios = [new / old for new, old in zip(self.size, self.source, strict=True)]
        return np.array([*self.source, *ratios], dtype=np.float64)

    @property
    def at_once(self) -> int:
        """The number of tiles in a batch."""
        return max(1, min(len(self), _AT_ONCE // (self.tile[0] * self.tile[1])))

    def tiles(self) -> Iterator[tuple[int, int]]:
        """Row and column of each tile in the grid."""
        return ((row, column) for row in range(len(self.tops)) for column in range(len(self.lefts)))

    def cut(self, page: Image, row: int, column: int) -> Image:
        """The pixels of a tile, uint8 [*tile, 3]; outside of the page, its last pixels are repeated."""
        down = _Axis.of(self.tops[row], self.tile[0], self.size[0], self.source[0])
        across = _Axis.of(self.lefts[column], self.tile[1], self.size[1], self.source[1])
        window = page[down.low : down.high, across.low : across.high]
        if window.shape[:2] == self.tile and self.size == self.source:
            return window
        if self.size == self.source:
            below, beside = self.tile[0] - window.shape[0], self.tile[1] - window.shape[1]
            return np.asarray(cv2.copyMakeBorder(window, 0, below, 0, beside, cv2.BORDER_REPLICATE), np.uint8)
        matrix = np.array([[across.scale, 0, across.start], [0, down.scale, down.start]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        extent = (self.tile[1], self.tile[0])
        # Tile by tile: a resized copy of the whole page would need as much memory as the page.
        resized = cv2.warpAffine(window, matrix, extent, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(resized, np.uint8)

    def paste(self, whole: Map, tile: Map, row: int, column: int) -> None:
        """Write the valid part of a tile's map into the map of the page, in place."""
        top, left = self.tops[row], self.lefts[column]
        first, last = _between_seams(self.tops, row, self.tile[0], self.size[0])
        start, end = _between_seams(self.lefts, column, self.tile[1], self.size[1])
        whole[first:last, start:end] = tile[first - top : last - top, start - left : end - left]


class Tiler:
    """Decides which pages are cut, and joins the maps of the tiles.

    Args:
        resize: the resize to the network's size that is used without tiles. A page that it would shrink is read at its
            own size, in tiles; the side of a tile is the size that the resize gives a page, from 640 to 1536 pixels.
        batch: the network's fixed batch size; None: any.
    """

    def __init__(self, resize: DetResize, batch: int | None = None) -> None:
        self._resize = resize
        self._batch = batch
        self._fixed = resize.image_shape is not None
        if resize.image_shape is not None:
            height, width = (_up(side) for side in resize.image_shape)
            self._largest = (height, width)
        else:
            if resize.resize_long is not None:
                side = _up(resize.resize_long, LONG_STRIDE)
            else:
                side = max(resize.limit_side_len, _USUAL if resize.limit_type == "min" else 0)
            side = _up(min(max(side, SMALLEST), LARGEST))
            self._largest = (side, side)

    def tiling(self, height: int, width: int) -> Tiling | None:
        """How a page of this size is cut; None: it is neither shrunk nor large, and needs no tiles."""
        size = self._resize.unshrunk_size(height, width)
        if size == self._resize.size(height, width) and max(size) <= 2 * max(self._largest):
            return None
        tile_height, tops = _spread(size[0], self._largest[0], self._fixed)
        tile_width, lefts = _spread(size[1], self._largest[1], self._fixed)
        return Tiling((height, width), size, (tile_height, tile_width), tops, lefts)

    def stitched(
        self,
        page: Image,
        tiling: Tiling,
        planes: Callable[[list[Image]], npt.NDArray[np.float32]],
        run: Callable[[npt.NDArray[np.float32]], Map],
    ) -> Map:
        """The map [H, W] of a page, float32.

        Args:
            page: uint8 [height, width, 3].
            tiling: of a page of this size.
            planes: images of equal size -> the network's input [N, C, H, W].
            run: that input -> maps [N, C, H, W], of which channel 0 is used.
        """
        whole = np.empty(tiling.size, np.float32)
        places = tiling.tiles()
        while group := list(islice(places, self._batch or tiling.at_once)):
            images = [tiling.cut(page, *place) for place in group]
            missing = (self._batch or len(images)) - len(images)
            maps = run(planes(images + images[-1:] * missing))
            for tile, place in zip(maps[:, 0], group, strict=False):
                tiling.paste(whole, tile, *place)
        return whole


@dataclass(frozen=True)
class _Axis:
    """The source of a tile's pixels along one axis: source pixels `low` to `high` (exclusive), and the source
    position of the tile's pixel i in that window, start + scale · i."""

    low: int
    high: int
    start: float
    scale: float

    @staticmethod
    def of(offset: int, length: int, size: int, source: int) -> _Axis:
        scale = source / size
        first = (offset + 0.5) * scale - 0.5  # centers of pixels, as cv2.resize
        last = (min(offset + length, size) - 0.5) * scale - 0.5
        low = min(max(math.floor(first), 0), source - 1)
        high = min(math.ceil(last) + 1, source)
        return _Axis(low, high, first - low, scale)


def _spread(size: int, largest: int, fixed: bool) -> tuple[int, tuple[int, ...]]:
    """Side and start positions of the tiles along an axis of `size` pixels; neighbors share about a quarter.

    All tiles have the same side, so that the network gets one size; unless `fixed`, it is as small as possible.
    """
    if size <= largest:
        return largest if fixed else size, (0,)
    overlap = _up(largest // 4)
    count = math.ceil((size - overlap) / (largest - overlap)) if largest > overlap else size // STRIDE
    side = largest if fixed else min(_up(math.ceil((size + (count - 1) * overlap) / count)), largest)
    steps = count - 1
    starts = tuple(round((size - side) * index / steps / STRIDE) * STRIDE for index in range(count))
    return side, starts


def _between_seams(starts: tuple[int, ...], index: int, side: int, size: int) -> tuple[int, int]:
    """The rows (or columns) of the page's map that a tile fills: up to the middle of its overlap with neighbors."""
    first = 0 if index == 0 else (starts[index] + starts[index - 1] + side) // 2
    last = size if index == len(starts) - 1 else (starts[index + 1] + starts[index] + side) // 2
    return first, last


def _up(side: int, stride: int = STRIDE) -> int:
    return (side + stride - 1) // stride * stride
