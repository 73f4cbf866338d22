"""An earlier run's configuration: written when it starts, read and changed by the verbs that work on a run folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrexp.config.explain import as_config_error, key_of, unknown_key
from ocrexp.config.paths import groups, options_of
from ocrexp.errors import ConfigError
from ocrexp.files import write_text

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

RESOLVED = "config_resolved.yaml"
FROZEN = Path(".hydra") / "config.yaml"
JOB = Path(".hydra") / "job.json"


@dataclass(frozen=True)
class JobInfo:
    """What a run is called and which sweep it belongs to."""

    name: str
    group: str | None = None
    number: int | None = None
    overrides: list[str] = field(default_factory=list)


def write_job(run_dir: Path, config: DictConfig, info: JobInfo) -> None:
    """Write what a process needs to train this folder: the resolved config and the job's names."""
    from ocrexp.config.compose import register_resolvers

    register_resolvers()
    (run_dir / ".hydra").mkdir(parents=True, exist_ok=True)
    write_text(run_dir / RESOLVED, OmegaConf.to_yaml(config, resolve=True), sync=True)
    # A resume may have changed it, and the next one starts from there.
    write_text(run_dir / FROZEN, OmegaConf.to_yaml(config), sync=True)
    write_text(run_dir / JOB, json.dumps(asdict(info), indent=1), sync=True)


def read_job(run_dir: Path) -> JobInfo:
    """The names that `write_job` left."""
    return JobInfo(**json.loads((run_dir / JOB).read_text(encoding="utf-8")))


def read_resolved(run_dir: Path) -> DictConfig:
    """The resolved config of a run folder, as its processes use it."""
    return _load(run_dir, RESOLVED)


def read_frozen(run_dir: Path) -> DictConfig:
    """The composed config of a run with its interpolations alive, closed against unknown keys.

    Raises ConfigError where the folder is no run folder.
    """
    from ocrexp.config.schema import schemas

    config = _load(run_dir, FROZEN)
    for name, schema in schemas().items():  # a YAML file keeps no types: give the closed nodes theirs again
        if name in config:
            config[name] = OmegaConf.merge(OmegaConf.structured(schema), config[name])
    OmegaConf.set_struct(config, True)
    return config


def _load(run_dir: Path, name: str | Path) -> DictConfig:
    path = run_dir / name
    if not run_dir.is_dir():
        raise ConfigError(f"run_dir={run_dir}: there is no such folder")
    if not path.is_file():
        raise ConfigError(f"run_dir={run_dir} is no run folder: it has no {name} (runs are made by `python -m ocrexp`)")
    loaded = OmegaConf.load(path)
    assert isinstance(loaded, DictConfig)
    return loaded


def split_overrides(verb_config: Sequence[str], overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides of the verb's own keys, and those of the run's configuration."""
    own = [item for item in overrides if key_of(item) in verb_config]
    return own, [item for item in overrides if key_of(item) not in verb_config]


def apply_overrides(
    config: DictConfig,
    overrides: Sequence[str],
    *,
    refuse: Callable[[str], str | None] | None = None,
    replaceable: Sequence[str] = (),
) -> DictConfig:
    """Change a frozen configuration.

    `refuse(key)` gives the reason why a key may not change, or None. `replaceable` are the groups whose option may be
    chosen anew (`dataset=icdar2015`, `logger=[csv,visualdl]`), before any value is set, wherever it stands; for any
    other group that is an error: the node would become a string.
    Raises ConfigError in one line: unknown key, refused key, wrong type, unknown option.
    """
    known = groups()
    parsed = _parse(overrides)
    for override in sorted(parsed, key=lambda item: item.key_or_group not in known):
        key, text = override.key_or_group, override.input_line or ""
        reason = refuse(key) if refuse else None
        if reason:
            raise ConfigError(f"{key} may not change here: {reason}")
        if key in known and not override.is_delete():
            _replace_group(config, key, override.value(), replaceable)
            continue
        _set_value(config, key, override, text)
    return config


def _parse(overrides: Sequence[str]) -> list[Override]:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except Exception as error:
        explained = as_config_error(error, "train", overrides)
        if explained is None:
            raise
        raise explained from error
    for override in parsed:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line}: sweeps are for `train -m`; quote the value to pass a list")
    return parsed


def _set_value(config: DictConfig, key: str, override: Override, text: str) -> None:
    if override.is_delete():
        raise ConfigError(f"{text}: deleting a key of a finished run's configuration is not possible")
    force = override.is_add() or override.is_force_add()
    if not force and OmegaConf.select(config, key, default=_ABSENT, throw_on_missing=False) is _ABSENT:
        raise unknown_key(key, config)
    try:
        OmegaConf.update(config, key, override.value(), merge=True, force_add=force)
    except OmegaConfBaseException as error:
        raise as_config_error(error, "train", []) or error from error


_ABSENT: Any = object()


def _replace_group(config: DictConfig, group: str, choice: Any, replaceable: Sequence[str]) -> None:
    options = [str(option) for option in (choice if isinstance(choice, list) else [choice])]
    if group not in replaceable:
        node = {"optimizer": "optim", "scheduler": "optim.schedule"}.get(group, group.replace("/", "."))
        raise ConfigError(f"{group}={choice}: the run's {group} is fixed; it may be changed key by key ({node}.KEY=…)")
    for option in options:
        if option not in options_of(group):
            raise ConfigError(f"{group} has no option '{option}'; options: {', '.join(options_of(group))}")
    from ocrexp.config.compose import compose

    fresh = compose("train", [f"{group}=[{','.join(options)}]"])
    OmegaConf.set_struct(config, False)
    config[group] = fresh[group]
    OmegaConf.set_struct(config, True)
