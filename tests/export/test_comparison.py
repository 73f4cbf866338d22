"""The rules of the parity gate."""

import numpy as np

from ocrexp.export.comparison import ComparisonCounts, metric_failures
from ocrexp.results import DetPrediction, RecPrediction
from ocrexp.tasks.find import find_task
from ocrexp.tasks.gate import Rules

RULES = Rules(tolerance=1e-3, box_iou=0.9, metric=1e-3, box_thresh=0.6)


def box(x, y, width=50, height=20):
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def boxes(*placed, score=0.9):
    return DetPrediction([box(*each) for each in placed], [score] * len(placed))


def tally(expected, got):
    result = ComparisonCounts(RULES)
    task = find_task("det" if isinstance(expected, DetPrediction) else "rec")
    result.add(task.compare(expected, got, RULES), "page.png")
    return result


def test_distances_are_compared_relative_to_their_map_and_probabilities_are_not():
    expected = np.zeros((1, 2, 2, 2), np.float32)
    expected[:, 0], expected[:, 1] = 0.5, 200.0
    for channel, difference, fails in ((0, 9e-4, False), (0, 2e-3, True), (1, 0.1, False), (1, 0.4, True)):
        got = expected.copy()
        got[0, channel, 1, 1] += difference
        counts = ComparisonCounts(RULES)
        counts.add_numbers(expected, got)
        assert bool(counts.failures()) == fails, (channel, difference)


def test_equal_boxes_in_any_order_are_equal():
    result = tally(boxes((0, 0), (100, 0)), boxes((100, 0), (0, 0)))
    assert (result.items, result.equal, result.failures()) == (2, 2, [])


def test_a_corner_moved_by_a_pixel_is_let_pass_and_counted():
    result = tally(boxes((0, 0), (100, 0)), boxes((0, 0), (100, 0, 51, 20)))
    assert (result.equal, result.failures()) == (1, [])


def test_a_moved_a_lost_and_a_new_box_fail():
    assert tally(boxes((0, 0)), boxes((5, 5))).failures() == [
        "2 of 1 results differ; page.png: 1 of 1 boxes lost, 1 new"
    ]
    assert tally(boxes((0, 0), (100, 0)), boxes((0, 0))).failures()
    assert tally(boxes((0, 0)), boxes((0, 0), (100, 0))).failures()


def test_an_outline_that_crosses_itself_is_compared_by_its_points():
    """It overlaps with nothing, not even with itself."""
    crossed = box(0, 0)[[0, 2, 1, 3]]
    expected = DetPrediction([crossed, box(100, 0)], [0.9, 0.9])
    near = DetPrediction([crossed + 0.5, box(100, 0)], [0.9, 0.9])
    assert (tally(expected, near).items, tally(expected, near).failures()) == (2, [])
    far = DetPrediction([crossed + 5, box(100, 0)], [0.9, 0.9])
    assert tally(expected, far).failures() == ["2 of 2 results differ; page.png: 1 of 2 boxes lost, 1 new"]


def test_one_box_cannot_stand_for_two():
    assert tally(boxes((0, 0), (0, 0)), boxes((0, 0))).failures()


def test_a_box_whose_score_is_the_threshold_may_come_or_go():
    edge = DetPrediction([box(0, 0), box(100, 0)], [0.9, 0.6004])
    assert tally(edge, boxes((0, 0))).failures() == []
    assert tally(boxes((0, 0)), edge).failures() == []


def test_texts_and_scores_must_agree():
    assert tally(RecPrediction("ab", 0.9), RecPrediction("ab", 0.9005)).failures() == []
    assert tally(RecPrediction("ab", 0.9), RecPrediction("ab", 0.8)).failures() == [
        "scores differ by 0.1 (tolerance 0.001)"
    ]
    assert tally(RecPrediction("ab", 0.9), RecPrediction("abc", 0.9)).failures() == [
        "1 of 1 results differ; page.png: 'ab' became 'abc'"
    ]


def test_numbers_that_are_none_or_of_another_shape_fail():
    for wrong in (np.full((1, 2), np.nan), np.zeros((1, 3))):
        result = ComparisonCounts(RULES)
        result.add_numbers(np.zeros((1, 2)), wrong)
        assert result.max_difference == float("inf")
        assert result.failures()
    result = ComparisonCounts(RULES)
    result.add_numbers(np.full((1, 2), np.nan), np.zeros((1, 2)))  # a model whose training diverged
    assert result.failures()


def test_metrics_must_agree():
    assert metric_failures({"hmean": 0.8, "a/b": 1.0}, {"hmean": 0.8005, "a/b": 0.0}, 1e-3) == []
    assert metric_failures({"hmean": 0.8}, {"hmean": 0.79}, 1e-3) == [
        "hmean is 0.7900, but 0.8000 for the trained model"
    ]


def test_what_follows_the_end_of_a_text_is_not_compared():
    expected = np.zeros((1, 3, 4), np.float32)
    expected[0, 0, 1] = expected[0, 1, 3] = expected[0, 2, 2] = 1  # the second step is `eos`, the last class
    got = expected.copy()
    got[0, 2] = 0.25
    one, other = find_task("rec").comparable({"attention": expected}, got, "attention")
    assert np.array_equal(one, other)
    got[0, 1] = 0.25
    one, other = find_task("rec").comparable({"attention": expected}, got, "attention")
    assert np.abs(one - other).max() == 0.75
