"""SAST's targets: PaddleOCR's, where it errs, and that the regions come back from them."""

import numpy as np
import pytest
from curved_text import POLYGONS, figures, sample_of

from ocrexp.data.targets.ribbons import as_ribbon, to_outline
from ocrexp.data.targets.sast import SASTTargets
from ocrexp.postprocess.sast import SASTPostProcess

RNG = np.random.default_rng(0)
MAPS = ("score_map", "border_map", "training_mask", "tvo_map", "tco_map")
PAGE = [POLYGONS[index] for index in (0, 1, 3, 4)]  # rectangles around the two arcs overlap too much
UPRIGHT = np.array([[100, 40], [130, 40], [130, 200], [100, 200]], np.float32)
SHAPE = {"shape": np.array([[320.0, 320.0, 1.0, 1.0]])}
CURVED = {"sample_pts_num": 6, "expand_scale": 1.2, "shrink_ratio_of_width": 0.2}


def targets(polygons, ignored=None, **arguments):
    return SASTTargets(**arguments)(sample_of(polygons, ignored), RNG)


def outputs(polygons, noise: np.random.Generator | None = None) -> dict[str, np.ndarray]:
    """What the network would give for ideal maps, or for ones with noise."""
    made = targets(polygons)
    found = {"f_score": made["score_map"]}
    if noise is not None:
        found["f_score"] = np.clip(made["score_map"] * 0.9 + noise.uniform(0, 0.1, made["score_map"].shape), 0, 1)
    for name, target in (("f_border", "border_map"), ("f_tvo", "tvo_map"), ("f_tco", "tco_map")):
        maps = made[target][:-1]
        found[name] = maps if noise is None else maps + noise.normal(0, 0.2, maps.shape)
    return {name: maps[None].astype(np.float32) for name, maps in found.items()}


@pytest.mark.parametrize(
    ("kind", "numbers", "ignored"), [("quads", (0, 3, 4), [False, False, True]), ("curved", (1, 2), None)]
)
def test_maps_are_those_of_paddleocr(golden, kind: str, numbers: tuple[int, ...], ignored) -> None:
    made = targets([np.round(POLYGONS[number]) for number in numbers], ignored)
    with np.load(golden / "targets" / "sast.npz") as arrays:
        for name in MAPS:
            np.testing.assert_allclose(made[name], arrays[f"{kind}.{name}"], atol=1e-4, err_msg=name)
    assert made["score_map"].sum() > 100


def test_regions_of_ideal_maps_are_the_labels() -> None:
    for polygons, arguments in ((PAGE, CURVED), ([*PAGE[:1], *PAGE[2:], np.add(UPRIGHT, [160, 0])], {})):
        found = SASTPostProcess(**arguments)(outputs(polygons), SHAPE)[0]
        assert figures(found, polygons)["hmean"] == 1.0
        assert set(found.scores) == {1.0} and {polygon.dtype for polygon in found.polygons} == {np.dtype(np.float32)}


def test_regions_of_noisy_maps_are_those_of_paddleocr(golden) -> None:
    """To a pixel of the source image, which is twice as large; it averages neighbors in another order."""
    maps = outputs(PAGE, np.random.default_rng(5))
    with np.load(golden / "targets" / "sast.npz") as arrays:
        for name, arguments in (("quad", {}), ("poly", CURVED)):
            postprocess = SASTPostProcess(**arguments)
            found = postprocess(maps, {"shape": np.array([[640.0, 640.0, 0.5, 0.5]])})[0]
            assert postprocess.box_type == name
            np.testing.assert_allclose(np.stack(found.polygons), arrays[f"post.{name}"], atol=1)


def test_as_many_points_as_the_text_is_long() -> None:
    """PaddleOCR cannot put outlines of several lengths into one array."""
    found = SASTPostProcess(sample_pts_num=0)(outputs(PAGE), SHAPE)[0]
    assert len({len(polygon) for polygon in found.polygons}) > 1
    empty = {name: maps * 0 for name, maps in outputs(PAGE).items()}
    assert SASTPostProcess()(empty, SHAPE)[0].polygons == []


def test_upright_text_is_read_along_its_center_line() -> None:
    """PaddleOCR draws the line across it, and the corners along it."""
    made = targets([UPRIGHT])
    rows, columns = np.nonzero(made["score_map"][0])
    assert np.ptp(rows) > 4 * np.ptp(columns)
    assert (made["tvo_map"][8, rows, columns] > 0).all()
    bent = POLYGONS[1]
    np.testing.assert_array_equal(to_outline(as_ribbon(np.roll(bent, 1, axis=0))), bent)  # began with its end


def test_flipped_outlines_begin_with_the_text() -> None:
    for polygon in (POLYGONS[0], POLYGONS[1]):
        flipped = polygon * [-1, 1] + [320, 0]
        outline = to_outline(as_ribbon(flipped.astype(np.float32)))
        half = len(outline) // 2
        assert outline[0, 0] < outline[half - 1, 0] and outline[0, 1] < outline[-1, 1]
        made = targets([flipped])
        assert not made["ignored"].any() and made["score_map"].any()


def test_an_odd_number_of_points_gets_pairs() -> None:
    odd = np.delete(POLYGONS[1], 3, axis=0)
    ribbon = as_ribbon(odd)
    assert len(odd) == 13 and ribbon.shape == (7, 2, 2)
    heights = np.linalg.norm(ribbon[:, 0] - ribbon[:, 1], axis=1)
    assert heights.min() > 18 and heights.max() < 36
    assert as_ribbon(np.array([[10, 10], [120, 10], [60, 90]], np.float32)).shape == (2, 2, 2)


def test_small_regions_are_masked_and_corners_may_be_outside() -> None:
    """PaddleOCR learns them as background, and moves corners to the border."""
    made = targets([UPRIGHT * 0.1, PAGE[0] - [60, 0]])
    assert made["ignored"].tolist() == [True, False]
    assert made["counts"] == {"regions in crops": 2, "regions too small": 1}
    assert made["training_mask"].min() == np.float32(0.15)
    row, column = np.argwhere(made["score_map"][0])[0]
    np.testing.assert_allclose(made["tvo_map"][0, row, column], column - (10 - 60) / 4, atol=1e-4)
    assert not targets([np.full((4, 2), 30.0), PAGE[0] + 1000])["score_map"].any()


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^min_text_size: expected"):
        SASTTargets(min_text_size=-1)
    for arguments in ({"nms_thresh": 2}, {"sample_pts_num": 1}, {"expand_scale": 0}, {"shrink_ratio_of_width": -1}):
        with pytest.raises(ValueError, match=rf"^{next(iter(arguments))}: expected"):
            SASTPostProcess(**arguments)
