"""A detector's loss, postprocess, metric, lists and evaluation images; det_augment.py has its training images."""

from __future__ import annotations

from ocrexp.config.paddleocr.data import (
    convert_channels,
    convert_lists,
    convert_loaders,
    convert_normalize,
    named,
    plain_transform,
    unknown_transform,
)
from ocrexp.config.paddleocr.det_augment import convert_train_transforms
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.methods import METHODS, Method
from ocrexp.config.paddleocr.parts import carry
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError

# PaddleOCR's defaults.
_FOCAL_LOSS = {"focal_alpha": 0.25, "focal_gamma": 2.0, "dice_weight": 1.0, "focal_weight": 1.0}
_MAIN_LOSSES = ("DiceLoss", "BCELoss", "MaskL1Loss", "DiceFocalLoss")


def convert_detection(experiment: Experiment, root: Section, name: str) -> None:
    """Everything of a detector except its network, its optimizer and the section Global; `name` is the method's."""
    method = METHODS[name]
    if name == "db":
        _db_loss(experiment, root.section("Loss"), method)
    else:
        _loss(experiment, root.section("Loss"), method)
    section = root.section("PostProcess")
    named(experiment, section, method.postprocess_name, dict(method.postprocess.keys))
    experiment.choose("postprocess", name)
    carry(experiment, section, method.postprocess, "postprocess")
    _metric(experiment, root.section("Metric"), method)
    convert_lists(experiment, root, "det_list", None)
    convert_loaders(experiment, root)
    train, evaluation = root.section("Train"), root.section("Eval")
    if train.section("sampler").text("name"):
        experiment.note("missing", train.section("sampler"), "name", "detection has no such sampler")
    convert_train_transforms(experiment, train.section("dataset"), name)
    _eval_transforms(experiment, evaluation.section("dataset"))
    convert_channels(experiment, train.section("dataset"), evaluation.section("dataset"))


def _metric(experiment: Experiment, section: Section, method: Method) -> None:
    named(experiment, section, method.metric, {"main_indicator": method.best})
    if method.remark and "name" in section:
        experiment.note("changed", section, "name", method.remark)
    experiment.only(section, "main_indicator", method.best, "the best checkpoint is the one with the highest hmean")
    experiment.drop(section, {"file": "the labels are those of the validation list"})


def _loss(experiment: Experiment, section: Section, method: Method) -> None:
    """The loss of a method other than DB."""
    named(experiment, section, method.loss_name, dict(method.loss.keys))
    experiment.choose("loss", method.loss.option)
    carry(experiment, section, method.loss, "loss")
    if method.loss.option == "east":
        experiment.set("loss.masked_geometry", False, "PaddleOCR learns the geometry of illegible regions too")
    if method.loss.option == "pse":
        reduction = section.text("reduction", "sum")
        if reduction not in ("none", "sum", "mean"):
            raise ConfigError(f"{section.key('reduction')}: expected none, sum or mean, got {reduction}")
        source = f"{section.key('reduction')}: {reduction}; training adds the images up" if reduction == "none" else ""
        experiment.set("loss.reduction", "mean" if reduction == "mean" else "sum", source or section.key("reduction"))


def _db_loss(experiment: Experiment, section: Section, method: Method) -> None:
    losses = dict(method.loss.keys)
    named(experiment, section, method.loss_name, losses)
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
    for name, default in (losses | (_FOCAL_LOSS if focal else {})).items():
        if name == "balance_loss" and focal:
            experiment.set("loss.balance_loss", False, "PaddleOCR's DiceFocalLoss mines nothing", implied=True)
            experiment.drop(section, dict.fromkeys(("balance_loss", "ohem_ratio"), "DiceFocalLoss mines nothing"))
        elif not (name == "ohem_ratio" and focal):
            experiment.take(section, name, f"loss.{name}", default)
    for level in ("p4", "p3", "p2"):
        experiment.take(section, f"aux_weight_{level}", f"loss.aux_weights.{level}", 0.0)


def _eval_transforms(experiment: Experiment, section: Section) -> None:
    found = False
    for name, keys in section.entries("transforms"):
        if name == "DetResizeForTest":
            _resize(experiment, keys)
            found = True
        elif name == "ScaleAlignedShort":
            experiment.take(keys, "short_size", "preprocess.resize.limit_side_len", 640)
            experiment.set("preprocess.resize.limit_type", "resize_short", f"{keys.path}: rounded to multiples of 32")
            found = True
        elif name == "Pad":
            experiment.only(keys, "size", (None,), "evaluation images are not padded to a fixed size")
            experiment.only(keys, "size_div", (None, 32), "sides are multiples of 32")
        elif name == "NormalizeImage":
            convert_normalize(experiment, keys)
        elif not plain_transform(experiment, name, keys, rgb=True):
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
