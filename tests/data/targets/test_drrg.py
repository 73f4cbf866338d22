"""DRRG's targets against PaddleOCR's, where it errs, and the local graphs of text components."""

import numpy as np
import pytest
from curved_text import POLYGONS, sample_of

from ocrexp.data.targets.components import NEAREST, local_graphs, pooling_samples
from ocrexp.data.targets.drrg import COS, SIN, DRRGTargets

SIZE = (160, 160)
REGIONS = [(polygon / 2 + np.float32(0.37)).astype(np.float32) for polygon in POLYGONS]


def targets(polygons, ignored=None, size=SIZE, **arguments):
    return DRRGTargets(**arguments)(sample_of(polygons, ignored, size), np.random.default_rng(0))


def components(sample) -> np.ndarray:
    numbers = sample["gt_components"]
    count = int(numbers[0, 0])
    assert (numbers[:count, 0] == count).all() and not numbers[count:].any()
    return numbers[:count, 1:]


def test_maps_and_components_are_those_of_paddleocr(golden) -> None:
    """Without the jitter. Of components with equal scores its library keeps any one first: some differ in their
    place, but none in what belongs to a place."""
    made = targets(REGIONS, [False] * 4 + [True], jitter_level=0.0)
    with np.load(golden / "targets" / "drrg.npz") as arrays:
        stored = dict(arrays)
    for name in ("text", "center", "mask"):
        expected = np.unpackbits(stored[name]).reshape(SIZE)
        np.testing.assert_array_equal(made["mask" if name == "mask" else f"gt_{name}"], expected, err_msg=name)
    inside = made["gt_center"] > 0
    np.testing.assert_allclose(made["gt_geometry"][:, inside], stored["geometry"], atol=1e-3)
    assert inside.sum() > 500 and not made["gt_geometry"][:, ~inside].any()
    found, expected = components(made), stored["components"][:, 1:]
    apart = np.abs(found[:, None, :2] - expected[:, :2]).max(axis=2)
    same = apart.min(axis=1) == 0
    assert same.mean() > 0.5 and abs(len(found) - len(expected)) < 0.2 * len(expected)
    np.testing.assert_allclose(found[same], expected[apart.argmin(axis=1)[same]], atol=1e-3)


def test_directions_point_from_the_bottom_of_the_text_to_its_top() -> None:
    made = targets([REGIONS[0]])
    rows, columns = np.nonzero(made["gt_center"])
    sine, cosine = made["gt_geometry"][[SIN, COS]][:, rows, columns]
    assert (sine < -0.95).all() and (np.abs(cosine) < 0.3).all()
    np.testing.assert_allclose(sine**2 + cosine**2, 1, atol=1e-5)


def test_illegible_regions_are_masked_and_components_are_drawn_beside_the_text() -> None:
    made = targets(REGIONS, np.ones(5, bool))
    assert not made["gt_text"].any() and not made["mask"].all()  # PaddleOCR: text, as the flags are numpy's
    found = components(made)
    assert len(found) == 9 and not found[:, -1].any()
    assert made["counts"] == {"regions in crops": 0}


def test_a_crop_full_of_text_has_components_too() -> None:
    """PaddleOCR fails where it finds no place beside the text."""
    full = np.array([[-5, -5], [90, -5], [90, 90], [-5, 90]], np.float32)
    made = targets([full, np.full((4, 2), 30.0)], size=(64, 64), num_min_comps=80)
    assert made["gt_text"].all() and len(components(made)) == 80
    assert (components(targets([], size=(32, 32)))[:, :2] < 32).all()
    assert len(components(targets(REGIONS, num_max_comps=12))) == 12


def test_odd_regions_are_survived() -> None:
    triangle = np.array([[10, 10], [120, 10], [60, 90]], np.float32)
    made = targets([np.full((4, 2), 30.0), triangle, REGIONS[0] + 1000, REGIONS[0] - [60, 0]])
    assert np.isfinite(made["gt_geometry"]).all() and np.isfinite(made["gt_components"]).all()
    assert made["gt_center"].any()


def test_a_graph_holds_the_nearest_components_and_their_nearest() -> None:
    centers = np.stack([np.arange(40) ** 1.1 * 5, np.zeros(40)], axis=1)
    graphs = local_graphs(centers)
    assert graphs.nodes.shape[0] == 40 and (graphs.nodes[:, 0] == np.arange(40)).all()
    pairs = graphs.pairs().reshape(40, NEAREST, 2)
    assert sorted(pairs[20, :, 1]) == [16, 17, 18, 19, 21, 22, 23, 24]
    assert pairs[0, :, 1].tolist() == list(range(1, 9)) and set(graphs.nodes[0]) == set(range(12)) - {11} | {10}
    degrees = (graphs.adjacency[20] > 0).sum(axis=1)
    assert degrees[0] >= 4 and not graphs.adjacency[0, 11:].any()  # three neighbors and itself; padding
    np.testing.assert_allclose(graphs.adjacency, graphs.adjacency.transpose(0, 2, 1))
    same = local_graphs(centers, np.ones(40, int), 0.7)
    assert 1 < len(same.nodes) < 40  # graphs that are nearly those of a neighbor are dropped
    assert len(local_graphs(centers, np.zeros(40, int)).nodes) == 40
    assert local_graphs(np.zeros((3, 2))).pairs().tolist() == [[0, 1], [0, 2], [1, 0], [1, 2], [2, 0], [2, 1]]


def test_samples_fill_the_box_of_a_component() -> None:
    upright = np.array([[30, 20, 24, 8, 0, -1], [5, 5, 0, 8, 0, -1]], float)  # center, height, width, up; no size
    samples = pooling_samples(upright, 60, 80)
    first = samples.bins < 12
    assert np.bincount(samples.bins[first]).tolist() == [16] * 12
    assert (samples.x[first].min() > 30 - 5, samples.x[first].max() < 30 + 4) == (True, True)
    assert (samples.y[first].min() > 20 - 13, samples.y[first].max() < 20 + 12) == (True, True)
    assert np.bincount(samples.bins, samples.weights)[:12] == pytest.approx(1)
    assert not samples.weights[~first].any()


@pytest.mark.parametrize(
    "arguments",
    [
        {"resample_step": 0},
        {"num_min_comps": 1},
        {"min_width": 30},
        {"min_rand_half_height": 30},
        {"comp_w_h_ratio": 0},
    ],
)
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}: expected"):
        DRRGTargets(**arguments)
