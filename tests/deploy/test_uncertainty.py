"""The numbers and the reasons that tell a person where to look."""

import numpy as np
import pytest

from ocrexp.deploy import TextSystem
from ocrexp.deploy.uncertainty import FoundRegion, uncertainty_of

BOX = np.array([[2, 2], [28, 2], [28, 12], [2, 12]], np.float32)


def line(text, *chars, box=0.9, **more):
    score = sum(chars) / len(chars) if chars else 0.0
    return FoundRegion(BOX, text, score, chars, box, box_thresh=0.6, **more)


def test_the_expected_number_of_wrong_regions_and_the_least_certain_first():
    found = uncertainty_of([line("ab", 0.99, 0.98), line("12", 0.95, 0.5), line("x", 0.97, box=0.65)])
    assert found.expected == pytest.approx((1 - 0.99 * 0.98) + (1 - 0.95 * 0.5) + (1 - 0.97))
    assert [str(doubt) for doubt in found.doubts] == [
        "region 1 '12': text score 0.72; character 2 ('2') has probability 0.50",
        "region 2 'x': region score 0.65 is near det_db_box_thresh=0.6",
    ]


@pytest.mark.parametrize(
    ("regions", "expected", "reason"),
    [
        ([], 1.0, "no text was found"),
        ([line("")], 1.0, "region 0 '': no character was read"),
        ([line("ab", 0.4, 0.3, drop_score=0.5)], 1.0,
         "region 0 'ab': text score 0.35 is below drop_score=0.5; character 2 ('b') has probability 0.30"),
        ([FoundRegion(BOX, box_score=0.7, box_thresh=0.3)], 0.3, "region 0: region score 0.70"),
        # A dictionary's entry of two characters: which of them was uncertain is not known.
        ([FoundRegion(None, "ksa", 0.7, (0.5, 0.9))], 0.55, "region 0 'ksa': text score 0.70"),
    ],
)  # fmt: skip
def test_each_kind_of_reason(regions, expected, reason):
    found = uncertainty_of(regions)
    assert found.expected == pytest.approx(expected)
    assert [str(doubt) for doubt in found.doubts] == [reason]


def test_a_system_reports_what_it_drops(make_det, make_rec):
    pytest.importorskip("onnxruntime")
    image = np.full((160, 320, 3), 255, np.uint8)
    image[20:40, 20:120] = 0
    system = TextSystem(make_det(), make_rec(), drop_score=1.1)
    (found,) = system.examine(image)
    assert system.read(image) == []
    assert not found.kept and found.text == "a" and len(found.char_scores) == 1
    assert found.box_thresh == system.detector.postprocess.box_thresh <= found.box_score
    system.drop_score = 0.0
    ((polygon, (text, score)),) = system.read(image)
    assert (text, score) == (found.text, found.text_score)
    np.testing.assert_array_equal(polygon, found.polygon)
