"""FCENet postprocess: PaddleOCR's regions and scores, and ideal maps that give the regions back."""

import curved_text
import numpy as np
import pytest

from ocrexp.data.targets.fce import NAMES, FCETargets
from ocrexp.postprocess.fce import FCEPostProcess
from ocrexp.postprocess.suppression import suppress
from ocrexp.results import DetPrediction

SOURCE = (160, 640, 2.0, 0.5)  # height, width, ratio_h, ratio_w: half as high and twice as wide as the maps' image


def maps_of(noise: np.random.Generator | None = None) -> dict[str, np.ndarray]:
    made = FCETargets()(curved_text.sample_of(curved_text.POLYGONS), np.random.default_rng(0))
    levels = {}
    for number, name in enumerate(NAMES):
        text, center, coefficients = made[name][0], made[name][1], made[name][3:]
        if noise is not None:
            text, center = (np.clip(each * 0.9 + noise.uniform(0, 0.1, each.shape), 0, 1) for each in (text, center))
            coefficients = coefficients + noise.normal(0, 0.05, coefficients.shape)
        maps = [1 - text[None], text[None], 1 - center[None], center[None], coefficients]
        levels[f"level_{number}"] = np.concatenate(maps)[None].astype(np.float32)
    return levels


def run(levels: dict[str, np.ndarray], shape=SOURCE, **arguments) -> DetPrediction:
    return FCEPostProcess(**arguments)(levels, {"shape": np.array([shape])})[0]


def test_regions_and_scores_are_those_of_paddleocr(golden) -> None:
    found = run(maps_of(np.random.default_rng(5)))
    with np.load(golden / "targets" / "polygon_detectors.npz") as arrays:
        np.testing.assert_allclose(found.scores, arrays["fce.scores"], atol=1e-5)
        for number, polygon in enumerate(found.polygons):
            difference = np.abs(polygon - arrays[f"fce.polygon.{number}"])
            assert (difference <= (2.0, 0.5)).all()  # PaddleOCR cuts the fractions off, in the resized image


def test_ideal_maps_give_the_regions_back_in_source_coordinates() -> None:
    labels = [polygon * (2, 0.5) for polygon in curved_text.POLYGONS]
    found = run(maps_of())
    assert curved_text.figures(found, labels)["hmean"] == 1.0
    assert {polygon.shape for polygon in found.polygons} == {(50, 2)}
    quads = run(maps_of(), box_type="quad")
    assert {polygon.shape for polygon in quads.polygons} == {(4, 2)}
    assert run(maps_of(), box_thresh=1.0).polygons == []


def test_values_of_a_network_that_has_diverged_are_survived() -> None:
    levels = maps_of()
    for maps in levels.values():
        maps[:, 4:, ::2] = np.nan
        maps[:, 4:, 1::2] = np.inf
    run(levels)


def test_of_polygons_that_overlap_the_best_one_stays() -> None:
    square = np.array([[0, 0], [40, 0], [40, 10], [0, 10]], np.float32)
    half = np.array([20, 0], np.float32)
    polygons = np.stack([square, square + half, square + 2 * half, square * 0])
    scores = np.array([0.8, 0.9, 0.7, 1.0])
    assert suppress(polygons, scores, 0.4) == [1, 0, 2]  # neighbors have an IoU of 1/3
    assert suppress(polygons, scores, 0.3) == [1]
    assert suppress(polygons[[0, 2]], scores[[0, 2]], 0.0) == [0, 1]  # they touch


@pytest.mark.parametrize(
    "arguments", [{"box_type": "rect"}, {"box_thresh": 2.0}, {"num_reconstr_points": 3}, {"scales": []}]
)
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        FCEPostProcess(**arguments)
