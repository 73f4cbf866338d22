"""Progressive scale expansion (Wang et al., arXiv 1903.12473, algorithm 1): kernels grow into ever larger maps.

The order of PaddleOCR's queue is kept, so that a pixel between two regions goes to the same one; but all pixels of
equal distance are looked at together.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int32]


def expand(kernels: npt.NDArray[np.uint8], min_area: float) -> Labels:
    """Labels 1 … n of the regions, int32 [H, W], 0 elsewhere.

    Args:
        kernels: 0 or 1, [maps, H, W], from the text to the smallest kernel.
        min_area: smallest kernels of fewer pixels are dropped.
    """
    count, seeds, figures, _ = cv2.connectedComponentsWithStats(kernels[-1], connectivity=4)
    kept = figures[:, cv2.CC_STAT_AREA] >= min_area
    kept[0] = False
    if not kept.any():
        return np.zeros(seeds.shape, np.int32)
    # A border of zeros, so that neighbors are index arithmetic.
    height, width = seeds.shape
    stride = width + 2
    labels = np.zeros((height + 2) * stride, np.int32)
    labels.reshape(height + 2, stride)[1:-1, 1:-1] = np.where(kept, np.arange(count), 0).astype(np.int32)[seeds]
    queue = np.flatnonzero(labels)
    steps = np.array([-stride, stride, -1, 1])
    claimed_by = np.empty(len(labels), np.int64)
    for kernel in kernels[-2::-1]:
        room = np.zeros((height + 2, stride), bool)
        room[1:-1, 1:-1] = kernel > 0
        free = room.reshape(-1)
        free &= labels == 0
        rims = []  # pixels that have claimed none; they begin in the next map
        while len(queue):
            neighbors = queue[:, None] + steps
            claims = np.flatnonzero(free[neighbors])
            wanted = neighbors.reshape(-1)[claims]
            # Of several that reach a pixel the first one gets it: the last assignment stays, so they go backwards.
            claimed_by[wanted[::-1]] = claims[::-1]
            first = claimed_by[wanted] == claims
            claims, wanted = claims[first], wanted[first]
            owners = claims // 4
            labels[wanted] = labels[queue[owners]]
            free[wanted] = False
            rim = np.ones(len(queue), bool)
            rim[owners] = False
            rims.append(queue[rim])
            queue = wanted
        queue = np.concatenate(rims)
    return np.ascontiguousarray(labels.reshape(height + 2, stride)[1:-1, 1:-1])
