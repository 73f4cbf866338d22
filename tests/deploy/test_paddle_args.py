"""PaddleOCR's ways to make the parts: a dict, a namespace, its own names."""

from argparse import Namespace

import numpy as np
import pytest

from ocrexp.deploy.detector import TextDetector
from ocrexp.deploy.recognizer import TextRecognizer
from ocrexp.deploy.settings import RuntimeSettings, settings_from
from ocrexp.deploy.system import TextSystem
from ocrexp.errors import DeployError

pytest.importorskip("onnxruntime")


def of_paddleocr(**given):
    """Some of what PaddleOCR's `parse_args` gives."""
    return {
        "use_gpu": False, "gpu_id": 0, "use_onnx": False, "cpu_threads": 1, "det_algorithm": "DB", "image_dir": None,
        "det_limit_side_len": 320, "det_db_thresh": 0.2, "rec_algorithm": "SVTR_LCNet", "max_batch_size": 10,
        "rec_char_dict_path": "./ppocr/utils/ppocr_keys_v1.txt", "use_angle_cls": False, "cls_model_dir": "",
        "precision": "fp32", "drop_score": 0.5, "warmup": False, "rec_model_dir": None, "det_model_dir": None, **given,
    }  # fmt: skip


def test_dict_namespace_and_names_make_the_same_detector(make_det):
    folder = str(make_det())
    page = np.full((64, 96, 3), 255, np.uint8)
    page[20:40, 20:70] = 0
    wanted = TextDetector(folder)(page)[0]
    assert len(wanted) == 1
    for detector in (
        TextDetector({"det_model_dir": folder}),
        TextDetector(det_model_dir=folder),
        TextDetector(Namespace(**of_paddleocr(det_model_dir=folder))),
    ):
        np.testing.assert_array_equal(detector(page)[0], wanted)
    assert TextDetector(Namespace(**of_paddleocr(det_model_dir=folder))).postprocess.thresh == 0.2


def test_recognizer_and_system_take_them_too(make_det, make_rec):
    det, rec = str(make_det()), str(make_rec())
    line = np.zeros((32, 64, 3), np.uint8)
    wanted = TextRecognizer(rec)([line])[0]
    assert TextRecognizer(Namespace(**of_paddleocr(rec_model_dir=rec)))([line])[0] == wanted
    assert TextRecognizer(rec_model_dir=rec)([line])[0] == wanted
    system = TextSystem(Namespace(**of_paddleocr(det_model_dir=det, rec_model_dir=rec, drop_score=0.25)))
    assert system.drop_score == 0.25 and system.classifier is None
    assert TextSystem(det, rec).classifier is None


def test_what_cannot_be_taken_is_one_line(make_det):
    folder = str(make_det())
    with pytest.raises(DeployError, match=r"det_modle_dir.*did you mean det_model_dir"):
        TextDetector({"det_modle_dir": folder})
    with pytest.raises(DeployError, match=r"missing model_dir.*det_model_dir"):
        TextDetector(Namespace(**of_paddleocr()))
    with pytest.raises(DeployError, match=r"missing model_dir"):
        TextDetector()
    with pytest.raises(DeployError, match=r"det_algorithm.*EAST"):
        TextDetector({"det_model_dir": folder, "det_algorithm": "EAST"})


def test_mean_and_std_are_those_that_are_given(make_rec):
    from ocrexp.config.compose import compose

    line = np.full((32, 64, 3), 127, np.uint8)
    folder = str(make_rec())
    values = []
    for mean in (None, [0.9, 0.9, 0.9]):
        recognizer = TextRecognizer(folder, rec_mean=mean)
        batch = recognizer.normalize.batch(1, 32, 64)
        recognizer.normalize(line, batch[0])
        values.append(float(batch.mean()))
    assert values[1] < values[0] - 0.5
    settings = settings_from(
        compose("predict", ["images=x", "det=x", "det_mean=[0.5,0.5,0.5]", "rec_std=[1]"]), RuntimeSettings
    )
    assert (settings.det_mean, settings.rec_std) == ([0.5, 0.5, 0.5], [1])
