"""Nearly equal images: pairs whose perceptual hashes differ in few bits, and whose pixels agree when they are compared.

Two hashes of 128 bits that differ in up to 7 bits share at least one of their eight parts of 16 bits, so only images
with a common part are compared (multi-index hashing, Norouzi et al., CVPR 2012).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.images import gray_of
from ocrexp.data.checking.repeats import groups_of_equals

MOST_BITS = 12  # of 128 in which the hashes of a pair differ
_MOST_TOGETHER = 64  # images with the same part of a hash that are compared pair by pair
_NEIGHBORS = 8  # in larger groups: with how many of the images that follow in the order of their hashes
_ASPECTS = 0.05  # largest difference of the logarithms of their aspects
_LEAST_BITS = 12  # set bits of a hash: an image without structure resembles all others
_SIDE = 96  # pixels of the longer side at which pixels are compared
_AGREE = 0.985  # correlation of the pixels of a pair
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1).astype(np.uint8)


def near_pairs(
    bits: npt.NDArray[np.uint8], aspects: npt.NDArray[np.float64], useful: npt.NDArray[np.bool_]
) -> list[tuple[int, int]]:
    """Pairs of images (i < j) with similar hashes and aspects.

    Args:
        bits: hashes, uint8 [n, 16].
        aspects: width / height, [n].
        useful: images to compare, bool [n].
    """
    rows = np.flatnonzero(useful & (_BITS[bits].sum(axis=1) >= _LEAST_BITS))
    some = bits[rows]
    found: set[tuple[int, int]] = set()
    parts = np.ascontiguousarray(some).view(np.uint16)
    for column in range(parts.shape[1]):
        for group in groups_of_equals(parts[:, column]):
            if parts[group[0], column] in (0, 0xFFFF):
                continue
            for a, b in _candidates(group, some):
                i, j = sorted((int(rows[a]), int(rows[b])))
                if (i, j) in found or abs(np.log(aspects[i] / aspects[j])) > _ASPECTS:
                    continue
                if int(_BITS[some[a] ^ some[b]].sum()) <= MOST_BITS:
                    found.add((i, j))
    return sorted(found)


def _candidates(group: list[int], bits: npt.NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    if len(group) <= _MOST_TOGETHER:
        yield from ((group[x], group[y]) for x in range(len(group)) for y in range(x + 1, len(group)))
        return
    order = np.lexsort(bits[group].T[::-1])
    ranked = [group[place] for place in order.tolist()]
    for place, first in enumerate(ranked):
        yield from ((first, second) for second in ranked[place + 1 : place + 1 + _NEIGHBORS])


def agree(first: Path, second: Path, shape: tuple[int, int]) -> bool:
    """Whether the pixels of two images agree, at a size of up to 96 pixels; `shape` is (height, width) of the first."""
    scale = min(1.0, _SIDE / max(shape))
    size = (max(8, round(shape[1] * scale)), max(8, round(shape[0] * scale)))
    images = [gray_of(path, size) for path in (first, second)]
    if images[0] is None or images[1] is None:
        return False
    a, b = (cv2.GaussianBlur(image, (3, 3), 0).astype(np.float64) for image in images if image is not None)
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return norm > 0 and float((a * b).sum()) / norm >= _AGREE


def confirmed(
    pairs: list[tuple[int, int]], path: Callable[[int], Path], shape: Callable[[int], tuple[int, int]], most: int
) -> tuple[list[tuple[int, int]], int]:
    """The pairs whose pixels agree, of the first `most`, and how many pairs were not compared."""
    good = [pair for pair in pairs[:most] if agree(path(pair[0]), path(pair[1]), shape(pair[0]))]
    return good, max(0, len(pairs) - most)
