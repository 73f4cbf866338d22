"""Augmentations of EAST, SAST, CT, FCE and DRRG, whose transforms PaddleOCR has for one method alone, as one warp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ocrexp.config.paddleocr.data import Transforms
from ocrexp.config.paddleocr.det_targets import step
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section

_WARP = "augment.warp"
Chain = Callable[[Experiment, Section, Transforms], tuple[str, ...]]


def _east(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    """One transform for everything: scales of 0.5, 1, 2, 3, a window of whole words, quarter turns, background."""
    keys = step(experiment, section, transforms, "EASTProcessTrain", {"image_shape": [512, 512]})
    side = _side(keys)
    _warp(experiment, section, size=[side, side], flip=0.0, rotate=[0, 0], scale=[0.5, 3.0])
    experiment.take(keys, "min_crop_side_ratio", f"{_WARP}.min_crop_side_ratio", 0.1)
    experiment.report(
        "changed", keys.path, None,
        "one window of whole words; PaddleOCR also turns half of the images by a multiple of 90 degrees",
    )  # fmt: skip
    share = keys.number("background_ratio", 0.125)
    if share:
        experiment.report(
            "changed", keys.key("background_ratio"), share,
            "every window contains a word here; so large a share of PaddleOCR's windows contains none",
        )  # fmt: skip
    return ("EASTProcessTrain",)


def _sast(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    """One transform for everything: another aspect, a window of whole words, smaller scales, blur, brightness."""
    keys = step(experiment, section, transforms, "SASTProcessTrain", {"image_shape": [512, 512]})
    side = _side(keys)
    _warp(experiment, section, size=[side, side], flip=0.0, rotate=[0, 0], scale=[1.0, 1.0])
    experiment.report(
        "changed", keys.path, None,
        "one window of whole words that fills the frame; PaddleOCR also changes its aspect by up to a fifth, makes a "
        "part of the windows smaller, down to half of the frame, and changes blur or brightness of some",
    )  # fmt: skip
    experiment.drop(
        keys,
        {
            "min_crop_side_ratio": "PaddleOCR's SASTProcessTrain never uses it",
            "min_crop_size": "the window's smallest side is a share of the image's (augment.warp.min_crop_side_ratio)",
        },
    )
    return ("SASTProcessTrain",)


def _side(keys: Section) -> Any:
    """Side of the square training images, as a transform that makes targets too states it."""
    shape = keys.get("image_shape", [512, 512])
    return shape[-1] if isinstance(shape, list) and shape else shape


def _ct(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    parts = dict(transforms)
    scale = step(experiment, section, transforms, "RandomScale", {"short_size": 640})
    crop = step(experiment, section, transforms, "GroupRandomCropPadding", {"target_size": [640, 640]})
    turned = "GroupRandomRotate" in parts
    flipped = parts["GroupRandomHorizontalFlip"].number("p", 0.5) if "GroupRandomHorizontalFlip" in parts else 0.0
    size = crop.get("target_size", [640, 640])
    _warp(
        experiment, section, size=size, flip=flipped, rotate=[-10, 10] if turned else [0, 0], scale=[0.7, 1.3],
        crop="cut", reference_side=round(scale.number("short_size", 640) * 4 / 3),
    )  # fmt: skip
    experiment.report(
        "changed", scale.path, None,
        "the longer side is what an image of 4:3 has with this shorter side, times a scale drawn from a range",
    )  # fmt: skip
    experiment.report(
        "changed", crop.path, None, "a window around a word; words that it cuts are not learned, PaddleOCR learns them"
    )
    return ("RandomScale", "GroupRandomHorizontalFlip", "GroupRandomRotate", "GroupRandomCropPadding")


def _fce(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    parts = dict(transforms)
    square = step(experiment, section, transforms, "SquareResizePad", {"target_size": 800})
    side = square.number("target_size", 800)
    angle, smallest, scale, flip = 0, 0.1, [1.0, 1.0], 0.0
    if turn := parts.get("RandomRotatePolyInstances"):
        angle = turn.number("max_angle", 10)
        _replaced(experiment, turn, "every image is turned, with black beyond it")
    if crop := parts.get("RandomCropPolyInstances"):
        smallest = crop.number("min_side_ratio", 0.4)
        _replaced(experiment, crop, "every image is cropped, to a window of whole words")
    if scaling := parts.get("RandomScaling"):
        scale = scaling.get("scale", [0.75, 2.5])
        _replaced(
            experiment, scaling, "the window fills the frame, so that only the lost detail of a small scale counts"
        )
    if patch := parts.get("RandomCropFlip"):
        _replaced(experiment, patch, "no patch of an image is mirrored")
    if iaa := parts.get("IaaAugment"):
        flip = _flip(experiment, iaa)
    _replaced(experiment, square, "the window keeps its aspect, with black at the right and bottom")
    _warp(experiment, section, size=[side, side], flip=flip, rotate=[-angle, angle], scale=scale)
    experiment.set(f"{_WARP}.min_crop_side_ratio", smallest, "RandomCropPolyInstances.min_side_ratio")
    return (
        "RandomScaling", "RandomCropFlip", "RandomCropPolyInstances", "RandomRotatePolyInstances", "SquareResizePad",
        "IaaAugment",
    )  # fmt: skip


def _flip(experiment: Experiment, keys: Section) -> float:
    """The probability of an IaaAugment that mirrors images and does nothing else."""
    found = 0.0
    for item in keys.get("augmenter_args") or []:
        args = item.get("args") if isinstance(item, dict) else None
        if isinstance(args, dict) and item.get("type") in ("Fliplr", "HorizontalFlip"):
            found = float(args.get("p", 0.5))
        else:
            experiment.report(
                "missing", keys.key("augmenter_args"), item, "beside the method's own steps only Fliplr is known"
            )
    return found


def _replaced(experiment: Experiment, keys: Section, why: str) -> None:
    """Report a transform in whose place the warp does something similar."""
    values = {name: keys.get(name) for name in keys.names()}
    experiment.report("changed", keys.path, values or None, why)


def _warp(experiment: Experiment, section: Section, **values: Any) -> None:
    experiment.choose("augment", "det_fast")
    for name, value in values.items():
        experiment.set(f"{_WARP}.{name}", value, section.key("transforms"))
    experiment.set("augment.color_jitter", None, "unless the file has a ColorJitter")


CHAINS: dict[str, Chain] = {"east": _east, "sast": _sast, "ct": _ct, "fce": _fce, "drrg": _fce}
