"""A recognizer's images: augmentation, resize, multi-scale batches."""

from __future__ import annotations

from typing import Any

from ocrexp.charset.codecs import KINDS
from ocrexp.config.paddleocr.data import convert_channels, convert_normalize, plain_transform, unknown_transform
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

_GUIDES = {"multi_sar": "SARLabelEncode", "multi_nrtr": "NRTRLabelEncode"}
_RESIZES = (
    "RecResizeImg", "SVTRRecResizeImg", "GrayRecResizeImg", "SARRecResizeImg", "VLRecResizeImg",
    "ABINetRecResizeImg", "RFLRecResizeImg", "SPINRecResizeImg",
    "PRENResizeImg", "SRNRecResizeImg", "RobustScannerRecResizeImg",
)  # fmt: skip
_PROBABILITIES = ("crop_prob", "reverse_prob", "noise_prob", "jitter_prob", "blur_prob", "hsv_aug_prob")
_SCENE_AUGMENTERS = {"SVTRRecAug": "rec_svtr", "ParseQRecAug": "rec_parseq", "ABINetRecAug": "rec_svtr"}
_AUGMENTERS = ("RecConAug", "RecAug", "BaseDataAugmentation", "RandAugment", *_SCENE_AUGMENTERS)
_OPENCV = ("nearest", "linear", "cubic", "area")  # by RFLRecResizeImg's numbers
_PILLOW = {
    "LANCZOS": "pil_lanczos", "ANTIALIAS": "pil_lanczos", "BICUBIC": "pil_bicubic", "BILINEAR": "pil_bilinear",
    "NEAREST": "pil_nearest",
}  # fmt: skip


def convert_transforms(experiment: Experiment, root: Section, kind: str) -> None:
    """Convert both lists of transforms; training and evaluation share one resize."""
    train, evaluation = root.section("Train").section("dataset"), root.section("Eval").section("dataset")
    augmenters: dict[str, Section] = {}
    resize: tuple[str, dict[str, Any]] | None = None
    source = ""
    for section in (evaluation, train):
        for name, keys in section.entries("transforms"):
            if name in _RESIZES:
                found = _resize(keys, name, experiment)
                if resize is not None and found != resize:
                    experiment.report(
                        "missing", keys.path, found[1], "training and evaluation share one resize",
                        f"preprocess.resize has the values of the evaluation: {resize[1]}",
                    )  # fmt: skip
                resize, source = (resize, source) if resize else (found, keys.path)
            elif name in _AUGMENTERS and section is train:
                augmenters[name] = keys
            elif name.endswith("LabelEncode"):
                _encoder(experiment, section, name, keys, kind)
            elif name == "NormalizeImage":
                convert_normalize(experiment, keys)
            elif name == "Fasttext":
                why = "the guess of a word's meaning learns from the characters alone here, without fastText's vectors"
                experiment.note("missing", keys, "path", why)
            elif not plain_transform(experiment, name, keys, rgb=True):
                unknown_transform(experiment, section, name, keys)
    if resize is None:
        experiment.assume(
            evaluation.key("transforms"), None,
            f"none of {', '.join(_RESIZES)} states the size of the images; the model's usual size is used",
            "set model.image_shape=[height,width]",
        )  # fmt: skip
    else:
        option, values = resize
        experiment.choose("preprocess", option)
        for key, value in values.items():
            experiment.set(key, value, source, implied=key != "model.image_shape")
    convert_channels(experiment, train, evaluation)
    _augment(experiment, train, augmenters)


def _encoder(experiment: Experiment, section: Section, name: str, keys: Section, kind: str) -> None:
    wanted = KINDS[kind].decoder.replace("Decode", "Encode") if kind in KINDS else "MultiLabelEncode"
    if name != wanted:
        experiment.report(
            "missing",
            f"{section.key('transforms')}: {name}",
            None,
            f"a head of kind {kind} needs {wanted}",
        )
        return
    if kind in _GUIDES:
        guide = keys.text("gtc_encode", "SARLabelEncode")
        if guide != _GUIDES[kind]:
            experiment.note("missing", keys, "gtc_encode", f"this guide needs {_GUIDES[kind]}")
    idle = ("max_text_length", "character_dict_path", "use_space_char")
    experiment.drop(keys, {key: "the value of the section Global has priority" for key in idle if key in keys})
    experiment.drop(keys, {"ignore_index": "padding never counts", "ch": "set by the head's key"})


def _resize(keys: Section, name: str, experiment: Experiment) -> tuple[str, dict[str, Any]]:
    """Our option of `preprocess`, and values with their full keys."""
    shape = keys.get("image_shape")
    if not isinstance(shape, list) or not all(isinstance(side, int) for side in shape) or len(shape) < 2:
        raise ConfigError(f"{keys.key('image_shape')}: expected a shape, got {shape!r}")
    values: dict[str, Any] = {}
    if name in ("SARRecResizeImg", "RobustScannerRecResizeImg"):
        if len(shape) != 4:
            raise ConfigError(
                f"{keys.key('image_shape')}: expected [channels, height, min width, max width] for SAR, got {shape}"
            )
        values["model.image_shape"] = [shape[1], shape[3]]
        values["preprocess.resize.min_width"] = shape[2]
        values["preprocess.resize.width_downsample_ratio"] = keys.number("width_downsample_ratio", 0.25)
        experiment.drop(keys, {"max_text_length": "of the section Global"})
        return "rec_sar", values | _normalize([0.5] * 3)
    if name == "PRENResizeImg":
        values["model.image_shape"] = shape[:2]
        return "rec_stretch", values | _normalize([0.5] * 3)
    if name == "SRNRecResizeImg":
        experiment.drop(keys, dict.fromkeys(("num_heads", "max_text_length"), "of the section Global"))
        if shape[-1] != 4 * shape[-2]:
            experiment.note(
                "changed",
                keys,
                "image_shape",
                "images of more than 3 times their height are not stretched to the width",
            )
        values["model.image_shape"] = shape[-2:]
        return "rec_srn", values | _normalize([0.0], [1 / 255])
    if name == "GrayRecResizeImg":
        return "rec_gray", _gray(keys, shape, values)
    if name == "RFLRecResizeImg":
        return "rec_gray_cubic", _rfl(keys, shape, values)
    if name == "SPINRecResizeImg":
        experiment.drop(keys, {"interpolation": "PaddleOCR hands it to another argument and resizes linearly"})
        values["model.image_shape"] = shape[::-1]
        return "rec_gray_linear", values | _normalize(
            *([float(value) / 255 for value in _list(keys, key, [127.5] * 3)] for key in ("mean", "std"))
        )
    if len(shape) != 3 or shape[0] != 3:
        raise ConfigError(f"{keys.key('image_shape')}: expected [3, height, width], got {shape}")
    if name == "ABINetRecResizeImg":
        values["model.image_shape"] = shape[1:]
        return "rec_stretch", values | _normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    if name == "VLRecResizeImg":
        experiment.drop(
            keys, dict.fromkeys(("padding", "infer_mode", "character_dict_path"), "ignored by PaddleOCR too")
        )
        values["model.image_shape"] = shape[1:]
        return "rec_stretch", values | _normalize([0.0] * 3, [1.0] * 3)
    padding = bool(keys.get("padding", True))
    values["model.image_shape"] = shape[1:]
    values["preprocess.resize.padding"] = padding
    values["preprocess.resize.interpolation"] = "linear"
    if keys.get("eval_mode") is True:
        values["preprocess.resize.widen"] = True
    experiment.drop(
        keys, {"character_dict_path": "of inference", "infer_mode": "of inference", "eval_mode": "the usual"}
        if not keys.get("eval_mode") else {"character_dict_path": "of inference", "infer_mode": "of inference"},
    )  # fmt: skip
    return ("rec" if padding else "rec_stretch"), values | _normalize([0.5] * 3)


def _gray(keys: Section, shape: list[int], values: dict[str, Any]) -> dict[str, Any]:
    padding = bool(keys.get("padding", False))
    kind, resampling = keys.text("resize_type"), keys.text("inter_type", "Image.Resampling.LANCZOS").rpartition(".")[2]
    scaled = keys.get("scale", True)
    values["model.image_shape"] = shape[-2:] if padding else [shape[1], shape[0]]
    values["preprocess.resize.padding"] = padding
    if padding or kind == "OpenCV":
        values["preprocess.resize.interpolation"] = "linear"
    elif kind == "PIL" and resampling in _PILLOW:
        values["preprocess.resize.interpolation"] = _PILLOW[resampling]
    else:
        raise ConfigError(
            f"{keys.path}: expected resize_type OpenCV, or PIL with inter_type {', '.join(_PILLOW)}; got"
            f" resize_type {kind or 'nothing'}, inter_type {resampling}"
        )
    return values | ({"model.normalize.mean": [0.50196], "model.normalize.std": [0.50196]} if scaled or padding
                     else {"model.normalize.mean": [0.0], "model.normalize.std": [1.0]})  # fmt: skip


def _rfl(keys: Section, shape: list[int], values: dict[str, Any]) -> dict[str, Any]:
    """Gray images, stretched by one of OpenCV's filters, or linearly with padding."""
    padding, interpolation = bool(keys.get("padding", True)), keys.number("interpolation", 1)
    if interpolation not in range(len(_OPENCV)):
        raise ConfigError(f"{keys.key('interpolation')}: expected 0 to {len(_OPENCV) - 1}, got {interpolation}")
    values["model.image_shape"] = shape[-2:]
    values["preprocess.resize.padding"] = padding
    values["preprocess.resize.interpolation"] = "linear" if padding else _OPENCV[interpolation]
    return values | _normalize([0.5])


def _list(keys: Section, name: str, default: list[float]) -> list[float]:
    value = keys.get(name, default)
    if not isinstance(value, list) or not all(isinstance(each, int | float) for each in value):
        raise ConfigError(f"{keys.key(name)}: expected a list of numbers, got {value!r}")
    return value


def _normalize(mean: list[float], std: list[float] | None = None) -> dict[str, Any]:
    """Values of `model.normalize`; the deviation is equal to the mean unless it is given."""
    return {"model.normalize.mean": mean, "model.normalize.std": std or mean}


def _augment(experiment: Experiment, section: Section, augmenters: dict[str, Section]) -> None:
    joined, base = augmenters.get("RecConAug"), augmenters.get("BaseDataAugmentation")
    warped = augmenters.get("RecAug")
    rand = augmenters.get("RandAugment")
    if not augmenters:
        experiment.choose("augment", "rec_none")
        return
    scene = next((name for name in augmenters if name in _SCENE_AUGMENTERS), None)
    if scene is not None:
        _scene_aug(experiment, scene, augmenters)
        return
    experiment.choose("augment", "rec_conaug" if joined else "rec_paddleocr")
    if joined is not None:
        _con_aug(experiment, joined)
    own = warped or base
    if own is None:
        experiment.set("augment.rec_aug", None, f"{section.key('transforms')}: without RecAug")
    else:
        _rec_aug(experiment, own, tia=warped is not None)
    if rand is not None:
        values = {"prob": rand.number("prob", 0.5), "num_ops": rand.number("num_layers", 2),
                  "magnitude": rand.number("magnitude", 5)}  # fmt: skip
        experiment.set(
            "augment.rand_augment", {"_target_": "ocrexp.augment.rec.rand_augment.RecRandAugment", **values}, rand.path
        )
        experiment.report(
            "changed", rand.path, values, "only operations that keep the text readable; PaddleOCR draws from more"
        )
    if warped is not None and base is not None:
        experiment.report("missing", base.path, None, "applied once, by RecAug; PaddleOCR applies it twice")


def _scene_aug(experiment: Experiment, name: str, augmenters: dict[str, Section]) -> None:
    """SVTRRecAug, ParseQRecAug or ABINetRecAug; RecConAug may come before it."""
    keys = augmenters[name]
    experiment.choose("augment", _SCENE_AUGMENTERS[name])
    experiment.take(keys, "aug_type", "augment.scene_aug.aug_type", 0)
    for key, default in (("geometry_p", 0.5), ("deterioration_p", 0.25), ("colorjitter_p", 0.25)):
        experiment.take(keys, key, f"augment.scene_aug.{key}", default)
    for other, own in augmenters.items():
        if other == "RecConAug":
            node = "augment.con_aug"
            experiment.set(f"{node}._target_", "ocrexp.augment.rec.con_aug.RecConAug", own.path)
            experiment.set(f"{node}.image_shape", "${model.image_shape}", own.path)
            experiment.set(f"{node}.max_text_length", "${targets.max_text_length}", own.path)
            _con_aug(experiment, own)
        elif other != name:
            experiment.report("missing", own.path, None, f"{name} is not combined with it; {name} alone is used")


def _con_aug(experiment: Experiment, keys: Section) -> None:
    node = "augment.con_aug"
    experiment.take(keys, "prob", f"{node}.prob", 0.5)
    experiment.take(keys, "ext_data_num", f"{node}.ext_data_num", 1)
    shape = keys.get("image_shape", [32, 320, 3])
    if not isinstance(shape, list) or len(shape) < 2:
        raise ConfigError(f"{keys.key('image_shape')}: expected [height, width, channels] for RecConAug, got {shape!r}")
    if shape[:2] != experiment.get("model.image_shape"):
        experiment.set(f"{node}.image_shape", shape[:2], keys.key("image_shape"))
    length = keys.number("max_text_length", 25)
    if length != experiment.get("targets.max_text_length"):
        experiment.set(f"{node}.max_text_length", length, keys.key("max_text_length"))


def _rec_aug(experiment: Experiment, keys: Section, tia: bool) -> None:
    node = "augment.rec_aug"
    for name in _PROBABILITIES:
        experiment.take(keys, name, f"{node}.{name}", 0.4)
    if not tia or keys.get("use_tia") is False:
        experiment.set(f"{node}.tia_prob", 0.0, keys.path)
    elif "aug_prob" in keys:
        experiment.take(keys, "aug_prob", f"{node}.tia_prob")
    else:
        experiment.take(keys, "tia_prob", f"{node}.tia_prob", 0.4)
    if keys.get("use_tia") is True:
        experiment.note("dropped", keys, "use_tia", "set by tia_prob")


def convert_sampler(experiment: Experiment, root: Section) -> None:
    """Convert `MultiScaleSampler`: batches of several sizes, with the batch size of the first one."""
    train = root.section("Train")
    section, dataset = train.section("sampler"), train.section("dataset")
    by_ratio = dataset.get("ds_width") is True
    name = section.text("name")
    if not name:
        if by_ratio:
            experiment.note("dropped", dataset, "ds_width", "belongs to a sampler, which is missing")
        return
    if name != "MultiScaleSampler":
        raise ConfigError(
            f"{section.key('name')}: unsupported sampler {name}{did_you_mean(name, ['MultiScaleSampler'])}; supported:"
            " MultiScaleSampler"
        )
    experiment.choose("loader", "multi_scale")
    scales, factors = section.get("scales"), section.get("divided_factor", [8, 16])
    if not isinstance(scales, list) or not scales or not isinstance(factors, list) or len(factors) != 2:
        raise ConfigError(
            f"{section.path}: expected scales such as [[width, height], ...] and divided_factor such as [8, 16]"
        )
    pairs = [scale if isinstance(scale, list) else [scale, scale] for scale in scales]
    sizes = [[side // factor * factor for side, factor in zip(pair, factors, strict=True)][::-1] for pair in pairs]
    node = "loader.multi_scale"
    experiment.set(f"{node}.sizes", sizes, f"{section.key('scales')}: height, width")
    experiment.set(f"{node}.by_ratio", by_ratio, dataset.key("ds_width"))
    experiment.take(section, "fix_bs", f"{node}.fix_batch", True)
    first = section.number("first_bs", 128)
    loader = train.section("loader")
    if "batch_size_per_card" in loader and loader.number("batch_size_per_card") != first:
        experiment.note("dropped", loader, "batch_size_per_card", "the sampler's first_bs has priority")
    experiment.set("loader.batch_size", first, f"{section.key('first_bs')}: for the first size")
    if by_ratio:
        experiment.note(
            "changed", dataset, "ds_width", "a batch has one of these widths; in PaddleOCR the mean width of images",
            "list more widths in loader.multi_scale.sizes",
        )  # fmt: skip
        experiment.drop(section, dict.fromkeys(("ratio_wh", "max_w"), "the sizes limit the width"))
    experiment.only(section, "is_training", True, "evaluation images have one size")
    experiment.drop(section, {"seed": "the run's seed determines the order"})
    idle = {key: "it has an effect only with ds_width" for key in ("ratio_wh", "max_w") if not section.was_read(key)}
    experiment.drop(section, idle)
