"""PaddleOCR's operators of an `inference.yml`, and the arguments of our resizes that mean the same, both ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ocrexp.errors import DeployError

MAX_SIDE = 4000  # pixels: limit of a resized page's longer side, as PaddleX's max_side_limit
# Models for which PaddleX uses `resize_long` (or 960) as the longest side; for all others as the shortest (or 736).
_LIMITED_BY_LONGER = ("PP-OCRv3_", "PP-OCRv4_server_det", "PP-OCRv4_mobile_det", "PP-OCRv5_", "PP-OCRv6_")


def det_resize_of(name: str, op: Mapping[str, Any]) -> dict[str, Any]:
    """Our arguments of a detector's resize; `name` is PaddleX's name of the model."""
    resize: dict[str, Any] = {"kind": "DetResize", "max_side": MAX_SIDE}
    if op.get("image_shape") is not None:
        return {**resize, "image_shape": list(op["image_shape"]), "keep_ratio": bool(op.get("keep_ratio", False))}
    by_longer = name.startswith(_LIMITED_BY_LONGER) and name.endswith("_det")
    limit = op.get("limit_side_len") or op.get("resize_long") or (960 if by_longer else 736)
    return {
        **resize,
        "limit_side_len": int(limit),
        "limit_type": op.get("limit_type") or ("max" if by_longer else "min"),
    }


def rec_resize_of(ops: Mapping[str, Mapping[str, Any]], path: Path) -> dict[str, Any]:
    """Our arguments of a recognizer's resize. Raises DeployError for an operator that is not known."""
    if "RecResizeImg" in ops:
        return widening_resize(ops["RecResizeImg"].get("image_shape", [3, 48, 320])[-2:])
    if "SVTRRecResizeImg" in ops:
        op = ops["SVTRRecResizeImg"]
        return {
            "kind": "RecResize",
            "image_shape": list(op.get("image_shape", [3, 64, 256])[-2:]),
            "padding": bool(op.get("padding", True)),
            "min_side": 1,
        }
    if "SARRecResizeImg" in ops:
        op = ops["SARRecResizeImg"]
        _, height, least, most = op.get("image_shape", [3, 48, 48, 160])
        return {
            "kind": "SARResize",
            "image_shape": [height, most],
            "min_width": least,
            "width_downsample_ratio": op.get("width_downsample_ratio", 0.25),
            "min_side": 1,
        }
    if any(op.endswith("ResizeImg") for op in ops):
        raise DeployError(f"{path}: unknown resize operator {next(op for op in ops if op.endswith('ResizeImg'))}")
    return widening_resize([48, 320])


def normalization_of(op: Mapping[str, Any]) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and standard deviation that NormalizeImage states."""
    mean, std = op.get("mean"), op.get("std")
    return (tuple(map(float, mean)) if mean else None, tuple(map(float, std)) if std else None)


def widening_resize(image_shape: Sequence[int]) -> dict[str, Any]:
    """A recognizer's resize to one height, as wide as the image needs."""
    height, width = map(int, image_shape)
    return {"kind": "RecResize", "image_shape": [height, width], "widen": True, "max_width": 3200, "min_side": 1}


def det_resize_op(resize: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of DetResizeForTest."""
    if resize.get("image_shape") is not None:
        return {"image_shape": resize["image_shape"], "keep_ratio": bool(resize.get("keep_ratio", False))}
    if resize.get("resize_long") is not None:
        return {"resize_long": resize["resize_long"]}
    limit, kind = resize.get("limit_side_len", 736), resize.get("limit_type", "min")
    # PaddleX reads neither key of the limit: it reads `resize_long`, and it knows the type by the model's name.
    return {"limit_side_len": limit, "limit_type": kind, "resize_long": limit}


def rec_resize_op(resize: Mapping[str, Any], channels: int) -> dict[str, Any]:
    """The operator that resizes images of text, with its arguments."""
    height, width = resize["image_shape"]
    if resize["kind"] == "SARResize":
        shape = [channels, height, resize.get("min_width", 48), width]
        return {
            "SARRecResizeImg": {
                "image_shape": shape,
                "width_downsample_ratio": resize.get("width_downsample_ratio", 0.25),
            }
        }
    if not resize.get("padding", True):
        return {"SVTRRecResizeImg": {"image_shape": [channels, height, width], "padding": False}}
    return {"RecResizeImg": {"image_shape": [channels, height, width]}}
