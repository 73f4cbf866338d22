"""Texts stand at their places, in every direction and script that a font is there for."""

import itertools

import numpy as np
import pytest

from ocrexp.deploy.draw import draw_line, draw_reading
from ocrexp.deploy.fonts import FontFinder
from ocrexp.deploy.strips import cuts_between, folded
from ocrexp.errors import ConfigError

BAND = 20  # pixels above the panels
GAP = 6


def box(x, y, width, height):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def paper(height=200, width=300):
    return np.full((height, width, 3), 220, np.uint8)


def ink_in(panel, x, y, width, height):
    """How many pixels inside a box, without its outline, are dark."""
    return int((panel[y + 3 : y + height - 3, x + 3 : x + width - 3] < 120).all(axis=2).sum())


def text_panel(picture, width=300):
    return picture[BAND:, width + GAP :]


def test_each_text_is_printed_inside_its_box():
    boxes = [(20, 20, 200, 30), (40, 120, 150, 40)]
    picture = draw_reading(paper(), [box(*b) for b in boxes], ["first line", "second"], [0.9, 0.9])
    panel = text_panel(picture)
    assert picture.shape == (BAND + 200, 2 * 300 + GAP, 3)
    assert all(ink_in(panel, *b) > 50 for b in boxes)
    assert ink_in(panel, 20, 60, 200, 50) == 0


def test_a_text_that_is_too_long_stays_inside_its_box():
    panel = text_panel(draw_reading(paper(), [box(20, 50, 80, 30)], ["a text that is much too long for it"], [0.9]))
    assert ink_in(panel, 20, 50, 80, 30) > 50
    assert ink_in(panel, 104, 50, 150, 30) == 0


def test_arabic_begins_at_the_right_and_latin_at_the_left():
    left, right = (20, 20, 60, 40), (180, 20, 80, 40)
    for text, full, empty in (("سلام", right, left), ("salam", left, right)):
        panel = text_panel(draw_reading(paper(), [box(20, 20, 240, 40)], [text], [0.9]))
        assert ink_in(panel, *full) > 50
        assert ink_in(panel, *empty) == 0


def test_a_tall_box_is_read_downwards():
    panel = text_panel(draw_reading(paper(), [box(100, 20, 30, 160)], ["down"], [0.9]))
    assert ink_in(panel, 100, 20, 30, 80) > ink_in(panel, 100, 100, 30, 80)


def test_a_small_image_is_enlarged_and_a_large_one_shrunk():
    small = draw_reading(paper(100, 200), [box(10, 10, 100, 9)], ["tiny"], [0.9])
    assert small.shape[1] == 2 * 400 + GAP
    large = draw_reading(paper(3000, 1000), [box(10, 10, 100, 90)], ["large"], [0.9], longest=800)
    assert large.shape[0] == BAND + 800


def test_regions_without_texts_polygons_and_odd_boxes():
    curved = np.array([[20, 60], [80, 40], [140, 60], [140, 80], [80, 60], [20, 80]], np.float32)
    point = np.full((4, 2), 50, np.float32)
    outside = box(-50, -50, 500, 90)
    polygons = [curved, point, outside]
    assert draw_reading(paper(), polygons, None, [0.9, 0.5, 0.1]).shape == (BAND + 200, 300, 3)
    assert (
        ink_in(text_panel(draw_reading(paper(), polygons, ["curved", "", "outside"], [0.9] * 3)), 20, 40, 120, 40) > 30
    )
    assert draw_reading(paper(), [], [], []).shape[1] == 2 * 300 + GAP
    assert draw_reading(np.zeros((1, 1, 3), np.uint8), [], [], []).ndim == 3


def test_a_line_stands_above_what_was_read():
    picture = draw_line(paper(48, 320), "a line", 0.97, title="crop.png")
    assert picture.shape[1] == 320
    assert picture.shape[0] > 48 + 30


def test_a_character_without_a_font_is_its_code_point_and_noted():
    finder = FontFinder()
    runs = finder.runs("a\U000e0100b")  # a variation selector of a plane that no text font here covers
    assert finder.missing == {"\U000e0100"}
    assert "".join(text for _, text in runs) == "aU+E0100b"


def test_a_text_is_drawn_in_one_font_where_one_has_it_all():
    (run,) = FontFinder().runs("Grüße, мир, שלום")
    assert run[1] == "Grüße, мир, שלום"


def test_a_font_of_the_user_comes_first_and_must_be_one(tmp_path):
    path = next(path for path, _ in FontFinder().runs("a"))
    serif = path.replace("DejaVuSans.ttf", "DejaVuSerif.ttf")
    assert FontFinder(serif).runs("abc") == [(serif, "abc")]
    (tmp_path / "no.ttf").write_text("no font")
    with pytest.raises(ConfigError, match=r"font=.*not a readable font"):
        FontFinder(str(tmp_path / "no.ttf"))


@pytest.mark.parametrize("texts", [None, ["text"] * 30])
def test_a_tall_page_is_cut_between_its_lines_into_strips(texts):
    boxes = [box(20, 30 + 190 * row, 150, 40) for row in range(30)]
    picture = draw_reading(paper(6000, 200), boxes, texts, [0.9] * 30, longest=800)
    assert picture.shape[0] <= 800 * 1.3
    assert picture.shape[1] > 400
    outlined = [(np.abs(picture.astype(int) - ink).max(axis=2) < 12).any() for ink in ((0, 114, 178), (130, 120, 0))]
    assert all(outlined)


def test_the_strips_of_a_picture_hold_all_of_it_and_no_line_in_two():
    shown = np.zeros((4000, 100, 3), np.uint8)
    shown[:, :, 0] = (np.arange(4000) % 251)[:, None]
    lines = [box(10, top, 50, 60) for top in (970, 1990, 2950)]
    cuts = cuts_between(shown, lines, 4, 1000)
    assert cuts[0] == 0
    assert cuts[-1] == 4000
    assert len(cuts) == 5
    assert all(not top <= cut <= top + 60 for cut in cuts for top in (970, 1990, 2950))
    picture = folded([shown], cuts)
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        left = number * (100 + 24)
        assert (picture[: end - start, left : left + 100] == shown[start:end]).all()
    wide = folded([shown.transpose(1, 0, 2)], cuts)
    assert (wide[:100, : cuts[1]] == shown.transpose(1, 0, 2)[:, : cuts[1]]).all()


def test_outlines_on_a_dark_image_have_a_white_border():
    for level, bordered in ((220, False), (30, True)):
        image = np.full((200, 300, 3), level, np.uint8)
        picture = draw_reading(image, [box(60, 60, 120, 60)], None, [0.9])[BAND:]
        assert bool((picture[58:122, 55:185] > 245).all(axis=2).sum() > 100) == bordered
