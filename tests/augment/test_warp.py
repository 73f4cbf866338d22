"""The single warp: image and polygons move together, words stay whole, the frame is as described."""

import cv2
import numpy as np
import pytest

from ocrexp.augment import geometry
from ocrexp.augment.crop import cut_window, fit_window, free_positions
from ocrexp.augment.random_scale import RandomScale
from ocrexp.augment.warp import EastRandomCrop, RandomWarpCrop
from ocrexp.data.images import EncodedImage


def page(width=400, height=300, words=((40, 30, 60, 24), (200, 120, 90, 30), (300, 230, 50, 40)), ignored=()):
    """A dark page with a light rectangle for each word (left, top, width, height)."""
    image = np.full((height, width, 3), 30, np.uint8)
    polygons = []
    for x, y, w, h in words:
        image[y : y + h, x : x + w] = 220
        polygons.append(np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32))
    return {
        "image": image,
        "polygons": polygons,
        "texts": [str(i) for i in range(len(words))],
        "ignored": np.array([i in ignored for i in range(len(words))], bool),
        "index": 0,
        "epoch": 0,
    }


def inside(polygon, shape, grow=0.0):
    """Pixels whose centre lies in the polygon."""
    height, width = shape
    ys, xs = np.mgrid[:height, :width] + 0.5
    centre = polygon.mean(axis=0)
    polygon = (centre + (polygon - centre) * (1 + grow)).astype(np.float32)
    grid = np.stack([xs.ravel(), ys.ravel()], axis=1)
    return np.array([cv2.pointPolygonTest(polygon, tuple(map(float, p)), False) >= 0 for p in grid]).reshape(
        height, width
    )


@pytest.mark.parametrize(
    "options", [{}, {"crop": "cut", "scale": (0.6, 1.5)}, {"crop": "whole"}, {"keep_ratio": False}]
)
def test_polygons_stay_on_their_words(options):
    transform = RandomWarpCrop(size=(160, 128), rotate=(-20, 20), **{"scale": (1, 1), **options})
    seen = 0
    for seed in range(12):
        sample = transform(page(), np.random.default_rng(seed))
        assert sample["image"].shape == (128, 160, 3)
        assert sample["image"].dtype == np.uint8
        bright = sample["image"][..., 0] > 125
        covered = np.zeros_like(bright)
        for polygon in sample["polygons"]:
            assert polygon.dtype == np.float32
            covered |= inside(polygon, bright.shape)
        # Up to a pixel along the edges of each word
        assert np.count_nonzero(bright != covered) <= 0.06 * max(np.count_nonzero(covered), 500)
        seen += len(sample["polygons"])
    assert seen >= 12


@pytest.mark.parametrize("size", [(640, 640), (320, 200)])
def test_fit_cuts_no_word_and_fills_the_frame(size):
    transform = RandomWarpCrop(size=size)
    for seed in range(60):
        sample = transform(page(), np.random.default_rng(seed))
        boxes = geometry.boxes_of(sample["polygons"])
        assert len(boxes) >= 1
        assert boxes[:, :2].min() >= -1e-3
        assert (boxes[:, 2:].max(axis=0) <= np.array(size) + 1e-3).all()
        assert sample["ignored"].tolist() == [False] * len(boxes)
        assert len(sample["texts"]) == len(boxes)
        filled = (sample["image"] > 0).any(axis=2)
        assert filled.any(axis=0).sum() >= 0.97 * size[0] or filled.any(axis=1).sum() >= 0.97 * size[1]


def test_words_that_rotation_moves_out_are_kept():
    """PaddleOCR's rotation cuts the corners of the image, and the words there with them."""
    corner = [(0, 0, 60, 20), (340, 280, 60, 20)]
    transform = RandomWarpCrop(size=(400, 300), flip=0, rotate=(25, 25), crop="whole")
    sample = transform(page(words=corner), np.random.default_rng(0))
    boxes = geometry.boxes_of(sample["polygons"])
    assert len(boxes) == 2
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, 2:].max(axis=0) <= (400, 300)).all()


@pytest.mark.parametrize("crop", ["fit", "cut", "whole"])
@pytest.mark.parametrize(
    ("stray", "reaching"),
    [
        ([[90000, 10], [90050, 10], [90050, 40], [90000, 40]], False),
        ([[-90000, 200], [60, 200], [60, 230], [-90000, 230]], True),
    ],
)
def test_a_label_beyond_the_image_does_not_blacken_the_crop(crop, stray, reaching):
    """Other than a word that rotation moves out of the frame, it has no pixels that a larger canvas could show."""
    transform = RandomWarpCrop(size=(160, 120), rotate=(-5, 5), scale=(1, 1), crop=crop)
    shares, seen = [], 0
    for seed in range(20):
        plain = transform(page(), np.random.default_rng(seed))
        sample = page()
        sample["polygons"].append(np.array(stray, np.float32))
        sample["texts"].append("stray")
        sample["ignored"] = np.append(sample["ignored"], False)
        result = transform(sample, np.random.default_rng(seed))
        shares.append([(each["image"] > 0).any(axis=2).mean() for each in (plain, result)])
        seen += "stray" in result["texts"]
        if not reaching:
            np.testing.assert_array_equal(result["image"], plain["image"])
            assert result["texts"] == plain["texts"]
    without, with_stray = np.mean(shares, axis=0)
    assert with_stray > without - 0.1
    assert reaching == bool(seen)


def test_cut_words_become_ignored():
    words = [(10 + 100 * i, 10 + 60 * j, 80, 30) for i in range(4) for j in range(5)]
    transform = RandomWarpCrop(size=(150, 110), flip=0, rotate=(0, 0), scale=(1, 1), crop="cut")
    cut = whole = 0
    for seed in range(40):
        sample = transform(page(words=words), np.random.default_rng(seed))
        boxes = geometry.boxes_of(sample["polygons"])
        held = (boxes[:, :2] >= -1).all(axis=1) & (boxes[:, 2:] <= (151, 111)).all(axis=1)
        np.testing.assert_array_equal(sample["ignored"], ~held)
        assert held.any()
        np.testing.assert_allclose(boxes[:, 2:] - boxes[:, :2], np.full((len(boxes), 2), (80, 30)), atol=1e-3)
        cut += np.count_nonzero(~held)
        whole += np.count_nonzero(held)
    assert min(whole, cut) > 10


def test_cut_scale_sets_the_size_of_words():
    for reference_side, expected in ((None, 0.5), (800, 1.0)):
        transform = RandomWarpCrop(
            size=(200, 200), flip=0, rotate=(0, 0), scale=(0.5, 0.5), crop="cut", reference_side=reference_side
        )
        sample = transform(page(words=[(100, 100, 60, 30)]), np.random.default_rng(0))
        box = geometry.boxes_of(sample["polygons"])[0]
        np.testing.assert_allclose(box[2:] - box[:2], (60 * expected, 30 * expected), rtol=1e-4)


def test_fit_scale_takes_detail_away_and_nothing_else():
    """PaddleOCR's Resize in front of a crop that is resized to the frame: less detail, the same geometry."""
    rng = np.random.default_rng(3)
    sharp = page()
    sharp["image"] = rng.integers(0, 256, (300, 400, 3)).astype(np.uint8)
    results = {}
    for scale in (0.25, 1.0, 3.0):
        sample = {**sharp, "polygons": list(sharp["polygons"]), "texts": list(sharp["texts"])}
        transform = RandomWarpCrop(size=(256, 256), scale=(scale, scale))
        results[scale] = transform(sample, np.random.default_rng(5))
    for scale in (0.25, 3.0):
        for ours, plain in zip(results[scale]["polygons"], results[1.0]["polygons"], strict=True):
            np.testing.assert_array_equal(ours, plain)
    np.testing.assert_array_equal(results[3.0]["image"], results[1.0]["image"])
    contrast = {s: np.abs(np.diff(results[s]["image"].astype(int), axis=1)).mean() for s in (0.25, 1.0)}
    assert contrast[0.25] < 0.5 * contrast[1.0]


def test_regions_outside_are_left_out_and_ignored_ones_kept():
    transform = EastRandomCrop(size=(100, 100))
    counts = set()
    for seed in range(30):
        sample = transform(page(ignored=(1,)), np.random.default_rng(seed))
        assert len(sample["polygons"]) == len(sample["texts"]) == len(sample["ignored"])
        assert all(ignored == (text == "1") for ignored, text in zip(sample["ignored"], sample["texts"], strict=True))
        counts.add(len(sample["polygons"]))
    assert len(counts) > 1


@pytest.mark.parametrize("crop", ["fit", "cut", "whole"])
def test_images_without_legible_words_are_good_samples(crop):
    for sample in (page(words=()), page(ignored=(0, 1, 2))):
        result = RandomWarpCrop(size=(64, 64), crop=crop)(sample, np.random.default_rng(0))
        assert result["image"].shape == (64, 64, 3)
        assert result["ignored"].all()


def test_background_is_cropped_too():
    """PaddleOCR always takes the whole image where there is no legible word."""
    transform = RandomWarpCrop(size=(64, 64), rotate=(0, 0), flip=0)
    sample = page(words=())
    sample["image"] = np.dstack([np.tile(np.linspace(0, 255, 400), (300, 1))] * 3).astype(np.uint8)
    extents = {int(np.ptp(transform(dict(sample), np.random.default_rng(seed))["image"][:20])) for seed in range(10)}
    assert len(extents) > 3


def test_polygons_of_any_number_of_points():
    circle = np.array([[100 + 50 * np.cos(t), 100 + 40 * np.sin(t)] for t in np.linspace(0, 6, 14)], np.float32)
    triangle = np.array([[200, 200], [260, 210], [230, 250]], np.float32)
    sample = page(words=())
    sample.update(polygons=[circle, triangle], texts=["a", "b"], ignored=np.zeros(2, bool))
    result = RandomWarpCrop(size=(200, 150), crop="whole")(sample, np.random.default_rng(1))
    assert [len(polygon) for polygon in result["polygons"]] == [14, 3]


def test_reduced_decoding_gives_the_same_picture(tmp_path):
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (18, 24, 3)).astype(np.uint8), (1200, 900), interpolation=cv2.INTER_CUBIC)
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    results = []
    for reduced in (True, False):
        sample = page(words=[(300, 300, 200, 60)])
        del sample["image"]
        sample["encoded"] = EncodedImage(path)
        transform = RandomWarpCrop(size=(256, 256), scale=(1, 1), crop="whole", reduced_decode=reduced)
        results.append(transform(sample, np.random.default_rng(2)))
    np.testing.assert_array_equal(results[0]["polygons"][0], results[1]["polygons"][0])
    difference = np.abs(results[0]["image"].astype(int) - results[1]["image"])
    assert difference.mean() < 0.6  # a shift by half a pixel of the file gives 1.1


def test_warp_places_pixels_as_resize_does():
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3)).astype(np.uint8)
    ours = geometry.warp(image, geometry.scaling(1.5, 1.5), (135, 90), (150, 100))
    theirs = cv2.resize(image, (135, 90), interpolation=cv2.INTER_LINEAR)
    assert np.abs(ours[2:88, 2:133].astype(int) - theirs[2:88, 2:133]).max() <= 4  # 1/32 pixel in warpAffine
    assert ours[90:].sum() == ours[:, 135:].sum() == 0


def test_compose_and_invert():
    parts = [geometry.flip_and_rotate(40, 30, True, 12), geometry.translation(3, -4), geometry.scaling(2, 0.5)]
    points = np.array([[1.0, 2.0], [30, 7]])
    one_by_one = points
    for part in parts:
        one_by_one = geometry.transform([one_by_one], part)[0]
    whole = geometry.compose(*parts)
    np.testing.assert_allclose(geometry.transform([points], whole)[0], one_by_one)
    np.testing.assert_allclose(geometry.transform([one_by_one], geometry.invert(whole))[0], points)
    np.testing.assert_allclose(
        geometry.transform([points], geometry.flip_and_rotate(40, 30, True, 0))[0], [[39, 2], [10, 7]]
    )


def test_free_positions_between_words():
    stretches = free_positions(np.array([50, 10, 20]), np.array([60, 25, 30]), 100)
    assert stretches == [(0, 10), (30, 50), (60, 100)]
    assert free_positions(np.array([10, 20]), np.array([20, 30]), 30) == [(0, 10), (20, 20), (30, 30)]


def test_the_crop_reaches_behind_the_last_word():
    """PaddleOCR never cuts in the last free stretch of an axis with several of them."""
    boxes = np.array([[10.0, 10, 20, 20], [50, 50, 60, 60]])
    rng = np.random.default_rng(0)
    windows = [fit_window(boxes, 100, 100, 0.1, 10, rng) for _ in range(200)]
    assert any(60 < x + w < 100 for x, _, w, _ in windows)
    for x, y, w, h in windows:
        assert w >= 10
        assert h >= 10
        assert 0 <= x <= x + w <= 100
        assert 0 <= y <= y + h <= 100


def test_cut_window_prefers_whole_words():
    boxes = np.array([[0.0, 0, 40, 20], [100, 0, 140, 20]])
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y, w, h = cut_window(boxes, 140, 100, (60, 60), 10, rng)
        assert (w, h) == (60, 60)
        assert x <= 80
        assert y <= 40
        assert x == 0 or x >= 40


def test_same_generator_same_sample():
    first, second = (RandomWarpCrop(size=(64, 64))(page(), np.random.default_rng([1, 2, 3])) for _ in range(2))
    np.testing.assert_array_equal(first["image"], second["image"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"crop": "random"}, "fit, cut or whole"),
        ({"size": [640]}, "two numbers"),
        ({"scale": [3, 0.5]}, r"expected \[low, high\]"),
        ({"rotate": [10, -10]}, r"expected \[low, high\]"),
        ({"flip": 2}, "probability"),
        ({"reference_side": 1280}, "crop=cut"),
        ({"crop": "cut", "keep_ratio": False}, "crop=fit"),
        ({"size": [0, 64]}, "1 pixel or more"),
        ({"crop": "cut", "min_crop_side_ratio": 0.1}, "min_crop_side_ratio: only for crop=fit"),
        ({"crop": "whole", "min_crop_side_ratio": 0.1}, "min_crop_side_ratio: only for crop=fit"),
        ({"min_crop_side_ratio": 1.5}, "expected a share from 0 to 1, got 1.5"),
        ({"min_crop_side_ratio": -0.1}, "expected a share from 0 to 1, got -0.1"),
        ({"max_tries": 0}, "max_tries: expected 1 or more, got 0"),
    ],
)
def test_wrong_values_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        RandomWarpCrop(**options)


@pytest.mark.parametrize("option", [{"size": [640]}, {"min_crop_side_ratio": 2}, {"max_tries": 0}])
def test_the_crop_alone_names_its_own_option(option):
    with pytest.raises(ValueError, match=f"^{next(iter(option))}: expected"):
        EastRandomCrop(**option)


def test_random_scale():
    sample = RandomScale(scale=[0.5, 0.5])(page(), np.random.default_rng(0))
    assert sample["image"].shape == (150, 200, 3)
    np.testing.assert_allclose(sample["polygons"][0][0], (20, 15))
    assert RandomScale(p=0)(page(), np.random.default_rng(0))["image"].shape == (300, 400, 3)
    with pytest.raises(ValueError, match=r"expected \[low, high\]"):
        RandomScale(scale=[2, 1])
