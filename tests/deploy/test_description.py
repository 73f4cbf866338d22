"""inference.yml: ours comes back whole, PaddleOCR's is understood."""

import math
from pathlib import Path
from typing import Any

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
CLS = Description.default("cls")


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
        ("a: [", "is not valid YAML"),
        ("just words", "missing section PostProcess"),
        ("PostProcess: {name: LaTeXOCRDecode}", r"PostProcess\.name: expected .*got 'LaTeX"),
        ("PostProcess: {name: DBPostProcess}\nOcrexp: {task: det}", "invalid content"),
    ],
)
def test_what_is_no_description_is_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "inference.yml").write_text(content)
    with pytest.raises(DeployError, match=message) as error:
        Description.read(tmp_path / "inference.yml")
    assert "\n" not in str(error.value)
    with pytest.raises(DeployError, match="cannot be read"):
        Description.read(tmp_path / "none.yml")


@pytest.mark.parametrize(
    ("base", "key", "value"),
    [
        (DET, "mean", [math.nan, 0.4, 0.4]), (DET, "std", [0.2, 0.0, 0.2]), (DET, "std", [math.inf] * 3),
        (DET, "mean", 0.5), (DET, "std", [0.2]), (DET, "mean", ["a", "b", "c"]), (DET, "channels", "HSV"),
        (DET, "channels", ["BGR"]),
        (DET, "postprocess.label_list", ["x" * 200]), (DET, "postprocess.label_list", ["0"] * 2 + [None]),
        (DET, "std", [1e-300] * 3), (DET, "mean", [1e300] * 3), (CLS, "postprocess.label_list", None),
        (DET, "resize", "big"), (DET, "resize.kind", "os.system"), (DET, "resize.kind", ["DetResize"]),
        (DET, "resize.limit_side_len", math.nan), (DET, "resize.limit_side_len", "960"),
        (DET, "resize.limit_side_len", 10**9), (DET, "resize.max_side", -1), (DET, "resize.keep_ratio", "yes"),
        (DET, "postprocess.thresh", math.nan), (DET, "postprocess.box_thresh", "0.6"),
        (DET, "postprocess.unclip_ratio", math.inf), (DET, "postprocess.max_candidates", 1.5),
        (DET, "postprocess.score_mode", 3), (DET, "task", ["det"]), (DET, "files", {"a": 1}), (DET, "files", "x"),
        (REC, "resize.image_shape", [32, 10**7]), (REC, "resize.image_shape", None),
        (REC, "resize.image_shape", [6000, 6000]), (DET, "resize.image_shape", [20000, 20000]),
        (REC, "resize.max_width", 20_000_000),
        (REC, "resize.image_shape", [32.5, 100]),
        (REC, "resize.image_shape", "32x100"), (REC, "resize.kind", "DetResize"), (REC, "charset", [1]),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_one_line(base: Description, key: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "inference.yml"
    base.write(path)
    content = yaml.safe_load(path.read_text("utf-8"))
    node = content["Ocrexp"]
    *parents, last = key.split(".")
    for parent in parents:
        node = node[parent]
    node[last] = value
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    with pytest.raises(DeployError) as error:
        Description.read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("characters", ["abc", [1, 2], [None], [["a"]], {"a": 1}, [""]])
def test_characters_of_another_type_are_one_line(characters: Any, tmp_path: Path) -> None:
    path = tmp_path / "inference.yml"
    REC.write(path)
    content = yaml.safe_load(path.read_text("utf-8"))
    content["PostProcess"]["character_dict"] = characters
    path.write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    with pytest.raises(DeployError, match="character_dict"):
        Description.read(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b"PostProcess: 3", b"PostProcess: {name: DBPostProcess}\nPreProcess: 5", b"a: " + b"[" * 200_000,
     b"PostProcess: {name: DBPostProcess, thresh: .nan}", b"PostProcess: {name: CTCLabelDecode, character_dict: abc}",
     b"PostProcess: {Topk: {label_list: 3}}", b"PostProcess: !!python/object/apply:os.system [exit]", b"\xff\x00"],
)  # fmt: skip
def test_a_hostile_description_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "inference.yml"
    path.write_bytes(content)
    with pytest.raises(DeployError) as error:
        Description.read(path)
    assert "\n" not in str(error.value)
