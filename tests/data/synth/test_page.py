import cv2
import numpy as np
import pytest
from shapely.geometry import Polygon as Shape

from ocrexp.data.synth.canvas import Canvas
from ocrexp.data.synth.dataset import SynthDet
from ocrexp.data.synth.fonts import bundled_fonts
from ocrexp.data.synth.layouts import LAYOUTS
from ocrexp.data.synth.sprites import draw_line, rotation, shift


def _source(tmp_path, **keys) -> SynthDet:
    return SynthDet(cache_dir=str(tmp_path), **{"size": 320, "font_size": (12, 40), **keys})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pages_hold_words_that_neither_overlap_nor_leave_the_page(tmp_path, layout):
    source = _source(tmp_path, layouts={layout: 1}, curved=0.5, illegible=1.0)
    found = 0
    for index in range(8):
        page = source.draw("train", index)
        assert page.image.shape == (320, 320, 3) and page.image.dtype == np.uint8
        shapes = [Shape(region.polygon) for region in page.regions]
        assert all(shape.is_valid for shape in shapes)
        for i, shape in enumerate(shapes):
            assert all(shape.intersection(other).area < 0.02 * shape.area for other in shapes[i + 1 :])
        for region in page.regions:
            assert region.polygon.min() >= 0 and region.polygon.max() <= 320
            assert region.ignored == (region.text == "###")
        found += sum(not region.ignored for region in page.regions)
    assert found > 24


@pytest.mark.parametrize("degrees", [0, 17, -90])
def test_outlines_are_tight_around_turned_words(tmp_path, degrees):
    settings = _source(tmp_path).page_settings
    view = cv2.getPerspectiveTransform(
        np.float32([[0, 0], [320, 0], [320, 320], [0, 320]]), np.float32([[4, 6], [315, 0], [320, 312], [0, 320]])
    )
    canvas = Canvas(np.full((320, 320, 3), 255, np.uint8), view, settings, np.random.default_rng(0))
    font = next(str(path) for path in bundled_fonts() if path.name == "DejaVuSans-Bold.ttf")
    sprite = draw_line(["HAMBURG"], font, 36)
    assert canvas.place(sprite, shift(160, 170) @ rotation(degrees) @ shift(-90, -15), np.zeros(3, np.float32))
    ink = np.argwhere(canvas.image[:, :, 0] < 165)[:, ::-1].astype(np.float32)
    box = Shape(cv2.boxPoints(cv2.minAreaRect(np.concatenate([ink, ink + 1]))))
    outline = Shape(canvas.regions[0].polygon)
    assert box.intersection(outline).area / box.union(outline).area > 0.88


def test_text_is_not_placed_over_text_or_beyond_the_edge(tmp_path):
    canvas = Canvas(
        np.full((320, 320, 3), 255, np.uint8), np.eye(3), _source(tmp_path).page_settings, np.random.default_rng(0)
    )
    sprite = draw_line(["taken"], str(bundled_fonts()[0]), 30)
    black = np.zeros(3, np.float32)
    assert canvas.place(sprite, shift(50, 50), black, gap=0.0)
    before = canvas.image.copy()
    assert not canvas.place(sprite, shift(70, 60), black, gap=0.0)
    assert not canvas.place(sprite, shift(290, 200), black)
    assert np.array_equal(canvas.image, before) and len(canvas.regions) == 1


def test_a_page_depends_on_its_numbers_alone(tmp_path):
    first, again = _source(tmp_path), _source(tmp_path)
    pages = [first.draw("train", 0), first.draw("train", 1), first.draw("val", 0)]
    assert len({page.image.tobytes() for page in pages}) == 3
    for (split, index), page in zip((("val", 0), ("train", 1), ("train", 0)), reversed(pages), strict=True):
        repeated = again.draw(split, index)  # another order
        assert np.array_equal(repeated.image, page.image)
        assert [r.text for r in repeated.regions] == [r.text for r in page.regions]
    other = _source(tmp_path, seed=1).draw("train", 0)
    assert not np.array_equal(other.image, pages[0].image)


def test_lines_as_a_level_join_their_words(tmp_path):
    words = _source(tmp_path, layouts={"paragraph": 1}, illegible=0).draw("train", 2).regions
    lines = _source(tmp_path, layouts={"paragraph": 1}, illegible=0, level="line").draw("train", 2).regions
    assert len(lines) < len(words)
    assert " ".join(r.text for r in lines) == " ".join(r.text for r in words)


def test_curved_pages_have_polygons_of_the_asked_points(tmp_path):
    source = _source(tmp_path, layouts={"scene": 1}, curved=1.0, curve_points=10, illegible=0)
    counts = {len(region.polygon) for index in range(6) for region in source.draw("train", index).regions}
    assert 10 in counts and counts <= {4, 10}


def test_photographs_become_backgrounds(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    stripes = np.zeros((200, 500, 3), np.uint8)
    stripes[:, ::2] = (255, 0, 0)
    cv2.imwrite(str(folder / "blue.png"), stripes)
    keys = {"backgrounds": str(folder), "degrade": 0, "layouts": {"scene": 1}}
    blue = _source(tmp_path, background_share=1.0, **keys).draw("train", 0).image
    assert blue[:, :, 0].mean() > blue[:, :, 2].mean() + 30
