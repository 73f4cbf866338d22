"""Pictures of training samples."""

import numpy as np

from ocrexp.data.targets.db import DBTargets
from ocrexp.data.targets.east import EASTTargets
from ocrexp.data.targets.pse import PSETargets
from ocrexp.data.targets.sast import SASTTargets
from ocrexp.report.targets import draw_targets


def sample():
    polygons = [np.array([[20, 20], [100, 20], [100, 50], [20, 50]], np.float32) + offset for offset in (0, (0, 60))]
    return {"image": np.full((160, 160, 3), 90, np.uint8), "polygons": polygons, "ignored": np.array([False, True])}


def test_panels_side_by_side():
    picture = draw_targets(DBTargets()(sample(), np.random.default_rng(0)))
    assert picture.dtype == np.uint8
    band = picture.shape[0] - 160  # with the panel's name
    assert 16 <= band <= 48
    assert picture.shape[1] == 4 * 160 + 3 * 6
    polygons, shrink = picture[band:, :160], picture[band:, 166:326]
    red, green = polygons[..., 0].astype(int), polygons[..., 1].astype(int)
    assert (green - red)[20:50].max() > 100  # learnt
    assert (red - green)[80:110].max() > 100  # left out
    assert shrink[35, 60, 1] > shrink[35, 60, 0] + 50
    assert shrink[95, 60, 0] > shrink[95, 60, 1] + 50


def test_maps_of_other_detectors_are_drawn_at_the_size_of_the_image():
    for targets, panels in ((PSETargets(), 3), (EASTTargets(), 2), (SASTTargets(), 2)):
        picture = draw_targets(targets(sample(), np.random.default_rng(0)))
        assert picture.shape[1] == panels * 160 + (panels - 1) * 6
        text = picture[-160:, 166:326].astype(int)
        assert (text[35, 60] @ [-1, 1, 0]) > 50 > 0 > -50 > (text[95, 60] @ [-1, 1, 0])  # green, red


def test_without_maps_only_the_polygons():
    assert draw_targets(sample()).shape[1:] == (160, 3)
