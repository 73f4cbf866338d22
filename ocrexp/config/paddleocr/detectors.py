"""The network of a detector: chooses its parts and converts their values."""

from __future__ import annotations

from ocrexp.config.paddleocr import parts
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.generations import SERVER_GENERATIONS, generation, take_model_size
from ocrexp.config.paddleocr.parts import carry, find
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError

_SIZED = ("pse", "east")  # methods with a mobile and a server model
# Thresholds of DRRGHead in evaluation, with PaddleOCR's defaults: they belong to our postprocess.
_DRRG_PROPOSALS = {
    "nms_thr": 0.3, "min_width": 8.0, "max_width": 24.0, "comp_shrink_ratio": 1.03, "comp_ratio": 0.4,
    "comp_score_thr": 0.3, "text_region_thr": 0.2, "center_region_thr": 0.2, "center_region_area_thr": 50,
}  # fmt: skip
_DRRG_NAMES = {"min_width": "min_comp_width", "max_width": "max_comp_width"}
_DEPTHS = (18, 34, 50)  # of ResNet_vd that have an option of their own


def convert_detector(experiment: Experiment, root: Section, section: Section) -> tuple[str, str]:
    """Choose the parts of `section` (Architecture); returns the method, as our head is called, and our model."""
    transform = section.section("Transform")
    if transform.text("name"):
        find("transform of detectors", transform, transform.text("name"), {})
    backbone, neck, head = (section.section(place) for place in ("Backbone", "Neck", "Head"))
    name = backbone.text("name")
    if name == "ResNet":
        name = _resnet(experiment, root, section, backbone)
    part = find("detector backbone", backbone, name, parts.DET_BACKBONES)
    neck_part = find("detector neck", neck, neck.text("name"), parts.DET_NECKS)
    head_part = find("detector head", head, head.text("name"), parts.DET_HEADS)
    method = "db" if head_part.option == "db_local" else head_part.option
    model = _db_model(root, backbone, name, neck) if method == "db" else _model(method, name)
    experiment.choose("model", model)
    for place, own, option, node in (
        ("backbone", part, _backbone_option(part.option, name, backbone), backbone),
        ("neck", neck_part, neck_part.option, neck),
        ("head", head_part, head_part.option, head),
    ):
        experiment.choose(f"model/{place}", option)
        carry(experiment, node, own, f"model.{place}")
    for key in ("dcn_stage", "out_indices"):
        if key in part.keys and key in backbone and backbone.get(key) is None:
            experiment.set(
                f"model.backbone.{key}", part.keys[key], f"PaddleOCR's default of {backbone.key(key)}", implied=True
            )
    take_model_size(experiment, backbone)
    if head_part.option == "db":
        _auxiliary_maps(experiment, neck, head)
    if method == "east":
        experiment.only(head, "model_name", neck.text("model_name"), "neck and head have one size here")
    if method == "drrg":
        for key, default in _DRRG_PROPOSALS.items():
            experiment.take(head, key, f"postprocess.{_DRRG_NAMES.get(key, key)}", default)
    return method, model


def _resnet(experiment: Experiment, root: Section, section: Section, backbone: Section) -> str:
    """`ResNet` of a detector was ResNet_vd in early releases of 2.x, and is a plain ResNet in later ones."""
    pretrained = root.section("Global").text("pretrained_model")
    if "_vd" in pretrained:
        experiment.note(
            "changed",
            backbone,
            "name",
            f"ResNet_vd, as in early releases, because the weights {pretrained} are of ResNet_vd",
        )
        return "ResNet_vd"
    if section.text("algorithm") == "DB" and "dcn_stage" not in backbone:
        experiment.note(
            "changed", backbone, "name", "a plain ResNet, as in later releases of PaddleOCR 2.x",
            "for a file of an early release, in which this is ResNet_vd, write ResNet_vd",
        )  # fmt: skip
    return "ResNet"


def _backbone_option(option: str, name: str, backbone: Section) -> str:
    """Our option of a backbone whose keys choose between several."""
    if name == "MobileNetV3" and backbone.get("disable_se") is True:
        return "mobilenetv3_large_x0_5_no_se"
    if name != "ResNet_vd":
        return option
    layers, deformable = backbone.number("layers", 50), backbone.get("dcn_stage")
    if layers == 50 and isinstance(deformable, list) and any(deformable):
        return "resnet50_vd_dcn"
    return f"resnet{layers}_vd" if layers in _DEPTHS else "resnet50_vd"


def _model(method: str, backbone: str) -> str:
    """Our model of a method other than DB."""
    if method in _SIZED:
        return f"{method}_mbv3" if backbone == "MobileNetV3" else f"{method}_r50"
    return {"sast": "sast_r50", "ct": "ct_r18", "fce": "fce_r50", "drrg": "drrg_r50"}[method]


def _db_model(root: Section, backbone: Section, name: str, neck: Section) -> str:
    """Our model of DB, the nearest one; differences are chosen or set afterwards."""
    neck_name = neck.text("name")
    if name == "MobileNetV3":
        return "ppocrv3_det" if neck_name == "RSEFPN" else "db_mbv3"
    if name == "ResNet_vd":
        if neck_name == "LKPAN":
            return "ppocrv3_det_server"
        return "db_r18" if backbone.number("layers", 50) == 18 else "db_r50"
    if name == "ResNet":
        return "dbpp_r50"
    if name == "RepSVTR_det":
        return "repsvtr_det"
    if name in SERVER_GENERATIONS:
        return f"{SERVER_GENERATIONS[name]}_det_server"
    return f"{generation(root, backbone)}_det"


def _auxiliary_maps(experiment: Experiment, neck: Section, head: Section) -> None:
    aux, channels = head.number("aux_in_channels", 0), neck.number("out_channels")
    if aux not in (0, channels):
        raise ConfigError(
            f"{head.key('aux_in_channels')}: expected 0 or {neck.key('out_channels')} ({channels}), got {aux}"
        )
    source = head.key("aux_in_channels")
    experiment.set("model.head.aux", bool(aux), source, implied="aux_in_channels" not in head)
