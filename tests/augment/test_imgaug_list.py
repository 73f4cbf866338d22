"""imgaug lists as PaddleOCR writes them."""

import importlib.util
import sys

import numpy as np
import pytest

from ocrexp.augment.imgaug_list import ImgaugList
from ocrexp.errors import ConfigError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("imgaug") is None, reason="the extra imgaug is not installed")

SIZE = (100, 160)


def sample(polygons=None):
    if polygons is None:
        polygons = [[[20, 30], [80, 30], [80, 50], [20, 50]], [[100, 60], [120, 55], [140, 60], [140, 80], [100, 80]]]
    return {
        "image": np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8),
        "polygons": [np.array(polygon, np.float32) for polygon in polygons],
        "texts": ["a"] * len(polygons),
        "ignored": np.zeros(len(polygons), bool),
    }


def run(entries, seed=0, **kwargs):
    return ImgaugList(entries)(sample(**kwargs), np.random.default_rng(seed))


def test_flip_moves_image_and_polygons():
    result = run([{"type": "Fliplr", "args": {"p": 1.0}}])
    np.testing.assert_array_equal(result["image"], sample()["image"][:, ::-1])
    np.testing.assert_allclose(result["polygons"][0], [[140, 30], [80, 30], [80, 50], [140, 50]])
    assert [len(polygon) for polygon in result["polygons"]] == [4, 5]
    assert result["polygons"][1].dtype == np.float32


def test_paddleocrs_default_list():
    first, again, other = (run(None, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["image"], again["image"])
    np.testing.assert_array_equal(first["polygons"][0], again["polygons"][0])
    assert first["image"].shape != other["image"].shape or not np.array_equal(first["image"], other["image"])


def test_the_sample_depends_on_the_generator_alone():
    """Not on what the augmenter or numpy's global state did before."""
    augment = ImgaugList(
        [
            {"type": "Affine", "args": {"rotate": [-30, 30]}},
            {"type": "AdditiveGaussianNoise", "args": {"scale": [0, 30]}},
        ]
    )
    first = augment(sample(), np.random.default_rng(7))["image"]
    augment(sample(), np.random.default_rng(8))
    np.random.seed(3)
    np.testing.assert_array_equal(first, augment(sample(), np.random.default_rng(7))["image"])


def test_a_list_is_a_range_of_resize():
    heights = {run([{"type": "Resize", "args": {"size": [0.5, 3]}}], seed)["image"].shape[0] for seed in range(20)}
    assert len(heights) > 10  # a choice between the two would give two
    assert min(heights) >= 50
    assert max(heights) <= 300


def test_nested_entries():
    entries = [
        {
            "type": "Sometimes",
            "args": {
                "p": 1.0,
                "then_list": [{"type": "Fliplr", "args": {"p": 1.0}}, {"type": "Flipud", "args": {"p": 1.0}}],
            },
        },
        {
            "type": "OneOf",
            "args": {"children": [{"type": "Affine", "args": {"translate_px": {"x": [5, 5], "y": [0, 0]}}}]},
        },
    ]
    result = run(entries)
    np.testing.assert_allclose(result["polygons"][0][0], (160 - 20 + 5, 100 - 30), atol=1e-3)


def test_older_form():
    result = run([["Fliplr", 1.0], ["Resize", [0.5, 0.5]]])
    assert result["image"].shape == (50, 80, 3)
    np.testing.assert_allclose(result["polygons"][0][0], (70, 15))


def test_image_without_polygons():
    result = run(None, polygons=[])
    assert result["polygons"] == []


def test_polygons_may_leave_the_image():
    result = run([{"type": "Affine", "args": {"translate_px": {"x": -100}}}])
    np.testing.assert_allclose(result["polygons"][0][0], (-80, 30), atol=1e-3)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"type": "Afine", "args": {}}], r"no augmenter 'Afine'; did you mean Affine\?"),
        ([{"type": "Affine", "args": {"rotat": 3}}], "Affine does not accept .*rotat"),
        ([{"args": {}}], "type and args"),
        ([{"type": "Affine", "arg": {}}], "type and args"),
        (["Fliplr"], "expected {type: Name"),
        ({"type": "Fliplr"}, "expected a list of"),
        ([{"type": "Resize", "args": {"size": "big"}}], "Resize does not accept"),
    ],
)
def test_mistakes_are_named(entries, said):
    with pytest.raises(ValueError, match=said):
        ImgaugList(entries)


def test_missing_imgaug_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "imgaug", None)
    monkeypatch.setitem(sys.modules, "imgaug.augmenters", None)
    with pytest.raises(ConfigError, match=r"pip install 'ocrexp\[imgaug\]'"):
        ImgaugList()
