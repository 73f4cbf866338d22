"""Converts PaddleOCR 2.x training files to experiment files.

`convert` reads a file, chooses our parts and converts the values. It reports every key that it could not simply
convert. The result is composed and checked before anything is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from ocrexp.config.paddleocr.architecture import convert_architecture
from ocrexp.config.paddleocr.det import convert_detection
from ocrexp.config.paddleocr.distill import Distillation, is_distillation
from ocrexp.config.paddleocr.experiment import KINDS, Experiment, Note
from ocrexp.config.paddleocr.rec import convert_recognition
from ocrexp.config.paddleocr.schedules import convert_schedule
from ocrexp.config.paddleocr.source import Section, read
from ocrexp.config.paddleocr.training import convert_global, convert_optimizer
from ocrexp.environment import prepare
from ocrexp.errors import ConfigError, SeveralConfigErrors
from ocrexp.logs import import_paddle

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True)
class Conversion:
    """The text of the experiment file, and notes about the keys that could not simply be converted."""

    text: str
    notes: list[Note]
    keys: int  # of the source
    model: str

    @property
    def complete(self) -> bool:
        """Whether everything that changes the result was converted."""
        return not any(note.kind == "missing" for note in self.notes)

    def lines(self) -> list[str]:
        """The report, one line per key."""
        return [f"{kind:8} {note.line()}" for kind in KINDS for note in self.notes if note.kind == kind]


def convert(path: Path, name: str, overrides: Sequence[str] = ()) -> Conversion:
    """Convert a training file of PaddleOCR 2.x; `name` is the experiment's.

    Raises ConfigError, in one line, for an invalid file, an unsupported task, algorithm or part, an invalid value, and
    a result that does not compose.
    """
    root, doubled = read(path, overrides)
    experiment = Experiment()
    several = Distillation(root) if is_distillation(root) else None
    if several is not None:
        root = several.student
    length = root.section("Global").number("max_text_length", 25)
    network = convert_architecture(experiment, root, length)
    experiment.set("name", name)
    convert_global(experiment, root, network.task)
    convert_optimizer(experiment, root)
    convert_schedule(experiment, root)
    if network.task == "det":
        convert_detection(experiment, root, network.kind)
    else:
        convert_recognition(experiment, root, network.kind, length)
    if several is not None:
        whole = root
        several.finish(
            experiment,
            lambda other, part: convert_architecture(other, whole.with_sections({"Architecture": part}), length),
        )
    _leftovers(experiment, root, doubled)
    experiment.order()
    prepare()
    import_paddle()  # the following code imports the parts, without the notices of paddle
    composed = _compose(experiment)
    experiment.without_implied(composed)
    _check(experiment, composed)
    return Conversion(experiment.render(_head(path, name, overrides)), experiment.notes, root.count(), network.model)


def _leftovers(experiment: Experiment, root: Section, doubled: list[str]) -> None:
    """Report keys that the conversion did not read: PaddleOCR accepts them silently, even misspelled ones."""
    for key, value, hint in root.unread():
        if value is None:
            continue
        why = "unknown key; PaddleOCR silently accepts a misspelled one"
        experiment.report("missing", key, value, why, hint.removeprefix("; "))
    for key in doubled:
        experiment.report("changed", key, None, "duplicate key in the file", "the last one is used, as in PaddleOCR")


def _head(path: Path, name: str, overrides: Sequence[str]) -> list[str]:
    lines = [f"Converted from PaddleOCR's {path.name} by `ocrexp convert-config`."]
    if overrides:
        lines.append(f"  with -o {' '.join(overrides)}")
    return [*lines, f"  command    python -m ocrexp experiment={name}"]


def _compose(experiment: Experiment) -> DictConfig:
    """The composed configuration of the chosen parts, without the file's values."""
    from ocrexp.config.compose import compose

    name = "_conversion"  # not a name of a real experiment: one with the given name may exist already
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "experiment").mkdir()
        choices = experiment.render([], values=False)
        (Path(folder) / "experiment" / f"{name}.yaml").write_text(choices, encoding="utf-8")
        return compose("train", [f"hydra.searchpath=[file://{folder}]", f"experiment={name}"])


def _check(experiment: Experiment, composed: DictConfig) -> None:
    """Merge the values into the chosen parts, as the experiment will, and check the result."""
    from omegaconf import flag_override
    from omegaconf.errors import OmegaConfBaseException

    from ocrexp.config.check import check

    try:
        with flag_override(composed, "struct", False):
            composed.merge_with(experiment.nested())
        check(composed)
    except OmegaConfBaseException as error:
        raise ConfigError(f"the converted values do not fit together: {str(error).splitlines()[0]}") from error
    except ConfigError as error:
        wrong = [ConfigError(f"the converted values do not fit together: {line}") for line in error.lines]
        raise (wrong[0] if len(wrong) == 1 else SeveralConfigErrors(wrong)) from error
