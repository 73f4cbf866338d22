"""Files of PaddleOCR's recognizers for text in scenes: what they become."""

from typing import Any

import pytest

from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.paddleocr import convert

from .paddleocr_files import Tree, general, optimizer, put, recognizer, write

# By our model: sections Architecture, Loss and PostProcess, and the transforms of both lists, as the published files.
FILES: dict[str, dict[str, Any]] = {
    "visionlan": {
        "algorithm": "VisionLAN",
        "Backbone": {"name": "ResNet45", "strides": [2, 2, 2, 1, 1]},
        "Head": {
            "name": "VLHead", "n_layers": 3, "n_position": 256, "n_dim": 512, "max_text_length": 25,
            "training_step": "LA",
        },
        "Loss": {"name": "VLLoss", "mode": "LA", "weight_res": 0.5, "weight_mas": 0.5},
        "PostProcess": {"name": "VLLabelDecode"},
        "order": "RGB",
        "transforms": [{"VLLabelEncode": None}, {"VLRecResizeImg": {"image_shape": [3, 64, 256]}}],
    },
}  # fmt: skip


def tree_of(name: str) -> Tree:
    """The file in the structure of the tests' recognizer."""
    parts = FILES[name]
    tree = recognizer()
    tree["Global"] = general(character_dict_path=None, max_text_length=25, use_space_char=False)
    tree["Architecture"] = {"model_type": "rec", "Transform": None} | {
        key: parts[key] for key in ("algorithm", "Transform", "Backbone", "Neck", "Head", "in_channels") if key in parts
    }
    tree |= {key: parts[key] for key in ("Loss", "PostProcess")} | {"Optimizer": optimizer()}
    steps = [{"DecodeImage": {"img_mode": parts.get("order", "BGR"), "channel_first": False}}, *parts["transforms"]]
    tree["Train"]["dataset"]["transforms"] = tree["Eval"]["dataset"]["transforms"] = steps
    return tree


@pytest.mark.parametrize("name", FILES)
def test_a_published_file_is_our_model(tmp_path: Any, name: str) -> None:
    """Nothing is missing, and no value of the network or its images differs from the shipped model's."""
    conversion = convert(write(tmp_path, tree_of(name)), "turned")
    assert conversion.complete, conversion.lines()
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "turned.yaml").write_text(conversion.text, encoding="utf-8")
    config = compose("train", [f"hydra.searchpath=[file://{tmp_path}]", "experiment=turned"])
    check(config)
    shipped = compose("train", [f"model={name}"])
    assert config.model == shipped.model
    for group in ("loss", "targets", "postprocess", "preprocess"):
        assert config[group] == shipped[group]


def test_visionlans_second_step_is_not_lost(tmp_path: Any) -> None:
    tree = put(tree_of("visionlan"), "Optimizer.group_lr", True)
    put(tree, "Optimizer.training_step", "LF_2")
    put(tree, "Loss.mode", "LF_1")
    conversion = convert(write(tmp_path, tree), "turned")
    assert [note.key for note in conversion.notes if note.kind == "missing"] == ["Optimizer.group_lr", "Loss.mode"]
