"""The content of `inference.yml`: how images are prepared for an exported model, and what its output means.

The file has PaddleOCR's layout (written by its `dump_infer_config`, read by PaddleX), so that its clients run our
models and our runtime runs theirs. What this layout cannot express is in the section `Ocrexp`, which other clients
ignore.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from ocrexp.deploy.description_check import check_description
from ocrexp.deploy.paddle_ops import (
    MAX_SIDE,
    det_resize_of,
    det_resize_op,
    normalization_of,
    rec_resize_of,
    rec_resize_op,
    widening_resize,
)
from ocrexp.errors import DeployError, printable
from ocrexp.yaml_text import read_yaml

TaskName = Literal["det", "rec", "cls"]
Channels = Literal["BGR", "RGB"]

FILE_NAME = "inference.yml"
SECTION = "Ocrexp"
_TASKS = ("det", "rec", "cls")
_OWN_KEYS = ("task", "resize", "mean", "std", "postprocess", "channels")
_LAST_BLANK = "last_blank_left_out"

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
_DB_ARGUMENTS = (
    "thresh",
    "box_thresh",
    "unclip_ratio",
    "max_candidates",
    "use_dilation",
    "score_mode",
    "box_type",
)


@dataclass(frozen=True)
class Description:
    """How to feed an exported model and read its output.

    Args:
        task: det, rec or cls.
        model_name: the name by which PaddleX finds the model ("PP-OCRv5_mobile_det"); "" if it has no name.
        resize: `{"kind": "DetResize" | "RecResize" | "SARResize", **arguments of that class}`.
        mean: mean of pixels divided by 255, in the order of `channels`; one value: the network takes gray images.
        std: standard deviation, as `mean`.
        postprocess: `{"name": "DBPostProcess", **arguments}`, `{"name": "CTCLabelDecode"}` (`Attn`, `NRTR` …), or
            `{"name": "ClsPostProcess", "label_list": ["0", "180"]}`.
        characters: of rec in class order, without special classes; None: unknown. A file of another program may omit a
            final space from its list: `ocrexp.deploy.characters` decides by the number of the network's classes.
        ocrexp: information that only our exports contain: `versions`, `charset` (its fingerprint, `lower`), `files`
            (name to SHA-256), `checkpoint`, `metric`, `outputs` (names, if the network has several) … None: an export
            of another program.
        channels: order of the color channels that the network takes.
    """

    task: TaskName
    model_name: str
    resize: dict[str, Any]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    postprocess: dict[str, Any]
    characters: tuple[str, ...] | None = None
    ocrexp: dict[str, Any] | None = field(default=None)
    channels: Channels = "BGR"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs in their order if it has several; empty: only the first output is used."""
        return tuple((self.ocrexp or {}).get("outputs", ()))

    @staticmethod
    def default(task: TaskName) -> Description:
        """The defaults of PaddleOCR 2.x's inference for a model of this task that has no description."""
        if task == "det":
            resize = {"kind": "DetResize", "limit_side_len": 960, "limit_type": "max", "max_side": MAX_SIDE}
            thresholds = {"thresh": 0.3, "box_thresh": 0.6, "unclip_ratio": 1.5}
            return Description(task, "", resize, IMAGENET_MEAN, IMAGENET_STD, {"name": "DBPostProcess", **thresholds})
        if task == "rec":
            return Description(task, "", widening_resize([48, 320]), HALF, HALF, {"name": "CTCLabelDecode"})
        resize = {"kind": "RecResize", "image_shape": [48, 192], "min_side": 1}
        return Description(task, "", resize, HALF, HALF, {"name": "ClsPostProcess", "label_list": ["0", "180"]})

    @staticmethod
    def read(path: Path | str) -> Description:
        """Read an `inference.yml`, ours or PaddleOCR's (2.10, 3.x). Raises DeployError."""
        path = Path(path)
        try:
            if path.exists() and not path.is_file():
                raise DeployError(f"{path}: is not a regular file; export again")
            content = read_yaml(path.read_bytes())
        except OSError as error:
            raise DeployError(f"{path}: cannot be read ({error.strerror})") from None
        except ValueError as error:
            raise DeployError(f"{path}: {printable(str(error))}; export again") from None
        if not isinstance(content, dict) or not isinstance(content.get("PostProcess"), dict):
            raise DeployError(f"{path}: missing section PostProcess; give the inference.yml of an exported text model")
        try:
            described = _read_own(content, path) if SECTION in content else _read_foreign(content, path)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = printable(str(error))[:100]
            raise DeployError(f"{path}: invalid content ({type(error).__name__}: {reason}); export again") from None
        try:
            check_description(described)
        except ValueError as error:
            raise DeployError(f"{path}: {error}; export again") from None
        return described

    def write(self, path: Path | str) -> None:
        """The content of the file in PaddleOCR's layout, with section `Ocrexp`; `read` returns an equal description."""
        own: dict[str, Any] = {
            "task": self.task,
            "resize": _plain(self.resize),
            "mean": list(self.mean),
            "std": list(self.std),
            "postprocess": _plain(self.postprocess),
            "channels": self.channels,
            **_plain(self.ocrexp or {}),
        }
        postprocess = _plain(self.postprocess)
        if self.characters is not None:
            # Other clients append a space to the list, so a final space is omitted here. If the list has no final
            # space, theirs gets a class that the network does not have.
            own[_LAST_BLANK] = bool(self.characters) and self.characters[-1] == " "
            postprocess["character_dict"] = list(self.characters[:-1] if own[_LAST_BLANK] else self.characters)
        content = {
            "Global": {"model_name": self.model_name},
            "PreProcess": {"transform_ops": self._transform_ops()},
            "PostProcess": postprocess,
            SECTION: own,
        }
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump(content, Dumper=dumper, allow_unicode=True, sort_keys=False, default_flow_style=False)
        Path(path).write_text(text, encoding="utf-8", newline="\n")

    def with_characters(self, characters: Sequence[str]) -> Description:
        """The same model with other characters (a dictionary for a model that states none)."""
        return replace(self, characters=tuple(characters))

    def _transform_ops(self) -> list[dict[str, Any]]:
        """The operators by PaddleOCR's names, as far as its layout can express them."""
        ops: list[dict[str, Any]] = [{"DecodeImage": {"channel_first": False, "img_mode": self.channels}}]
        resize = _plain(self.resize)
        normalize = {"mean": list(self.mean), "std": list(self.std), "scale": "1./255.", "order": "hwc"}
        if self.task == "det":
            ops += [{"DetResizeForTest": det_resize_op(resize)}, {"NormalizeImage": normalize}, {"ToCHWImage": None}]
        elif self.task == "cls" and not resize.get("padding", True):
            height, width = resize["image_shape"]
            ops += [{"ResizeImage": {"size": [width, height]}}, {"NormalizeImage": normalize}, {"ToCHWImage": None}]
        else:
            # PaddleX has no NormalizeImage here: text images are always scaled to [-1, 1].
            ops.append(rec_resize_op(resize, len(self.mean)))
        ops.append({"KeepKeys": {"keep_keys": ["image", "shape"] if self.task == "det" else ["image"]}})
        return ops


def _read_own(content: dict[str, Any], path: Path) -> Description:
    own = dict(content[SECTION])
    task = own["task"]
    if task not in _TASKS:
        raise DeployError(f"{path}: {SECTION}.task: expected one of {', '.join(_TASKS)}, got {task!r}")
    characters = content["PostProcess"].get("character_dict")
    if characters is not None:
        if not isinstance(characters, list):
            raise ValueError(f"PostProcess.character_dict: expected a list, got {type(characters).__name__}")
        characters = tuple(characters) + ((" ",) if own.get(_LAST_BLANK) else ())
    facts = {key: value for key, value in own.items() if key not in (*_OWN_KEYS, _LAST_BLANK)}
    return Description(
        task=task,
        model_name=_model_name(content),
        resize=dict(own["resize"]),
        mean=tuple(map(float, own["mean"])),
        std=tuple(map(float, own["std"])),
        postprocess=dict(own["postprocess"]),
        characters=characters,
        ocrexp=facts or None,
        channels=own.get("channels", "BGR"),
    )


def _read_foreign(content: dict[str, Any], path: Path) -> Description:
    ops: dict[str, dict[str, Any]] = {}
    for entry in (content.get("PreProcess") or {}).get("transform_ops") or []:
        for name, arguments in entry.items() if isinstance(entry, Mapping) else [(entry, None)]:
            ops[name] = dict(arguments) if isinstance(arguments, Mapping) else {}
    name = _model_name(content)
    postprocess = content["PostProcess"]
    if "Topk" in postprocess or postprocess.get("name") == "ClsPostProcess":
        return _foreign_cls(name, ops, postprocess)
    kind = str(postprocess.get("name"))
    mean, std = normalization_of(ops.get("NormalizeImage", {}))
    channels = cast(Channels, ops.get("DecodeImage", {}).get("img_mode", "BGR"))
    if kind == "DBPostProcess":
        given = {key: postprocess[key] for key in _DB_ARGUMENTS if postprocess.get(key) is not None}
        arguments = {"thresh": 0.3, "box_thresh": 0.6, "unclip_ratio": 2.0, **given}
        resize = det_resize_of(name, ops.get("DetResizeForTest", {}))
        mean, std = mean or IMAGENET_MEAN, std or IMAGENET_STD
        return Description("det", name, resize, mean, std, {"name": kind, **arguments}, channels=channels)
    if not kind.endswith("LabelDecode"):
        raise DeployError(f"{path}: PostProcess.name: expected DBPostProcess, …LabelDecode or Topk, got {kind!r}")
    # Files written by hand may contain unquoted 0 … 9, which YAML reads as numbers.
    listed = postprocess.get("character_dict")
    if listed is not None and not isinstance(listed, list):
        raise ValueError(f"PostProcess.character_dict: expected a list, got {type(listed).__name__}")
    characters = None if listed is None else tuple(str(character) for character in listed)
    resize = rec_resize_of(ops, path)
    return Description("rec", name, resize, mean or HALF, std or HALF, {"name": kind}, characters, channels=channels)


def _foreign_cls(name: str, ops: Mapping[str, Mapping[str, Any]], postprocess: Mapping[str, Any]) -> Description:
    labels = (postprocess.get("Topk") or postprocess).get("label_list") or ["0", "180"]
    outcome = {"name": "ClsPostProcess", "label_list": [str(label).removesuffix("_degree") for label in labels]}
    if "ResizeImage" not in ops:
        return replace(Description.default("cls"), model_name=name, postprocess=outcome)
    width, height = ops["ResizeImage"].get("size", [160, 80])
    mean, std = normalization_of(ops.get("NormalizeImage", {}))
    resize = {"kind": "RecResize", "image_shape": [int(height), int(width)], "padding": False, "min_side": 1}
    return Description("cls", name, resize, mean or IMAGENET_MEAN, std or IMAGENET_STD, outcome, channels="RGB")


def _model_name(content: Mapping[str, Any]) -> str:
    return str((content.get("Global") or {}).get("model_name") or "")


def _plain(value: Any) -> Any:
    """Tuples as lists, mappings as dicts, which YAML writes without tags."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
