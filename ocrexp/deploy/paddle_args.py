"""Accepts PaddleOCR's way to create a model: a dict, a namespace, or its names of arguments."""

from __future__ import annotations

import functools
import inspect
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ocrexp.errors import DeployError
from ocrexp.nearest import did_you_mean

Init = TypeVar("Init", bound=Callable[..., None])

# Its names -> ours, for every part.
_SAME = {"cpu_threads": "threads", "det_db_use_dilation": "use_dilation"}
# Keys of PaddleOCR's `parse_args` that belong to other parts, or to something that is done differently here.
_OTHERS = (
    "det_", "rec_", "cls_", "e2e_", "sr_", "table_", "layout_", "kie_", "ser_", "re_", "save_", "vis_", "draw_", "use_",
    "page_", "crop_", "image_", "max_", "gpu_", "ir_", "min_", "enable_", "warmup", "benchmark", "show_", "total_",
    "process_", "output", "drop_score", "precision", "cpu_", "return_", "invert", "alphacolor", "lang", "type", "ocr",
    "onnx_", "fourier_", "binarize", "mode", "recovery", "structure_", "formula_", "label_", "merge_", "scales",
    "beta", "alpha", "help", "ch_",
)  # fmt: skip
# Keys of other algorithms in a namespace; any other unknown key of the part itself is a misspelled one.
_OF_OTHER_ALGORITHMS = (
    "det_east_",
    "det_sast_",
    "det_pse_",
    "det_fce_",
    "det_ct_",
    "rec_image_inverse",
    "rec_algorithm",
)
_ALGORITHMS = {"det_algorithm": ("DB", "DB++")}
_DEFAULT_DICTIONARY = "ppocr_keys_v1.txt"  # in all of its namespaces, whether the file exists or not


def takes_paddleocr_arguments(**names: str) -> Callable[[Init], Init]:
    """Lets `__init__` also take PaddleOCR's arguments: `TextDetector(args)`, `TextDetector({"det_model_dir": …})`,
    `TextDetector(det_model_dir=…)`. `names` are its names of folders -> ours.

    In a dict or a namespace, keys of other parts, None and empty strings are ignored; a key that neither PaddleOCR nor
    the part knows is refused. Raises DeployError.
    """

    def wrap(init: Init) -> Init:
        known = [name for name in inspect.signature(init).parameters if name != "self"]

        @functools.wraps(init)
        def wrapper(self: Any, *positional: Any, **arguments: Any) -> None:
            part = type(self).__name__
            if positional and isinstance(positional[0], Mapping | Namespace):
                given = positional[0]
                found = _translated(given if isinstance(given, Mapping) else vars(given), names, known, part)
                arguments, positional = {**found, **arguments}, positional[1:]
            for theirs, ours in names.items():
                if theirs in arguments and theirs not in known:
                    arguments[ours] = arguments.pop(theirs)
            folders = [ours for theirs, ours in names.items() if ours != "cls_dir"]
            missing = [name for name in folders[len(positional) :] if arguments.get(name) is None]
            if missing and (not positional or len(positional) < len(folders)):
                theirs = next(name for name, ours in names.items() if ours == missing[0])
                raise DeployError(f"{part}: missing {missing[0]} (PaddleOCR's {theirs}); give the exported folder")
            init(self, *positional, **arguments)

        return wrapper  # type: ignore[return-value]  # the same call, and more

    return wrap


def _translated(given: Mapping[str, Any], names: Mapping[str, str], known: list[str], part: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for key, value in given.items():
        ours = names.get(key) or _SAME.get(key) or key
        if key in _ALGORITHMS and value not in (None, *_ALGORITHMS[key]):
            raise DeployError(f"{part}: {key}: expected one of {', '.join(_ALGORITHMS[key])}, got {value!r}")
        if ours in known and key != "precision":
            if value is not None and value != "" and not _no_dictionary(key, value):
                arguments[ours] = value
        elif _is_unknown(str(key), names):
            raise DeployError(f"{part}: unknown argument {key!r}{did_you_mean(str(key), [*names, *known])}")
    if given.get("use_gpu") and "device" in known:
        arguments.setdefault("device", f"gpu:{given.get('gpu_id') or 0}")
    if given.get("use_onnx"):
        arguments.setdefault("backend", "onnx")
    if "cls_dir" in arguments and given.get("use_angle_cls") is False:
        del arguments["cls_dir"]
    if isinstance(arguments.get("cls_image_shape"), str):
        arguments["cls_image_shape"] = tuple(int(side) for side in arguments["cls_image_shape"].split(",")[-2:])
    return arguments


def _is_unknown(key: str, names: Mapping[str, str]) -> bool:
    """Whether neither PaddleOCR nor the part has an argument of this name."""
    own = tuple(name.partition("_")[0] + "_" for name in names)
    if key.startswith(own):
        return key not in _ALGORITHMS and not key.startswith(_OF_OTHER_ALGORITHMS)
    return not key.startswith(_OTHERS)


def _no_dictionary(key: str, value: Any) -> bool:
    """Whether a namespace only repeats PaddleOCR's default dictionary, which is a file of its repository."""
    return key == "rec_char_dict_path" and Path(str(value)).name == _DEFAULT_DICTIONARY and not Path(value).is_file()
