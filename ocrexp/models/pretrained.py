"""Weights from a file into a model, with an account of what fitted."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from paddle import nn

from ocrexp.errors import CheckpointError
from ocrexp.models.hooks import KnowsImageNetNames
from ocrexp.nearest import did_you_mean
from ocrexp.weights.reader import Arrays, first_nonfinite, read_parameters
from ocrexp.weights.registry import REGISTRY

_log = logging.getLogger(__name__)

_SHOWN = 3  # names listed of each kind of what did not fit


@dataclass(frozen=True, slots=True)
class PartCoverage:
    """How much of one part of the model came from the file."""

    tensors: int
    loaded_tensors: int
    values: int
    loaded_values: int

    @property
    def share(self) -> float:
        """Share of the part's values, 0..1."""
        return self.loaded_values / self.values if self.values else 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """What `load_pretrained` did: per part, and the names that did not fit."""

    parts: dict[str, PartCoverage]
    missing: list[str] = field(default_factory=list)
    other_shape: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def load_pretrained(
    model: nn.Layer,
    path: str | os.PathLike[str],
    min_backbone_coverage: float = 0.5,
    rearrange: Callable[[Arrays], Arrays] | None = None,
    arrays: Arrays | None = None,
    prefix: str | None = None,
    rgb: bool = False,
) -> Coverage:
    """Copies the file's tensors whose names and shapes fit into `model`, and logs the coverage of each part.

    Known besides the model's own names: PaddleOCR's distillation files (`Student.` …), files of a backbone alone, and
    PaddleClas's ImageNet names where the backbone states them (`imagenet_names()`).

    Args:
        model: with parts as sublayers (`backbone`, `neck`, `head`).
        path: a `.pdparams` file; the extension may be omitted, as in PaddleOCR's configurations.
        min_backbone_coverage: share of the backbone's values that must come from the file; 0 takes whatever fits.
        rearrange: makes the file's arrays, under the model's names, fit it (`transfer_classes`).
        arrays: the file's content, where it is of another kind and has been read already.
        prefix: of a file of several networks, the one that is taken, as `Student`; None: the one that fits best.
        rgb: the file's network takes RGB images, and the model BGR: the first convolution's channels are reversed.

    Raises:
        ValueError: no such file, no such network in it, or (`rgb`) no convolution of three channels.
        CheckpointError: it is damaged, or has less of the backbone than asked for.
    """
    if not 0 <= min_backbone_coverage <= 1:
        raise ValueError(f"pretrained_min_coverage: expected a share from 0 to 1, got {min_backbone_coverage}")
    if arrays is None:
        file = find_pretrained(path)
        arrays = read_parameters(file)
    else:
        file = Path(path)
    state = model.state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if prefix is not None:
        arrays = _of_network(arrays, prefix)
    how, renamed = _best_naming(model, arrays, shapes)
    if prefix is not None:
        how = f"names after {prefix!r}"
    if rgb:
        renamed = _of_bgr(renamed)
    if rearrange is not None:
        renamed = rearrange(renamed)

    fitting = {name: value for name, value in renamed.items() if shapes.get(name) == value.shape}
    for name, value in fitting.items():
        if value.dtype.kind not in ("f" if state[name].is_floating_point() else "iub"):
            expected = str(state[name].dtype).rpartition(".")[2]
            raise CheckpointError(f"{file}: {name} has type {value.dtype}, expected {expected}; use another file")
    if bad := first_nonfinite(fitting):
        raise CheckpointError(f"{file}: {bad}; use another file of weights")
    for name, value in fitting.items():
        state[name].set_value(value.astype(str(state[name].dtype).rpartition(".")[2]))
    coverage = Coverage(
        parts=_count(shapes, fitting),
        missing=[name for name in shapes if name not in renamed],
        other_shape=[
            f"{name} {list(value.shape)} in the file, {list(shapes[name])} here"
            for name, value in renamed.items()
            if name in shapes and name not in fitting
        ],
        unused=[name for name in renamed if name not in shapes],
    )
    _report(file, how, coverage)
    backbone = coverage.parts.get("backbone")
    if backbone is not None and backbone.share < min_backbone_coverage:
        hint = (coverage.other_shape or [f"it has no {coverage.unused[0]}" if coverage.unused else "no tensors"])[0]
        raise CheckpointError(
            f"{file}: contains {backbone.share:.0%} of this backbone's values, expected {min_backbone_coverage:.0%} "
            f"({hint}); check the backbone, or set pretrained_min_coverage=0 to load whatever fits"
        )
    return coverage


def find_pretrained(path: str | os.PathLike[str]) -> Path:
    """The file that `pretrained` names, with or without its extension; of a run folder its best weights, or the
    latest. Raises ValueError if there is none."""
    file = Path(path).expanduser()
    if file.is_file():
        return file
    if file.is_dir():
        for name in (
            f"{place}{kind}.pdparams" for kind in ("best_accuracy", "latest") for place in ("checkpoints/", "")
        ):
            if (file / name).is_file():
                return file / name
        raise ValueError(
            f"pretrained={path}: the folder has no checkpoints/best_accuracy.pdparams or latest.pdparams, and "
            "no inference.onnx, .json or .pdmodel; give a run folder, a deployed model or a .pdparams file"
        )
    with_extension = file.with_name(f"{file.name}.pdparams")
    if with_extension.is_file():
        return with_extension
    near = did_you_mean(str(path), REGISTRY)
    raise ValueError(
        f"pretrained={path}: file not found, nor {with_extension.name} beside it; correct the path"
        f"{near or '; give a file, or a name of: python -m ocrexp list pretrained'}"
    )


def _of_network(arrays: Arrays, prefix: str) -> Arrays:
    """The tensors of one network. Raises ValueError if the file has none of it."""
    start = f"{prefix.rstrip('.')}."
    found = {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}
    if not found:
        there = list(dict.fromkeys(name.partition(".")[0] for name in arrays))
        near = did_you_mean(prefix, there) or f"; it has {', '.join(there[:6])}"
        raise ValueError(f"pretrained_prefix={prefix}: no tensor of the file begins with {start!r}{near}")
    return found


def _of_bgr(arrays: Arrays) -> Arrays:
    """The tensors with the input channels of the backbone's first convolution of images reversed."""
    for name, value in arrays.items():
        if name.startswith("backbone.") and value.ndim == 4 and value.shape[1] == 3:
            return {**arrays, name: np.ascontiguousarray(value[:, ::-1])}
    raise ValueError("pretrained_rgb=true: no convolution of the file's backbone has three channels; set it to false")


def _best_naming(model: nn.Layer, arrays: Arrays, shapes: dict[str, tuple[int, ...]]) -> tuple[str, Arrays]:
    """The reading of the file's names under which most values fit the model; the plainest wins a tie."""
    readings: dict[str, Callable[[str], str]] = {"": lambda name: name}
    for prefix in ("Student.", "Student2.", "Teacher.", "_layers.", "module."):
        if any(name.startswith(prefix) for name in arrays):
            readings[f"names after {prefix!r}"] = (
                lambda name, prefix=prefix: (  # type: ignore[misc]  # default binds the loop variable
                    name[len(prefix) :] if name.startswith(prefix) else f"({name})"
                )
            )
    readings["as a backbone"] = lambda name: f"backbone.{name}"
    backbone = dict(model.named_children()).get("backbone")
    if isinstance(backbone, KnowsImageNetNames):
        table = backbone.imagenet_names()

        def from_imagenet(name: str) -> str:
            first, _, rest = name.partition(".")
            return f"backbone.{table.get(first, first)}.{rest}"

        readings["as PaddleClas's ImageNet backbone"] = from_imagenet

    best: tuple[int, str, Arrays] | None = None
    for how, rename in readings.items():
        renamed = {rename(name): value for name, value in arrays.items()}
        fitting = sum(value.size for name, value in renamed.items() if shapes.get(name) == value.shape)
        if best is None or fitting > best[0]:
            best = (fitting, how, renamed)
    assert best is not None
    return best[1], best[2]


def _count(shapes: dict[str, tuple[int, ...]], fitting: Arrays) -> dict[str, PartCoverage]:
    parts: dict[str, PartCoverage] = {}
    for part in dict.fromkeys(name.partition(".")[0] for name in shapes):
        names = [name for name in shapes if name.partition(".")[0] == part]
        loaded = [name for name in names if name in fitting]
        sizes = {name: int(np.prod(shapes[name], dtype=np.int64)) for name in names}
        parts[part] = PartCoverage(len(names), len(loaded), sum(sizes.values()), sum(sizes[name] for name in loaded))
    return parts


def _report(file: Path, how: str, coverage: Coverage) -> None:
    parts = "; ".join(
        f"{part} {c.loaded_tensors} of {c.tensors} tensors, {c.share:.0%} of its values"
        for part, c in coverage.parts.items()
    )
    _log.info("pretrained %s%s: %s", file, f" (read {how})" if how else "", parts)
    for part in ("neck", "head"):
        count = coverage.parts.get(part)
        if count is not None and count.values and not count.loaded_values:
            _log.warning(
                "pretrained %s: 0%% of the %s was loaded, so it starts from random values; check the %s if the file "
                "is of the same kind of model", file, part, part,
            )  # fmt: skip
    for what, names in (
        ("missing in the file, not changed", coverage.missing),
        ("another shape in the file, not changed", coverage.other_shape),
        ("only in the file, ignored", coverage.unused),
    ):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            _log.info("pretrained: %s: %s%s", what, ", ".join(names[:_SHOWN]), more)
