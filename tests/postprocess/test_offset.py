"""Grown rectangles are pyclipper's: the same smallest rectangle around them, to the last digit."""

import cv2
import numpy as np

from ocrexp.postprocess.db import smallest_rectangles, unclip_rectangles
from ocrexp.postprocess.offset import areas_and_perimeters, as_points, grown, grown_rectangles


def drawn_rectangles(count: int) -> np.ndarray:
    """Rectangles of text-like and odd sizes at odd angles, some of them upright, some reaching out of the image."""
    rng = np.random.default_rng(0)
    angles = rng.choice([0.0, 90.0, 45.0, *rng.uniform(-90, 90, 20), *rng.uniform(-3, 3, 10)], count)
    centres = rng.uniform((-50, -50), (1300, 1000), (count, 2))
    sizes = np.exp(rng.uniform(np.log((3, 3)), np.log((600, 200)), (count, 2)))
    drawn = [
        cv2.boxPoints((centre, size, angle))
        for centre, size, angle in zip(centres.tolist(), sizes.tolist(), angles.tolist(), strict=True)
    ]
    return smallest_rectangles(drawn)[0]


def test_grown_rectangles_are_those_of_pyclipper() -> None:
    corners = drawn_rectangles(3000)
    areas, perimeters = areas_and_perimeters(corners)
    distances = areas * 1.5 / perimeters
    ours = grown_rectangles(corners, distances)
    theirs = [as_points(grown(outline, distance)[0]) for outline, distance in zip(corners, distances, strict=True)]
    assert sum(ring is not None for ring in ours) > 2900
    for outline, ring, expected in zip(corners, ours, theirs, strict=True):
        if ring is not None:
            assert {tuple(point) for point in expected.tolist()} <= {tuple(point) for point in ring.tolist()}, outline
            np.testing.assert_array_equal(smallest_rectangles([ring])[0], smallest_rectangles([expected])[0])


def test_what_has_no_round_corners_is_left_to_pyclipper() -> None:
    speck = np.array([[[10, 10], [13, 10], [13, 13], [10, 13]]], dtype=np.float32)
    assert grown_rectangles(speck, np.array([0.5])) == [None]
    (ring,) = unclip_rectangles(speck, 0.1)
    assert ring is not None and ring.min() == 10 and ring.max() == 13
    assert unclip_rectangles(np.full((1, 4, 2), 7, np.float32), 1.5) == [None]  # no perimeter, no ring
    assert unclip_rectangles(np.empty((0, 4, 2), np.float32), 1.5) == []


def test_areas_and_perimeters_of_outlines_of_different_lengths() -> None:
    far = 1e6
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], dtype=np.int32)
    triangle = np.array([[far, far], [far + 3, far], [far, far + 4]], dtype=np.float32)
    areas, perimeters = areas_and_perimeters([square, triangle])
    np.testing.assert_allclose(areas, [16, 6])
    np.testing.assert_allclose(perimeters, [16, 12])
