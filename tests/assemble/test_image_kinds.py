"""Augmentation and preprocessing for pages are refused where images are lines of text, and the other way round."""

import pytest

from ocrexp.assemble import assemble
from ocrexp.config.check import check_early
from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError

LINES = ["model=crnn_mbv3", "charset=en36", "dataset=rec_list", "dataset.root=/nowhere"]
PAGES = ["model=db_mbv3", "dataset=det_list", "dataset.root=/nowhere"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([*PAGES, "augment=rec"], r"augment\.crop_jitter: CropJitter is for images of one line of text, and task=det"),
        ([*PAGES, "augment=rec_svtr"], r"augment\.\w+: \w+ is for images of one line"),
        ([*PAGES, "augment=rec_parseq"], r"augment\.\w+: \w+ is for images of one line"),
        (
            [*LINES, "augment=none"],
            r"augment\.warp: RandomWarpCrop is for pages .* and task=rec has images of",
        ),
        ([*LINES, "augment=det_ppocrv6"], r"augment\.\w+: \w+ is for pages .* list augment$"),
        (["model=cls_mbv3", "dataset=cls_list", "dataset.root=/nowhere", "augment=det_imgaug"], "is for pages"),
    ],
)
def test_an_augmentation_for_other_images_is_refused(overrides, expected):
    with pytest.raises(ConfigError, match=expected):
        assert assemble(compose("train", overrides)).train_transforms


@pytest.mark.parametrize("overrides", [[*PAGES, "augment=det_imgaug"], [*LINES, "augment=rec_imgaug"]])
def test_imgaug_takes_both(overrides):
    assert assemble(compose("train", overrides)).train_transforms


def test_a_value_of_the_model_that_is_not_there_is_told_in_one_line():
    with pytest.raises(
        ConfigError, match=r"augment\.con_aug\.image_shape: takes the value of model\.image_shape, which"
    ):
        check_early(compose("train", [*PAGES, "augment=rec_conaug"]))
