"""FCENet's targets against PaddleOCR's, the outlines that the coefficients give, and where PaddleOCR errs."""

import curved_text
import numpy as np
import pytest
import shapely

from ocrexp.data.targets.fce import CENTER, COUNTED, NAMES, TEXT, FCETargets
from ocrexp.data.targets.fourier import center_boxes, fourier_signature, side_lines

RNG = np.random.default_rng(0)
BOX = np.array([[10, 10], [110, 10], [110, 40], [10, 40]], np.float64)


def targets(polygons, ignored=None, size=(160, 160), **kwargs):
    return FCETargets(**kwargs)(curved_text.sample_of(polygons, ignored, size), RNG)


def outline(signature, points=100):
    degree = len(signature) // 2
    waves = np.exp(2j * np.pi / points * np.outer(np.arange(-degree, degree + 1), np.arange(points)))
    found = signature @ waves
    return np.stack([found.real, found.imag], axis=1)


def test_maps_are_those_of_paddleocr(golden) -> None:
    polygons = [np.round(polygon / 2) for polygon in curved_text.POLYGONS]
    made = targets(polygons, [False, False, False, False, True])
    with np.load(golden / "targets" / "polygon_detectors.npz") as arrays:
        for name in NAMES:
            expected = arrays[f"fce.{name}"]
            np.testing.assert_array_equal(made[name][:3], expected[:3], err_msg=name)
            np.testing.assert_allclose(made[name][3:], expected[3:], atol=1e-5, err_msg=name)
    assert sum(int(made[name][TEXT].sum()) for name in NAMES) > 40


@pytest.mark.parametrize("polygon", curved_text.POLYGONS, ids=range(len(curved_text.POLYGONS)))
def test_coefficients_give_the_outline_back_clockwise_from_its_top(polygon) -> None:
    for points in (polygon, polygon[::-1]):
        found = outline(fourier_signature(points.astype(np.float64), 5))
        ours, label = shapely.Polygon(found).buffer(0), shapely.Polygon(points)
        assert ours.intersection(label).area / ours.union(label).area > 0.85
        x, y = found.T
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0  # clockwise where y points down
        middle = found.mean(axis=0)
        assert found[0, 1] < middle[1] and abs(found[0, 0] - middle[0]) < np.ptp(x) / 4


def test_centers_follow_the_middle_line_and_leave_the_ends_out() -> None:
    top, bottom = side_lines(BOX)
    assert (top[:, 1] == 10).all() and (bottom[:, 1] == 40).all()
    boxes = center_boxes(BOX, step=4.0, shrink=0.3)
    assert boxes.shape[1:] == (4, 2) and (boxes[..., 1].min(), boxes[..., 1].max()) == (20, 29)
    assert boxes[..., 0].min() >= 10 + 4 and boxes[..., 0].max() <= 110 - 4
    upright = BOX[:, ::-1][::-1]  # three times as high as wide: read downwards
    boxes = center_boxes(upright, step=4.0, shrink=0.3)
    assert np.ptp(boxes[..., 1]) > 80 and np.ptp(boxes[..., 0]) <= 10
    bent = curved_text.POLYGONS[1]
    sides = side_lines(bent.astype(np.float64))
    assert sorted(len(side) for side in sides) == [7, 7]
    distance = np.linalg.norm(center_boxes(bent.astype(np.float64), 4.0, 0.3).reshape(-1, 2) - [210, 180], axis=1)
    assert distance.min() > 95 - 28 * 0.7 - 2 and distance.max() < 95 - 28 * 0.3


def test_regions_go_to_the_level_of_their_size_and_the_longest_to_the_last() -> None:
    """PaddleOCR has no level for regions as long as the image is high, and learns them as background."""
    small, medium, both, long = ([[0, 0], [n, 0], [n, 12], [0, 12]] for n in (24, 64, 34, 300))
    for polygon, levels in ((small, [1, 0, 0]), (medium, [0, 1, 0]), (both, [1, 1, 0]), (long, [0, 0, 1])):
        made = targets([polygon], size=(160, 320))
        assert [int(made[name][TEXT].any()) for name in NAMES] == levels


def test_ignored_regions_do_not_count_at_their_level() -> None:
    made = targets([BOX], ignored=[True])
    assert not made["p5_maps"][COUNTED].all() and not made["p5_maps"][TEXT].any()
    assert not targets([])["p3_maps"][TEXT].any()


def test_odd_regions_are_survived() -> None:
    point, triangle = np.full((4, 2), 30.0), np.array([[10, 10], [120, 10], [60, 90]])
    made = targets([point, triangle, BOX + 1000, BOX - (60, 20)])
    assert all(np.isfinite(made[name]).all() for name in NAMES)
    assert made["p5_maps"][TEXT].any()


def test_centers_that_overlap_have_no_holes() -> None:
    """PaddleOCR fills all pieces together, by the even-odd rule."""
    alone, twice = targets([BOX]), targets([BOX, BOX])
    np.testing.assert_array_equal(alone["p5_maps"][CENTER], twice["p5_maps"][CENTER])
    assert alone["p5_maps"][CENTER].any()


@pytest.mark.parametrize(
    "arguments",
    [
        {"fourier_degree": 0},
        {"resample_step": 0},
        {"center_region_shrink_ratio": 0},
        {"level_proportion_range": [[0, 1]]},
    ],
)
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}: expected"):
        FCETargets(**arguments)
