"""`ocrexp extract-student run_dir=RUN output=FOLDER`: a student of a distillation as a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ocrexp.command_line import typed
from ocrexp.commands.eval import weights_of
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.frozen import JobInfo, read_frozen, trusted_of, write_job
from ocrexp.errors import ConfigError, printable
from ocrexp.folders import claim_folder
from ocrexp.logs import show_notices
from ocrexp.nearest import did_you_mean
from ocrexp.runs.hooks import prepare_process

if TYPE_CHECKING:
    from omegaconf import DictConfig

SUMMARY = "Write a student of a distillation as a run of its own"
USAGE = """
Usage
  python -m ocrexp extract-student run_dir=outputs/NAME/DATE_TIME output=FOLDER [student=student2] [checkpoint=best]

Writes a run folder with the student's configuration and the weights that the run evaluated (the averages where it keeps
them): eval, export and model.pretrained take it as any run folder. `resume` does not: the training had a teacher."""

STUDENTS = ("student", "student2")


def run(arguments: Sequence[str]) -> int:
    """Write the student; returns 0."""
    setup_hydra()
    show_notices()
    verb = compose("extract-student", arguments)
    for key in ("run_dir", "output"):
        if verb[key] is None:
            raise ConfigError(f"{key}: is missing; add {key}=FOLDER")
    run_dir, output, which = Path(str(verb.run_dir)), Path(str(verb.output)), str(verb.student)
    config = read_frozen(run_dir, trusted_of(verb, arguments))
    _check(config, run_dir, which)
    prepare_process(config)
    weights = weights_of(verb)
    from ocrexp.engine.weights import states_beside
    from ocrexp.models.distill import parameters_of
    from ocrexp.weights.reader import read_parameters

    states = states_beside(weights)
    average = states.get("average")
    arrays = parameters_of(which, read_parameters(weights) if average is None else average)
    student = student_alone(config, which)
    if output.exists():
        raise ConfigError(f"output={output}: exists and is not overwritten; name another folder")
    folder = claim_folder(output)
    OmegaConf.update(student, "run_dir", str(folder))
    write_job(folder, student, JobInfo(folder.name))
    write_weights(folder, arrays, states)
    values = sum(int(value.size) for value in arrays.values())
    print(printable(f"extracted {which} of {weights}: {len(arrays)} tensors, {values / 1e6:.2f} M values"))
    print(printable(f"written: {output}; evaluate it: {typed('eval', 'run_dir', output)}"))
    return 0


def student_alone(config: DictConfig, which: str) -> DictConfig:
    """The run's configuration with a student as its model, and the loss that it has alone."""
    from ocrexp.assemble.distill import of_role

    student = of_role(config, which)
    student.loss = OmegaConf.to_container(config.loss.own, resolve=False)
    for key in ("pretrained", "unfreeze_after_steps"):
        student.model[key] = None
    student.model.freeze = []
    student.model.pop("of_task", None)
    student.name = student.model.name
    return student


def _check(config: DictConfig, run_dir: Path, which: str) -> None:
    from ocrexp.assemble.distill import has_roles

    if not has_roles(config):
        raise ConfigError(
            f"run_dir={run_dir}: its model {config.model.name} has no student; give a run of model=distill, or use "
            "this one as it is"
        )
    if which not in STUDENTS:
        raise ConfigError(f"student: expected student or student2, got {which!r}{did_you_mean(which, STUDENTS)}")
    if config.model.get(which) is None:
        raise ConfigError(f"student={which}: the run {run_dir} has one student; remove student={which}")


def write_weights(folder: Path, arrays: dict[str, Any], states: dict[str, Any]) -> None:
    """The weights as the run's best checkpoint, with what the states say about characters and labels."""
    import paddle

    from ocrexp.engine.checkpoint import BEST, CheckpointStore

    names = ("best_model_dict", "extras", "fingerprints")
    kept: dict[str, Any] = {name: states[name] for name in names if name in states}
    tensors = {name: paddle.to_tensor(value) for name, value in arrays.items()}
    CheckpointStore(folder).save(BEST, tensors, {}, {"global_step": int(states.get("global_step", 0)), **kept})
