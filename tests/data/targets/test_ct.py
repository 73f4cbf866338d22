"""CT's targets: instances, kernels, masks and shifts, against a search of every pixel, and where PaddleOCR errs."""

import curved_text
import cv2
import numpy as np
import pytest

from ocrexp.data.regions import SMALL
from ocrexp.data.targets.ct import CTTargets

RNG = np.random.default_rng(0)


def targets(polygons, ignored=None, size=curved_text.SIZE, **kwargs):
    return CTTargets(**kwargs)(curved_text.sample_of(polygons, ignored, size), RNG)


def moved(polygon, x, y):
    return polygon + np.array([x, y])


def ring_of(made, number):
    eroded = cv2.erode((made["kernel_instance"] == number).astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.argwhere(eroded - cv2.erode(eroded, np.ones((3, 3), np.uint8)))


def test_targets_are_those_of_paddleocr(golden) -> None:
    polygons = [np.round(polygon / 2) for polygon in curved_text.POLYGONS]
    made = targets(polygons, [False, False, False, False, True], (160, 160))
    names = {
        "instance": "gt_instance",
        "kernel_instance": "gt_kernel_instance",
        "kernel_mask": "training_mask",
        "shift_mask": "training_mask_distance",
    }
    with np.load(golden / "targets" / "polygon_detectors.npz") as arrays:
        for ours, theirs in names.items():
            np.testing.assert_array_equal(made[ours], arrays[f"ct.{theirs}"], err_msg=ours)
        different = (made["shift"] != arrays["ct.gt_distance"]).any(axis=0)
    assert different.sum() <= 0.02 * np.count_nonzero(made["instance"])  # equally near points of the kernel


def test_each_pixel_of_a_region_is_shifted_to_the_nearest_point_inside_its_kernel() -> None:
    made = targets(curved_text.POLYGONS)
    for number in range(1, len(curved_text.POLYGONS) + 1):
        ring = ring_of(made, number)
        outside = np.argwhere((made["instance"] == number) & (made["kernel_instance"] == 0))[::3]
        assert len(ring) and len(outside)
        to_ring = np.linalg.norm(outside[:, None] - ring[None], axis=2).min(axis=1)
        shifts = made["shift"][::-1, outside[:, 0], outside[:, 1]].T
        reached = outside + shifts
        assert {tuple(place) for place in reached} <= {tuple(place) for place in ring}
        length = np.linalg.norm(shifts, axis=1)
        assert (length - to_ring).max() < 0.5 and (length > to_ring + 1e-6).mean() < 0.02
    assert not made["shift"][:, made["instance"] == 0].any()
    assert not made["ignored"].any()


def test_kernels_are_shrunk_as_by_paddleocr() -> None:
    box = np.array([[10, 10], [110, 10], [110, 50], [10, 50]])
    rows, columns = np.nonzero(targets([box])["kernel_instance"])
    offset = int(100 * 40 * (1 - 0.7**2) / (280 + 0.001) + 0.5)  # 7
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (17, 17, 103, 43) and offset == 7
    rows, columns = np.nonzero(targets([box * 5], size=(320, 600))["kernel_instance"])
    assert (columns.min(), rows.min()) == (70, 70)  # 20 pixels at most


def test_ignored_regions_count_in_neither_loss_and_lost_ones_are_reported() -> None:
    box = np.array([[10, 10], [110, 10], [110, 50], [10, 50]])
    tiny, cut = box * 0.03 + 200, moved(box, -100, 0)
    made = targets([box, moved(box, 0, 80), tiny, cut], ignored=[True, False, False, False])
    for name in ("kernel_mask", "shift_mask"):
        assert not made[name][10:51, 10:111].any() and not made[name][200:202, 200:204].any()
    assert made["kernel_mask"][100, 50] == 1 and made["kernel_mask"][91, 50] == 0  # its kernel counts, its rim does not
    assert made["shift_mask"][90:131, 10:111].all()
    np.testing.assert_array_equal(made["ignored"], [True, False, True, False])
    assert made["counts"][SMALL] == 1
    assert targets([box + 1000])["shift_mask"].all()  # outside of the canvas
    assert not targets([])["instance"].any()


def test_more_than_255_regions_have_their_own_numbers() -> None:
    """PaddleOCR numbers them in 8 bits: the 256th is background."""
    box = np.array([[0, 0], [14, 0], [14, 14], [0, 14]])
    boxes = [moved(box, 16 * (i % 20), 16 * (i // 20)) for i in range(300)]
    made = targets(boxes)
    assert set(np.unique(made["instance"])) == set(range(301))
    assert made["shift"][:, 225:238, 305].any()  # of the last region


def test_touching_kernels_keep_their_rings_apart() -> None:
    """PaddleOCR erodes the numbers of all kernels in one map: the smaller number wins the neighbor's rim."""
    left, right = (np.array([[x, 10], [x + 5, 10], [x + 5, 30], [x, 30]]) for x in (10, 16))
    made = targets([left, right], kernel_scale=0.999)  # nothing is shrunk
    assert len(ring_of(made, 1)) and len(ring_of(made, 2)) and not made["ignored"].any()


def test_of_a_kernel_that_falls_apart_the_largest_piece_counts() -> None:
    dumbbell = [(10, 10), (40, 10), (40, 22), (80, 22), (80, 4), (140, 4), (140, 46), (80, 46), (80, 26), (40, 26),
                (40, 38), (10, 38)]  # fmt: skip
    _, columns = np.nonzero(targets([np.array(dumbbell)])["kernel_instance"])
    assert columns.min() > 80


@pytest.mark.parametrize("arguments", [{"kernel_scale": 1.0}, {"max_shrink": 0}])
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(arguments))}: expected"):
        CTTargets(**arguments)
