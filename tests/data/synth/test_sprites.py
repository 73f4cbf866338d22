import cv2
import numpy as np
import pytest

from ocrexp.data.synth.fonts import FontSet, bundled_fonts, can_draw
from ocrexp.data.synth.sprites import INK, bend, draw_line, through

FONTS = [str(path) for path in bundled_fonts()]


def _named(name: str) -> str:
    return next(path for path in FONTS if path.endswith(f"{name}.ttf"))


@pytest.mark.parametrize("font", FONTS, ids=lambda path: path.rsplit("/", 1)[-1])
def test_word_boxes_touch_the_ink_on_all_sides(font):
    sprite = draw_line(["fjord", "4711", "Agy"], font, 31)
    assert sprite.text == "fjord 4711 Agy"
    ink = sprite.mask > INK
    covered = np.zeros_like(ink)
    for _, box in sprite.words:
        (left, top), (right, bottom) = box[0].astype(int), box[2].astype(int)
        part = ink[top:bottom, left:right]
        assert part[0].any() and part[-1].any() and part[:, 0].any() and part[:, -1].any()
        covered[top:bottom, left:right] = True
    assert not (ink & ~covered).any()
    assert sprite.words[0][1][1, 0] < sprite.words[1][1][0, 0]  # a gap lies between two words


@pytest.mark.parametrize("angle", [1.5, -1.5, 0.4])
@pytest.mark.parametrize("points", [8, 14])
def test_curved_outlines_follow_the_ink(angle, points):
    sprite = bend(draw_line(["Curved", "lettering"], _named("DejaVuSans-Bold"), 40), angle, points)
    inside = np.zeros(sprite.mask.shape, np.uint8)
    for _, polygon in sprite.words:
        assert polygon.shape == (points, 2)
        cv2.fillPoly(inside, [np.round(polygon).astype(int)], 1)
    ink = sprite.mask > INK
    assert (ink & (inside == 0)).sum() < 0.03 * ink.sum()  # chords cut the arc by a little
    assert inside.sum() < 1.5 * cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25))).sum()
    # Clockwise, as PaddleOCR's polygons.
    assert all(cv2.contourArea(polygon, oriented=True) > 0 for _, polygon in sprite.words)


def test_positive_angles_bend_the_middle_up():
    flat = draw_line(["middle"], _named("DejaVuSans"), 30)
    top = bend(flat, 1.0, 10).words[0][1][:5, 1]
    assert top[2] < top[0] and top[2] < top[4]


def test_points_go_through_a_homography():
    matrix = np.array([[2, 0, 1], [0, 3, -1], [0, 0, 2]], float)
    np.testing.assert_allclose(through(np.array([[1.0, 1.0]]), matrix), [[1.5, 1.0]])


def test_a_font_without_a_character_gives_way_to_one_that_has_it():
    fonts, rng = FontSet(), np.random.default_rng(0)
    latin = _named("cmr10")
    assert can_draw(latin, "abc") and not can_draw(latin, "ж")
    assert fonts.for_text(latin, "abc", rng) == latin
    assert can_draw(fonts.for_text(latin, "жук", rng), "жук")
    assert fonts.for_text(latin, "漢字", rng) is None


def test_tex_encoded_fonts_draw_only_what_their_glyphs_say():
    # Computer Modern's slot of "<" holds another sign, and its italic draws a pound sign for a dollar.
    assert not can_draw(_named("cmr10"), "<") and not can_draw(_named("cmti10"), "$")


def test_a_folder_without_fonts_is_refused(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    with pytest.raises(ValueError, match=r"fonts=.*no readable \.ttf"):
        FontSet(tmp_path)
