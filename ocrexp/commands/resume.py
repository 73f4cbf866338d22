"""`ocrexp resume run_dir=…`: continue a run exactly where it stopped, from its own frozen configuration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrexp.command_line import command
from ocrexp.config.changes import apply_overrides, split_overrides
from ocrexp.config.check import check_early, check_parts
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.frozen import read_frozen, trusted_of
from ocrexp.config.places import folder_to_write
from ocrexp.errors import CheckpointError, ConfigError, printable
from ocrexp.runs.fit import train_in
from ocrexp.runs.folder import locked
from ocrexp.runs.hooks import prepare_process
from ocrexp.runs.resuming import proposed
from ocrexp.runs.state import has_checkpoint, read_state, resumable

SUMMARY = "Continue a run folder exactly where it stopped"
USAGE = """
Usage
  python -m ocrexp resume run_dir=outputs/NAME/DATE_TIME [key=value ...]

Continues a run exactly where it stopped, with its own frozen configuration: the final weights are those of a run that
was never interrupted. Without run_dir, it lists the latest runs that can be resumed. Overrides may change what does not
influence training (intervals, loader.num_workers, logger, callbacks) and the length (trainer.max_epochs, max_steps: the
schedule is fitted to the new length; trainer.max_minutes: the schedule stays). Every other key is refused with the
reason."""


SHOWN = 5  # number of runs to show if none is named

# Keys that may change, because they do not influence the result of training.
FREE = (
    "name", "logger", "callbacks", "loader.num_workers", "loader.prefetch", "loader.eval_batch_size", "dataset.root",
    "dataset.cache_dir", "trainer.max_epochs", "trainer.max_steps", "trainer.max_minutes", "trainer.device",
    "trainer.log_every_steps", "trainer.dist_timeout_minutes", "trainer.eval_", "trainer.save_", "trainer.keep_",
    "trainer.limit_val_batches", "trainer.val_loss",
)  # fmt: skip
REPLACEABLE = ("logger", "callbacks")
# Nodes that keep the values of the run, including values that they take from keys that may change, such as the number
# of epochs over which a shrink ratio grows.
PINNED = ("targets", "augment", "loss", "charset")
REASONS = {
    "model": "the checkpoint's weights belong to the model that it was made with",
    "optim": "the optimizer's state and the schedule are those of the run",
    "seed": "the rest of the run would see other samples than an uninterrupted one",
    "loader": "the position in the epoch counts batches of the run's own size and order",
    "augment": "the rest of the run would see other samples than an uninterrupted one",
    "targets": "the rest of the run would learn other targets than an uninterrupted one",
    "dataset": "the position in the epoch belongs to the run's own lists",
    "charset": "the rest of the run would learn other labels than an uninterrupted one",
    "loss": "best metrics and optimizer state belong to the run's own loss",
    "trainer.devices": "the position in the epoch counts the batches of all devices together",
    "trainer.accumulate": "the position in the epoch counts batches of the run's own size",
    "trainer.precision": "the optimizer's state has the run's own precision",
}


def run(arguments: Sequence[str]) -> int:
    """Continue the run folder; returns the exit code of the training."""
    setup_hydra()
    own, changes = split_overrides(["run_dir", "trusted"], arguments)
    verb = compose("resume", own)
    if verb.run_dir is None:
        raise _which_run(Path("outputs"))
    run_dir = Path(verb.run_dir)
    before = read_frozen(run_dir, trusted_of(verb, own))
    pin(before)
    config = apply_overrides(before.copy(), changes, refuse=reason_to_refuse, replaceable=REPLACEABLE)
    check_early(config)
    state = read_state(run_dir)
    with locked(run_dir, config):
        folder_to_write(run_dir, "run_dir")
        prepare_process(config)
        check_parts(config)
        if not has_checkpoint(run_dir):
            # Such a run was extracted or pruned, or its latest checkpoint was deleted.
            best = (run_dir / "checkpoints" / "best_accuracy.pdparams").is_file()
            start = f" from its weights: {command('train', {'model.pretrained': run_dir})}" if best else ""
            raise CheckpointError(f"run_dir={run_dir}: contains no checkpoint to resume; start a new run{start}")
        print(f"ocrexp: {printable(f'run_dir={run_dir}: {state}')}; resuming", file=sys.stderr)
        for line in _moved(before, config):
            print(f"ocrexp: {printable(line)}", file=sys.stderr)
        with proposed(run_dir, config, changes):
            return train_in(run_dir, config, resume=True)


def _which_run(outputs: Path) -> ConfigError:
    """Print the latest runs that can be resumed; returns the error to raise."""
    found = resumable(outputs, SHOWN)
    for run_dir, state in found:
        name = run_dir.relative_to(outputs)
        print(f"{printable(str(name))}: {state}\n    {command('resume', {'run_dir': run_dir})}", file=sys.stderr)
    where = f"choose one of these {len(found)} runs, the latest first" if found else f"no run was found in ./{outputs}"
    return ConfigError(f"run_dir: is missing ({where}); add run_dir={outputs}/NAME/DATE_TIME")


def _moved(before: DictConfig, config: DictConfig) -> list[str]:
    """The consequences of a changed length, one line per key."""
    return [
        f"trainer.{key}: was {before.trainer[key]}, is now {config.trainer[key]}; the schedule of the learning rate is"
        " fitted to the new length, so the following steps differ from the first plan"
        for key in ("max_epochs", "max_steps")
        if before.trainer[key] != config.trainer[key]
    ]


def pin(config: DictConfig) -> None:
    """Replace the interpolations of the nodes that must not change by their values."""
    for name in PINNED:
        if isinstance(config.get(name), DictConfig):
            try:
                values = OmegaConf.to_container(config[name], resolve=True)
            except OmegaConfBaseException:  # it reads a value that is not set yet
                continue
            OmegaConf.update(config, name, values, merge=False)


def reason_to_refuse(key: str) -> str | None:
    """The reason why a key may not change when a run is resumed; None if it may."""
    dotted = key.replace("/", ".")  # `model/backbone` is an option of the node model.backbone
    for free in FREE:
        if dotted == free or dotted.startswith((f"{free}.", free if free.endswith("_") else f"{free}.")):
            return None
    for prefix in sorted(REASONS, key=len, reverse=True):
        if dotted == prefix or dotted.startswith(f"{prefix}."):
            return f"{REASONS[prefix]}; a new run can start from its weights with model.pretrained"
    return (
        "it may change the result of training; start a new run to change it (resume accepts "
        f"{', '.join(name + ('…' if name.endswith('_') else '') for name in FREE)})"
    )
