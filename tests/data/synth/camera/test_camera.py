"""What a camera does to drawn images, and that outlines follow it."""

import cv2
import numpy as np
import pytest

from ocrexp.data.synth.camera.jpeg import Jpeg
from ocrexp.data.synth.camera.low_light import LowLight
from ocrexp.data.synth.camera.motion_blur import MotionBlur
from ocrexp.data.synth.camera.perspective import CameraPerspective
from ocrexp.data.synth.camera.shadow import Shadow
from ocrexp.data.synth.dataset import SynthDet
from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.data.synth.sprites import box_polygon

EFFECTS = [CameraPerspective, Shadow, MotionBlur, LowLight, Jpeg]
BOX = box_polygon(60, 30, 150, 70)


def page() -> np.ndarray:
    image = np.full((120, 220, 3), 230, np.uint8)
    cv2.rectangle(image, (60, 30), (149, 69), (0, 0, 0), cv2.FILLED)
    return image


@pytest.mark.parametrize("effect", EFFECTS)
def test_effects_depend_on_the_numbers_alone_and_change_nothing_at_prob_0(effect):
    image = page()
    kept = image.copy()
    one, outlines = effect(prob=1.0)(image, [BOX], np.random.default_rng(3))
    two, again = effect(prob=1.0)(image, [BOX], np.random.default_rng(3))
    assert np.array_equal(one, two) and np.array_equal(outlines, again) and np.array_equal(image, kept)
    assert one.shape == image.shape and one.dtype == np.uint8 and not np.array_equal(one, image)
    same, outlines = effect(prob=0.0)(image, [BOX], np.random.default_rng(3))
    assert np.array_equal(same, image) and np.array_equal(outlines[0], BOX)
    assert effect(prob=0.5).settings()["prob"] == 0.5 and len(effect().settings()) >= 2
    with pytest.raises(ValueError, match="prob: expected 0 to 1, got 2"):
        effect(prob=2)


@pytest.mark.parametrize("seed", range(4))
def test_outlines_follow_the_perspective_and_nothing_leaves_the_image(seed):
    turned, (outline,) = CameraPerspective(1.0, 0.3)(page(), [BOX], np.random.default_rng(seed))
    drawn = np.zeros(turned.shape[:2], np.uint8)
    cv2.fillPoly(drawn, [np.round((outline - 0.5) * 16).astype(np.int32)], 1, shift=4)
    dark = turned[:, :, 0] < 115
    assert (dark & (drawn > 0)).sum() / (dark | (drawn > 0)).sum() > 0.9  # fillPoly draws half a pixel more
    assert outline.min() >= 0 and (outline.max(axis=0) <= (220, 120)).all()


def test_shadow_darkens_a_part_and_low_light_the_whole():
    white = np.full((100, 200, 3), 240, np.uint8)
    shadowed = np.stack([Shadow(1.0, (0.5, 0.5))(white, [], np.random.default_rng(i))[0] for i in range(5)])
    assert shadowed.min() == pytest.approx(120, abs=3) and shadowed.max() >= 238
    dark, _ = LowLight(1.0, (0.5, 0.5), (8, 8))(white, [], np.random.default_rng(0))
    assert dark.mean() == pytest.approx(120, rel=0.13) and 3 < dark[:, :, 1].std() < 9


def test_motion_blur_has_a_direction_and_keeps_the_brightness():
    image = np.zeros((101, 101, 3), np.uint8)
    image[50, 50] = 255
    blurred, _ = MotionBlur(1.0, (9, 9))(image, [], np.random.default_rng(1))
    ys, xs = np.nonzero(blurred[:, :, 0])
    extent = np.linalg.eigvalsh(np.cov(np.stack([xs, ys])))
    assert extent[1] > 6 * extent[0]
    assert blurred[:, :, 0].astype(int).sum() == pytest.approx(255, rel=0.1)
    small = np.full((10, 40, 3), 9, np.uint8)  # a fifth of 10 pixels at most
    small[5, 20] = 255
    assert np.count_nonzero(MotionBlur(1.0, (9, 9))(small, [], np.random.default_rng(1))[0] != 9) <= 3 * 9


def test_pages_and_words_are_drawn_as_a_camera_sees_them(tmp_path):
    camera = {"perspective": CameraPerspective(1.0, 0.2), "off": None}
    keys = {"cache_dir": str(tmp_path), "size": 192, "layouts": {"poster": 1}, "degrade": 0, "illegible": 0}
    plain, seen = SynthDet(**keys).draw("train", 1), SynthDet(**keys, camera=camera).draw("train", 1)
    assert [region.text for region in plain.regions] == [region.text for region in seen.regions]
    for before, after in zip(plain.regions, seen.regions, strict=True):
        assert cv2.contourArea(after.polygon) < cv2.contourArea(before.polygon)
    words = {"cache_dir": str(tmp_path), "degrade": 0}
    one, two = SynthRec(**words), SynthRec(**words, camera={"low_light": LowLight(1.0, (0.3, 0.3), (0, 0))})
    bright, dark = one.draw("train", 0), two.draw("train", 0)
    assert bright.text == dark.text and dark.image.mean() < 0.5 * bright.image.mean()
