"""RapidOCR's own models: boxes and texts as RapidOCR's, where its wheel is installed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rapidocr", reason="rapidocr is not installed: its wheel brings the models compared")

import rapidocr

from ocrexp.deploy import TextDetector, TextRecognizer

DETECTION = {
    "det_limit_side_len": 736, "det_limit_type": "min", "det_db_thresh": 0.3, "det_db_box_thresh": 0.5,
    "det_db_unclip_ratio": 1.6, "use_dilation": True, "det_mean": [0.5] * 3, "det_std": [0.5] * 3,
}  # fmt: skip


def page() -> np.ndarray:
    image = np.full((600, 800, 3), 255, np.uint8)
    for row, text in enumerate(("TAX INVOICE", "Receipt No. 4711", "2 x Coffee  7.50", "TOTAL 15.00", "Thank you")):
        cv2.putText(image, text, (40, 80 + 100 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.4, (0, 0, 0), 3, cv2.LINE_AA)
    return image


def test_boxes_and_texts_are_rapidocrs() -> None:
    engine = rapidocr.RapidOCR(params={"Global.log_level": "error", "Global.use_cls": False, "Global.text_score": 0.0})
    image = page()
    theirs = engine(image)
    models = Path(rapidocr.__file__).parent / "models"
    detector = TextDetector(next(models.glob("*_det_*.onnx")), **DETECTION)
    found = engine.text_det(image).boxes
    ours, _ = detector(image)
    assert sorted(np.asarray(found).round().astype(int).tolist()) == sorted(ours.astype(int).tolist())
    recognizer = TextRecognizer(next(models.glob("*_rec_*.onnx")))
    crops = [image[40 + 100 * row : 110 + 100 * row, 30:560] for row in range(5)]
    texts = [engine(crop, use_det=False, use_cls=False, use_rec=True).txts[0] for crop in crops]
    assert [text for text, _ in recognizer(crops)[0]] == texts
    assert len(theirs.txts) == len(ours)
