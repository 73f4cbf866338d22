"""Crops as a detector cuts them: edges within their ranges, tilt, parts of the next lines, nothing where disabled."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from ocrexp.augment.rec.crop_jitter import CropJitter
from ocrexp.config.build import build
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.data.dataset import TrainPipeline
from ocrexp.types import Image, Record, Sample

HEIGHT, WIDTH = 100, 200
STILL = {"prob": 1.0, "tilt_prob": 0.0, "neighbor_prob": 0.0, "reflect_prob": 0.0}


def positions() -> Image:
    """An image whose pixels state their row and column."""
    rows, columns = np.indices((HEIGHT, WIDTH)).astype(np.uint8)
    return np.stack([rows, columns, np.zeros_like(rows)], axis=2)


def no_other(rng: np.random.Generator) -> Sample:
    raise AssertionError("no other image is needed")


def moves(settings: dict[str, object], times: int = 400) -> npt.NDArray[np.float64]:
    """How far the edges have moved outwards, in shares of the height: [times, 4], top, right, bottom, left."""
    op, rng, found = CropJitter(**{**STILL, **settings}), np.random.default_rng(0), []  # type: ignore[arg-type]
    for _ in range(times):
        cut = op({"image": positions(), "others": no_other}, rng)["image"].astype(int)
        first, last = cut[0, 0], cut[-1, -1]
        # Where an edge lies outside, its pixels are repeated.
        top = (cut[:, 0, 0] == 0).sum() - 1 if first[0] == 0 else -first[0]
        left = (cut[0, :, 1] == 0).sum() - 1 if first[1] == 0 else -first[1]
        bottom = (cut[:, 0, 0] == HEIGHT - 1).sum() - 1 if last[0] == HEIGHT - 1 else last[0] - HEIGHT + 1
        right = (cut[0, :, 1] == WIDTH - 1).sum() - 1 if last[1] == WIDTH - 1 else last[1] - WIDTH + 1
        assert cut.shape[:2] == (HEIGHT + top + bottom, WIDTH + left + right)
        found.append([top, right, bottom, left])
    return np.array(found) / HEIGHT


def test_each_edge_moves_within_its_own_range() -> None:
    found = moves({"across": [-0.1, 0.3], "along": [-0.05, 0.2]})
    for column, (low, high) in enumerate([(-0.1, 0.3), (-0.05, 0.2)] * 2):
        edge = found[:, column]
        assert low - 0.006 <= edge.min() < low + 0.02
        assert high - 0.02 < edge.max() <= high + 0.006
        assert edge.mean() == pytest.approx((low + high) / 2, abs=0.02)
    assert np.abs(np.corrcoef(found.T) - np.eye(4)).max() < 0.15


def test_a_margin_that_the_crops_have_is_no_part_of_the_line() -> None:
    found = moves({"across": [0.1, 0.1], "along": [0.0, 0.0], "margin": 0.25}, 1)  # the line has 67 rows
    assert found[0].tolist() == [-0.1, -0.17, -0.1, -0.17]


def test_no_edge_cuts_more_than_an_eighth_of_the_image() -> None:
    found = moves({"across": [-0.5, -0.5], "along": [-0.5, -0.5]}, 1)
    assert found[0].tolist() == [-0.12, -0.25, -0.12, -0.25]


def test_a_tilted_box_is_at_most_as_steep_as_the_angle_and_the_height_allow() -> None:
    settings = {"across": [0.1, 0.1], "along": [0, 0], "tilt_prob": 1.0, "perspective": 0.0}
    for limits, most in (({"tilt": 0.3, "angle": 45.0}, 30), ({"tilt": 0.3, "angle": 4.0}, 14)):
        op, rng = CropJitter(**{**STILL, **settings, **limits}), np.random.default_rng(0)  # type: ignore[arg-type]
        image, rises = np.zeros((HEIGHT, WIDTH, 3), np.uint8), []
        image[49:52] = 255
        for _ in range(60):
            cut = op({"image": image, "others": no_other}, rng)["image"]
            left, right = cut[:, 2, 0].argmax(), cut[:, -3, 0].argmax()
            rises.append(int(right) - int(left))
        assert most * 0.8 < max(map(abs, rises)) <= most + 2
        assert min(rises) < 0 < max(rises)


def test_parts_of_another_line_appear_only_outside_of_the_own_image() -> None:
    own = np.full((40, 120, 3), 200, np.uint8)
    stripes = np.full((20, 300, 3), 120, np.uint8)
    stripes[:, ::4] = 0
    op = CropJitter(1.0, (0.3, 0.3), (0.0, 0.0), tilt_prob=0, neighbor_prob=1, reflect_prob=0)
    rng, above, below = np.random.default_rng(0), 0, 0
    for _ in range(40):
        cut = op({"image": own, "others": lambda rng: {"image": stripes}}, rng)["image"]
        assert cut.shape == (64, 120, 3)
        assert (cut[12:52] == 200).all()
        assert np.median(cut) == 200  # its paper has the brightness of the own
        above += int((cut[:12] < 150).any())
        below += int((cut[52:] < 150).any())
    assert 15 < above < 40
    assert 15 < below < 40
    assert (own == 200).all()
    assert (np.unique(stripes) == [0, 120]).all()


def test_a_reflected_border_shows_the_text_again() -> None:
    settings = {**STILL, "across": (0.1, 0.1), "along": (0.0, 0.0), "reflect_prob": 1.0}
    cut = CropJitter(**settings)({"image": positions(), "others": no_other}, np.random.default_rng(0))["image"]  # type: ignore[arg-type]
    assert cut[:12, 0, 0].tolist() == [*range(9, -1, -1), 0, 1]


def test_disabled_it_draws_no_random_number() -> None:
    rng, sample = np.random.default_rng(0), {"image": positions(), "others": no_other}
    kept = CropJitter(0.0)(sample, rng)["image"]  # type: ignore[arg-type]
    assert (kept == positions()).all()
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("shape", [(7, 90), (90, 7), (8, 8), (8, 9), (300, 11)])
def test_images_of_any_size(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 255, (*shape, 3), dtype=np.uint8)
    op = CropJitter(1.0, (-0.5, 1.0), (-0.5, 1.0), tilt_prob=1, tilt=1.0, angle=45, perspective=0.25, neighbor_prob=0.5)
    for seed in range(30):
        cut = op({"image": image, "others": lambda rng: {"image": image}}, np.random.default_rng(seed))["image"]
        assert cut.dtype == np.uint8
        assert cut.flags.c_contiguous
        assert min(cut.shape[:2]) >= min(*shape, 4)
        assert min(shape) >= 8 or cut.shape == image.shape


@pytest.mark.parametrize(("settings", "key"), [
    ({"prob": 1.5}, "prob"), ({"across": [0.2, 0.1]}, "across"), ({"along": [-0.6, 0.1]}, "along"),
    ({"across": [0.1]}, "across"), ({"margin": -0.1}, "margin"), ({"tilt_prob": 2}, "tilt_prob"),
    ({"tilt": -1}, "tilt"), ({"angle": 60}, "angle"), ({"perspective": 0.4}, "perspective"),
    ({"neighbor_prob": 0.7, "reflect_prob": 0.7}, "neighbor_prob"), ({"reflect_prob": -1}, "reflect_prob"),
])  # fmt: skip
def test_values_out_of_range_are_named(settings: dict[str, object], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        CropJitter(**settings)  # type: ignore[arg-type]


def chain(augment: str, *overrides: str) -> list[object]:
    config = compose("train", ["model=crnn_mbv3", f"augment={augment}", *overrides])
    check(config)
    assert list(config.augment)[:2] == ["con_aug", "crop_jitter"]
    assert list(config.augment)[-1] == "resize"
    return [build(node) for node in config.augment.values() if node is not None]


@pytest.mark.parametrize("augment", ["rec", "rec_paddleocr", "rec_conaug", "rec_rand", "rec_imgaug"])
def test_every_augmentation_of_lines_has_it_disabled_and_one_key_enables_it(augment: str, tmp_path: Path) -> None:
    images = np.random.default_rng(3).integers(0, 255, (6, 30, 90, 3), dtype=np.uint8)
    records = []
    for number, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        records.append(Record(tmp_path / f"{number}.png", ("ab",)))
    plain, without = chain(augment), chain(augment, "augment.crop_jitter=null")
    enabled = chain(augment, "augment.crop_jitter.prob=1")

    def all_of(steps: list[object], order: list[int]) -> list[npt.NDArray[np.uint8]]:
        pipeline = TrainPipeline(records, steps, seed=7)  # type: ignore[arg-type]
        found = {index: pipeline.sample(index, 2)["image"] for index in order}
        return [found[index] for index in sorted(found)]

    order = list(range(6))
    assert all(map(np.array_equal, all_of(plain, order), all_of(without, order)))
    ahead, back = all_of(enabled, order), all_of(enabled, order[::-1])
    assert all(map(np.array_equal, ahead, back))  # a sample depends on its index and epoch alone
    assert not any(map(np.array_equal, ahead, all_of(plain, order)))
