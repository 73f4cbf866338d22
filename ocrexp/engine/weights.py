"""A checkpoint's weights into a model, and what it states beside them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from ocrexp.engine.checkpoint import STATES
from ocrexp.engine.sealed import read_states
from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.reader import first_nonfinite, read_parameters

logger = logging.getLogger(__name__)


def load_weights(model: paddle.nn.Layer, path: Path) -> None:
    """Fill the whole model from a .pdparams file. Raises CheckpointError if names or shapes do not fit."""
    fill(model.state_dict(), read_parameters(path), str(path))


def states_beside(weights: Path) -> dict[str, Any]:
    """What a checkpoint states beside its weights; empty for a bare file, and for another program's states."""
    path = weights.with_suffix(f".{STATES}")
    if not path.exists():
        return {}
    try:
        return read_states(path)
    except CheckpointError as error:
        logger.warning("%s is not used, because it is PaddleOCR's or damaged (%s)", path, error)
        return {}


def load_evaluated(model: paddle.nn.Layer, path: Path) -> bool:
    """Fill the whole model with what the run evaluated: the averages where it keeps them, else the weights.

    `best_accuracy` of a run that averages (`trainer.ema_decay`) holds the averages themselves, its other checkpoints
    hold them beside the weights they train on. Returns whether it was averages. Raises CheckpointError as
    `load_weights`.
    """
    states = states_beside(path)
    average = states.get("average")
    if average is None:
        load_weights(model, path)
        return bool(states.get("weights") == "average")
    fill(model.state_dict(), average, f"the average of {path}")
    return True


@paddle.no_grad()
def fill(tensors: dict[str, paddle.Tensor], values: Mapping[str, Any], source: str) -> None:
    """Copy arrays into tensors of the same names and shapes, changing the precision where it differs.

    Raises CheckpointError, before anything is copied, where names, shapes or kinds of numbers do not fit, or where a
    value is not finite.
    """
    check_fit(tensors, values, source)
    for name, tensor in tensors.items():
        tensor.set_value(paddle.to_tensor(values[name]).astype(tensor.dtype))


def check_fit(tensors: Mapping[str, paddle.Tensor], values: Mapping[str, Any], source: str) -> None:
    """Raises CheckpointError, in one line, unless `values` are arrays that fit the tensors."""
    if not isinstance(values, Mapping) or not all(isinstance(value, np.ndarray) for value in values.values()):
        raise CheckpointError(f"{source}: does not fit the model (it contains no named arrays); use another checkpoint")
    missing, surplus = sorted(tensors.keys() - values.keys()), sorted(values.keys() - tensors.keys())
    both = sorted(tensors.keys() & values.keys())
    shapes = [name for name in both if list(values[name].shape) != list(tensors[name].shape)]
    kinds = [name for name in both if values[name].dtype.kind not in _kinds(tensors[name])]
    for names, what in (
        (missing, "missing parameter"), (surplus, "unexpected parameter"), (shapes, "wrong shape of"),
        (kinds, "wrong number type in"),
    ):  # fmt: skip
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            name, found = names[0], ""
            if names is shapes:
                found = f" ({list(values[name].shape)}, expected {list(tensors[name].shape)})"
            elif names is kinds:
                found = f" ({values[name].dtype}, expected {str(tensors[name].dtype).rpartition('.')[2]})"
            raise CheckpointError(
                f"{source}: does not fit the model, {what} {printable(name)}{found}{more}"
                f"{_by_part(tensors, {*missing, *shapes, *kinds})}; check model and its values, or use another "
                "checkpoint"
            )
    if bad := first_nonfinite(values):
        raise CheckpointError(f"{source}: {bad}; use an earlier checkpoint")


def _by_part(tensors: Mapping[str, paddle.Tensor], unfit: set[str]) -> str:
    """` (backbone: 120 of 120 fit, head: 2 of 4)`; empty for a model of one part."""
    parts = list(dict.fromkeys(name.partition(".")[0] for name in tensors))
    if len(parts) < 2:
        return ""
    counts = []
    for part in parts:
        names = [name for name in tensors if name.partition(".")[0] == part]
        counts.append(f"{part}: {sum(name not in unfit for name in names)} of {len(names)}")
    counts[0] += " fit"
    return f" ({', '.join(counts)})"


def _kinds(tensor: paddle.Tensor) -> str:
    """Kinds of NumPy's numbers that a tensor takes: floats in any precision, or whole numbers."""
    return "f" if tensor.is_floating_point() else "iub"
