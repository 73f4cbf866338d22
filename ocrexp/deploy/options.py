"""The options of the runtime, each spelled once: of detector, recognizer, classifier, whole pages, and backends.

Models take them as keyword arguments, `predict` and `eval-system` as keys of the same names. Where PaddleOCR has an
option, it has the same name here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar

from ocrexp.data.images import MAX_PIXELS
from ocrexp.errors import DeployError
from ocrexp.nearest import did_you_mean

Options = TypeVar("Options")
Init = TypeVar("Init", bound=Callable[..., None])


@dataclass(frozen=True, kw_only=True)
class BackendOptions:
    """How networks run.

    Args:
        device: `cpu`, `gpu:0`.
        threads: number of CPU threads; None: all cores that this process may use.
        precision: see `open_backend`.
        tensorrt: see `open_backend`.
        max_pixels: larger files and Pillow images are refused before they are decoded.
    """

    device: str = "cpu"
    threads: int | None = None
    precision: str = "fp32"
    tensorrt: bool = False
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """Of a detector; None: the value of the export's inference.yml.

    Args:
        det_limit_side_len: length in pixels of the side that `det_limit_type` chooses; also instead of a fixed size.
        det_limit_type: `max` shrinks until the longer side has it, `min` enlarges until the shorter side has it,
            `resize_long` and `resize_short` resize the longer or the shorter side to it.
        det_db_thresh: pixels above it belong to a region.
        det_db_box_thresh: regions with a lower score are dropped.
        det_db_unclip_ratio: how far regions are expanded.
        det_db_score_mode: `fast` or `slow`.
        det_box_type: `quad` or `poly`.
        use_dilation: dilate the binary map by one pixel.
        det_mean: of pixels / 255 in BGR order, for models whose files do not contain it.
        det_std: standard deviation, as `det_mean`.
        tile: read pages that would be shrunk at their own size, in overlapping tiles.
    """

    det_limit_side_len: int | None = None
    det_limit_type: str | None = None
    det_db_thresh: float | None = None
    det_db_box_thresh: float | None = None
    det_db_unclip_ratio: float | None = None
    det_db_score_mode: str | None = None
    det_box_type: str | None = None
    use_dilation: bool | None = None
    det_mean: Sequence[float] | None = None
    det_std: Sequence[float] | None = None
    tile: bool = False


@dataclass(frozen=True, kw_only=True)
class RecognizerOptions:
    """Of a recognizer; None: the value of the export's inference.yml.

    Args:
        rec_batch_num: largest number of lines per batch.
        rec_image_shape: "3, 48, 320" or [3, 48, 320]: height and smallest width of a line.
        rec_char_dict_path: a dictionary, for models whose files do not contain their characters.
        use_space_char: whether the space follows the dictionary; None: by the number of the network's classes.
        rec_mean: of pixels / 255 in BGR order, for models whose files do not contain it.
        rec_std: standard deviation, as `rec_mean`.
    """

    rec_batch_num: int | None = None
    rec_image_shape: str | Sequence[int] | None = None
    rec_char_dict_path: str | None = None
    use_space_char: bool | None = None
    rec_mean: Sequence[float] | None = None
    rec_std: Sequence[float] | None = None


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """Of a text direction classifier.

    Args:
        cls_thresh: smallest score for 180° at which a line is turned.
        cls_batch_num: largest number of lines per batch.
        cls_image_shape: [height, width] of the network's input; None: the value of the export, else 48 × 192.
        cls_mean: of pixels / 255 in BGR order, for models whose files do not contain it.
        cls_std: standard deviation, as `cls_mean`.
    """

    cls_thresh: float = 0.9
    cls_batch_num: int = 6
    cls_image_shape: Sequence[int] | None = None
    cls_mean: Sequence[float] | None = None
    cls_std: Sequence[float] | None = None


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """Of detector and recognizer together.

    Args:
        drop_score: texts with a lower score are dropped.
        crop_margin: margin around a region that the recognizer sees, as a share of the line's height; the regions
            themselves stay. PaddleOCR: 0. A detector that was trained on tight boxes is read better with some.
    """

    drop_score: float = 0.5
    crop_margin: float = 0.0


def split(part: str, arguments: Mapping[str, Any], *kinds: type[Any]) -> list[Any]:
    """One object of each kind with its share of the arguments.

    Raises DeployError for an argument that belongs to none of them, with the nearest name.
    """
    names = {kind: [field.name for field in dataclasses.fields(kind)] for kind in kinds}
    known = [name for fields in names.values() for name in fields]
    for name in arguments:
        if name not in known:
            raise DeployError(f"{part}: unknown argument {name!r}{did_you_mean(name, known)}")
    return [kind(**{name: arguments[name] for name in names[kind] if name in arguments}) for kind in kinds]


def arguments_of(options: Any, kind: type[Any]) -> dict[str, Any]:
    """The values that an object has of the options of a kind."""
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(kind)}


def takes_options(*kinds: type[Any]) -> Callable[[Init], Init]:
    """Gives an `__init__` that ends in `**options` a signature with the options of these kinds."""

    def wrap(init: Init) -> Init:
        own = [item for item in signature(init).parameters.values() if item.kind is not Parameter.VAR_KEYWORD]
        options = [
            Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
            for kind in kinds
            for field in dataclasses.fields(kind)
        ]
        init.__signature__ = Signature([*own, *options])  # type: ignore[attr-defined]
        return init

    return wrap
