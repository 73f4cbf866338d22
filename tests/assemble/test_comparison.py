"""What the gate of a start reads off two outputs: boxes, the best classes of a recognizer's steps, labels."""

import numpy as np
import pytest

from ocrexp.assemble.comparison import _compare_results
from ocrexp.config.compose import compose


def page(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A probability map of the fixed page's size."""
    found = np.full((1, 1, 320, 320), 0.01, np.float32)
    for left, top, right, bottom in boxes:
        found[..., top:bottom, left:right] = 0.95
    return found


ONE, TWO = (20, 20, 200, 50), (40, 100, 240, 140)


@pytest.mark.parametrize(
    ("theirs", "ours", "different", "words"),
    [
        (page(ONE, TWO), page(ONE, TWO), 0, ""),
        (page(ONE, TWO), page(ONE), 1, "1 of 2 boxes lost"),
        (page(ONE), page(ONE, TWO), 1, "1 new"),
    ],
)
def test_boxes_of_both_maps_are_compared(theirs: np.ndarray, ours: np.ndarray, different: int, words: str) -> None:
    config = compose("train", ["model=ppocrv4_det"])
    compared, what = _compare_results(config, "maps", theirs, ours)
    assert what == "boxes"
    assert compared.items == (2 if theirs[..., 120, 100] > 0.5 else 1)
    assert compared.different == different
    assert words in compared.what


def test_best_classes_are_compared_without_characters() -> None:
    config = compose("train", ["model=ppocrv4_rec_ctc"])
    theirs = np.eye(5, dtype=np.float32)[[0, 1, 2, 4]][None]
    ours = np.eye(5, dtype=np.float32)[[0, 1, 3, 4]][None]
    compared, what = _compare_results(config, "ctc", theirs, ours)
    assert (compared.items, compared.equal, compared.different, what) == (4, 3, 1, "best classes")
    assert "1 of 4 best classes differ" in compared.what


def test_labels_of_a_classifier_are_compared() -> None:
    config = compose("train", ["model=cls_mbv3"])
    up, down = (np.array([each], np.float32) for each in ([0.9, 0.1], [0.2, 0.8]))
    assert _compare_results(config, "cls", up, up)[0].equal == 1
    compared, what = _compare_results(config, "cls", up, down)
    assert (compared.different, what) == (1, "labels")
