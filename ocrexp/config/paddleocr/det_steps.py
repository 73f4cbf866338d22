"""A detector's augmentation in single steps, as PP-OCRv6's files have it: what one warp cannot do, without imgaug."""

from __future__ import annotations

from typing import Any

from ocrexp.config.paddleocr.data import Transforms
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section

_NAMES = {"Fliplr": "Fliplr", "HorizontalFlip": "Fliplr", "Affine": "Affine", "Resize": "Resize"}
_PERSPECTIVE = {"p": ("prob", 0.5), "perspective": ("perspective", 0.0), "shear": ("shear", 0.0),
                "scale": ("scale", 0.0), "fit_output": ("fit_output", False)}  # fmt: skip
# What else PaddleOCR calls a crop, and the keys of our option's crop with PaddleOCR's defaults.
_CROPS = {
    "RandomCrop": ("det_ppocrv6", {"size": [640, 640], "max_tries": 50}),
    "EastRandomCropData": (
        "det_ppocrv6_fit", {"size": [640, 640], "max_tries": 10, "keep_ratio": True, "min_crop_side_ratio": 0.1},
    ),
}  # fmt: skip


def convert_steps(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    """Names of the transforms that have become `augment=det_ppocrv6` or `det_ppocrv6_fit`; () where the list is not of
    that kind: flip, rotation of a share of the images or with a canvas that fits, scale, perspective, crop."""
    names = [name for name, _ in transforms]
    crops = [name for name in names if name in _CROPS]
    if names.count("IaaAugment") != 1 or len(crops) != 1 or names.count("RandomPerspective") > 1:
        return ()
    parts = dict(transforms)
    found = _entries(parts["IaaAugment"].get("augmenter_args"))
    if found is None:
        return ()
    perspective = parts.get("RandomPerspective")
    affine = found.get("Affine", {})
    if perspective is None and not {"p", "fit_output"} & set(affine):
        return ()
    option, keys = _CROPS[crops[0]]
    experiment.choose("augment", option)
    _turn(experiment, f"{section.key('transforms')}: IaaAugment", found)
    experiment.set("augment.copy_paste", None, "unless the file has a CopyPaste")
    experiment.set("augment.color_jitter", None, "unless the file has a ColorJitter")
    if perspective is not None:
        values = {key: perspective.get(name, default) for key, (name, default) in _PERSPECTIVE.items()}
        target = {"_target_": "ocrexp.augment.perspective.RandomPerspective"}
        experiment.set("augment.perspective", target | values, perspective.path)
        experiment.only(perspective, "fill_value", (None, 0, [0, 0, 0]), "what is beyond the image is black here")
    crop = parts[crops[0]]
    for name, default in keys.items():
        experiment.take(crop, name, f"augment.crop.{name}", default)
    if option == "det_ppocrv6":
        experiment.report(
            "changed", crop.path, None,
            "a window of this size at any place, without a change of scale, through words where it falls; PaddleOCR"
            " 3.7's may choose it otherwise",
        )  # fmt: skip
        experiment.drop(crop, dict.fromkeys(("keep_ratio", "min_crop_side_ratio"), "the window is never scaled here"))
    return ("IaaAugment", "RandomPerspective", crops[0])


def _entries(augmenters: Any) -> dict[str, dict[str, Any]] | None:
    """Arguments by imgaug's names of a list of flip, rotation and scale in this order; None for any other list."""
    if not isinstance(augmenters, list):
        return None
    found: dict[str, dict[str, Any]] = {}
    for item in augmenters:
        name = _NAMES.get(str(item.get("type")).strip()) if isinstance(item, dict) else None
        args = item.get("args") if isinstance(item, dict) else None
        if name is None or name in found or not isinstance(args, dict | None):
            return None  # what is wrong is said where other lists are read
        found[name] = dict(args or {})
    if [name for name in ("Fliplr", "Affine", "Resize") if name in found] != list(found):
        return None
    known = {"Fliplr": {"p"}, "Affine": {"p", "rotate", "fit_output"}, "Resize": {"size"}}
    if any(set(args) - known[name] for name, args in found.items()):
        return None
    ranges = [found[name].get(key) for name, key in (("Affine", "rotate"), ("Resize", "size")) if name in found]
    return found if all(isinstance(value, list) and len(value) == 2 for value in ranges) else None


def _turn(experiment: Experiment, source: str, found: dict[str, dict[str, Any]]) -> None:
    affine = found.get("Affine", {"rotate": [0, 0], "p": 0.0})
    experiment.set("augment.turn.flip", found.get("Fliplr", {"p": 0.0}).get("p", 1.0), f"{source} Fliplr")
    experiment.set("augment.turn.rotate", affine["rotate"], f"{source} Affine")
    experiment.set("augment.turn.p", affine.get("p", 1.0), f"{source} Affine")
    experiment.set("augment.turn.fit_output", affine.get("fit_output", False), f"{source} Affine")
    if "Resize" in found:
        experiment.set("augment.scale.scale", found["Resize"]["size"], f"{source} Resize")
    else:
        experiment.set("augment.scale", None, f"{source} has no Resize")
