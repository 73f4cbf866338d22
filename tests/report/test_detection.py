"""Pictures of detections: what is right, missed, wrong and ignored can be told apart."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp.drawing import IGNORED, MISSED, RIGHT, WRONG, captioned, draw_polygons, shrink_to_fit, side_by_side
from ocrexp.report.detection import caption, draw_sample
from ocrexp.results import DetPrediction, DetReference, EvalSample


def box(x: float, y: float, width: float = 80, height: float = 30) -> np.ndarray:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


@pytest.fixture
def sample(tmp_path: Path) -> EvalSample:
    path = tmp_path / "page 1.png"
    cv2.imwrite(str(path), np.full((300, 400, 3), 255, np.uint8))
    reference = DetReference([box(20, 20), box(20, 120), box(20, 220)], [False, False, True])
    prediction = DetPrediction([box(22, 21), box(250, 120), box(21, 220)], [0.9, 0.7, 0.8])
    return EvalSample(str(path), prediction, reference)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == np.array(colour, np.uint8)).all(axis=-1).any())


def test_ground_truth_left_and_prediction_right(sample: EvalSample) -> None:
    picture = draw_sample(sample)
    assert picture.dtype == np.uint8 and picture.shape[1] == 400 + 6 + 400 and picture.shape[0] > 300
    below_captions = picture[picture.shape[0] - 300 :]
    left, right = below_captions[:, :400], below_captions[:, 406:]
    assert has(left, RIGHT) and has(left, MISSED) and has(left, IGNORED) and not has(left, WRONG)
    assert has(right, RIGHT) and has(right, WRONG) and has(right, IGNORED) and not has(right, MISSED)
    assert tuple(right[20 + 1, 60]) == RIGHT, "drawn where the box is"
    assert tuple(left[135, 60]) != (255, 255, 255), "missed regions are filled"
    assert caption(sample) == "page 1.png: 1 found, 1 missed, 1 wrong"


def test_large_images_are_shrunk_and_boxes_with_them(sample: EvalSample) -> None:
    picture = draw_sample(sample, longest=200)
    assert picture.shape[1] == 200 + 6 + 200
    panel = picture[picture.shape[0] - 150 :, :200]
    assert tuple(panel[10, 30]) == RIGHT


def test_an_image_that_cannot_be_read_is_said_so(sample: EvalSample) -> None:
    picture = draw_sample(EvalSample("/nowhere/gone.jpg", sample.prediction, sample.reference))
    assert picture.ndim == 3 and picture.dtype == np.uint8


def test_crossing_and_outside_polygons_can_be_drawn() -> None:
    picture = np.zeros((50, 50, 3), np.uint8)
    bow_tie = np.array([[10, 10], [40, 40], [40, 10], [10, 40]], np.float32)
    draw_polygons(picture, [bow_tie, bow_tie + 500, bow_tie - 500], RIGHT, tint=0.5)
    draw_polygons(picture, [bow_tie, bow_tie + 500], IGNORED, dashed=True)
    assert picture.any()


def test_small_parts() -> None:
    small, factor = shrink_to_fit(np.zeros((100, 400, 3), np.uint8), 200)
    assert small.shape == (50, 200, 3) and factor == 0.5
    assert shrink_to_fit(np.zeros((10, 10, 3), np.uint8), 200)[1] == 1.0
    row = side_by_side([np.zeros((10, 20, 3), np.uint8), np.zeros((30, 5, 3), np.uint8)], gap=2)
    assert row.shape == (30, 27, 3)
    assert captioned(np.zeros((10, 20, 3), np.uint8), "title", [("many words here", RIGHT)] * 3).shape[1] == 160


def test_both_images_stand_at_one_height_whatever_their_bands_need():
    from ocrexp.drawing import side_by_side

    low, high = np.full((4, 3, 3), 9, np.uint8), np.full((7, 3, 3), 9, np.uint8)
    row = side_by_side([low, high], gap=1, at_bottom=True)
    assert row.shape == (7, 7, 3)
    assert (row[3:, :3] == 9).all() and (row[:3, :3] != 9).all()
