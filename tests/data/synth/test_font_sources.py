"""Fonts and photographs from several sources."""

import shutil

import cv2
import numpy as np
import pytest

from ocrexp.data.synth.font_sources import BundledFonts, FontFolder
from ocrexp.data.synth.fonts import FontSet, bundled_fonts
from ocrexp.data.synth.photographs import BackgroundFiles, Photographs


def test_sources_of_fonts_are_drawn_by_their_weights(tmp_path):
    shutil.copy(bundled_fonts()[0], tmp_path / "mine.ttf")
    fonts = FontSet({"folder": FontFolder(str(tmp_path), weight=3), "bundled": BundledFonts()})
    rng = np.random.default_rng(0)
    share = np.mean([fonts.pick(rng) == str(tmp_path / "mine.ttf") for _ in range(1000)])
    assert 0.7 < share < 0.8 and len(fonts.paths) == len(bundled_fonts()) + 1
    lighter = FontSet({"folder": FontFolder(str(tmp_path)), "bundled": BundledFonts()})
    assert fonts.fingerprint() != lighter.fingerprint()
    alone = FontSet({"folder": FontFolder(str(tmp_path), weight=3), "bundled": None})
    assert alone.fingerprint() == FontSet(tmp_path).fingerprint()


def test_photographs_of_several_folders_and_where_there_are_none(tmp_path):
    for name in ("a", "b/c", "empty"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a/2.png", "b/c/1.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))
    part = Photographs([str(tmp_path / "b"), str(tmp_path / "a")])
    assert BackgroundFiles({"mine": part, "none": None}).files() == [tmp_path / "b/c/1.png", tmp_path / "a/2.png"]
    assert BackgroundFiles(None).files() == []
    with pytest.raises(ValueError, match=r"^backgrounds.mine.path=.*empty: contains no image"):
        BackgroundFiles({"mine": Photographs(str(tmp_path / "empty"))}).files()
    with pytest.raises(ValueError, match=r"^path=.*nothing: folder not found"):
        Photographs(str(tmp_path / "nothing"))
