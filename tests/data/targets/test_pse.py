"""PSENet's target maps: PaddleOCR's kernels, what is better here, and that their regions are the labels again."""

import numpy as np
from curved_text import POLYGONS, figures, sample_of

from ocrexp.data.targets.pse import PSETargets
from ocrexp.postprocess.pse import PSEPostProcess

RNG = np.random.default_rng(0)


def test_kernels_and_mask_are_those_of_paddleocr(golden):
    with np.load(golden / "targets" / "pse.npz") as arrays:
        stored = dict(arrays)
    sample = PSETargets(text_ratio=0.9)(sample_of(list(stored["polys"]), stored["ignore_tags"], (192, 192)), RNG)
    kernels = np.unpackbits(stored["gt_kernels"]).reshape(7, 192, 192)
    mask = np.unpackbits(stored["mask"]).reshape(192, 192)
    np.testing.assert_array_equal(sample["mask"], mask)
    assert np.count_nonzero(mask == 0) > 0
    # Its loss takes the first six of its seven kernels, so that the smallest one has the ratio 0.4, as here.
    for index, ours in enumerate(sample["gt_kernels"]):
        np.testing.assert_array_equal(ours[mask > 0], kernels[index][mask > 0], err_msg=str(index))
    np.testing.assert_array_equal(sample["gt_text"][mask > 0], kernels[0][mask > 0])  # its text is that of ratio 0.9


def test_the_text_is_the_whole_region():
    """PaddleOCR shrinks it like the largest kernel; boxes of such a text are too small."""
    box = np.array([[20, 20], [119, 20], [119, 49], [20, 49]], np.float32)
    whole, shrunk = (PSETargets(text_ratio=ratio)(sample_of([box]), RNG) for ratio in (1.0, 0.9))
    assert whole["gt_text"].sum() == 100 * 30 > shrunk["gt_text"].sum()
    np.testing.assert_array_equal(whole["gt_kernels"], shrunk["gt_kernels"])


def test_a_region_that_falls_apart_keeps_its_pieces_and_a_tiny_one_is_masked():
    """PaddleOCR fails on the first."""
    bone = [[10, 10], [60, 10], [60, 40], [150, 40], [150, 10], [200, 10], [200, 70], [150, 70], [150, 46], [60, 46]]
    bone += [[60, 70], [10, 70]]
    tiny = np.array([[20, 100], [60, 100], [60, 105], [20, 105]], np.float32)
    sample = PSETargets()(sample_of([np.array(bone, np.float32), tiny]), RNG)
    smallest = sample["gt_kernels"][-1]
    assert smallest[40, 30] and smallest[40, 175] and not smallest[43, 100]
    assert sample["ignored"].tolist() == [False, True]
    assert sample["mask"][102, 40] == 0 and not sample["gt_text"][102, 40]
    assert sample["counts"] == {"regions in crops": 2, "regions too small": 1}


def test_the_regions_of_ideal_maps_are_the_labels():
    """Also where two lines are two pixels apart, and at half the size."""
    sample = PSETargets()(sample_of(POLYGONS), RNG)
    maps = np.concatenate([sample["gt_text"][None], sample["gt_kernels"]]).astype(np.float32)[None]
    for scale in (1, 2, 4):
        # The network's maps are at stride 4; at another scale they are enlarged first.
        logits = np.where(maps > 0, 9, -9).astype(np.float32)
        logits = logits.reshape(1, 7, 80, 4, 80, 4).mean(axis=(3, 5))
        post = PSEPostProcess(box_type="poly", scale=scale, box_thresh=0.5, min_area=8)
        found = post({"maps": logits}, {"shape": np.array([[320, 320, 1.0, 1.0]])})[0]
        assert figures(found)["hmean"] == 1.0, scale
