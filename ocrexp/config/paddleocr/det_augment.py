"""A detector's training images: augmenters become one warp if possible, else a list for imgaug; and target maps."""

from __future__ import annotations

import re
from typing import Any

from ocrexp.config.paddleocr.data import Transforms, convert_normalize, plain_transform, unknown_transform
from ocrexp.config.paddleocr.det_chains import CHAINS
from ocrexp.config.paddleocr.det_steps import convert_steps
from ocrexp.config.paddleocr.det_targets import assume_step, convert_targets
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError

# Augmenters of albumentations (PaddleOCR 2.10) by their names in imgaug (our list).
_IMGAUG = {"HorizontalFlip": "Fliplr", "VerticalFlip": "Flipud"}
# PaddleOCR's defaults.
_CROP = {"size": [640, 640], "max_tries": 10, "keep_ratio": True, "min_crop_side_ratio": 0.1}
_CROPS = ("RandomCrop", "RandomCropData", "RandomCropImgMask")  # besides EastRandomCropData
_MASKED_CROP = "RandomCropImgMask"  # PSE's: at the image's own scale
_PAIR = re.compile(r"\(\s*[\d.]+\s*,\s*[\d.]+\s*\)")
# Names of the range of a RandomScale.
_RANGES = ("scale_range", "ratio_range", "scales", "scale", "ratios", "ratio", "size")


def convert_train_transforms(experiment: Experiment, section: Section, method: str) -> None:
    """What is done to a training image, and the target maps of `method` (see `methods`)."""
    transforms = section.entries("transforms")
    done = convert_targets(experiment, section, transforms, method)
    done += CHAINS[method](experiment, section, transforms) if method in CHAINS else ()
    steps = () if method in CHAINS else convert_steps(experiment, section, transforms)
    augmenters: list[Any] = []
    scales: list[dict[str, Any]] = []
    crop: Section | None = None
    plain: tuple[str, Section] | None = None
    for name, keys in transforms:
        if name in done or name in steps:
            continue
        if name == "IaaAugment":
            default = [
                {"type": "Fliplr", "args": {"p": 0.5}}, {"type": "Affine", "args": {"rotate": [-10, 10]}},
                {"type": "Resize", "args": {"size": [0.5, 3]}},
            ]  # fmt: skip
            augmenters += keys.get("augmenter_args") or default
        elif name == "EastRandomCropData":
            crop = keys
        elif name in _CROPS:
            plain = plain or (name, keys)
        elif name == "RandomScale":
            scales.append(_random_scale(experiment, keys))
        elif name == "NormalizeImage":
            convert_normalize(experiment, keys)
        elif name not in ("CopyPaste", "ColorJitter") and not plain_transform(experiment, name, keys, rgb=True):
            unknown_transform(experiment, section, name, keys)
    if not steps and method not in CHAINS:
        _augmentation(experiment, section, [*augmenters, *scales], crop, plain)
    _extras(experiment, transforms)


def _plain_crop(experiment: Experiment, name: str, keys: Section, cut: bool) -> Section:
    """Convert a crop at any place to EastRandomCropData, with its keys; `cut`: to a window at the image's scale."""
    size = keys.get("size", keys.get("crop_size"))
    height, width = keys.number("height"), keys.number("width")
    if size is None and height and width:
        size = [width, height]
    if isinstance(size, int) and not isinstance(size, bool):
        size = [size, size]
    experiment.only(keys, "p", (1, 1.0, None), "every training image is cropped")
    experiment.drop(
        keys, dict.fromkeys(("main_key", "crop_keys"), "the crop applies to everything that belongs to an image")
    )
    values = {key: keys.get(key) for key in ("max_tries", "keep_ratio", "min_crop_side_ratio") if key in keys}
    experiment.report(
        "changed", keys.path, {"size": size} if size else None,
        f"{name} cuts through words and learns what is left of them; words that the window cuts are not learned here"
        if cut
        else f"{name} cuts through words; the crop here keeps words whole, as EastRandomCropData does",
    )  # fmt: skip
    return Section(keys.path, values | ({"size": size} if size else {}))


def _random_scale(experiment: Experiment, keys: Section) -> dict[str, Any]:
    """Convert a RandomScale to the Resize of the augmenters."""
    name = next((name for name in _RANGES if name in keys), None)
    if name is None:
        if "scale_limit" in keys:
            return _albumentations_scale(experiment, keys.path, keys.get("scale_limit"))
        experiment.assume(keys.path, {"size": [0.5, 3]}, "it has no range of scales")
        return {"type": "Resize", "args": {"size": [0.5, 3]}}
    value = keys.get(name)
    values = value if isinstance(value, list) else [value, value]
    if not values or not all(isinstance(item, int | float) and not isinstance(item, bool) for item in values):
        raise ConfigError(f"{keys.key(name)}: expected the smallest and the largest scale, got {value!r}")
    if min(values) <= 0 or max(values) > 20:
        raise ConfigError(f"{keys.key(name)}: expected factors between 0 and 20, got {value!r}")
    if len(values) > 2:
        experiment.note("changed", keys, name, f"scales are drawn from {min(values):g} to {max(values):g}")
    return {"type": "Resize", "args": {"size": [min(values), max(values)]}}


def _augmentation(
    experiment: Experiment,
    section: Section,
    augmenters: list[Any],
    crop: Section | None,
    plain: tuple[str, Section] | None,
) -> None:
    """Convert the list to one warp if possible, otherwise run the list with imgaug.

    `crop` is a crop that keeps words whole; `plain` one at any place, with its name.
    """
    entries = [_entry(experiment, section, item) for item in augmenters]
    for entry in [entry for entry in entries if entry["type"] in _CROPS]:
        entries.remove(entry)
        keys = Section(f"{section.key('transforms')}: IaaAugment {entry['type']}", entry["args"])
        plain = plain or (entry["type"], keys)
    source = f"{section.key('transforms')}: IaaAugment"
    simple = _as_warp(entries)
    if crop is None and plain is not None:
        cut = simple is not None and plain[0] == _MASKED_CROP
        crop = _plain_crop(experiment, *plain, cut)
        if cut:
            experiment.set("augment.warp.crop", "cut", plain[1].path)
    if crop is None:
        assume_step(experiment, section, "EastRandomCropData", _CROP)
        crop = Section(f"{section.key('transforms')}: EastRandomCropData", {})
    node = "augment.crop" if simple is None else "augment.warp"
    if simple is not None:
        experiment.choose("augment", "det_fast")
        flip, rotate, scale = simple
        experiment.set("augment.warp.flip", flip, f"{source} Fliplr")
        experiment.set("augment.warp.rotate", rotate, f"{source} Affine")
        experiment.set("augment.warp.scale", scale, f"{source} Resize")
        experiment.set("augment.color_jitter", None, "unless the file has a ColorJitter")
    else:
        experiment.choose("augment", "det_imgaug")
        experiment.set("augment.imgaug.augmenter_args", entries, source)
    for name in ("size", "max_tries") if experiment.get("augment.warp.crop") == "cut" else _CROP:
        experiment.take(crop, name, f"{node}.{name}", _CROP[name])


def _entry(experiment: Experiment, section: Section, item: Any) -> dict[str, Any]:
    """An augmenter with imgaug's name and arguments."""
    if isinstance(item, list) and item and isinstance(item[0], str):
        return {"type": _IMGAUG.get(item[0], item[0]), "args": _args(section, item[1] if len(item) > 1 else None)}
    if not isinstance(item, dict) or "type" not in item:
        raise ConfigError(
            f"{section.key('transforms')}: IaaAugment: expected an augmenter with type and args, got {item!r}"
        )
    name, args = str(item["type"]).strip(), _args(section, item.get("args"))
    if name == "RandomScale":
        where = f"{section.key('transforms')}: IaaAugment RandomScale"
        return _albumentations_scale(experiment, where, args.get("scale_limit", 0.1))
    return {"type": _IMGAUG.get(name, name), "args": args}


def _args(section: Section, args: Any) -> dict[str, Any]:
    """The arguments of an augmenter; {} where there are none."""
    if args is not None and not isinstance(args, dict):
        raise ConfigError(f"{section.key('transforms')}: IaaAugment: args: expected a mapping, got {args!r}")
    return _with_pairs(args or {})


def _with_pairs(args: dict[Any, Any]) -> dict[str, Any]:
    """The arguments, with `( 0.5, 3 )` as two numbers: in braces YAML reads it as a text and a key without a value."""
    found: dict[str, Any] = {}
    opened = ""  # the argument whose text began with a parenthesis that is not closed yet
    for name, value in args.items():
        if opened and value is None:
            found[opened] += f",{name}"
        else:
            found[str(name)] = value
        last = opened or str(name)
        text = found[last]
        opened = last if isinstance(text, str) and text.startswith("(") and not text.endswith(")") else ""
        if isinstance(text, str) and _PAIR.fullmatch(text):
            found[last] = [float(number) for number in text.strip("()").split(",")]
    return found


def _albumentations_scale(experiment: Experiment, where: str, limit: Any) -> dict[str, Any]:
    values = limit if isinstance(limit, list) else [limit]
    if not 1 <= len(values) <= 2 or any(not isinstance(v, int | float) or isinstance(v, bool) for v in values):
        raise ConfigError(f"{where}: scale_limit: expected one or two numbers, got {limit!r}")
    low, high = values if len(values) == 2 else (-values[0], values[0])
    experiment.report(
        "changed", where, {"scale_limit": limit},
        f"albumentations scales by 1 + scale_limit: {1 + low:g} to {1 + high:g}",
        "most likely the file means the scale itself; set it to scale_limit",
    )  # fmt: skip
    return {"type": "Resize", "args": {"size": [1 + low, 1 + high]}}


def _as_warp(entries: list[dict[str, Any]]) -> tuple[float, list[float], list[float]] | None:
    """Flip, rotation and scale of a list that has only these, each at most once, the flip before the rotation;
    otherwise None. A scale gives the same before and after them."""
    names = [entry["type"] for entry in entries if entry["type"] != "Resize"]
    if names != [name for name in ("Fliplr", "Affine") if name in names] or len(entries) - len(names) > 1:
        return None
    args = {entry["type"]: entry["args"] for entry in entries}
    flip = args.get("Fliplr", {"p": 0.0})
    rotate, scale = args.get("Affine", {"rotate": [0, 0]}), args.get("Resize", {"size": [1.0, 1.0]})
    if set(flip) - {"p"} or set(rotate) != {"rotate"} or set(scale) != {"size"}:
        return None
    angles, sizes = rotate["rotate"], scale["size"]
    angles = angles if isinstance(angles, list) else [angles, angles]
    if not isinstance(sizes, list) or len(sizes) != 2 or len(angles) != 2:
        return None
    return float(flip.get("p", 1.0)), angles, sizes


def _extras(experiment: Experiment, transforms: Transforms) -> None:
    names = [name for name, _ in transforms]
    for name, keys in transforms:
        if name == "ColorJitter":
            node = "augment.color_jitter"
            values = {key: keys.number(key, 0) for key in ("brightness", "contrast", "saturation", "hue")}
            experiment.set(
                node, {"_target_": "ocrexp.augment.photometric.ColorJitter", **values}, f"{keys.path}: after the crop"
            )
        elif name == "CopyPaste":
            values = {"objects_paste_ratio": keys.number("objects_paste_ratio", 0.2), "scale": [0.5, 3.0],
                      "limit_paste": keys.get("limit_paste", True)}  # fmt: skip
            experiment.set(
                "augment.copy_paste", {"_target_": "ocrexp.augment.copy_paste.CopyPaste", **values}, keys.path
            )
            if "IaaAugment" in names and names.index("CopyPaste") > names.index("IaaAugment"):
                experiment.report("changed", keys.path, None, "words are pasted before the augmenters, not after them")
