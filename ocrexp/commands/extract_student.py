"""`ocrexp extract-student run_dir=RUN output=FOLDER`: a student of a distillation as a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from ocrexp.command_line import command
from ocrexp.commands.eval import report_unfinished, weights_of
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.frozen import read_frozen, trusted_of
from ocrexp.errors import ConfigError, printable
from ocrexp.logs import show_notices
from ocrexp.nearest import did_you_mean
from ocrexp.runs.derived import check_output, write_run
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
    check_output(output)
    prepare_process(config)
    weights = weights_of(verb)
    report_unfinished(verb)
    from ocrexp.engine.weights import states_beside
    from ocrexp.models.distill import parameters_of
    from ocrexp.weights.reader import read_parameters

    states = states_beside(weights)
    average = states.get("average")
    arrays = parameters_of(which, read_parameters(weights) if average is None else average)
    student = student_alone(config, which)
    write_run(output, student, arrays, states)
    values = sum(int(value.size) for value in arrays.values())
    print(printable(f"extracted {which} of {weights}: {len(arrays)} tensors, {values / 1e6:.2f} M values"))
    print(printable(f"written: {output}; evaluate it: {command('eval', {'run_dir': output})}"))
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
