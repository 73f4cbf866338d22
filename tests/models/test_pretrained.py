"""Pretrained files: what fits is loaded and counted, what does not is named; frozen parts stay as they are."""

import logging
import pickle
from pathlib import Path

import numpy as np
import paddle
import pytest

from ocrexp.errors import CheckpointError
from ocrexp.models.backbones.mobilenet_v3 import MobileNetV3
from ocrexp.models.backbones.resnet_vd import ResNetVd
from ocrexp.models.freezing import freeze
from ocrexp.models.heads.db import DBHead
from ocrexp.models.model import OCRModel
from ocrexp.models.necks.db_fpn import DBFPN
from ocrexp.models.pretrained import load_pretrained
from ocrexp.weights.reader import read_parameters


def model(scale: float = 0.35, fpn: int = 24) -> OCRModel:
    return OCRModel(
        backbone=MobileNetV3("small", scale=scale),
        neck=lambda in_channels: DBFPN(in_channels, fpn),
        head=lambda in_channels: DBHead(in_channels),
    )


def arrays(layer: paddle.nn.Layer) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in layer.state_dict().items()}


def assert_equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray], prefix: str = "") -> None:
    for name in a:
        if name.startswith(prefix):
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_all_of_our_own_file_is_loaded_also_without_its_extension(tmp_path: Path) -> None:
    source, target = model(), model()
    paddle.save(source.state_dict(), str(tmp_path / "latest.pdparams"))
    for path in (tmp_path / "latest.pdparams", tmp_path / "latest"):
        coverage = load_pretrained(target, path)
        assert {part: c.share for part, c in coverage.parts.items()} == {"backbone": 1.0, "neck": 1.0, "head": 1.0}
        assert_equal(arrays(source), arrays(target))


def test_other_head_is_named_and_the_rest_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, target = model(fpn=16), model(fpn=24)
    paddle.save(source.state_dict(), str(tmp_path / "w.pdparams"))
    before = arrays(target)
    with caplog.at_level(logging.INFO):
        coverage = load_pretrained(target, tmp_path / "w.pdparams")
    assert coverage.parts["backbone"].share == 1
    assert coverage.parts["neck"].loaded_tensors == 0
    assert coverage.other_shape[0].startswith("neck.in2_conv.weight [16, 8, 1, 1] in the file, [24, 8, 1, 1] here")
    assert_equal(arrays(source), arrays(target), "backbone")
    assert_equal(before, arrays(target), "neck")
    assert "100% of its values; neck 0 of 8 tensors, 0% of its values" in caplog.text
    assert "another shape in the file, not changed: neck.in2_conv.weight" in caplog.text


@pytest.mark.parametrize("form", ["backbone", "imagenet", "distillation"])
def test_names_of_other_files_are_understood(tmp_path: Path, form: str) -> None:
    source, target = model(), model()
    if form == "backbone":
        state = arrays(source.backbone)
        state["out.weight"] = np.zeros((10, 10), np.float32)
    elif form == "imagenet":
        names = {ours: theirs for theirs, ours in source.backbone.imagenet_names().items()}
        assert names["stage0.0"] == "conv2"
        state = {}
        for name, value in arrays(source.backbone).items():
            layer = max((ours for ours in names if name.startswith(f"{ours}.")), key=len)
            state[names[layer] + name[len(layer) :]] = value
        assert "last_second_conv.bn._mean" in state
        assert "conv1.conv.weight" in state
    else:
        state = {f"Student.{name}": value for name, value in arrays(source).items()}
        state |= {f"Teacher.{name}": value * 0 for name, value in arrays(source).items()}
    with (tmp_path / "w.pdparams").open("wb") as file:
        pickle.dump(state, file, protocol=4)
    coverage = load_pretrained(target, tmp_path / "w.pdparams")
    assert coverage.parts["backbone"].share == 1
    assert_equal(arrays(source), arrays(target), "" if form == "distillation" else "backbone")


def test_too_little_of_the_backbone_fails_in_one_line_unless_told_otherwise(tmp_path: Path) -> None:
    paddle.save(model(scale=0.5).state_dict(), str(tmp_path / "w.pdparams"))
    target = model(scale=1.0)
    with pytest.raises(CheckpointError, match=r"% of this backbone's values, expected 50% .*in the file") as error:
        load_pretrained(target, tmp_path / "w.pdparams")
    assert "\n" not in str(error.value)
    assert "pretrained_min_coverage=0" in str(error.value)
    load_pretrained(target, tmp_path / "w.pdparams", min_backbone_coverage=0)


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "text", "foreign code", "list"])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "w.pdparams"
    paddle.save(model().state_dict(), str(path))
    whole = path.read_bytes()
    content = {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "flipped": bytes(255 - b for b in whole[:200]) + whole[200:],
        "text": b"<html>404 Not Found</html>",
        "foreign code": b"cos\nsystem\n(S'exit 3'\ntR.",
        "list": pickle.dumps([1, 2]),
    }[damage]
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as error:
        load_pretrained(model(), path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_says_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"file not found, nor w\.pdparams beside it"):
        load_pretrained(model(), tmp_path / "w")


def test_tensors_inside_a_container_are_read(tmp_path: Path) -> None:
    layer = ResNetVd(18)
    weight = layer.conv1_1._conv.weight
    paddle.save({"weight": weight, "nothing": 3}, str(tmp_path / "w.pdparams"))
    loaded = read_parameters(tmp_path / "w.pdparams")
    assert list(loaded) == ["weight"]
    np.testing.assert_array_equal(loaded["weight"], weight.numpy())


def test_bfloat16_files_are_read(tmp_path: Path) -> None:
    value = paddle.to_tensor([1.0, -2.5, 3.0])
    paddle.save({"weight": value.astype("bfloat16")}, str(tmp_path / "w.pdparams"))
    np.testing.assert_array_equal(read_parameters(tmp_path / "w.pdparams")["weight"], [1.0, -2.5, 3.0])


def test_frozen_parts_neither_learn_nor_move_their_statistics() -> None:
    net = model()
    freeze(net, ["backbone", "head.thresh"])
    before = arrays(net)
    optimizer = paddle.optimizer.Adam(0.01, parameters=net.parameters())
    net.eval()
    net.train()
    for _ in range(2):
        net(paddle.randn([2, 3, 64, 64]))["maps"].sum().backward()
        optimizer.step()
        optimizer.clear_grad()
    after = arrays(net)
    assert_equal(before, after, "backbone.")
    assert_equal(before, after, "head.thresh.")
    assert not np.array_equal(before["neck.p2_conv.weight"], after["neck.p2_conv.weight"])
    assert not np.array_equal(before["head.binarize.conv_bn1._mean"], after["head.binarize.conv_bn1._mean"])


def test_freezing_an_unknown_part_suggests_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"unknown part 'backbon'; did you mean backbone\?"):
        freeze(model(), ["backbon"])


def test_a_run_folder_stands_for_its_best_weights(tmp_path):
    from ocrexp.models.pretrained import find_pretrained

    with pytest.raises(ValueError, match=r"best_accuracy\.pdparams"):
        find_pretrained(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    for name in ("latest", "best_accuracy"):
        file = tmp_path / "checkpoints" / f"{name}.pdparams"
        file.touch()
        assert find_pretrained(tmp_path) == file


def test_a_head_of_which_nothing_was_loaded_is_a_warning(tmp_path, caplog):
    backbone = paddle.nn.Linear(2, 3)
    backbone.out_channels = 3
    model = OCRModel(backbone, head=Head)
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    paddle.save(state, f"{tmp_path}/a.pdparams")
    load_pretrained(model, tmp_path / "a.pdparams")
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1 and "0% of the head" in warned[0] and "check the head" in warned[0]


class Head(paddle.nn.Linear):
    def __init__(self, in_channels):
        super().__init__(3, in_channels)


def test_one_network_of_a_distillation_file_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    student, teacher, target = model(), model(), model()
    several = {f"Student.{name}": value for name, value in arrays(student).items()}
    several |= {f"Teacher.{name}": value for name, value in arrays(teacher).items()}
    paddle.save(several, str(tmp_path / "cml.pdparams"))
    with caplog.at_level(logging.INFO):
        load_pretrained(target, tmp_path / "cml.pdparams")  # both fit
        assert_equal(arrays(target), arrays(student))
        assert "read names after 'Student.'" in caplog.text
        load_pretrained(target, tmp_path / "cml.pdparams", prefix="Teacher")
        assert_equal(arrays(target), arrays(teacher))
        assert "read names after 'Teacher'" in caplog.text
    with pytest.raises(ValueError, match=r"pretrained_prefix=Teachr: no tensor .*did you mean Teacher\?"):
        load_pretrained(target, tmp_path / "cml.pdparams", prefix="Teachr")
