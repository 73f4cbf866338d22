"""Rotation with a canvas that fits, perspective, and crops through words: pixels and polygons go together."""

from typing import Any

import cv2
import numpy as np
import pytest
import shapely

from ocrexp.augment.clip_crop import ClipCrop
from ocrexp.augment.clipping import clip_polygon, clip_regions, signed_area
from ocrexp.augment.perspective import RandomPerspective, projected
from ocrexp.augment.turn import FlipRotate
from ocrexp.config.build import named
from ocrexp.config.compose import compose

WORDS = [
    [(60, 50), (200, 60), (195, 100), (58, 92)],
    [(250, 150), (330, 130), (390, 150), (330, 160), (385, 190), (250, 190)],  # concave
    [(20, 200), (90, 200), (90, 230), (20, 230)],
]


def page(width: int = 400, height: int = 240, words: Any = WORDS) -> dict[str, Any]:
    """A black page whose words are white, so that pixels show where a word is."""
    image = np.zeros((height * 8, width * 8, 3), np.uint8)
    for word in words:
        cv2.fillPoly(image, [np.round(np.array(word) * 8 - 0.5).astype(np.int32)], (255, 255, 255))
    return {
        "image": cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA),
        "polygons": [np.array(word, np.float32) for word in words],
        "texts": [f"word {number}" for number in range(len(words))],
        "ignored": np.zeros(len(words), bool),
    }


def overlap(sample: dict[str, Any]) -> float:
    """Intersection over union of the white pixels and of what the polygons cover."""
    height, width = sample["image"].shape[:2]
    fine = np.zeros((height * 8, width * 8), np.uint8)
    for polygon in sample["polygons"]:
        cv2.fillPoly(fine, [np.round(polygon * 8 - 0.5).astype(np.int32)], 255)
    covered = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA).astype(float)
    white = sample["image"][..., 0].astype(float)
    return float(np.minimum(white, covered).sum() / np.maximum(white, covered).sum())


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "transform",
    [
        FlipRotate(p=1.0),
        FlipRotate(p=1.0, fit_output=False, min_visible=0.0),
        RandomPerspective(p=1.0),
        RandomPerspective(p=1.0, scale=0.3, fit_output=False, min_visible=0.0),
        ClipCrop((256, 160), min_visible=0.0),
        ClipCrop((500, 300)),
    ],
    ids=["turn", "turn in frame", "perspective", "perspective in frame", "crop", "padded"],
)
def test_polygons_stay_on_their_pixels(transform: Any, seed: int) -> None:
    sample = transform(page(), rng(seed))
    assert len(sample["polygons"]) == len(sample["texts"]) == len(sample["ignored"])
    if sample["polygons"]:
        assert overlap(sample) > 0.97
    height, width = sample["image"].shape[:2]
    for polygon in sample["polygons"]:
        assert polygon.dtype == np.float32
        assert (polygon >= -1e-3).all() and (polygon <= np.array([width, height]) + 1e-3).all()


def test_a_turned_page_loses_nothing() -> None:
    for seed in range(4):
        before, after = page(), FlipRotate(flip=0.0, p=1.0, rotate=(-45, 45))(page(), rng(seed))
        assert after["texts"] == before["texts"]
        for old, new in zip(before["polygons"], after["polygons"], strict=True):
            assert signed_area(new.astype(float)) == pytest.approx(signed_area(old.astype(float)), rel=1e-5)
        white = [float(sample["image"].sum(dtype=np.int64)) for sample in (before, after)]
        assert white[1] == pytest.approx(white[0], rel=0.01)


def test_quarter_turns_and_mirrors_are_exact() -> None:
    source = page()
    noise = np.random.default_rng(1).integers(0, 256, source["image"].shape).astype(np.uint8)
    turned = FlipRotate(flip=0.0, p=1.0, rotate=(90, 90))({**page(), "image": noise.copy()}, rng())
    np.testing.assert_array_equal(turned["image"], np.rot90(noise, -1))
    np.testing.assert_allclose(turned["polygons"][0][0], (240 - 50, 60), atol=1e-4)
    mirrored = FlipRotate(flip=1.0, p=0.0)({**page(), "image": noise.copy()}, rng())
    np.testing.assert_array_equal(mirrored["image"], noise[:, ::-1])
    np.testing.assert_array_equal(mirrored["polygons"][0][0], (340, 50))
    still = FlipRotate(flip=0.0, p=0.0)({**page(), "image": noise}, rng())
    np.testing.assert_array_equal(still["image"], noise)


def test_a_view_from_the_side_keeps_lines_straight_and_is_bounded() -> None:
    transform = RandomPerspective(p=1.0, perspective=0.01, shear=0.0)  # ten times what the page can bear
    for seed in range(8):
        sample = transform(page(4000, 40, [[(10, 10), (3990, 10), (3990, 30), (10, 30)]]), rng(seed))
        height, width = sample["image"].shape[:2]
        assert max(width, height) <= 2 * 4000 + 1
        assert np.isfinite(sample["polygons"][0]).all()
    matrix = transform._drawn(400, 240, rng(3))
    line = projected([(0, 0), (100, 60), (200, 120), (400, 240)], matrix)
    directions = np.diff(line, axis=0)
    crosses = directions[:-1, 0] * directions[1:, 1] - directions[:-1, 1] * directions[1:, 0]
    np.testing.assert_allclose(crosses, 0, atol=1e-6)
    still = RandomPerspective(p=1.0, perspective=0.0, shear=0.0)(page(), rng())
    np.testing.assert_array_equal(still["image"], page()["image"])
    np.testing.assert_allclose(still["polygons"][1], WORDS[1], atol=1e-4)


def test_pieces_of_polygons_are_those_of_shapely() -> None:
    draw = np.random.default_rng(5)
    frame = shapely.box(0, 0, 100, 60)
    for number in range(200):
        corners = draw.uniform(-60, 160, (int(draw.integers(3, 7)), 2))
        if number % 2:  # points in order around the middle: simple, often concave
            middle = corners.mean(axis=0)
            corners = corners[np.argsort(np.arctan2(*(corners - middle).T[::-1]))]
        else:
            corners = np.array(shapely.MultiPoint(corners).convex_hull.exterior.coords)[:-1]
        shape = shapely.Polygon(corners)
        if not shape.is_valid:
            continue
        pieces = clip_polygon(corners, 100, 60)
        assert sum(abs(signed_area(piece)) for piece in pieces) == pytest.approx(
            shape.intersection(frame).area, abs=1e-6
        )
        for piece in pieces:
            assert np.sign(signed_area(piece)) == np.sign(signed_area(corners))
            assert (piece >= -1e-9).all() and (piece <= np.array([100, 60]) + 1e-9).all()


def test_cut_regions() -> None:
    half = np.array([(-10, 10), (10, 10), (10, 20), (-10, 20)], np.float32)
    sliver = np.array([(-99, 10), (1, 10), (1, 20), (-99, 20)], np.float32)
    fork = np.array([(-20, 0), (30, 0), (30, 10), (-10, 10), (-10, 20), (30, 20), (30, 30), (-20, 30)], np.float32)
    beyond = half - (50, 0)
    crossing = np.array([(-10, 0), (20, 20), (20, 0), (-10, 20)], np.float32)
    sample: Any = {
        "polygons": [half, sliver, fork, beyond, crossing], "texts": ["half", "sliver", "fork", "beyond", "crossing"],
        "ignored": np.zeros(5, bool),
    }  # fmt: skip
    clip_regions(sample, 100, 100, 0.25)
    assert sample["texts"] == ["half", "sliver", "fork", "fork", "crossing"]
    assert sample["ignored"].tolist()[:4] == [False, True, False, False]
    np.testing.assert_array_equal(sample["polygons"][0], [(0, 10), (10, 10), (10, 20), (0, 20)])
    assert (sample["polygons"][4] >= 0).all()
    inside: Any = page()
    clip_regions(inside, 400, 240, 0.25)
    assert all((a == b).all() for a, b in zip(inside["polygons"], page()["polygons"], strict=True))


def test_a_crop_copies_pixels_and_shows_words() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (240, 400, 3)).astype(np.uint8)
    for seed in range(20):
        sample = ClipCrop((96, 64), max_tries=3)({**page(), "image": noise}, rng(seed))
        assert sample["image"].shape == (64, 96, 3)
        match = cv2.matchTemplate(noise, sample["image"], cv2.TM_SQDIFF)
        y, x = np.unravel_index(match.argmin(), match.shape)
        np.testing.assert_array_equal(sample["image"], noise[y : y + 64, x : x + 96])
        assert not sample["ignored"].all()
    padded = ClipCrop((500, 300))({**page(), "image": noise}, rng(2))
    x, y = (padded["polygons"][0][0] - np.array(WORDS[0][0])).astype(int)
    assert (x, y) != (0, 0)
    np.testing.assert_array_equal(padded["image"][y : y + 240, x : x + 400], noise)
    assert int(padded["image"].sum(dtype=np.int64)) == int(noise.sum(dtype=np.int64))
    empty: Any = {**page(words=[]), "image": noise}
    assert ClipCrop((96, 64))(empty, rng())["polygons"] == []


def test_the_shipped_list_gives_crops_of_its_size() -> None:
    config = compose("train", ["model=db_mbv3", "augment=det_ppocrv6"])
    steps = list(named(config.augment).values())
    for seed in range(3):
        sample: Any = {**page(), "others": lambda _: page()}
        for step in steps:
            sample = step(sample, rng(seed))
        assert sample["image"].shape == (640, 640, 3)
    again: Any = {**page(), "others": lambda _: page()}
    for step in steps:
        again = step(again, rng(2))
    np.testing.assert_array_equal(again["image"], sample["image"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FlipRotate(rotate=(10, -10)), "lower one first"),
        (lambda: FlipRotate(p=2), "p: expected .* got 2"),
        (lambda: RandomPerspective(shear=70), "shear: expected .* got 70"),
        (lambda: RandomPerspective(perspective=-1), "perspective: expected .* got -1"),
        (lambda: RandomPerspective(scale=1), "scale: expected .* got 1"),
        (lambda: ClipCrop((640,)), "width and height"),
        (lambda: ClipCrop(max_tries=0), "max_tries: expected .* got 0"),
        (lambda: ClipCrop(min_visible=3), "min_visible: expected .* got 3"),
    ],
)
def test_wrong_values_are_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
