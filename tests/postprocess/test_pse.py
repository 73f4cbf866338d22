"""PSENet's postprocess: the expansion of kernels as PaddleOCR's queue does it, and boxes in the source image."""

from collections import deque

import cv2
import numpy as np
import pytest

from ocrexp.postprocess.expansion import expand
from ocrexp.postprocess.pse import PSEPostProcess


def by_queue(kernels: np.ndarray, min_area: int) -> np.ndarray:
    """The algorithm with one queue, pixel by pixel, as in the paper's code."""
    count, seeds = cv2.connectedComponents(kernels[-1], connectivity=4)
    for number in range(1, count):
        if (seeds == number).sum() < min_area:
            seeds[seeds == number] = 0
    labels = seeds.astype(np.int32)
    queue = deque(tuple(point) for point in np.argwhere(labels))
    for kernel in kernels[-2::-1]:
        later: deque[tuple[int, int]] = deque()
        while queue:
            y, x = queue.popleft()
            edge = True
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                a, b = y + dy, x + dx
                if 0 <= a < kernel.shape[0] and 0 <= b < kernel.shape[1] and kernel[a, b] and not labels[a, b]:
                    labels[a, b] = labels[y, x]
                    queue.append((a, b))
                    edge = False
            if edge:
                later.append((y, x))
        queue = later
    return labels


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_pixel_goes_to_the_region_whose_turn_comes_first(seed: int) -> None:
    noise = np.random.default_rng(seed).random((50, 70)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    kernels = np.stack([smooth > np.quantile(smooth, share) for share in (0.4, 0.6, 0.75, 0.9)]).astype(np.uint8)
    labels = expand(kernels, 4)
    np.testing.assert_array_equal(labels, by_queue(kernels, 4))
    assert labels.max() > 5


def test_boxes_are_in_pixels_of_the_source_image_at_each_scale() -> None:
    """PaddleOCR's are in pixels of the enlarged map divided by the ratio, so that scale=4 gives boxes a quarter as
    large."""
    maps = np.full((1, 3, 40, 60), -8, np.float32)
    maps[0, 0, 10:20, 10:40] = maps[0, 1, 11:19, 11:39] = maps[0, 2, 13:17, 13:37] = 8
    shape = np.array([[320.0, 480.0, 0.5, 0.5]])  # the image was halved
    for scale in (1, 2, 4):
        (found,) = PSEPostProcess(scale=scale)({"maps": maps}, {"shape": shape})
        assert len(found.polygons) == 1 and found.scores[0] > 0.85
        # Corners are centers of pixels, as in PaddleOCR: half a pixel of the maps inside.
        np.testing.assert_allclose(found.polygons[0][[0, 2]], [[80, 80], [320, 160]], atol=2 * scale + 2)
        assert found.polygons[0].dtype == np.float32
    (nothing,) = PSEPostProcess(box_thresh=0.999999)({"maps": maps}, {"shape": shape})
    assert nothing.polygons == []


def test_a_page_without_text_has_no_region() -> None:
    maps = np.full((1, 3, 8, 8), -8, np.float32)
    (found,) = PSEPostProcess()({"maps": maps}, {"shape": np.array([[32.0, 32.0, 1.0, 1.0]])})
    assert found.polygons == [] and found.scores == []


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="scale: expected 1, 2 or 4, got 3"):
        PSEPostProcess(scale=3)
    with pytest.raises(ValueError, match="box_type"):
        PSEPostProcess(box_type="oval")
