"""The node `launcher` of `launcher=slurm` and `launcher=slurm_local`."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError
from ocrexp.runs.launching.settings import PoolLaunching, check_gpus, whole

_MEMORY = re.compile(r"\d+(\.\d+)?[KMGT]B?", re.ASCII | re.IGNORECASE)
_TIMES = (  # as `sbatch --time` takes them
    re.compile(r"(?P<minutes>\d+)", re.ASCII),
    re.compile(r"(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)", re.ASCII),
    re.compile(r"(?P<days>\d+)-(?P<hours>\d+)(:(?P<minutes>\d\d)(:(?P<seconds>\d\d))?)?", re.ASCII),
)
_COMMANDS = ("sbatch", "srun", "squeue", "scancel")
OWN_OPTIONS = ("array", "output", "error", "signal", "open-mode", "requeue")  # of sbatch, which the launcher sets


@dataclass(frozen=True)
class SlurmLaunching:
    """What `launcher=slurm` asks for; `conf/launcher/slurm.yaml` says what each value means.

    `parameters` are those of submitit's SlurmExecutor. `minutes`: the time limit of a job.
    """

    n_jobs: int | None
    minutes: int
    requeues: int
    gpus: int
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Jobs at a time, which a search asks for at a time as well."""
        return self.n_jobs or available_cores()

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> SlurmLaunching:
        """The options of the node. Raises ConfigError, in one line, for what cannot be."""
        needs_submitit("slurm")
        minutes = _minutes(options["time"])
        signal_seconds = whole(options, "signal_seconds", 1)
        if signal_seconds >= 60 * minutes:
            raise ConfigError(
                f"launcher.signal_seconds: expected less than launcher.time={minutes} minutes, got {signal_seconds}"
            )
        n_jobs = None if options["n_jobs"] is None else whole(options, "n_jobs", 1)
        gpus = whole(options, "gpus", 0)
        parameters: dict[str, Any] = {
            "time": minutes, "cpus_per_task": whole(options, "cpus", 1), "nodes": 1, "ntasks_per_node": 1,
            "signal_delay_s": signal_seconds, "array_parallelism": n_jobs or 10_000,
            **({"gpus_per_node": gpus} if gpus else {}),
        }  # fmt: skip
        for key in ("partition", "account", "qos", "constraint"):
            if options[key] is not None:
                parameters[key] = str(options[key])
        if options["mem"] is not None:
            parameters["mem"] = _memory(options["mem"])
        setup, more = options["setup"] or [], options["sbatch"] or {}
        if not isinstance(setup, list) or not all(isinstance(line, str) for line in setup):
            raise ConfigError(f"launcher.setup: expected a list of shell lines, got {setup!r}")
        if not isinstance(more, dict) or not all(isinstance(value, str | int | float) for value in more.values()):
            raise ConfigError(f"launcher.sbatch: expected options of sbatch such as {{exclude: node7}}, got {more!r}")
        names = {str(name).lstrip("-").replace("_", "-"): value for name, value in more.items()}
        if taken := sorted(set(names) & {*OWN_OPTIONS, *(name.replace("_", "-") for name in parameters)}):
            raise ConfigError(f"launcher.sbatch.{taken[0]}: is set by the launcher; use the keys of launcher")
        parameters |= {"setup": setup, "additional_parameters": {**names, "requeue": True}}
        missing = [name for name in _COMMANDS if shutil.which(name) is None]
        if missing:
            raise ConfigError(
                f"launcher=slurm: the command {missing[0]} is not on the PATH; run the sweep on a login node of the "
                "cluster, or try it here with launcher=slurm_local"
            )
        return cls(n_jobs, minutes, whole(options, "requeues", 0), gpus, parameters)

    def check_job(self, trainer: DictConfig) -> None:
        """A job has the GPUs that it asks for, all on one node."""
        check_gpus(trainer, self.gpus, "slurm")


@dataclass(frozen=True)
class SlurmLocalLaunching(PoolLaunching):
    """What `launcher=slurm_local` asks for: the same jobs on this machine, with submitit's local executor."""

    minutes: float = 0.0
    signal_seconds: int = 0
    cpus: int | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> SlurmLocalLaunching:
        """The options of the node. Raises ConfigError, in one line, for what cannot be."""
        needs_submitit("slurm_local")
        pool = PoolLaunching.read(options)
        minutes, signal_seconds = _minutes(options["time"]), whole(options, "signal_seconds", 1)
        if signal_seconds >= 60 * minutes:
            raise ConfigError(
                f"launcher.signal_seconds: expected less than launcher.time={minutes} minutes, got {signal_seconds}"
            )
        cpus = None if options["cpus"] is None else whole(options, "cpus", 1)
        return cls(pool.width, pool.devices, minutes, signal_seconds, cpus)


def needs_submitit(launcher: str) -> None:
    """Raises ConfigError where submitit is not installed."""
    if importlib.util.find_spec("submitit") is None:
        raise ConfigError(
            f"launcher={launcher}: the package submitit is not installed; run: pip install 'ocrexp[slurm]'"
        )


def _minutes(value: Any) -> int:
    """Whole minutes, rounded up, of a number of minutes or one of Slurm's texts."""
    text = value if isinstance(value, str) else str(value) if type(value) is int else ""
    for form in _TIMES:
        if found := form.fullmatch(text):
            parts = {name: int(part or 0) for name, part in found.groupdict().items()}
            hours = parts.get("days", 0) * 24 + parts.get("hours", 0)
            if total := hours * 60 + parts.get("minutes", 0) + (parts.get("seconds", 0) > 0):
                return total
    raise ConfigError(f"launcher.time: expected minutes, or a text such as '12:00:00' or '2-00:00', got {value!r}")


def _memory(value: Any) -> str:
    if isinstance(value, str) and _MEMORY.fullmatch(value):
        return value.upper()
    raise ConfigError(f"launcher.mem: expected a text such as 16GB or 500MB, or null, got {value!r}")
