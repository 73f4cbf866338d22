"""Section Optimizer.lr: the learning rate over the steps. Both PaddleOCR and ocrexp count in epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

NODE = "optim.schedule"


def convert_schedule(experiment: Experiment, root: Section) -> None:
    """Convert the rate, its schedule and warm-up. Raises ConfigError for an unsupported schedule."""
    section = root.section("Optimizer").section("lr")
    name = section.text("name", "Const")
    if name not in SCHEDULES:
        raise ConfigError(
            f"{section.key('name')}: unsupported schedule {name}{did_you_mean(name, SCHEDULES)}; supported:"
            f" {', '.join(SCHEDULES)}"
        )
    SCHEDULES[name](experiment, section)
    experiment.drop(
        section, dict.fromkeys(("epochs", "step_each_epoch", "last_epoch"), "determined by the length of the run")
    )


def _rate(experiment: Experiment, section: Section) -> None:
    rate = section.number("learning_rate", 0.001)
    if rate <= 0:
        raise ConfigError(f"{section.key('learning_rate')}: expected a number above 0, got {rate!r}")
    experiment.take(
        section, "learning_rate", "optim.lr", 0.001,
        remark="published rates are for several GPUs; divide by their number on one (optim.reference_batch, scale_lr)",
    )  # fmt: skip


def _warmup(experiment: Experiment, section: Section) -> None:
    if section.number("warmup_epoch", 0):
        experiment.take(section, "warmup_epoch", f"{NODE}.warmup_epochs")
        experiment.set(f"{NODE}.warmup_extends", True, "as in PaddleOCR: the warm-up comes first and delays the rest")
        experiment.set(f"{NODE}.warmup_start", 0.0, "as in PaddleOCR: the first step has rate 0")


def _simple(option: str, **keys: Any) -> Callable[[Experiment, Section], None]:
    def convert(experiment: Experiment, section: Section) -> None:
        experiment.choose("scheduler", option)
        _rate(experiment, section)
        for name, default in keys.items():
            experiment.take(section, name, f"{NODE}.{name}", default)
        _warmup(experiment, section)

    return convert


def _linear(experiment: Experiment, section: Section) -> None:
    power = section.number("power", 1.0)
    _simple("linear" if power == 1 else "polynomial", end_lr=0.0)(experiment, section)
    if power != 1:
        experiment.take(section, "power", f"{NODE}.power")


def _piecewise(experiment: Experiment, section: Section) -> None:
    values, epochs = section.get("values"), section.get("decay_epochs")
    if not isinstance(values, list) or not isinstance(epochs, list) or len(values) != len(epochs) + 1 or not values[0]:
        raise ConfigError(f"{section.path}: Piecewise needs decay_epochs, and one more value than these")
    experiment.choose("scheduler", "piecewise")
    experiment.set("optim.lr", values[0], f"{section.key('values')}: the first one")
    experiment.take(section, "decay_epochs", f"{NODE}.decay_epochs")
    experiment.set(f"{NODE}.factors", [v / values[0] for v in values], f"{section.key('values')}: shares of optim.lr")
    experiment.drop(section, {"learning_rate": "Piecewise has its rates in values"})
    _warmup(experiment, section)


def _warmup_cosine(experiment: Experiment, section: Section) -> None:
    """Convert `LinearWarmupCosine`, whose warm-up is counted in steps and also comes first."""
    experiment.choose("scheduler", "cosine")
    _rate(experiment, section)
    rate = section.number("learning_rate", 0.001)
    steps = section.number("warmup_steps")
    if not isinstance(steps, int):
        raise ConfigError(f"{section.key('warmup_steps')}: expected a number of steps, got {steps!r}")
    experiment.take(section, "min_lr", f"{NODE}.end_lr", 1e-8)
    experiment.take(section, "warmup_steps", f"{NODE}.warmup_steps")
    experiment.set(f"{NODE}.warmup_extends", True, "as in PaddleOCR: the warm-up comes first and delays the rest")
    start = section.number("start_lr", 1e-5)
    experiment.set(f"{NODE}.warmup_start", start / rate, f"{section.key('start_lr')}: as a share of optim.lr")


def _decaying(experiment: Experiment, section: Section) -> None:
    """Convert `DecayLearningRate`, which ends at 0 whatever its end_lr, and has no warm-up."""
    experiment.choose("scheduler", "polynomial")
    _rate(experiment, section)
    experiment.take(section, "factor", f"{NODE}.power", 0.9)
    experiment.set(f"{NODE}.end_lr", 0.0, "PaddleOCR's DecayLearningRate ends at 0", implied=True)
    experiment.drop(section, dict.fromkeys(("end_lr", "warmup_epoch"), "PaddleOCR's DecayLearningRate ignores it"))


def _one_cycle(experiment: Experiment, section: Section) -> None:
    experiment.choose("scheduler", "one_cycle")
    experiment.take(section, "max_lr", "optim.lr")
    for name, default in (("anneal_strategy", "cos"), ("three_phase", False)):
        experiment.take(section, name, f"{NODE}.{name}", default)
    if section.number("warmup_epoch", 0):
        experiment.note(
            "changed",
            section,
            "warmup_epoch",
            "OneCycle contains a warm-up; in PaddleOCR the rate rises twice",
            "none is added",
        )
    experiment.drop(section, {"learning_rate": "OneCycle uses max_lr"})


SCHEDULES: dict[str, Callable[[Experiment, Section], None]] = {
    "Const": _simple("constant"),
    "Cosine": _simple("cosine"),
    "Linear": _linear,
    "Step": _simple("step", step_size=30, gamma=0.1),
    "MultiStepDecay": _simple("multistep", milestones=[60, 80], gamma=0.1),
    "Piecewise": _piecewise,
    "CyclicalCosine": _simple("cyclical_cosine", cycle=10),
    "OneCycle": _one_cycle,
    "LinearWarmupCosine": _warmup_cosine,
    "DecayLearningRate": _decaying,
}
