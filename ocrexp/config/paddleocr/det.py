"""A detector's loss, postprocess, metric, lists and evaluation images; det_augment.py has its training images."""

from __future__ import annotations

from ocrexp.config.paddleocr.data import (
    convert_lists,
    convert_loaders,
    convert_normalize,
    named,
    plain_transform,
    unknown_transform,
)
from ocrexp.config.paddleocr.det_augment import convert_train_transforms
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError

# PaddleOCR's defaults.
_LOSS = {
    "balance_loss": True, "main_loss_type": "DiceLoss", "alpha": 5, "beta": 10, "ohem_ratio": 3, "eps": 1e-6,
}  # fmt: skip
_FOCAL_LOSS = {"focal_alpha": 0.25, "focal_gamma": 2.0, "dice_weight": 1.0, "focal_weight": 1.0}
_POSTPROCESS = {
    "thresh": 0.3, "box_thresh": 0.7, "max_candidates": 1000, "unclip_ratio": 2.0, "use_dilation": False,
    "score_mode": "fast", "box_type": "quad",
}  # fmt: skip
_MAIN_LOSSES = ("DiceLoss", "BCELoss", "MaskL1Loss", "DiceFocalLoss")


def convert_detection(experiment: Experiment, root: Section) -> None:
    """Everything of a detector except its network, its optimizer and the section Global."""
    _loss(experiment, root.section("Loss"))
    _postprocess(experiment, root.section("PostProcess"))
    metric = root.section("Metric")
    named(experiment, metric, "DetMetric", {"main_indicator": "hmean"})
    experiment.only(metric, "main_indicator", "hmean", "the best checkpoint is the one with the highest hmean")
    convert_lists(experiment, root, "det_list", None)
    convert_loaders(experiment, root)
    train, evaluation = root.section("Train"), root.section("Eval")
    if train.section("sampler").text("name"):
        experiment.note("missing", train.section("sampler"), "name", "detection has no such sampler")
    convert_train_transforms(experiment, train.section("dataset"))
    _eval_transforms(experiment, evaluation.section("dataset"))


def _loss(experiment: Experiment, section: Section) -> None:
    named(experiment, section, "DBLoss", _LOSS)
    main = section.text("main_loss_type", "DiceLoss")
    if main not in _MAIN_LOSSES:
        raise ConfigError(f"{section.key('main_loss_type')}: expected one of {', '.join(_MAIN_LOSSES)}, got {main}")
    focal = main == "DiceFocalLoss"
    experiment.choose("loss", "db_focal" if focal else "db")
    if experiment.choices.get("model/head") == "db_local":
        if main != "DiceLoss":
            raise ConfigError(
                f"{section.key('main_loss_type')}: expected DiceLoss for PFHeadLocal, whose binarization has two"
                f" losses, got {main}"
            )
        experiment.choose("loss", "db_cbn")
    for name, default in (_LOSS | (_FOCAL_LOSS if focal else {})).items():
        if name == "balance_loss" and focal:
            experiment.set("loss.balance_loss", False, "PaddleOCR's DiceFocalLoss mines nothing", implied=True)
            experiment.drop(section, dict.fromkeys(("balance_loss", "ohem_ratio"), "DiceFocalLoss mines nothing"))
        elif not (name == "ohem_ratio" and focal):
            experiment.take(section, name, f"loss.{name}", default)
    for level in ("p4", "p3", "p2"):
        experiment.take(section, f"aux_weight_{level}", f"loss.aux_weights.{level}", 0.0)


def _postprocess(experiment: Experiment, section: Section) -> None:
    named(experiment, section, "DBPostProcess", _POSTPROCESS)
    experiment.choose("postprocess", "db")
    for name, default in _POSTPROCESS.items():
        experiment.take(section, name, f"postprocess.{name}", default)


def _eval_transforms(experiment: Experiment, section: Section) -> None:
    found = False
    for name, keys in section.entries("transforms"):
        if name == "DetResizeForTest":
            _resize(experiment, keys)
            found = True
        elif name == "NormalizeImage":
            convert_normalize(experiment, keys)
        elif not plain_transform(experiment, name, keys):
            unknown_transform(experiment, section, name, keys)
    if not found:
        _resize(experiment, Section(f"{section.key('transforms')}: DetResizeForTest", {}))
        experiment.assume(
            f"{section.key('transforms')}: DetResizeForTest", {"limit_side_len": 736, "limit_type": "min"},
            "missing in the list, but evaluation images are always resized", "set preprocess.resize",
        )  # fmt: skip


def _resize(experiment: Experiment, keys: Section) -> None:
    """PaddleOCR uses the first given one of three ways, and ignores the others."""
    node = "preprocess.resize"
    if "image_shape" in keys:
        experiment.take(keys, "image_shape", f"{node}.image_shape")
        if "keep_ratio" in keys:
            experiment.take(keys, "keep_ratio", f"{node}.keep_ratio")
    elif "limit_side_len" in keys:
        experiment.take(keys, "limit_side_len", f"{node}.limit_side_len")
        experiment.take(keys, "limit_type", f"{node}.limit_type", "min", remark="limited to max_side pixels")
    elif "resize_long" in keys:
        experiment.take(keys, "resize_long", f"{node}.resize_long")
    else:
        experiment.set(f"{node}.limit_side_len", 736, f"PaddleOCR's default of {keys.path}")
        experiment.set(f"{node}.limit_type", "min", "limited to max_side pixels")
    first = next((name for name in ("image_shape", "limit_side_len", "resize_long") if name in keys), "the default")
    experiment.drop(
        keys,
        {
            name: f"PaddleOCR uses {first}"
            for name in ("limit_side_len", "limit_type", "resize_long")
            if not keys.was_read(name)
        },
    )
