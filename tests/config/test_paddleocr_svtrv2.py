"""convert-config of PaddleOCR's files of SVTRv2 and RepSVTR, their distillation, and RepSVTR's detector."""

import copy
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from ocrexp.config.compose import compose
from ocrexp.config.paddleocr import convert
from ocrexp.errors import ConfigError

from .paddleocr_files import mobile_detector, mobile_recognizer, put, write
from .test_paddleocr_mobile import comparable, converted, missing

CONVS, MIXED, ATTENTION = ["Conv"] * 6, ["Conv"] * 2 + ["Global"] * 4, ["Global"] * 6
BACKBONES: dict[str, dict[str, Any]] = {
    "svtrv2_ch": {
        "name": "SVTRv2", "use_pos_embed": False, "dims": [128, 256, 384], "depths": [6, 6, 6],
        "num_heads": [4, 8, 12], "mixer": [CONVS, MIXED, ATTENTION], "local_k": [[5, 5], [5, 5], [-1, -1]],
        "sub_k": [[2, 1], [2, 1], [-1, -1]], "last_stage": False, "use_pool": True,
    },
    "repsvtr_ch": {"name": "RepSVTR"},
}  # fmt: skip


def guided(model: str) -> dict[str, Any]:
    """As ch_SVTRv2_rec.yml and ch_RepSVTR_rec.yml."""
    tree = mobile_recognizer(4)
    architecture = tree["Architecture"]
    architecture |= {"algorithm": "SVTR_HGNet", "Backbone": copy.deepcopy(BACKBONES[model])}
    ctc, guide = architecture["Head"]["head_list"]
    ctc["CTCHead"]["Neck"] |= {"dims": 256, "hidden_dims": 256}
    guide["NRTRHead"]["num_decoder_layers"] = 2
    return tree


def distilled(student: str) -> dict[str, Any]:
    """As ch_SVTRv2_rec_distillation.yml."""
    tree = guided("svtrv2_ch")
    teacher = {**tree["Architecture"], "pretrained": "./output/t/best_accuracy", "freeze_params": True}
    learner = {
        **guided("repsvtr_ch")["Architecture"], "Backbone": {"name": student}, "pretrained": "./output/s/best_accuracy",
        "freeze_params": False,
    }  # fmt: skip
    networks = {"Teacher": teacher, "Student": learner}
    for values in networks.values():
        values |= {"return_all_feats": True, "algorithm": "SVTR_LCNet"}
    tree["Architecture"] = {
        "model_type": "rec", "name": "DistillationModel", "algorithm": "Distillation", "Models": networks,
    }  # fmt: skip
    pair: dict[str, Any] = {"model_name_pairs": [["Student", "Teacher"]], "key": "head_out", "weight": 1.0}
    own: dict[str, Any] = {"model_name_list": ["Student"], "key": "head_out", "multi_head": True, "weight": 1.0}
    dkd = {**pair, "weight": 0.1, "multi_head": True, "alpha": 1.0, "beta": 2.0, "dis_head": "gtc", "name": "dkd"}
    tree["Loss"] = {
        "name": "CombinedLoss",
        "loss_config_list": [
            {"DistillationDKDLoss": dkd},
            {"DistillationCTCLoss": own},
            {"DistillationNRTRLoss": {**own, "smoothing": False}},
            {"DistillCTCLogits": {**pair, "reduction": "mean"}},
        ],
    }
    every = {"model_name": ["Student"], "key": "head_out", "multi_head": True}
    tree["PostProcess"] = {"name": "DistillationCTCLabelDecode", **every}
    tree["Metric"] = {
        "name": "DistillationMetric", "base_metric_name": "RecMetric", "main_indicator": "acc", "key": "Student",
    }  # fmt: skip
    return tree


def shipped(model: str) -> Any:
    return comparable(OmegaConf.to_container(compose("train", [f"model={model}"]).model, resolve=True))


@pytest.mark.parametrize("model", BACKBONES)
def test_a_file_becomes_its_model(tmp_path: Path, model: str) -> None:
    conversion, config = converted(tmp_path, guided(model))
    assert (conversion.model, missing(conversion)) == (model, [])
    assert comparable(OmegaConf.to_container(config.model, resolve=True)) == shipped(model)


def test_the_detector_becomes_its_model(tmp_path: Path) -> None:
    tree = mobile_detector(4)
    tree["Architecture"]["Backbone"] = {"name": "RepSVTR_det"}
    conversion, config = converted(tmp_path, tree)
    assert (conversion.model, missing(conversion)) == ("repsvtr_det", [])
    assert comparable(OmegaConf.to_container(config.model, resolve=True)) == shipped("repsvtr_det")


@pytest.mark.parametrize("student", ["RepSVTR", "repvit_svtr"])
def test_a_distillation_has_both_networks(tmp_path: Path, student: str) -> None:
    """The second name is in ch_SVTRv2_rec_gtc_distill.yml; PaddleOCR's own code does not know it."""
    conversion, config = converted(tmp_path, distilled(student))
    assert missing(conversion) == []
    for role, model in (("student", "repsvtr_ch"), ("teacher", "svtrv2_ch")):
        node = comparable(OmegaConf.to_container(config.model[role], resolve=True))
        own = shipped(model)
        assert {key: node[key] for key in ("backbone", "head")} == {key: own[key] for key in ("backbone", "head")}
    assert config.model.teacher.pretrained == "./output/t/best_accuracy.pdparams"
    assert list(config.loss.terms) == ["dkd", "meanctc_3"]


def test_defaults_of_the_backbone_are_paddleocrs(tmp_path: Path) -> None:
    tree = guided("svtrv2_ch")
    tree["Architecture"]["Backbone"] = {"name": "SVTRv2", "use_pool": True}
    backbone = converted(tmp_path, tree)[1].model.backbone
    assert (backbone.embed_dim, backbone.depth, backbone.num_heads) == ([64, 128, 256], [3, 6, 3], [2, 4, 8])
    assert (backbone.conv_blocks, backbone.strides) == ([3, 3, 0], [[1, 1], [2, 1]])


@pytest.mark.parametrize(
    "mixer", [[["Global", "Conv"], ATTENTION], [["Local"] * 6, ATTENTION], [[], ATTENTION], "Conv"]
)
def test_other_orders_of_blocks_are_refused(tmp_path: Path, mixer: Any) -> None:
    tree = put(guided("svtrv2_ch"), "Architecture.Backbone.mixer", mixer)
    with pytest.raises(ConfigError, match=r"^Architecture\.Backbone\.mixer\[0\]: expected a list of Conv, then Global"):
        convert(write(tmp_path, tree), "turned")


@pytest.mark.parametrize(("key", "value"), [("use_pool", False), ("use_pos_embed", True), ("last_stage", True)])
def test_what_the_backbone_cannot_do_is_missing(tmp_path: Path, key: str, value: bool) -> None:
    tree = put(guided("svtrv2_ch"), f"Architecture.Backbone.{key}", value)
    assert missing(converted(tmp_path, tree)[0]) == [f"Architecture.Backbone.{key}"]
