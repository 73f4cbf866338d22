"""The transforms of a detector that make target maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ocrexp.config.paddleocr.data import Transforms
from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.parts import Part, carry
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError

# PaddleOCR's defaults.
_MAPS: dict[str, dict[str, Any]] = {
    "MakeBorderMap": {"shrink_ratio": 0.4, "thresh_min": 0.3, "thresh_max": 0.7},
    "MakeShrinkMap": {"shrink_ratio": 0.4, "min_text_size": 8},
}
_PSE = Part("pse", {"kernel_num": 7, "min_shrink_ratio": 0.4})
_EAST = Part("east", {"min_text_size": 10})
_SAST = Part("sast", {"min_text_size": 10}, {}, {"max_text_size": "no text in a training crop is larger"})
_CT = Part("ct", {"kernel_scale": 0.7})
_FCE = Part(
    "fce",
    {
        "fourier_degree": 5,
        "resample_step": 4.0,
        "center_region_shrink_ratio": 0.3,
        "level_proportion_range": [[0, 0.25], [0.2, 0.65], [0.55, 1.0]],
    },
    {"level_size_divisors": [8, 16, 32], "orientation_thr": 2.0},
)

_DRRG = Part(
    "drrg",
    {
        "resample_step": 8.0, "num_min_comps": 9, "num_max_comps": 600, "min_width": 8.0, "max_width": 24.0,
        "center_region_shrink_ratio": 0.3, "comp_shrink_ratio": 1.0, "comp_w_h_ratio": 0.3, "text_comp_nms_thr": 0.25,
        "min_rand_half_height": 8.0, "max_rand_half_height": 24.0, "jitter_level": 0.2,
    },
    {"orientation_thr": 2.0},
)  # fmt: skip


def convert_targets(experiment: Experiment, section: Section, transforms: Transforms, method: str) -> tuple[str, ...]:
    """Convert the transforms that make target maps; returns the names of those that do nothing else."""
    experiment.choose("targets", method)
    return _CONVERT[method](experiment, section, transforms)


def assume_step(experiment: Experiment, section: Section, name: str, defaults: dict[str, Any]) -> None:
    """Report a transform that training needs and the list does not have."""
    experiment.assume(f"{section.key('transforms')}: {name}", defaults, "missing in the list, but training needs it")


def step(
    experiment: Experiment, section: Section, transforms: Transforms, name: str, defaults: dict[str, Any]
) -> Section:
    """The keys of a transform that training needs; none, with a note, where the list does not have it."""
    found = dict(transforms).get(name)
    if found is None:
        assume_step(experiment, section, name, defaults)
        return Section(f"{section.key('transforms')}: {name}", {})
    return found


def _db(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    ratios = {name: _db_maps(experiment, keys, name) for name, keys in transforms if name in _MAPS}
    for name in _MAPS:
        if name not in ratios:
            assume_step(experiment, section, name, _MAPS[name])
    if len(set(ratios.values())) > 1:
        experiment.report(
            "missing", f"{section.key('transforms')}: shrink_ratio", ratios, "both maps share one shrink_ratio"
        )
    return tuple(_MAPS)


def _db_maps(experiment: Experiment, keys: Section, name: str) -> float:
    ratio = keys.number("shrink_ratio", 0.4)
    if name == "MakeShrinkMap":
        for key, default in _MAPS[name].items():
            experiment.take(keys, key, f"targets.{key}", default)
    else:
        for key in ("thresh_min", "thresh_max"):
            experiment.take(keys, key, f"targets.{key}", _MAPS[name][key])
    if "total_epoch" in keys:
        experiment.note(
            "dropped", keys, "total_epoch", "PaddleOCR 2.10 does not pass the epoch, so its ratio never changes",
            "targets=db_dynamic lets it grow, as intended",
        )  # fmt: skip
    return float(ratio)


def _pse(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    keys = step(experiment, section, transforms, "MakePseGt", dict(_PSE.keys))
    carry(experiment, keys, _PSE, "targets")
    kernels, smallest = keys.number("kernel_num", 7), keys.number("min_shrink_ratio", 0.4)
    if not isinstance(kernels, int) or kernels < 2:
        raise ConfigError(f"{keys.key('kernel_num')}: expected a whole number, 2 or more, got {kernels!r}")
    ratio = round(1 - (1 - smallest) / (kernels - 1), 6)
    experiment.set("targets.text_ratio", ratio, "PaddleOCR's text is as small as its largest kernel; 1: whole regions")
    experiment.set("targets.min_text_size", 0, "PaddleOCR has no such limit")
    if "size" in keys:
        experiment.note("changed", keys, "size", "images with a shorter side below it are not enlarged to it first")
    return ("MakePseGt",)


def _east(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    carry(experiment, step(experiment, section, transforms, "EASTProcessTrain", {}), _EAST, "targets")
    return ()  # it also augments


def _sast(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    carry(experiment, step(experiment, section, transforms, "SASTProcessTrain", {}), _SAST, "targets")
    return ()  # it also augments


def _ct(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    carry(experiment, step(experiment, section, transforms, "MakeShrink", dict(_CT.keys)), _CT, "targets")
    return ("MakeShrink", "MakeCentripetalShift")


def _fce(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    carry(experiment, step(experiment, section, transforms, "FCENetTargets", dict(_FCE.keys)), _FCE, "targets")
    return ("FCENetTargets",)


def _drrg(experiment: Experiment, section: Section, transforms: Transforms) -> tuple[str, ...]:
    carry(experiment, step(experiment, section, transforms, "DRRGTargets", {}), _DRRG, "targets")
    return ("DRRGTargets",)


_CONVERT: dict[str, Callable[[Experiment, Section, Transforms], tuple[str, ...]]] = {
    "db": _db, "pse": _pse, "east": _east, "sast": _sast, "ct": _ct, "fce": _fce, "drrg": _drrg,
}  # fmt: skip
