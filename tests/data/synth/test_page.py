import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from shapely.geometry import Polygon as Shape

from ocrexp.data.synth.canvas import Canvas
from ocrexp.data.synth.dataset import SynthDet
from ocrexp.data.synth.fonts import FontSet, bundled_fonts
from ocrexp.data.synth.layouts import LAYOUTS
from ocrexp.data.synth.page import draw_page
from ocrexp.data.synth.sprites import draw_line, rotation, shift
from ocrexp.data.synth.traced import along
from ocrexp.data.synth.words import WordMaker
from ocrexp.errors import DataError


def _source(tmp_path, **keys) -> SynthDet:
    return SynthDet(cache_dir=str(tmp_path), **{"size": 320, "font_size": (12, 40), **keys})


# A flat box, an arch of 10 points, a wave of 14; another image with a box; an ignored one and one with 5 points.
_ARCH = [(40 + 110 - 100 * np.cos(t), 160 - 100 * np.sin(t)) for t in np.linspace(0.4, np.pi - 0.4, 5)] + [
    (40 + 110 - 60 * np.cos(t), 160 - 60 * np.sin(t)) for t in np.linspace(np.pi - 0.4, 0.4, 5)
]
_WAVE = [(x, 260 + 20 * np.sin(x / 40)) for x in np.linspace(20, 280, 7)] + [
    (x, 300 + 20 * np.sin(x / 40)) for x in np.linspace(280, 20, 7)
]
_BOX = [(20, 10), (130, 14), (129, 40), (19, 36)]


def _outlines(folder) -> str:
    def entry(points, text="word"):
        return {"transcription": text, "points": [[round(float(v), 1) for v in point] for point in points]}

    crossing = [*_BOX[:2], (90, 60), *_BOX[2:]]
    images = [[entry(_BOX), entry(_ARCH), entry(_WAVE), entry(_BOX, "###"), entry(crossing)], [entry(_BOX)]]
    path = folder / "outlines.txt"
    good = "".join(f"none_{i}.jpg\t{json.dumps(line)}\n" for i, line in enumerate(images))
    path.write_text(f"broken.jpg\t[[[\n{good}")
    return str(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_pages_hold_words_that_neither_overlap_nor_leave_the_page(tmp_path, layout):
    outlines = _outlines(tmp_path) if layout == "traced" else None
    source = _source(tmp_path, layouts={layout: 1}, curved=0.5, illegible=1.0, outlines=outlines)
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
    assert found > (9 if layout == "traced" else 24)


def test_words_along_given_outlines_lie_inside_of_them(tmp_path):
    keys = {"layouts": {"traced": 1}, "outlines": _outlines(tmp_path), "degrade": 0, "illegible": 0, "perspective": 0}
    source = _source(tmp_path, **keys)
    points = set()
    for index in range(6):
        page = source.draw("train", index)
        before = draw_page(
            replace(source.page_settings, max_words=0),
            0,
            "train",
            index,
            WordMaker("train"),
            FontSet(),
            [],
            (),
            [[np.zeros((4, 2))]],
        ).image
        inked = np.abs(page.image.astype(int) - before).max(axis=2) > 8
        for region in page.regions:
            inside = np.zeros(inked.shape, np.uint8)
            cv2.fillPoly(inside, [np.round(region.polygon * 16).astype(np.int32)], 1, shift=4)
            covered = (inside > 0) & inked
            assert covered.sum() > 0.08 * inside.sum()  # and it fills the outline
            inked &= cv2.dilate(inside, np.ones((3, 3), np.uint8)) == 0
            points.add(len(region.polygon))
        assert not inked.any()  # there is no ink elsewhere
    assert {4, 10, 14} >= points >= {10, 14}
    bad, unused = source.report()
    assert bad.startswith("outlines: 1 bad label line(s) skipped: ")
    assert unused == "outlines: 2 polygon(s) not used: ignored, or with an odd number of points"


def test_folded_outlines_are_not_drawn():
    sprite = draw_line(["word"], str(bundled_fonts()[0]), 30)
    upper = np.array([[0.0, 0.0], [50, 0], [100, 0]])
    lower = upper + np.array([0, 20])
    assert along(sprite, upper, lower) is not None
    assert along(sprite, upper, lower[::-1]) is None


def test_outlines_and_their_layout_belong_together(tmp_path):
    for keys in ({"layouts": {"traced": 1}}, {"layouts": {"scene": 1}, "outlines": "list.txt"}):
        with pytest.raises(ValueError, match=r"layouts\.traced: expected above 0 together with outlines"):
            _source(tmp_path, **keys)
    with pytest.raises(DataError, match=r"missing\.txt: file not found"):
        _source(tmp_path, layouts={"traced": 1}, outlines=str(tmp_path / "missing.txt")).draw("train", 0)


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
