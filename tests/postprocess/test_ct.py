"""CT postprocess: ideal maps give the regions back; small, faint and far regions; large maps."""

import curved_text
import numpy as np
import pytest
import shapely

from ocrexp.data.targets.ct import CTTargets
from ocrexp.postprocess.ct import CTPostProcess
from ocrexp.results import DetPrediction


def ideal_maps(polygons=curved_text.POLYGONS, size=curved_text.SIZE) -> np.ndarray:
    made = CTTargets()(curved_text.sample_of(polygons, size=size), np.random.default_rng(0))
    kernels = (made["kernel_instance"] > 0).astype(np.float32)
    return np.concatenate([kernels[None], made["shift"] / np.float32(10)])[:, 2::4, 2::4]


def run(maps: np.ndarray, shape=None, **arguments) -> DetPrediction:
    height, width = maps.shape[1:]
    shape = np.array([shape or (4 * height, 4 * width, 1.0, 1.0)])
    return CTPostProcess(**arguments)({"maps": maps[None]}, {"shape": shape})[0]


def test_ideal_maps_give_the_regions_back_in_source_coordinates() -> None:
    found = run(ideal_maps())
    assert curved_text.figures(found)["hmean"] == 1.0 and found.scores == [1.0] * len(curved_text.POLYGONS)
    halved = run(ideal_maps(), (160, 640, 2.0, 0.5))  # ratio_h, ratio_w
    assert curved_text.figures(halved, [p * (2, 0.5) for p in curved_text.POLYGONS])["hmean"] == 1.0
    straight = [polygon for polygon in curved_text.POLYGONS if len(polygon) == 4]
    quads = run(ideal_maps(straight), box_type="quad")
    assert {polygon.shape for polygon in quads.polygons} == {(4, 2)}
    assert curved_text.figures(quads, straight)["hmean"] == 1.0


def test_regions_are_those_of_paddleocr(golden) -> None:
    noise = np.random.default_rng(6)
    maps = ideal_maps()
    logits = np.where(maps[0] > 0, 3.0, -3.0) + noise.normal(0, 0.3, maps[0].shape)
    maps[0] = 1 / (1 + np.exp(-logits))
    maps[1:] += noise.normal(0, 0.02, maps[1:].shape)
    found = run(maps, (160, 640, 2.0, 0.5))
    with np.load(golden / "targets" / "polygon_detectors.npz") as arrays:
        theirs = [shapely.Polygon(arrays[f"ct.polygon.{number}"]).buffer(0) for number in range(5)]
    assert len(found.polygons) == 5
    for polygon in found.polygons:
        ours = shapely.Polygon(polygon)
        assert (
            max(ours.intersection(each).area / ours.union(each).area for each in theirs) > 0.8
        )  # whole pixels, 12 high


def test_maps_may_be_larger_than_300_pixels() -> None:
    """PaddleOCR's table of coordinates ends there."""
    polygons = [curved_text.POLYGONS[0] + (1200, 0)]
    assert curved_text.figures(run(ideal_maps(polygons, (64, 1440))), polygons)["hmean"] == 1.0


def test_small_kernels_faint_ones_and_small_regions_are_dropped() -> None:
    maps = np.zeros((3, 20, 40), np.float32)
    maps[0, 2:5, 2:5] = 1.0  # 9 pixels
    maps[0, 10:15, 2:8] = 0.8
    maps[0, 10:15, 20:30] = 0.95
    assert len(run(maps).polygons) == 1 and len(run(maps, box_thresh=0.5).polygons) == 2
    assert run(maps, min_area=801).polygons == [] and len(run(maps, min_area=800).polygons) == 1
    assert run(np.zeros((3, 8, 8), np.float32)).polygons == []


def test_outlines_of_pixels_that_meet_at_corners_are_valid() -> None:
    """PaddleOCR's touch themselves there: no overlap is defined for them."""
    maps = np.zeros((3, 20, 20), np.float32)
    maps[0, 4:8, 4:8] = maps[0, 9:13, 4:8] = 1.0
    maps[1, 3, 8], maps[2, 3, 8] = -0.4, 0.4  # a pixel that meets the kernel's corner alone
    outline = run(maps)
    assert len(outline.polygons) == 2
    assert "invalid_predictions" not in curved_text.figures(outline)


def test_shifts_of_a_network_that_has_diverged_are_survived() -> None:
    maps = ideal_maps()
    maps[1:, ::3] = np.nan
    maps[1:, 1::3] = np.inf
    assert len(run(maps).polygons) == len(curved_text.POLYGONS)


@pytest.mark.parametrize("arguments", [{"box_type": "rect"}, {"thresh": 1.5}])
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        CTPostProcess(**arguments)
