"""Color jitter."""

import numpy as np
import pytest

from ocrexp.augment.photometric import ColorJitter

IMAGE = np.random.default_rng(0).integers(40, 200, (20, 30, 3)).astype(np.uint8)


def jitter(seed=0, image=IMAGE, **values):
    return ColorJitter(**values)({"image": image.copy()}, np.random.default_rng(seed))["image"]


def test_nothing_asked_nothing_changed():
    np.testing.assert_array_equal(jitter(), IMAGE)


def test_brightness_is_a_factor():
    for seed in range(5):
        ratio = jitter(seed, brightness=0.2).astype(float) / IMAGE
        assert ratio.std() < 0.02
        assert 0.79 < ratio.mean() < 1.21


def test_saturation_keeps_gray_and_brightness():
    gray = np.repeat(IMAGE[..., :1], 3, axis=2)
    np.testing.assert_allclose(jitter(1, gray, saturation=0.5), gray, atol=1)
    luma = np.array([0.114, 0.587, 0.299])
    changed = jitter(1, saturation=0.5)
    assert np.abs(changed.astype(int) - IMAGE).max() > 5
    np.testing.assert_allclose(changed @ luma, IMAGE @ luma, atol=1.5)


def test_contrast_keeps_the_mean():
    changed = jitter(2, contrast=0.5)
    assert abs(changed.mean() - IMAGE.mean()) < 3
    assert abs(changed.std() / IMAGE.std() - 1) > 0.05


def test_hue_keeps_value():
    changed = jitter(3, hue=0.4)
    assert np.abs(changed.astype(int) - IMAGE).max() > 20
    np.testing.assert_allclose(changed.max(axis=2), IMAGE.max(axis=2), atol=2)


@pytest.mark.parametrize("values", [{"brightness": -0.1}, {"saturation": 1.5}, {"hue": 0.6}])
def test_wrong_values_are_refused(values):
    with pytest.raises(ValueError, match="expected 0 to"):
        ColorJitter(**values)
