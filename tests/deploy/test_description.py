"""inference.yml: ours comes back whole, PaddleOCR's is understood."""

from pathlib import Path

import pytest
import yaml

from ocrexp.deploy.description import Description
from ocrexp.errors import DeployError

DET = Description(
    task="det",
    model_name="PP-OCRv5_mobile_det",
    resize={"kind": "DetResize", "limit_side_len": 1280, "limit_type": "max", "max_side": 4000},
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    postprocess={"name": "DBPostProcess", "thresh": 0.3, "box_thresh": 0.6, "unclip_ratio": 1.5, "min_size": 3},
    ocrexp={"versions": {"ocrexp": "0.1.0"}, "files": {"inference.onnx": "00"}, "metric": {"hmean": 0.5}},
)
REC = Description(
    task="rec",
    model_name="PP-OCRv5_mobile_rec",
    resize={"kind": "RecResize", "image_shape": [32, 48], "widen": True, "width_step": 16},
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    postprocess={"name": "CTCLabelDecode"},
    characters=("0", "1", "é", "~", "=", "'", "\u2028", "no", "null", " "),
    ocrexp={"charset": {"fingerprint": "ab", "lower": False}},
)


@pytest.mark.parametrize("description", [DET, REC], ids=["det", "rec"])
def test_what_is_written_is_read_back(description: Description, tmp_path: Path) -> None:
    description.write(tmp_path / "inference.yml")
    assert Description.read(tmp_path / "inference.yml") == description


def test_the_written_file_says_to_paddlex_what_it_can(tmp_path: Path) -> None:
    DET.write(tmp_path / "det.yml")
    content = yaml.safe_load((tmp_path / "det.yml").read_text("utf-8"))
    ops = {name: arguments for op in content["PreProcess"]["transform_ops"] for name, arguments in op.items()}
    # PaddleX takes the limit of a PP-OCR model from resize_long, and its type ("max") from the model's name.
    assert content["Global"]["model_name"] == "PP-OCRv5_mobile_det"
    assert ops["DetResizeForTest"]["resize_long"] == 1280
    assert ops["DecodeImage"] == {"channel_first": False, "img_mode": "BGR"}
    assert set(ops) <= {"DecodeImage", "DetResizeForTest", "NormalizeImage", "ToCHWImage", "KeepKeys"}
    assert content["PostProcess"]["name"] == "DBPostProcess"

    REC.write(tmp_path / "rec.yml")
    content = yaml.safe_load((tmp_path / "rec.yml").read_text("utf-8"))
    ops = {name: arguments for op in content["PreProcess"]["transform_ops"] for name, arguments in op.items()}
    assert ops["RecResizeImg"]["image_shape"] == [3, 32, 48]
    assert set(ops) <= {"DecodeImage", "RecResizeImg", "KeepKeys"}  # PaddleX stops at any other


def test_a_last_blank_is_left_to_the_client_that_appends_one(tmp_path: Path) -> None:
    REC.write(tmp_path / "rec.yml")
    written = yaml.safe_load((tmp_path / "rec.yml").read_text("utf-8"))["PostProcess"]["character_dict"]
    assert [*written, " "] == list(REC.characters or ())
    without = REC.with_characters("ab c")  # the blank is not the last: it stays in its place
    without.write(tmp_path / "rec.yml")
    written = yaml.safe_load((tmp_path / "rec.yml").read_text("utf-8"))["PostProcess"]["character_dict"]
    assert written == ["a", "b", " ", "c"]
    assert Description.read(tmp_path / "rec.yml").characters == ("a", "b", " ", "c")


FOREIGN_DET = """
Global: {model_name: %s}
PreProcess:
  transform_ops:
  - DecodeImage: {channel_first: false, img_mode: BGR}
  - DetLabelEncode: null
  - DetResizeForTest: %s
  - NormalizeImage: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], order: hwc, scale: 1./255.}
  - ToCHWImage: null
  - KeepKeys: {keep_keys: [image, shape, polys, ignore_tags]}
PostProcess: {name: DBPostProcess, thresh: 0.2, box_thresh: 0.45, max_candidates: 3000, unclip_ratio: 1.4}
"""


@pytest.mark.parametrize(
    ("name", "resize", "expected"),
    [
        ("PP-OCRv5_mobile_det", "{resize_long: 960}", {"limit_side_len": 960, "limit_type": "max"}),
        ("PP-OCRv6_small_det", "null", {"limit_side_len": 960, "limit_type": "max"}),
        ("PP-OCRv4_mobile_seal_det", "{resize_long: 736}", {"limit_side_len": 736, "limit_type": "min"}),
        ("", "null", {"limit_side_len": 736, "limit_type": "min"}),
        ("", "{limit_side_len: 640, limit_type: max}", {"limit_side_len": 640, "limit_type": "max"}),
        ("", "{image_shape: [736, 1280]}", {"image_shape": [736, 1280], "keep_ratio": False}),
    ],
)
def test_a_detector_of_paddleocr(name: str, resize: str, expected: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text(FOREIGN_DET % (name or "null", resize))
    description = Description.read(tmp_path / "inference.yml")
    assert description.task == "det"
    assert description.ocrexp is None
    assert description.resize == {"kind": "DetResize", "max_side": 4000, **expected}
    assert description.postprocess["box_thresh"] == 0.45
    assert description.postprocess["max_candidates"] == 3000


def test_a_recogniser_and_a_classifier_of_paddleocr(tmp_path: Path) -> None:
    path = tmp_path / "inference.yml"
    path.write_text(
        """
Global: {model_name: PP-OCRv5_mobile_rec}
PreProcess:
  transform_ops:
  - DecodeImage: {channel_first: false, img_mode: BGR}
  - MultiLabelEncode: {gtc_encode: NRTRLabelEncode}
  - RecResizeImg: {image_shape: [3, 48, 320]}
  - KeepKeys: {keep_keys: [image]}
PostProcess: {name: CTCLabelDecode, character_dict: ['0', 1, a]}
"""
    )
    rec = Description.read(path)
    assert (rec.task, rec.characters, rec.mean) == ("rec", ("0", "1", "a"), (0.5, 0.5, 0.5))
    assert rec.resize["image_shape"] == [48, 320]
    assert rec.resize["widen"]
    path.write_text(
        """
Global: {model_name: PP-LCNet_x1_0_textline_ori}
PreProcess:
  transform_ops:
  - ResizeImage: {size: [160, 80]}
  - NormalizeImage: {channel_num: 3, mean: [0.485, 0.456, 0.406], order: '', std: [0.229, 0.224, 0.225]}
  - ToCHWImage: null
PostProcess: {Topk: {topk: 1, label_list: [0_degree, 180_degree]}}
"""
    )
    cls = Description.read(path)
    assert (cls.task, cls.channels, cls.postprocess["label_list"]) == ("cls", "RGB", ["0", "180"])
    assert cls.resize["image_shape"] == [80, 160]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "is no YAML"),
        ("just words", "no section PostProcess"),
        ("PostProcess: {name: LaTeXOCRDecode}", "can run here"),
        ("PostProcess: {name: DBPostProcess}\nOcrexp: {task: det}", "cannot be understood"),
    ],
)
def test_what_is_no_description_is_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text(content)
    with pytest.raises(DeployError, match=message) as error:
        Description.read(tmp_path / "inference.yml")
    assert "\n" not in str(error.value)
    with pytest.raises(DeployError, match="cannot be read"):
        Description.read(tmp_path / "none.yml")
