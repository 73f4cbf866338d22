"""What a detector's pages decide: the sides of pages and crops."""

from pathlib import Path

import numpy as np
import pytest
from made_choices import Made

from ocrexp.adapt.base import Device
from ocrexp.adapt.det import DetAdaptation, text_heights
from ocrexp.types import Record

KEYS = {
    "preprocess.resize.limit_side_len": 736,
    "preprocess.resize.limit_type": "min",
    "augment.warp.reference_side": None,
    "augment.warp.size": [640, 640],
}
CPU = Device(gpu=False, cores=2)


def fit(longer, shares, device=CPU, given=(), **changed):
    choices = Made({**KEYS, **changed}, given)
    DetAdaptation().fit_sides(np.asarray(longer, float), np.asarray(shares, float), device, choices)
    return choices.values


def test_small_text_needs_longer_sides():
    values = fit([1280] * 20, [12 / 1280] * 10)
    assert values["preprocess.resize.limit_side_len"] == values["augment.warp.reference_side"] == 1280
    assert values["preprocess.resize.limit_type"] == "max"
    assert values["augment.warp.size"] == [512, 512]
    assert fit([2000] * 20, [24 / 2000] * 10)["preprocess.resize.limit_side_len"] == 1024
    assert fit([2000] * 20, [0.2] * 10)["preprocess.resize.limit_side_len"] == 640
    assert fit([4000] * 20, [0.001] * 10)["preprocess.resize.limit_side_len"] == 1600


def test_short_pages_are_enlarged_in_evaluation_as_in_training():
    values = fit([600] * 20, [6 / 600] * 10)
    assert values["preprocess.resize.limit_side_len"] == 1216  # twice as long, and no more
    assert values["preprocess.resize.limit_type"] == "resize_long"


def test_a_side_that_the_user_has_set_decides_the_others():
    values = fit([1280] * 20, [0.01] * 10, given=["preprocess.resize.limit_side_len"])
    assert values["preprocess.resize.limit_side_len"] == values["augment.warp.reference_side"] == 736


def test_a_gpu_takes_larger_crops_and_no_crop_is_larger_than_the_page():
    assert fit([1280], [0.01], Device(gpu=True, cores=8))["augment.warp.size"] == [640, 640]
    assert fit([np.nan], [0.01])["augment.warp.size"] == [640, 640]  # nothing is known
    assert fit([1280], [])["preprocess.resize.limit_side_len"] == 736


def test_heights_of_texts_are_those_across_the_line():
    turned = np.array([(0, 0), (30, 40), (22, 46), (-8, 6)], np.float32)  # 50 × 10
    straight = np.array([(0, 0), (50, 0), (50, 12), (0, 12)], np.float32)
    record = Record(Path("a.jpg"), ("a", "b", "c"), (turned, straight, straight), (False, False, True))
    assert text_heights(record) == pytest.approx([10, 12])


def test_values_that_cannot_be_name_their_key():
    for key, value in {"crop": 500, "gpu_crop": 0, "text_height": 0, "sides": [900, 640], "reserve": 1}.items():
        with pytest.raises(ValueError, match=f"^{key}: expected"):
            DetAdaptation(**{key: value})
