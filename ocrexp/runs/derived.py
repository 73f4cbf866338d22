"""A run folder that no training has written: the student of a distillation, or a pruned network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ocrexp import files
from ocrexp.config.frozen import JobInfo, write_job
from ocrexp.config.places import new_folder_to_write, refused
from ocrexp.errors import ConfigError
from ocrexp.folders import new_folder, put_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig


def check_output(output: Path) -> None:
    """Raises ConfigError if the folder exists or cannot be written."""
    with refused(output, "output"):
        there = output.exists()
    if there:
        raise ConfigError(f"output={output}: exists and is not overwritten; name another folder")
    new_folder_to_write(output.absolute(), "output")


def write_run(
    output: Path,
    config: DictConfig,
    arrays: Mapping[str, Any],
    states: Mapping[str, Any],
    tables: Mapping[str, str] | None = None,
) -> None:
    """Write the folder as a whole, or nothing.

    Args:
        output: the new run folder.
        config: the run's configuration; its `run_dir` becomes the folder.
        arrays: the weights, which become the best checkpoint.
        states: of the run that they come from; what they say about characters and labels is kept.
        tables: name → text of files beside the configuration.

    Raises ConfigError if the folder has come into being meanwhile or cannot be written.
    """
    check_output(output)
    place = output.absolute()
    OmegaConf.update(config, "run_dir", str(output))
    with refused(output, "output"), new_folder(place) as folder:
        write_job(folder, config, JobInfo(place.name))
        for name, text in (tables or {}).items():
            files.write_text(folder / name, text)
        _write_weights(folder, arrays, states)
        if place.exists():  # another command was faster
            check_output(output)
        put_folder(folder, place)


def _write_weights(folder: Path, arrays: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    import paddle

    from ocrexp.engine.checkpoint import BEST, CheckpointStore

    names = ("best_model_dict", "extras", "fingerprints")
    kept: dict[str, Any] = {name: states[name] for name in names if name in states}
    tensors = {name: paddle.to_tensor(value) for name, value in arrays.items()}
    CheckpointStore(folder).save(BEST, tensors, {}, {"global_step": int(states.get("global_step", 0)), **kept})
