"""Detector, classifier and recogniser together."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'ocrexp[onnx]'")

from ocrexp.deploy import TextClassifier, TextSystem
from ocrexp.errors import DeployError


def page(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.full((160, 320, 3), 255, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 0
    return image


def test_lines_come_in_reading_order_with_their_texts(make_det, make_rec) -> None:
    system = TextSystem(make_det(), make_rec())
    lines = system(page((200, 20, 300, 40), (20, 20, 120, 40), (20, 100, 120, 120)))
    assert [tuple(np.round(box[0] / 20).astype(int) * 20) for box, _ in lines] == [(20, 20), (200, 20), (20, 100)]
    assert [text for _, (text, _) in lines] == ["a", "a", "a"]
    assert set(system.timings) == {"det", "crop", "rec"}
    assert all(seconds >= 0 for seconds in system.timings.values())


def test_pages_that_are_read_together_are_read_as_alone(make_det, make_rec, make_cls) -> None:
    system = TextSystem(make_det(), make_rec(), make_cls())
    pages = [page((20, 20, 120, 40)), page(), page((200, 20, 300, 40), (20, 100, 160, 124))]
    together, alone = system.examine_pages(pages), [system.examine(each) for each in pages]
    assert [[region.text for region in found] for found in together] == [["a"], [], ["a", "a"]]
    for regions, others in zip(together, alone, strict=True):
        for region, other in zip(regions, others, strict=True):
            np.testing.assert_array_equal(region.polygon, other.polygon)
            assert region.text_score == pytest.approx(other.text_score, abs=1e-5)
            assert region.box_score == other.box_score


def test_low_scores_are_dropped(make_det, make_rec) -> None:
    image = page((20, 20, 120, 40))
    assert len(TextSystem(make_det("a"), make_rec("b"))(image)) == 1
    assert TextSystem(make_det("c"), make_rec("d"), drop_score=1.1)(image) == []


def test_a_page_without_text_has_no_lines(make_det, make_rec, make_cls) -> None:
    assert TextSystem(make_det(), make_rec(), make_cls())(page()) == []


def test_curved_regions_are_cropped_by_their_rectangle(make_det, make_rec) -> None:
    lines = TextSystem(make_det(), make_rec(), det_box_type="poly")(page((20, 20, 120, 40)))
    assert lines[0][1][0] == "a"


def test_a_network_of_other_outputs_is_no_classifier(make_cls, line, monkeypatch) -> None:
    classifier = TextClassifier(make_cls())
    monkeypatch.setattr(classifier.backend, "run", lambda batch: np.zeros((len(batch), 40, 97), np.float32))
    with pytest.raises(DeployError, match=r"expected \[1, 2\], got \[1, 40, 97\]"):
        classifier([line("ab")])


def test_lines_on_their_heads_are_turned(make_det, make_rec, make_cls, line) -> None:
    classifier = TextClassifier(make_cls())
    up, down = line("bbaa", height=48, width=48), line("aabb", height=48, width=48)
    turned, results, seconds = classifier([up, down])
    assert [label for label, _ in results] == ["0", "180"]
    assert all(0.9 < score <= 1 for _, score in results)
    assert np.array_equal(turned[0], up)
    assert np.array_equal(turned[1], down[::-1, ::-1])
    assert seconds > 0
    assert np.array_equal(TextClassifier(make_cls("c"), cls_thresh=1.1)([down])[0][0], down)
    system = TextSystem(make_det(), make_rec(), make_cls("d"))
    assert [text for _, (text, _) in system(page((20, 20, 120, 40)))] == ["a"]
    assert set(system.timings) == {"det", "crop", "cls", "rec"}
