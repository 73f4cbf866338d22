"""The node `launcher` of `launcher=ray`."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError
from ocrexp.runs.launching.settings import check_gpus, whole


@dataclass(frozen=True)
class RayLaunching:
    """What `launcher=ray` asks for; `conf/launcher/ray.yaml` says what each value means."""

    address: str | None
    cpus: int
    gpus: int
    n_jobs: int | None
    node_losses: int

    @property
    def width(self) -> int:
        """Jobs at a time; without a limit those that this machine has cores for."""
        return self.n_jobs or max(1, available_cores() // self.cpus)

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> RayLaunching:
        """The options of the node. Raises ConfigError, in one line, for what is invalid."""
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("launcher=ray: the package ray is not installed; run: pip install 'ocrexp[ray]'")
        address = options["address"]
        if address is not None and (not isinstance(address, str) or not address):
            raise ConfigError(f"launcher.address: expected auto, HOST:PORT or null, got {address!r}")
        n_jobs = None if options["n_jobs"] is None else whole(options, "n_jobs", 1)
        cpus, gpus = whole(options, "cpus", 1), whole(options, "gpus", 0)
        return cls(address, cpus, gpus, n_jobs, whole(options, "node_losses", -1))

    def check_job(self, trainer: DictConfig) -> None:
        """A job has the GPUs that it asks for, all on one node."""
        check_gpus(trainer, self.gpus, "ray")
