"""A training of PaddleOCR that a run continues: weights, the optimizer's state and the epoch.

PaddleOCR saves `NAME.pdparams`, `NAME.pdopt` and `NAME.states`. The optimizer's arrays have paddle's own names of
parameters, which count the layers that a process has built; the first file states to which parameter each belongs.
The checkpoint of a distillation has the names of each of its networks, `Student.…`, `Student2.…` and `Teacher.…`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import paddle

from ocrexp.engine.saving import as_tensors, check_optimizer, rename_accumulators
from ocrexp.engine.settings import RunPlan
from ocrexp.engine.state import TrainState
from ocrexp.engine.weights import fill
from ocrexp.errors import CheckpointError, printable
from ocrexp.optim.optimizers import parameter_names
from ocrexp.weights.reader import read_optimizer, read_parameter_names, read_parameters, read_plain

logger = logging.getLogger(__name__)

_STUDENT = "Student."
SUFFIXES = ("pdparams", "pdopt", "states")
_ACCUMULATORS = {  # of paddle's optimizers: one that each parameter has
    "Adam": "moment1", "AdamW": "moment1", "Momentum": "velocity", "RMSProp": "momentum",
    "Adadelta": "_avg_squared_grad",
}  # fmt: skip


def start_from(model: paddle.nn.Layer, optimizer: paddle.optimizer.Optimizer, path: Path, plan: RunPlan) -> TrainState:
    """Fill the model and the optimizer from a checkpoint of PaddleOCR; returns where the run stands then.

    As in PaddleOCR, the run continues with the epoch after the one in which the checkpoint was saved. The step is that
    of this epoch's start here, so the learning rate follows this run's schedule from there on. Best metrics start
    again: another program has computed them.

    Args:
        model: what learns.
        optimizer: new, of the model's parameters.
        path: NAME of the three files, with or without an extension.
        plan: of this run.

    Raises CheckpointError if a file is missing or damaged, or does not fit the model, the optimizer or the plan.
    """
    stem = path.with_suffix("") if path.suffix.removeprefix(".") in SUFFIXES else path
    files = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in SUFFIXES}
    weights = files["pdparams"]
    if missing := [file.name for file in files.values() if not file.is_file()]:
        raise CheckpointError(
            f"trainer.start_from={path}: {', '.join(missing)} not found in {stem.parent}; give a checkpoint of a "
            "training of PaddleOCR with all three files, or start from its weights alone with model.pretrained"
        )
    epoch = _epoch(files["states"], plan)
    arrays, named = read_parameters(weights), read_parameter_names(weights)
    if any(name.startswith(_STUDENT) for name in arrays):
        arrays, named = (_of_networks(model, values, weights) for values in (arrays, named))
    fill(model.state_dict(), arrays, str(weights))
    state = read_optimizer(files["pdopt"])
    rate = state.pop("LR_Scheduler", None)
    renamed = _renamed(model, state, named, files["pdopt"])
    check_optimizer(model, renamed, str(files["pdopt"]))
    _check_kind(optimizer, renamed, files["pdopt"])
    optimizer.set_state_dict(as_tensors(renamed))
    was = f", learning rate {rate['last_lr']:.3g}" if isinstance(rate, dict) and _is_number(rate.get("last_lr")) else ""
    logger.info(
        "%s: weights and optimizer of PaddleOCR's epoch %d%s; continuing at step %d of %d", stem, epoch, was,
        epoch * plan.steps_per_epoch, plan.total_steps,
    )  # fmt: skip
    return TrainState(step=epoch * plan.steps_per_epoch, epoch=epoch)


def _of_networks(model: paddle.nn.Layer, values: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """What the networks that learn have in the checkpoint of a distillation, under their names here.

    The student's are without a prefix, those of a second student begin with `student2.`; PaddleOCR's is `Student2`, or
    a `Teacher` that learns. A fixed teacher is skipped.
    """
    second = "Student2." if any(name.startswith("Student2.") for name in values) else "Teacher."
    prefixes = {_STUDENT: ""}
    if "student2" in dict(model.named_children()):
        prefixes[second] = "student2."
    if "projection" in dict(model.named_children()):
        raise CheckpointError(
            f"{file}: has no projection of features, which model.features adds here; start from its weights alone with "
            "model.pretrained"
        )
    return {
        here + name.removeprefix(there): value
        for there, here in prefixes.items()
        for name, value in values.items()
        if name.startswith(there)
    }


def _epoch(file: Path, plan: RunPlan) -> int:
    """The number of finished epochs."""
    states = read_plain(file, "the states of a training of PaddleOCR")
    epoch = states.get("epoch")
    if type(epoch) is not int or not 0 <= epoch < 2**31:
        raise CheckpointError(f"{file}: epoch: expected a whole number, 0 or more, got {printable(str(epoch)[:40])}")
    if epoch * plan.steps_per_epoch >= plan.total_steps:
        raise CheckpointError(
            f"{file}: its training has finished {epoch} epochs, and this run ends after {plan.total_epochs}; raise "
            "trainer.max_epochs, or start a new training from its weights with model.pretrained"
        )
    return epoch


def _renamed(model: paddle.nn.Layer, state: dict[str, Any], theirs: Mapping[str, str], file: Path) -> dict[str, Any]:
    """The optimizer's state under the names of this process."""
    ours = parameter_names(model)
    unnamed = [name for name in ours if name not in theirs]
    if unnamed:
        raise CheckpointError(
            f"{file}: the .pdparams file beside it does not state paddle's name of {unnamed[0]}, which the arrays "
            "here have; start from its weights alone with model.pretrained"
        )
    return rename_accumulators(state, {theirs[name]: name_here for name, name_here in ours.items()})


def _check_kind(optimizer: paddle.optimizer.Optimizer, state: Mapping[str, Any], file: Path) -> None:
    """Raises CheckpointError for the state of another kind of optimizer, which paddle ignores."""
    kind = type(optimizer).__name__
    expected = _ACCUMULATORS.get(kind)
    if expected is not None and not any(f"_{expected.lstrip('_')}_" in key for key in state):
        raise CheckpointError(
            f"{file}: has no {expected} of {kind}, so it is of another kind of optimizer; choose it with "
            "optimizer=NAME, or start from the weights alone with model.pretrained"
        )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
