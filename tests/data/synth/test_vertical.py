"""Vertical lines: what stands, what lies, and how their images are turned."""

from pathlib import Path

import numpy as np
import pytest

from ocrexp.data.synth import vertical
from ocrexp.data.synth.fonts import SYSTEM_FOLDERS, bundled_fonts
from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.data.synth.vertical import cells, draw_column, suits_vertical, turned_as_crop
from ocrexp.errors import DataError

LATIN = next(str(path) for path in bundled_fonts() if path.stem == "DejaVuSans")
CJK = next((path for place in SYSTEM_FOLDERS for path in sorted(place.rglob("NotoSansCJK-Regular.ttc"))), None)
raqm = pytest.mark.skipif(not vertical.has_raqm(), reason="Pillow has no raqm: apt-get install libfribidi0")
cjk = pytest.mark.skipif(CJK is None, reason="no font of Noto CJK: apt-get install fonts-noto-cjk")


def test_wide_characters_stand_and_latin_words_lie():
    assert list(cells("第12回ABC春")) == [
        ("upright", "第"),
        ("together", "12"),
        ("upright", "回"),
        ("sideways", "ABC"),
        ("upright", "春"),
    ]
    assert list(cells("年2024月3")) == [
        ("upright", "年"),
        ("sideways", "2024"),
        ("upright", "月"),
        ("together", "3"),
    ]
    assert suits_vertical("日本") and not suits_vertical("日") and not suits_vertical("abc")


@raqm
def test_a_latin_word_is_the_horizontal_one_turned_clockwise():
    from ocrexp.data.synth.sprites import draw_line

    column, line = draw_column("Ldj", LATIN, 40), draw_line(["Ldj"], LATIN, 40)
    assert column is not None and line is not None
    turned = np.rot90(line.mask, -1)
    assert np.abs(np.subtract(column.mask.shape, turned.shape)).max() <= 1
    height, width = np.minimum(column.mask.shape, turned.shape)
    assert np.mean((column.mask[:height, :width] > 90) != (turned[:height, :width] > 90)) < 0.06


@raqm
@cjk
def test_characters_are_one_below_the_other_and_periods_at_the_right():
    sprite = draw_column("日本。", str(CJK), 40)
    assert sprite is not None and sprite.text == "日本。"
    ink = sprite.mask > 90
    assert 2.2 < ink.shape[0] / ink.shape[1] < 3.5
    period = ink[-14:]
    assert period[:, ink.shape[1] // 2 :].sum() > 4 * period[:, : ink.shape[1] // 2].sum()
    bar = draw_column("ー", str(CJK), 40)
    assert bar is not None and bar.mask.shape[0] > 3 * bar.mask.shape[1]


@raqm
@cjk
def test_a_vertical_word_is_turned_as_a_crop_and_keeps_its_label(tmp_path):
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    (fonts / "cjk.ttc").symlink_to(Path(str(CJK)))
    keys = {
        "characters": "日本東京",
        "fonts": str(fonts),
        "texts": {"random": 1},
        "random_length": (4, 6),
        "vertical": 1,
    }
    source = SynthRec(str(tmp_path), 4, 2, difficulty=0, textured=0, **keys)
    for index in range(4):
        word = source.draw("train", index)
        assert word.image.shape[1] > word.image.shape[0] and 4 <= len(word.text) <= 6
    assert source.settings(source.counts)["vertical"] == 1


def test_tall_images_are_turned_counterclockwise():
    image = np.zeros((30, 20, 3), np.uint8)
    image[0] = 255
    assert turned_as_crop(image).shape == (20, 30, 3) and turned_as_crop(image)[:, 0].min() == 255
    assert turned_as_crop(image[:29]).shape == (29, 20, 3)


def test_pillow_without_raqm_is_one_line(monkeypatch):
    monkeypatch.setattr(vertical, "has_raqm", lambda: False)
    with pytest.raises(DataError, match=r"vertical lines Pillow needs raqm.*libfribidi0"):
        draw_column("日本", LATIN, 20)
