"""Looks are measured on drawn images whose look is known, and put on other words."""

import cv2
import numpy as np
import pytest

from ocrexp.data.synth.fonts import FontSet
from ocrexp.data.synth.sprites import draw_line
from ocrexp.data.synth.style.bank import jpeg_quality
from ocrexp.data.synth.style.draw import draw_styled, ground_of
from ocrexp.data.synth.style.looks import Look
from ocrexp.data.synth.style.measure import measure

FONTS = {path.rsplit("/")[-1]: path for path in FontSet().paths}
SANS, SERIF = FONTS["DejaVuSans.ttf"], FONTS["DejaVuSerif.ttf"]
CHOICE = [SANS, SERIF, FONTS["DejaVuSansMono.ttf"], FONTS["DejaVuSans-Bold.ttf"]]
PAPER, INK = (210, 225, 240), (70, 30, 20)


def crop(text: str, font: str = SANS, size: int = 24, blur: float = 0.5, noise: float = 0.0, paper=PAPER, ink=INK):
    """A printed line whose look is known: margins of 4 pixels."""
    mask = draw_line(text.split(), font, size).mask
    share = cv2.copyMakeBorder(mask, 3, 3, 3, 3, cv2.BORDER_CONSTANT).astype(np.float64) / 255
    if blur:
        share = cv2.GaussianBlur(share, (0, 0), blur)
    image = np.array(paper) + (np.array(ink, np.float64) - paper) * share[:, :, None]
    image += noise * np.random.default_rng(0).standard_normal(share.shape)[:, :, None]
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def look_of(image, text: str, cases=("as_is",)) -> Look:
    found = measure(image, text, CHOICE, cases)
    assert isinstance(found, Look), found
    return found


@pytest.mark.parametrize("font", [SANS, SERIF])
def test_font_size_and_colors_are_those_of_the_print(font):
    found = look_of(crop("Total amount 25", font), "Total amount 25")
    assert found.font == font
    assert found.em == pytest.approx(24, rel=0.08) and found.stretch == pytest.approx(1, abs=0.06)
    assert found.paper == pytest.approx(PAPER, abs=3) and found.ink == pytest.approx(INK, abs=25)
    assert found.margins == pytest.approx((4, 4, 4, 4), abs=1.1)
    assert (found.slant, found.angle) == (0, 0) and found.noise < 1


def test_light_print_on_dark_paper():
    found = look_of(crop("Hello world", paper=INK, ink=PAPER), "Hello world")
    assert found.contrast < -100 and found.paper == pytest.approx(INK, abs=3)


def test_more_blur_bolder_strokes_and_more_noise_are_seen():
    text = "Number 4711"
    plain, soft = look_of(crop(text, blur=0), text), look_of(crop(text, blur=1.3), text)
    assert soft.edges.blur > plain.edges.blur + 0.5
    bold = look_of(crop(text, FONTS["DejaVuSans-Bold.ttf"]), text)
    assert bold.stroke > 1.25 * plain.stroke
    noisy = look_of(crop(text, noise=6.0), text)
    assert noisy.noise == pytest.approx(6, rel=0.3) and max(noisy.grain) < 0.3


def test_the_case_of_each_word_is_seen_where_labels_have_capitals_only():
    found = look_of(crop("TAX gross Date"), "TAX GROSS DATE", ("upper", "title", "lower"))
    assert found.cases == ("upper", "lower", "title")


@pytest.mark.parametrize(
    ("image", "text", "reason"),
    [
        (crop("Total"), "Zqjx 00 Ww 11", "does not show its text"),
        (crop("Total"), "-", "has fewer than 2 letters or digits"),
        (np.full((30, 90, 3), 200, np.uint8), "Total", "shows no print"),
        (crop("Total", paper=(120,) * 3, ink=(110,) * 3), "Total", "has a contrast below 25 gray levels"),
        (np.zeros((5, 90, 3), np.uint8), "Total", "is smaller than 4×8 pixels"),
        (crop("Total"), "合計合計", "has characters that no font draws"),
    ],
)
def test_what_cannot_be_measured_has_a_reason(image, text, reason):
    assert measure(image, text, CHOICE) == reason


def test_ground_is_the_paper_without_the_print():
    image = crop("Total amount")
    found = look_of(image, "Total amount")
    ground = ground_of(found, 40, 300, np.random.default_rng(0))  # larger than the image
    assert ground.shape == (40, 300, 3)
    assert np.abs(ground.astype(int) - PAPER).max() <= 12


def test_another_word_in_the_look_is_measured_as_the_look():
    source = look_of(crop("Total amount 25", SERIF, noise=4.0), "Total amount 25")
    word = draw_styled(source, "Quantity 38", "Quantity 38", source.font, 0.0, np.random.default_rng(1))
    again = look_of(word.image, "Quantity 38")
    assert again.font == source.font and again.em == pytest.approx(source.em, rel=0.1)
    assert again.ink == pytest.approx(source.ink, abs=30) and again.paper == pytest.approx(source.paper, abs=6)
    assert again.stroke == pytest.approx(source.stroke, rel=0.25) and again.noise == pytest.approx(4, rel=0.5)


@pytest.mark.parametrize("angle", [0.0, 3.0])
@pytest.mark.parametrize("slant", [0.0, 0.24])
def test_ink_lies_inside_of_the_polygon(angle, slant):
    from dataclasses import replace

    source = look_of(crop("Total amount 25"), "Total amount 25")
    source = replace(source, angle=angle, slant=slant, unevenness=0.0, margins=(9.0, 9.0, 9.0, 9.0), weight=0.4)
    for seed, text in enumerate(["Quantity (38)", "-", "gjpq|"]):
        word = draw_styled(source, text, text, SANS, 1.0, np.random.default_rng(seed))
        inked = np.abs(word.image.astype(int) - PAPER).sum(axis=2) > 120
        ys, xs = np.nonzero(inked)
        assert len(ys) > 4
        outline = word.polygon.reshape(-1, 1, 2)
        away = [cv2.pointPolygonTest(outline, (x + 0.5, y + 0.5), True) for x, y in zip(xs, ys, strict=True)]
        assert min(away) > -1.5  # the blur
        area = cv2.contourArea(word.polygon)
        box = (np.ptp(xs) + 1) * (np.ptp(ys) + 1)
        assert area < 1.9 * box + 40 * np.ptp(xs)  # and it is not just the image


@pytest.mark.parametrize("quality", [20, 50, 80, 95])
def test_jpeg_quality_is_read_from_the_file(quality):
    data = cv2.imencode(".jpg", crop("Total"), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    assert jpeg_quality(data) == quality
    assert jpeg_quality(cv2.imencode(".png", crop("Total"))[1].tobytes()) == 95
