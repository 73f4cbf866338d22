"""Where to crop so that words stay whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]  # (n, 4): left, top, right, bottom
Window = tuple[float, float, float, float]  # left, top, width, height


def free_positions(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], length: int) -> list[tuple[int, int]]:
    """Stretches [a, b] of 0..length in which a straight cut goes through no word; words fill the open (start, end)."""
    stretches = []
    free_from = 0
    for i in np.argsort(starts, kind="stable"):
        start, end = int(starts[i]), int(ends[i])
        if start >= free_from:
            stretches.append((free_from, min(start, length)))
        free_from = max(free_from, end)
    if free_from <= length:
        stretches.append((free_from, length))
    return stretches


def fit_window(
    boxes: Boxes, width: int, height: int, min_side_ratio: float, max_tries: int, rng: np.random.Generator
) -> Window:
    """A random window of any size that cuts no word and holds at least one; the whole canvas after `max_tries` misses.

    The choice of EAST and DB as PaddleOCR's EastRandomCropData makes it: two cut positions an axis, each from a random
    stretch between words. Other than there, the stretch behind the last word is among them, and where no word is to be
    kept (an image to learn the background from) any large enough window will do.
    """
    left, top = np.floor(boxes[:, :2]).astype(np.int64).T if len(boxes) else np.empty((2, 0), np.int64)
    right, bottom = np.ceil(boxes[:, 2:]).astype(np.int64).T if len(boxes) else np.empty((2, 0), np.int64)
    across = free_positions(left, right, width)
    down = free_positions(top, bottom, height)
    if not across or not down:
        return 0, 0, width, height
    for _ in range(max_tries):
        x1, x2 = _two_cuts(across, rng)
        y1, y2 = _two_cuts(down, rng)
        if x2 - x1 < max(min_side_ratio * width, 1) or y2 - y1 < max(min_side_ratio * height, 1):
            continue
        if not len(boxes) or np.any((left >= x1) & (right <= x2) & (top >= y1) & (bottom <= y2)):
            return x1, y1, x2 - x1, y2 - y1
    return 0, 0, width, height


def _two_cuts(stretches: list[tuple[int, int]], rng: np.random.Generator) -> tuple[int, int]:
    # One call for all four numbers: the calls take longer than the rest.
    which_1, where_1, which_2, where_2 = rng.random(4).tolist()
    low_1, high_1 = stretches[int(which_1 * len(stretches))]
    low_2, high_2 = stretches[int(which_2 * len(stretches))]
    first, second = low_1 + int(where_1 * (high_1 - low_1 + 1)), low_2 + int(where_2 * (high_2 - low_2 + 1))
    return min(first, second), max(first, second)


def cut_window(
    boxes: Boxes,
    width: float,
    height: float,
    frame: tuple[int, int],
    max_tries: int,
    rng: np.random.Generator,
) -> Window:
    """A frame-sized window on a canvas, around a random word and cutting as few words as `max_tries` tries find.

    Where the canvas is smaller than the frame the window is the canvas.
    """
    window_width, window_height = min(frame[0], width), min(frame[1], height)
    room = np.array([width - window_width, height - window_height])
    best: Window = (0, 0, window_width, window_height)
    fewest = np.inf
    for _ in range(max_tries):
        position = room * rng.random(2)
        if len(boxes):
            box = boxes[rng.integers(len(boxes))]
            low = np.clip(box[2:] - (window_width, window_height), 0, room)
            high = np.clip(box[:2], 0, room)
            low, high = np.minimum(low, high), np.maximum(low, high)
            position = low + (high - low) * rng.random(2)
        x, y = float(position[0]), float(position[1])
        window = (x, y, window_width, window_height)
        cut = int(np.count_nonzero(_touched(boxes, window) & ~_held(boxes, window)))
        if cut < fewest:
            best, fewest = window, cut
        if cut == 0:
            break
    return best


def _held(boxes: Boxes, window: Window) -> npt.NDArray[np.bool_]:
    x, y, w, h = window
    return (boxes[:, 0] >= x) & (boxes[:, 1] >= y) & (boxes[:, 2] <= x + w) & (boxes[:, 3] <= y + h)


def _touched(boxes: Boxes, window: Window) -> npt.NDArray[np.bool_]:
    x, y, w, h = window
    return (boxes[:, 0] < x + w) & (boxes[:, 1] < y + h) & (boxes[:, 2] > x) & (boxes[:, 3] > y)
