"""DRRG's postprocess: PaddleOCR's components, links and outlines, and ideal maps that give the regions back."""

import curved_text
import cv2
import numpy as np
import pytest

from ocrexp.data.targets.components import link_parameters, local_graphs, node_length
from ocrexp.data.targets.drrg import DRRGTargets
from ocrexp.postprocess import drrg
from ocrexp.postprocess.drrg import DRRGPostprocess

SOURCE = (640, 160, 0.5, 2.0)  # height, width, ratio_h, ratio_w
FEATURES = 8


def network_maps(generator: np.random.Generator | None = None) -> np.ndarray:
    made = DRRGTargets()(curved_text.sample_of(curved_text.POLYGONS), np.random.default_rng(3))
    top, bottom, sine, cosine = made["gt_geometry"]
    text, center = (np.where(made[name] > 0, 2.0, -3.0) for name in ("gt_text", "gt_center"))
    maps = [text, center, sine, cosine, top, bottom]
    if generator is not None:
        spread = (0.3, 0.3, 0.05, 0.05, 0.5, 0.5)
        maps = [each + generator.normal(0, width, each.shape) for each, width in zip(maps, spread, strict=True)]
    return np.stack(maps).astype(np.float32)


def golden_vector() -> np.ndarray:
    """The golden network's parameters; they are drawn by name."""
    import zlib

    pieces = []
    for name, shape in link_parameters(node_length(FEATURES + 6)).items():
        generator = np.random.Generator(np.random.PCG64(zlib.crc32(f"head.gcn.{name}".encode())))
        if name.endswith("_variance") or (len(shape) == 1 and name.endswith("weight")):
            value = generator.uniform(0.5, 1.5, shape)
        elif len(shape) == 1:
            value = generator.normal(0, 0.1, shape)
        else:
            value = generator.normal(0, 1 / np.sqrt(shape[0]), shape)
        pieces.append(value.reshape(-1))
    return np.concatenate(pieces).astype(np.float32)


def test_links_and_regions_are_those_of_paddleocr(golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outlines begin at either end; the links are compared where they are computed."""
    with np.load(golden / "models" / "drrg.npz") as arrays:
        stored = dict(arrays)
    generator = np.random.Generator(np.random.PCG64(12))
    maps = network_maps(generator)
    features = generator.standard_normal((1, FEATURES, 320, 320)).astype(np.float32)
    links = []
    linked = drrg._linked
    monkeypatch.setattr(drrg, "_linked", lambda *given: links.append(given) or linked(*given))
    postprocess = DRRGPostprocess(link_thr=float(stored["link_thr"]))
    outputs = {"maps": maps[None], "features": features, "graph": golden_vector()}
    found = postprocess(outputs, {"shape": np.array([SOURCE])})[0]
    pairs, scores, _ = links[0]
    near = scores > 0  # PaddleOCR's are stored before those of far components become 0
    np.testing.assert_array_equal(pairs, np.sort(stored["edges"], axis=1))
    np.testing.assert_allclose(scores[near], stored["scores"][near], atol=1e-4)
    assert near.mean() > 0.8
    expected = np.split(stored["outlines"], np.cumsum(stored["outline_sizes"])[:-1])
    expected = [np.clip(outline, 0, (160, 640)).astype(np.float32) for outline in expected]
    areas = [sorted(cv2.contourArea(outline) for outline in each) for each in (found.polygons, expected)]
    np.testing.assert_allclose(*areas, rtol=1e-3)
    np.testing.assert_allclose(sorted(found.scores), sorted(stored["outline_scores"]), atol=1e-5)


def test_ideal_maps_give_the_regions_back_in_the_direction_of_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a graph network that knows the texts."""
    centers = []

    class Oracle:
        def __init__(self, *given: object) -> None: ...

        def __call__(self, features: object, graphs) -> np.ndarray:
            points = centers[-1].tolist()
            inside = [[cv2.pointPolygonTest(text, point, True) for point in points] for text in curved_text.POLYGONS]
            texts = np.argmax(inside, axis=0)[graphs.pairs()]
            return (texts[:, 0] == texts[:, 1]).astype(np.float32)

    monkeypatch.setattr(drrg, "LinkNetwork", Oracle)
    monkeypatch.setattr(drrg, "local_graphs", lambda given: centers.append(given) or local_graphs(given))
    outputs = {"maps": network_maps()[None], "features": np.zeros((1, 1, 320, 320), np.float32), "graph": np.zeros(1)}
    labels = [polygon * (0.5, 2) for polygon in curved_text.POLYGONS]
    found = DRRGPostprocess()(outputs, {"shape": np.array([SOURCE])})[0]
    assert curved_text.figures(found, labels)["hmean"] == 1.0
    for polygon in found.polygons:
        half = len(polygon) // 2
        assert polygon[0, 0] < polygon[half - 1, 0] and polygon[0, 1] < polygon[-1, 1]
    quads = DRRGPostprocess(box_type="quad")(outputs, {"shape": np.array([SOURCE])})[0]
    assert {polygon.shape for polygon in quads.polygons} == {(4, 2)}


def test_maps_of_a_network_that_has_diverged_and_without_text_are_survived() -> None:
    maps = network_maps()[None, :, :64, :64]
    outputs = {"maps": maps, "features": np.zeros((1, FEATURES, 64, 64), np.float32), "graph": golden_vector()}
    shape = {"shape": np.array([[64.0, 64.0, 1.0, 1.0]])}
    assert DRRGPostprocess(text_region_thr=1.0)(outputs, shape)[0].polygons == []
    maps[:, 2:, ::2] = np.nan
    maps[:, 4:, 1::2] = 1e9
    DRRGPostprocess()(outputs, shape)


@pytest.mark.parametrize("arguments", [{"link_thr": 2.0}, {"min_comp_width": 30.0}, {"box_type": "rect"}])
def test_wrong_values_are_refused(arguments) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        DRRGPostprocess(**arguments)
