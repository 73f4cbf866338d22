"""Joined words: labels and sizes within their bounds; RandAugment's changes."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ocrexp.augment.imgaug_list import ImgaugList
from ocrexp.augment.rec.con_aug import RecConAug
from ocrexp.augment.rec.rand_augment import CHANGES, RecRandAugment
from ocrexp.config.build import build
from ocrexp.config.compose import compose
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.transforms.rec_resize import RecResize
from ocrexp.types import Record, Sample


def sample(text: str = "ab", width: int = 60, others: list[tuple[str, int]] | None = None, **more: Any) -> Sample:
    """An image of height 20 and that width; `others` come in order."""
    queue = iter(others or [("cd", 40)] * 10)

    def other(rng: np.random.Generator) -> Sample:
        assert isinstance(rng, np.random.Generator)
        other_text, other_width = next(queue)
        return {"image": np.full((20, other_width, 3), 200, np.uint8), "texts": [other_text]}

    return {"image": np.full((20, width, 3), 50, np.uint8), "texts": [text], "others": other, **more}  # type: ignore[typeddict-item]


def join(given: Sample, **settings: Any) -> Sample:
    return RecConAug(**{"prob": 1.0, "image_shape": [32, 320], **settings})(given, np.random.default_rng(0))


def test_the_text_of_the_other_stands_behind_and_so_does_its_image() -> None:
    joined = join(sample())
    assert joined["texts"] == ["abcd"]
    assert joined["image"].shape == (32, 96 + 64, 3)
    assert (joined["image"][:, :96] == 50).all()
    assert (joined["image"][:, 96:] == 200).all()
    assert RecResize([32, 320])(joined, np.random.default_rng(0))["valid_width"] == 160


def test_several_are_joined_and_one_that_does_not_fit_is_passed_over() -> None:
    assert join(sample(), ext_data_num=3)["texts"] == ["abcdcdcd"]
    long = [("x" * 30, 20), ("cd", 20)]
    assert join(sample(others=long), ext_data_num=2)["texts"] == ["abcd"]
    wide = [("x", 500), ("cd", 20)]
    assert join(sample(others=wide), ext_data_num=2)["texts"] == ["abcd"]


def test_with_a_space_there_is_a_gap_of_the_paper_between_them() -> None:
    joined = join(sample(), ext_data_num=2, join_with_space=True)
    assert joined["texts"] == ["ab cd cd"]
    image, gaps = joined["image"], joined["image"].shape[1] - 96 - 2 * 64
    assert 2 * 0.15 * 32 - 2 <= gaps <= 2 * 0.4 * 32
    assert (image[:, :96] == 50).all()
    levels = np.unique(image[0, :, 0])
    assert levels[0] == 50 and levels[-1] == 200 and len(levels) > 4  # the gap goes from one paper to the other
    assert (image[0] == image[-1]).all()
    assert (image[:, -64:] == 200).all()


def test_the_space_counts_in_the_length_and_the_width() -> None:
    assert join(sample(), max_text_length=4)["texts"] == ["abcd"]
    assert join(sample(), max_text_length=4, join_with_space=True)["texts"] == ["ab"]
    assert join(sample(), image_shape=[32, 160])["texts"] == ["abcd"]
    assert join(sample(), image_shape=[32, 160], join_with_space=True)["texts"] == ["ab"]


def test_a_charset_without_a_space_joins_without_one_and_reports_it(caplog: pytest.LogCaptureFixture) -> None:
    for characters, text in (("abc", "abcd"), ("abc ", "ab cd")):
        op = RecConAug(1.0, 1, [32, 320], join_with_space=True)
        op.know_characters(["blank", *characters])
        assert op(sample(), np.random.default_rng(0))["texts"] == [text]
    assert caplog.text.count("charset.use_space_char=true") == 1


@pytest.mark.parametrize(("use_space", "joined"), [(True, True), (False, False)])
def test_the_charset_of_the_run_decides(tmp_path: Path, use_space: bool, joined: bool) -> None:
    from ocrexp.assemble import assemble

    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 60, 3), np.uint8))
    (tmp_path / "train_list.txt").write_text("a.png\tab\n")
    config = compose("train", [
        "model=crnn_mbv3", "augment=rec_conaug", "augment.con_aug.join_with_space=true", "dataset=rec_list",
        f"dataset.root={tmp_path}", "charset=en36", f"charset.use_space_char={str(use_space).lower()}",
    ])  # fmt: skip
    (step,) = [step for step in assemble(config).train_transforms if isinstance(step, RecConAug)]
    assert step.join_with_space is joined


@pytest.mark.parametrize(("settings", "text", "width"), [
    ({"max_text_length": 3}, "ab", 60),
    ({"image_shape": [32, 100]}, "ab", 60),
    ({"max_wh_ratio": 4.5}, "ab", 60),
    ({}, "ab", 2000),
    ({}, "a" * 24, 60),
])  # fmt: skip
def test_bounds_of_text_and_width_hold(settings: dict[str, Any], text: str, width: int) -> None:
    given = sample(text, width)
    joined = join(given, **settings)
    assert joined["texts"] == [text]
    assert joined["image"].shape == (20, width, 3), "untouched"


def test_the_bounds_hold_for_any_lengths() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        others = [("x" * int(rng.integers(1, 20)), int(rng.integers(1, 300))) for _ in range(4)]
        joined = join(sample("x" * int(rng.integers(1, 20)), int(rng.integers(1, 300)), others), ext_data_num=4)
        assert len(joined["texts"][0]) <= 25
        height, width = joined["image"].shape[:2]
        assert width / height <= 10 or joined["image"].shape[0] == 20


def test_the_size_of_the_batch_wins() -> None:
    assert join(sample(size=(64, 640)))["image"].shape == (64, 192 + 128, 3)
    assert join(sample(size=(32, 120)))["texts"] == ["ab"]


def test_nothing_is_read_where_nothing_can_fit() -> None:
    def never(rng: np.random.Generator) -> Sample:
        raise AssertionError("another image was read for nothing")

    given = sample("x" * 25)
    given["others"] = never
    assert join(given)["texts"] == ["x" * 25]
    given = sample("x", 500)
    given["others"] = never
    assert join(given)["texts"] == ["x"]


def test_probability() -> None:
    done = [RecConAug(0.3)(sample(), np.random.default_rng(seed))["texts"] == ["abcd"] for seed in range(300)]
    assert 0.2 < np.mean(done) < 0.4


@pytest.mark.parametrize(
    "settings",
    [{"prob": 2}, {"ext_data_num": 0}, {"image_shape": [32]}, {"max_text_length": 0}, {"max_wh_ratio": 0}],
)
def test_values_out_of_range_are_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        RecConAug(**settings)


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_change_of_rand_augment_acts_and_takes_any_size(name: str) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(40, 200, (32, 120, 3), dtype=np.uint8)
    op = RecRandAugment(1.0, 1, 10, [name])
    one, two = (op({"image": image.copy()}, np.random.default_rng(4))["image"] for _ in range(2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, image)
    assert one.shape == image.shape
    for size in ((1, 1), (1, 90), (90, 1), (7, 7), (12, 700), (500, 9)):
        small = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        changed = RecRandAugment(1.0, 1, 10, [name])({"image": small}, np.random.default_rng(2))["image"]
        assert changed.shape == small.shape
        assert changed.dtype == np.uint8


def test_rand_augment_at_no_strength_changes_little_and_at_no_probability_nothing() -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 120, 3), dtype=np.uint8)
    ops = [name for name in CHANGES if name not in ("invert", "blur")]
    for seed in range(20):
        weak = RecRandAugment(1.0, 2, 0, ops)({"image": image}, np.random.default_rng(seed))["image"]
        assert np.abs(weak.astype(int) - image).mean() < 3
    assert RecRandAugment(0.0)({"image": image}, np.random.default_rng(0))["image"] is image


@pytest.mark.parametrize("settings", [{"ops": ["mirror"]}, {"num_ops": 0}, {"num_ops": 99}, {"magnitude": 11}])
def test_rand_augment_names_what_it_cannot_do(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        RecRandAugment(**settings)


def test_a_list_of_imgaug_needs_no_polygons() -> None:
    if importlib.util.find_spec("imgaug") is None:
        pytest.skip("extra 'imgaug' is not installed")
    given: Sample = {"image": np.full((20, 60, 3), 50, np.uint8), "texts": ["ab"]}
    changed = ImgaugList([{"type": "Multiply", "args": {"mul": 2.0}}])(given, np.random.default_rng(0))
    assert (changed["image"] == 100).all()
    assert changed["texts"] == ["ab"]


@pytest.mark.parametrize("option", ["rec", "rec_conaug", "rec_rand", "rec_none"])
def test_the_shipped_recipes_make_samples_that_seed_epoch_and_index_decide(option: str, tmp_path: Path) -> None:
    """From the config to samples of one shape, twice the same, whatever came before."""
    records = []
    for number in range(6):
        image = np.random.default_rng(number).integers(0, 256, (20 + number, 20 + 3 * number, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        records.append(Record(tmp_path / f"{number}.png", (f"w{number}",)))
    config = compose("train", ["model=crnn_mbv3", "preprocess=rec", f"augment={option}"])
    transforms = [build(node) for node in config.augment.values() if node is not None]
    one, two = (TrainPipeline(records, transforms, seed=3) for _ in range(2))
    first = [one.sample(index, 1) for index in range(6)]
    second = [two.sample(index, 1) for index in reversed(range(6))][::-1]
    for a, b in zip(first, second, strict=True):
        assert a["image"].shape == (32, 100, 3)
        assert np.array_equal(a["image"], b["image"])
        assert a["texts"] == b["texts"]
    texts = [each["texts"][0] for each in first]
    assert all(text.startswith(f"w{number}") for number, text in enumerate(texts))
    assert (max(map(len, texts)) > 2) == (option == "rec_conaug")
    later = one.sample(5, 2)["image"]
    assert (option == "rec_none") == np.array_equal(later, first[5]["image"])
