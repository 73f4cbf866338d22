"""A checkpoint's weights into a model, and what it states beside them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import paddle

from ocrexp.engine.checkpoint import STATES
from ocrexp.engine.sealed import read_states
from ocrexp.errors import CheckpointError

logger = logging.getLogger(__name__)


def load_weights(model: paddle.nn.Layer, path: Path) -> None:
    """Fill the whole model from a .pdparams file. Raises CheckpointError where names or shapes do not fit."""
    fill(model.state_dict(), read_paddle(path), str(path))


def states_beside(weights: Path) -> dict[str, Any]:
    """What a checkpoint states beside its weights; empty for a bare file, and for another program's states."""
    path = weights.with_suffix(f".{STATES}")
    if not path.exists():
        return {}
    try:
        return read_states(path)
    except CheckpointError as error:
        logger.warning("%s is not used: PaddleOCR's, or damaged (%s)", path, error)
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


def read_paddle(path: Path) -> dict[str, Any]:
    """What `paddle.save` wrote. Raises CheckpointError for a file that is not such a one."""
    try:
        content = paddle.load(str(path))
    except Exception as error:  # pickle raises whatever the damaged bytes lead to
        raise CheckpointError(
            f"{path} cannot be read ({type(error).__name__}): it is cut short or no weights file"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no dict of weights")
    return content


@paddle.no_grad()
def fill(tensors: dict[str, paddle.Tensor], values: dict[str, Any], source: str) -> None:
    """Copy values into tensors of the same names and shapes, changing the dtype where it differs."""
    missing, surplus = sorted(tensors.keys() - values.keys()), sorted(values.keys() - tensors.keys())
    shapes = [name for name in tensors.keys() & values.keys() if list(values[name].shape) != list(tensors[name].shape)]
    for names, what in ((missing, "lacks"), (surplus, "has, and the model has not,"), (shapes, "has another shape of")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(f"{source} does not fit the model: it {what} {names[0]}{more}")
    for name, tensor in tensors.items():
        value = values[name]
        value = value if isinstance(value, paddle.Tensor) else paddle.to_tensor(value)
        tensor.set_value(value.astype(tensor.dtype))
