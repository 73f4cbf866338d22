"""The frozen configuration of a run: written at its start, read by verbs that use a run folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrexp import files, yaml_text
from ocrexp.command_line import key_of, typed
from ocrexp.config import authorship, trust
from ocrexp.errors import ConfigError, printable

log = logging.getLogger(__name__)

RESOLVED = "config_resolved.yaml"
FROZEN = Path(".hydra") / "config.yaml"
JOB = Path(".hydra") / "job.json"


@dataclass(frozen=True)
class JobInfo:
    """The names of a run and of its sweep."""

    name: str
    group: str | None = None
    number: int | None = None
    overrides: list[str] = field(default_factory=list)


# Keys of every run's configuration; in a truncated file the last ones are missing.
_NODES = (
    "trainer", "loader", "optim", "dataset", "targets", "preprocess", "model", "loss", "postprocess", "metric",
)  # fmt: skip
_VALUES = ("task", "name", "run_dir", "seed", "overfit")


def write_job(run_dir: Path, config: DictConfig, info: JobInfo) -> dict[str, str]:
    """Write what a process needs to train this folder: the resolved config and the job's names.

    The texts are signed as this user's own (see authorship.py), so `config` must be composed here or admitted. Returns
    the variables that such a process gets.
    """
    composed = write_config(run_dir, config, run_dir)
    files.write_json(run_dir / JOB, asdict(info), sync=True)
    return composed


def write_config(run_dir: Path, config: DictConfig, folder: Path) -> dict[str, str]:
    """Write the frozen and then the resolved configuration of a run into `folder`, signed; see `write_job`."""
    from ocrexp.config.compose import register_resolvers

    register_resolvers()
    (folder / FROZEN).parent.mkdir(parents=True, exist_ok=True)
    frozen, resolved = OmegaConf.to_yaml(config), OmegaConf.to_yaml(config, resolve=True)
    composed = authorship.sign(run_dir, frozen, resolved)
    files.write_text(folder / FROZEN, frozen, sync=True)
    files.write_text(folder / RESOLVED, resolved, sync=True)
    return composed


def read_job(run_dir: Path) -> JobInfo:
    """The names that `write_job` wrote; if the file is missing or damaged, names made from the folder, with a warning.

    Only people and loggers use them, so a run can be resumed without them.
    """
    path = run_dir / JOB
    try:
        found = json.loads(files.read_file(path, files.MOST_TEXT))
        job = JobInfo(**found)
        number_fits = job.number is None or type(job.number) is int
        texts = [job.name, job.group or "", *job.overrides]
        if not number_fits or not all(isinstance(text, str) for text in texts):
            raise ValueError("values of other types")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0][:80]
        log.warning("%s: missing or damaged (%s); the run gets the name %s", path, reason, run_dir.name)
        return JobInfo(name=run_dir.resolve().name)
    return job


def read_resolved(run_dir: Path, name: str | Path = RESOLVED) -> DictConfig:
    """The resolved config of a run folder, as its processes use it."""
    return _load(run_dir, name)


def read_frozen(run_dir: Path, trusted: Sequence[str] | str | None = None) -> DictConfig:
    """The composed config of a run with its interpolations, closed against unknown keys.

    `trusted` are packages, besides OCREXP_TRUSTED, that a configuration of another user may name. Raises ConfigError if
    the folder is not a run folder, or if its configuration is damaged or may not be used.
    """
    from ocrexp.config.schema import schemas

    config = _load(run_dir, FROZEN, trusted)
    for name, schema in schemas().items():  # YAML contains no types: restore the types of the closed nodes
        try:
            config[name] = OmegaConf.merge(OmegaConf.structured(schema), config[name])
        except (OmegaConfBaseException, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"{run_dir / FROZEN}: {name} is damaged: {reason}; {_ADVICE}") from None
    OmegaConf.set_struct(config, True)
    return config


_ADVICE = "restore it from a copy or start a new run"


def _run_below(folder: Path) -> Path | None:
    """The latest run in a folder of runs, or in the folders in it."""
    configs = [path for pattern in ("*", "*/*") for path in folder.glob(f"{pattern}/.hydra/config.yaml")]
    return max(configs, key=lambda path: path.stat().st_mtime).parent.parent if configs else None


def _load(run_dir: Path, name: str | Path, trusted: Sequence[str] | str | None = None) -> DictConfig:
    """Read a configuration file of a run folder, and check what it may name."""
    path = run_dir / name
    if not run_dir.is_dir():
        raise ConfigError(f"run_dir={run_dir}: folder not found; correct the path")
    if not path.is_file():
        if (run_dir / "inference.yml").is_file():
            raise ConfigError(
                f"run_dir={run_dir}: is an exported model; give the run folder that it was exported from, or read "
                f"images with it: python -m ocrexp predict images=… {typed('predict', exported_task(run_dir), run_dir)}"
            )
        meant = f"; did you mean {typed('eval', 'run_dir', below)}?" if (below := _run_below(run_dir)) else ""
        raise ConfigError(f"run_dir={run_dir} is not a run folder: it has no {name}{meant or ', training makes one'}")
    try:
        content = path.read_bytes()
        yaml_text.check_yaml(content)
        text = content.decode("utf-8")
        config = OmegaConf.create(text) if text.strip() else None
        if not isinstance(config, DictConfig):
            raise ValueError("is empty" if config is None else "is a list, expected a mapping")
        plain = OmegaConf.to_container(config, resolve=False)
        _check_whole(plain)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except (*yaml_text.ERRORS, OmegaConfBaseException) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = yaml_text.reason(error) if isinstance(error, yaml.YAMLError) else first
        raise ConfigError(f"{path}: {printable(reason)}; {_ADVICE}") from None
    if authorship.is_own(run_dir, text):
        return config
    assert isinstance(plain, dict)
    trust.admit(plain, path, run_dir, trust.trusted_packages(trusted))
    return OmegaConf.create(plain)


def _check_whole(config: Any) -> None:
    """Raises ValueError if a mapping is not a complete configuration of a run."""
    missing = [key for key in (*_NODES, *_VALUES) if key not in config]
    if missing:
        raise ValueError(f"is truncated: {missing[0]} is missing")
    wrong = [key for key in _NODES if not isinstance(config[key], dict)]
    if wrong:
        raise ValueError(f"{wrong[0]}: expected a mapping, got {config[wrong[0]]!r}"[:100])
    if type(config["overfit"]) is not bool:
        raise ValueError("is truncated in its last line, or overfit is neither true nor false")


def exported_task(folder: Path) -> str:
    """The task of an exported model, which is the key under which `predict` takes it."""
    from ocrexp.deploy.description import FILE_NAME, Description
    from ocrexp.errors import DeployError

    try:
        return Description.read(folder / FILE_NAME).task
    except DeployError:  # its file is damaged: show both keys
        return "det|rec"


def trusted_of(verb: DictConfig, own: Sequence[str]) -> list[str]:
    """The packages in `trusted=…` on the command line. A `conf/` in the folder of another user is not read."""
    if not any(key_of(item) == "trusted" for item in own) or verb.trusted is None:
        return []
    return [verb.trusted] if isinstance(verb.trusted, str) else [str(name) for name in verb.trusted]
