"""EAST's target maps: PaddleOCR's, what is better here, and that their quadrilaterals are the labels again."""

import numpy as np
from curved_text import POLYGONS, figures, sample_of

from ocrexp.data.targets.east import EASTTargets
from ocrexp.data.targets.quads import as_quad
from ocrexp.postprocess.east import EASTPostProcess

RNG = np.random.default_rng(0)
BOX = np.array([[20, 20], [140, 24], [139, 60], [19, 56]], np.float32)


def test_maps_are_those_of_paddleocr(golden):
    with np.load(golden / "targets" / "east.npz") as arrays:
        stored = dict(arrays)
    sample = EASTTargets()(sample_of(list(stored["polys"]), stored["ignore_tags"], (192, 192)), RNG)
    np.testing.assert_array_equal(sample["training_mask"][0], stored["training_mask"])
    learned = stored["training_mask"] > 0
    assert 0.5 < learned.mean() < 1
    np.testing.assert_array_equal(sample["score_map"][0][learned], stored["score_map"][learned])
    np.testing.assert_allclose(sample["geo_map"][:, learned], stored["geo_map"][:, learned], atol=1e-4)


def test_a_flipped_region_is_learned_with_its_corners_in_order():
    """PaddleOCR leaves regions out whose points run counterclockwise."""
    flipped = BOX.copy()
    flipped[:, 0] = 199 - flipped[:, 0]
    sample = EASTTargets()(sample_of([flipped]), RNG)
    assert not sample["ignored"].any() and sample["score_map"].any()
    quad = as_quad(flipped)
    np.testing.assert_array_equal(quad, flipped[[1, 0, 3, 2]])
    row, column = np.argwhere(sample["score_map"][0])[0]
    corners = [column * 4, row * 4] - sample["geo_map"][:8, row, column].reshape(4, 2)
    np.testing.assert_allclose(corners, quad, atol=1e-4)


def test_more_than_255_regions_are_drawn():
    """PaddleOCR numbers them in one byte."""
    boxes = [
        np.array([[x, y], [x + 14, y], [x + 14, y + 12], [x, y + 12]], np.float32)
        for y in range(0, 304, 16)
        for x in range(0, 304, 16)
    ]
    sample = EASTTargets()(sample_of(boxes), RNG)
    assert len(boxes) > 300 and sample["geo_map"][8].astype(bool).sum() == sample["score_map"].sum()
    assert sample["score_map"][0, -10:].any() and not sample["ignored"].any()


def test_a_region_at_the_border_keeps_its_corners_and_a_tiny_one_is_masked():
    cut, tiny = BOX - [60, 0], BOX * [1, 0.2] + [0, 200]
    sample = EASTTargets()(sample_of([cut.astype(np.float32), tiny.astype(np.float32)]), RNG)
    row, column = np.argwhere(sample["score_map"][0])[0]
    np.testing.assert_allclose(sample["geo_map"][0, row, column], column * 4 - cut[0, 0], atol=1e-4)
    assert sample["ignored"].tolist() == [False, True]
    assert sample["counts"] == {"regions in crops": 2, "regions too small": 1}
    assert not sample["training_mask"].all()


def test_the_quadrilaterals_of_ideal_maps_are_the_labels():
    """Of a curved region it is the smallest rectangle around it."""
    straight = [POLYGONS[0], *POLYGONS[3:], BOX + np.array([150, 230], np.float32)]
    for regions, hmean in ((straight, 1.0), (POLYGONS, 0.6)):
        sample = EASTTargets()(sample_of(regions), RNG)
        outputs = {"f_score": sample["score_map"][None].astype(np.float32), "f_geo": sample["geo_map"][None, :8]}
        found = EASTPostProcess()(outputs, {"shape": np.array([[320, 320, 1.0, 1.0]])})[0]
        assert figures(found, regions)["hmean"] >= hmean
