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
    "srn": {
        "algorithm": "SRN",
        "in_channels": 1,
        "Backbone": {"name": "ResNetFPN"},
        "Head": {
            "name": "SRNHead", "max_text_length": 25, "num_heads": 8, "num_encoder_TUs": 2, "num_decoder_TUs": 4,
            "hidden_dims": 512,
        },
        "Loss": {"name": "SRNLoss"},
        "PostProcess": {"name": "SRNLabelDecode"},
        "Global": {"num_heads": 8},
        "transforms": [{"SRNLabelEncode": None}, {"SRNRecResizeImg": {"image_shape": [1, 64, 256]}}],
        "ours": ["loss.reduction=sum"],
    },
    "pren": {
        "algorithm": "PREN",
        "in_channels": 3,
        "Backbone": {"name": "EfficientNetb3_PREN"},
        "Neck": {"name": "PRENFPN", "n_r": 5, "d_model": 384, "max_len": 25, "dropout": 0.1},
        "Head": {"name": "PRENHead"},
        "Loss": {"name": "PRENLoss"},
        "PostProcess": {"name": "PRENLabelDecode"},
        "transforms": [{"PRENLabelEncode": None}, {"PRENResizeImg": {"image_shape": [64, 256]}}],
    },
    "robustscanner": {
        "algorithm": "RobustScanner",
        "Backbone": {"name": "ResNet31", "init_type": "KaimingNormal"},
        "Head": {
            "name": "RobustScannerHead", "enc_outchannles": 128, "hybrid_dec_rnn_layers": 2, "hybrid_dec_dropout": 0,
            "position_dec_rnn_layers": 2, "start_idx": 91, "mask": True, "padding_idx": 92, "encode_value": False,
            "max_text_length": 40,
        },
        "Loss": {"name": "SARLoss"},
        "PostProcess": {"name": "SARLabelDecode"},
        "Global": {"max_text_length": 40, "rm_symbol": True},
        "transforms": [
            {"SARLabelEncode": None},
            {"RobustScannerRecResizeImg": {
                "image_shape": [3, 48, 48, 160], "width_downsample_ratio": 0.25, "max_text_length": 40,
            }},
        ],
        "ours": ["targets.max_text_length=40"],
    },
    "seed": {
        "algorithm": "SEED",
        "Transform": {
            "name": "STN_ON", "tps_inputsize": [32, 64], "tps_outputsize": [32, 100], "num_control_points": 20,
            "tps_margins": [0.05, 0.05], "stn_activation": "none",
        },
        "Backbone": {"name": "ResNet_ASTER"},
        "Head": {"name": "AsterHead", "sDim": 512, "attDim": 512, "max_len_labels": 100},
        "Loss": {"name": "AsterLoss"},
        "PostProcess": {"name": "SEEDLabelDecode"},
        "Global": {"max_text_length": 100},
        "Optimizer": {
            "name": "Adadelta", "weight_deacy": 0.0, "momentum": 0.9, "regularizer": {"name": "L2", "factor": 2e-5},
            "lr": {"name": "Piecewise", "decay_epochs": [4, 5], "values": [1.0, 0.1, 0.01]},
        },
        "transforms": [
            {"SEEDLabelEncode": None},
            {"RecResizeImg": {"character_dict_path": None, "image_shape": [3, 64, 256], "padding": False}},
        ],
        "ours": ["targets.max_text_length=100"],
    },
}  # fmt: skip


def tree_of(name: str) -> Tree:
    """The file in the structure of the tests' recognizer."""
    parts = FILES[name]
    tree = recognizer()
    letters = {"character_dict_path": None, "max_text_length": 25, "use_space_char": False}
    tree["Global"] = general(**letters | parts.get("Global", {}))
    tree["Architecture"] = {"model_type": "rec", "Transform": None} | {
        key: parts[key] for key in ("algorithm", "Transform", "Backbone", "Neck", "Head", "in_channels") if key in parts
    }
    tree |= {key: parts[key] for key in ("Loss", "PostProcess")} | {"Optimizer": parts.get("Optimizer", optimizer())}
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
    shipped = compose("train", [f"model={name}", *FILES[name].get("ours", [])])
    assert config.model == shipped.model
    for group in ("loss", "targets", "postprocess", "preprocess"):
        assert config[group] == shipped[group]


def test_visionlans_second_step_is_not_lost(tmp_path: Any) -> None:
    tree = put(tree_of("visionlan"), "Optimizer.group_lr", True)
    put(tree, "Optimizer.training_step", "LF_2")
    put(tree, "Loss.mode", "LF_1")
    conversion = convert(write(tmp_path, tree), "turned")
    assert [note.key for note in conversion.notes if note.kind == "missing"] == ["Optimizer.group_lr", "Loss.mode"]
