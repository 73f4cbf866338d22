"""The options of a search, checked; `conf/hydra/sweeper/ocrexp_optuna.yaml` says what each value means."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from ocrexp.annotations import fits, in_words, type_hints
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

TARGET = "hydra_plugins.ocrexp_optuna.sweeper.OptunaSweeper"
INSTALL = "pip install 'ocrexp[search]'"
STUDY_FILE = "study.log"
SAMPLERS = ("tpe", "random", "cmaes", "grid")
PRUNERS = ("auto", "median", "halving", "hyperband", "none")
# What can be searched for, and the value of status.json that it is.
OBJECTIVES = {
    "metric": "best_value",
    "val_loss": "val_loss",
    "parameters": "parameters",
    "gmacs": "gmacs",
    "seconds": "seconds",
    "peak_memory_mb": "peak_memory_mb",
}
REPORTED = ("metric", "val_loss")  # objectives that an evaluation tells before the job ends
TRIALS = 20
WHERE = "hydra.sweeper"


@dataclass(frozen=True)
class SearchOptions:
    """The values of `hydra.sweeper`. Raises ConfigError, in one line, for an invalid value."""

    params: dict[str, Any] = field(default_factory=dict)
    n_trials: int | None = None
    sampler: str = "tpe"
    startup_trials: int = 10
    seed: int = 0
    objectives: list[str] = field(default_factory=lambda: ["metric"])
    pruner: str = "auto"
    pruner_startup: int = 4
    pruner_warmup: int = 1
    reduction_factor: int = 3
    n_jobs: int | None = None
    storage: str | None = None
    study_name: str | None = None
    warm_start: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        hints = type_hints(type(self))
        for name, value in vars(self).items():
            if not fits(value, hints[name]):
                raise ConfigError(f"{WHERE}.{name}: expected {in_words(hints[name])}, got {value!r}")
        least = {"n_trials": 1, "n_jobs": 1, "reduction_factor": 2, "pruner_warmup": 1, "pruner_startup": 1}
        for name, smallest in {**least, "startup_trials": 0, "seed": 0}.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise ConfigError(f"{WHERE}.{name}: expected a whole number, {smallest} or more, got {value}")
        for name, known in (("sampler", SAMPLERS), ("pruner", PRUNERS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{WHERE}.{name}: expected one of {', '.join(known)}, got '{getattr(self, name)}'")
        for name in self.objectives:
            if name not in OBJECTIVES:
                hint = did_you_mean(name, OBJECTIVES) or f"; objectives: {', '.join(OBJECTIVES)}"
                raise ConfigError(f"{WHERE}.objectives: unknown objective '{name}'{hint}")
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ConfigError(f"{WHERE}.objectives: expected one or more different names, got {self.objectives}")
        if self.pruner not in ("auto", "none") and not self.can_prune:
            raise ConfigError(
                f"{WHERE}.pruner={self.pruner}: ends jobs early by one objective, metric or val_loss, and objectives="
                f"[{','.join(self.objectives)}]; set {WHERE}.pruner=none"
            )
        if len(self.objectives) > 1 and self.sampler == "cmaes":
            raise ConfigError(f"{WHERE}.sampler=cmaes: searches for one objective; choose tpe or random")

    @property
    def can_prune(self) -> bool:
        """Whether the one objective is a value that each evaluation tells."""
        return len(self.objectives) == 1 and self.objectives[0] in REPORTED

    @property
    def prunes_by(self) -> str:
        """The pruner in use: median, halving, hyperband or none."""
        return ("median" if self.can_prune else "none") if self.pruner == "auto" else self.pruner

    @property
    def directions(self) -> list[str]:
        """Of the objectives, as Optuna names them."""
        return ["maximize" if name == "metric" else "minimize" for name in self.objectives]

    @classmethod
    def read(cls, sweeper: DictConfig | Mapping[str, Any]) -> SearchOptions:
        """The options of a node `hydra.sweeper`, whose interpolations are resolved."""
        plain: Any = OmegaConf.to_container(sweeper, resolve=True) if isinstance(sweeper, DictConfig) else dict(sweeper)
        plain.pop("_target_", None)
        known = [item.name for item in fields(cls)]
        for name in plain:
            if name not in known:
                hint = did_you_mean(str(name), known) or f"; known keys: {', '.join(known)}"
                raise ConfigError(f"unknown key {WHERE}.{name}: '{name}' does not exist in {WHERE}{hint}")
        plain["params"] = plain.get("params") or {}
        plain["warm_start"] = plain.get("warm_start") or []
        if isinstance(plain["warm_start"], str):
            plain["warm_start"] = [plain["warm_start"]]
        return cls(**plain)


def is_search(sweeper: Any) -> bool:
    """Whether a node `hydra.sweeper` is this search."""
    return sweeper is not None and str(OmegaConf.select(sweeper, "_target_")) == TARGET


def check_installed() -> None:
    """Raises ConfigError, in one line with the command to run, where Optuna is missing."""
    if importlib.util.find_spec("optuna") is None:
        raise ConfigError(f"hydra/sweeper=ocrexp_optuna: the package optuna is not installed; run: {INSTALL}")
    from importlib.metadata import version

    if int(version("optuna").partition(".")[0]) < 4:
        raise ConfigError(
            f"hydra/sweeper=ocrexp_optuna: needs optuna 4 or later, found {version('optuna')}; run: {INSTALL}"
        )


def storage_of(options: SearchOptions, sweep_dir: Path) -> str:
    """Where the study is: the absolute path of a journal file, or the URL of a database."""
    given = options.storage
    if given is None:
        return str(sweep_dir.absolute() / STUDY_FILE)
    if given.startswith("sqlite:///") and not given.startswith("sqlite:////"):
        return f"sqlite:///{Path(given.removeprefix('sqlite:///')).absolute()}"
    if "://" in given:
        return given
    if not given.endswith(".log"):
        raise ConfigError(f"{WHERE}.storage: expected FILE.log, sqlite:///FILE or the URL of a database, got '{given}'")
    return str(Path(given).expanduser().absolute())


def study_name_of(options: SearchOptions, sweep_dir: Path) -> str:
    """The name of the study in its storage."""
    return options.study_name or sweep_dir.absolute().name
