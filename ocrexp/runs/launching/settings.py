"""The node `launcher`: how many jobs run at a time, and on what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from omegaconf import DictConfig, OmegaConf, open_dict

from ocrexp.engine.devices import AUTO, checked_devices, settle_devices
from ocrexp.environment import available_cores
from ocrexp.errors import ConfigError

JOBS = 2  # at a time, where neither their number nor the devices are given


class Launching(Protocol):
    """What a launcher's node asks for."""

    @property
    def width(self) -> int:
        """Jobs at a time, as far as the node tells."""

    def check_job(self, trainer: DictConfig) -> None:
        """Raises ConfigError for a job that the launcher cannot carry."""


@dataclass(frozen=True)
class PoolLaunching:
    """Jobs side by side on this machine: `conf/launcher/joblib.yaml`.

    `devices` are GPUs, of which each running job has one; a GPU that is named twice takes two jobs.
    """

    width: int
    devices: list[int] | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> PoolLaunching:
        """The options of the node. Raises ConfigError, in one line, for invalid values."""
        devices = _devices(options.get("devices"))
        return cls(_jobs(options.get("n_jobs"), devices), devices)

    def check_job(self, trainer: DictConfig) -> None:
        """A job has one GPU where `launcher.devices` is set."""
        if self.devices is not None:
            _check_one_card(trainer)

    def settle_devices(self, config: DictConfig) -> None:
        """Write into a job's configuration what `trainer.devices` means."""
        if self.devices is None:
            settle_devices(config)
            return
        _check_one_card(config.trainer)
        if config.trainer.devices == AUTO:
            with open_dict(config):
                config.trainer.devices = 1

    def cards(self) -> list[str | None]:
        """For each place of a job what CUDA_VISIBLE_DEVICES shows there; None: what this process sees."""
        if self.devices is None:
            return [None] * self.width
        visible = visible_cards()
        return [str(card) if visible is None else visible[card] for card in self.devices[: self.width]]


def whole(options: Mapping[str, Any], key: str, least: int) -> int:
    """A whole number of the node. Raises ConfigError for any other value."""
    value = options[key]
    if type(value) is not int or value < least:
        raise ConfigError(f"launcher.{key}: expected a whole number, {least} or more, got {value!r}")
    return value


def check_gpus(trainer: DictConfig, gpus: int, launcher: str) -> None:
    """Refuse a job that needs more than the `launcher.gpus` that it gets on its node; raises ConfigError."""
    devices, device = checked_devices(trainer.devices), str(trainer.device)
    if device == "cpu":
        return
    if isinstance(devices, list) and max(devices) >= gpus:
        raise ConfigError(
            f"trainer.devices={devices}: a job of launcher={launcher} sees launcher.gpus={gpus} GPUs, from 0 on; use "
            "trainer.devices=auto"
        )
    if isinstance(devices, int) and devices > gpus and (device.startswith("gpu") or gpus):
        raise ConfigError(f"trainer.devices={devices}: needs launcher.gpus={devices}, got {gpus}")


def options_of(launcher: DictConfig) -> dict[str, Any]:
    """The options of a launcher's node as plain values."""
    content: Any = OmegaConf.to_container(launcher, resolve=True)
    return {str(key): value for key, value in content.items() if key != "_target_"}


def _devices(value: Any) -> list[int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(type(card) is int and card >= 0 for card in value):
        raise ConfigError(f"launcher.devices: expected a list of GPU numbers such as [0,1], or null, got {value!r}")
    visible = visible_cards()
    if visible is not None and max(value) >= len(visible):
        raise ConfigError(
            f"launcher.devices: expected numbers below {len(visible)}, the number of GPUs that CUDA_VISIBLE_DEVICES "
            f"shows, got {max(value)}"
        )
    return value


def _jobs(value: Any, devices: list[int] | None) -> int:
    """Null is one job per device, or 2; -1 is one per core."""
    if value is None:
        return JOBS if devices is None else len(devices)
    if type(value) is not int or (value < 1 and value != -1):
        raise ConfigError(f"launcher.n_jobs: expected 1 or more, -1 for one job per core, or null, got {value!r}")
    if devices is not None and value > len(devices):
        raise ConfigError(
            f"launcher.n_jobs: expected up to {len(devices)}, the number of launcher.devices, got {value}"
        )
    if value == -1:
        return available_cores() if devices is None else min(available_cores(), len(devices))
    return value


def cores_of_a_job(jobs: int) -> int:
    """The cores of each job where this number of jobs runs side by side on this machine."""
    return max(1, available_cores() // jobs)


def visible_cards() -> list[str] | None:
    """What CUDA_VISIBLE_DEVICES shows; None where it is not set."""
    value = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if value is None else [item.strip() for item in value.split(",") if item.strip()]


def _check_one_card(trainer: DictConfig) -> None:
    """`trainer.devices=auto` is the one GPU that `launcher.devices` gives a job."""
    device, devices = str(trainer.device), checked_devices(trainer.devices)
    if device == "cpu":
        return
    if device.startswith("gpu:") or isinstance(devices, list):
        chosen = f"device={device}" if device.startswith("gpu:") else f"devices={devices}"
        raise ConfigError(
            f"trainer.{chosen}: chooses GPUs, but launcher.devices gives each job one GPU; use trainer.device=gpu and "
            "trainer.devices=1"
        )
    if devices not in (AUTO, 1):
        raise ConfigError(
            f"trainer.devices={devices}: needs {devices} GPUs per job, but launcher.devices gives each job one; set "
            "launcher.devices=null and launcher.n_jobs=1"
        )
