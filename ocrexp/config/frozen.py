"""The frozen configuration of a run: written at its start, read and changed by verbs that use a run folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrexp import files, yaml_text
from ocrexp.command_line import key_of, typed
from ocrexp.config import authorship, trust
from ocrexp.config.explain import as_config_error, unknown_key
from ocrexp.config.paths import groups, options_of
from ocrexp.errors import ConfigError, printable

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

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


def split_overrides(verb_config: Sequence[str], overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split overrides into those of the verb's own keys and those of the run's configuration."""
    own = [item for item in overrides if key_of(item) in verb_config]
    return own, [item for item in overrides if key_of(item) not in verb_config]


def trusted_of(verb: DictConfig, own: Sequence[str]) -> list[str]:
    """The packages in `trusted=…` on the command line. A `conf/` in the folder of another user is not read."""
    if not any(key_of(item) == "trusted" for item in own) or verb.trusted is None:
        return []
    return [verb.trusted] if isinstance(verb.trusted, str) else [str(name) for name in verb.trusted]


def apply_overrides(
    config: DictConfig,
    overrides: Sequence[str],
    *,
    refuse: Callable[[str], str | None] | None = None,
    replaceable: Sequence[str] = (),
) -> DictConfig:
    """Change a frozen configuration.

    `refuse(key)` gives the reason why a key may not change, or None. `replaceable` are the groups for which another
    option may be chosen (`dataset=icdar2015`, `logger=[csv,visualdl]`); options are applied before values, in any
    order. For any other group that is an error, because the node would become a string.
    Raises ConfigError, in one line, for an unknown key, a refused key, a wrong type, an unknown option.
    """
    known = groups()
    parsed = _parse(overrides)
    for override in sorted(parsed, key=lambda item: item.key_or_group not in known):
        _choose_named_part(config, override, replaceable)
        key, text = override.key_or_group, override.input_line or ""
        if refuse and key not in known and not override.is_add() and not override.is_force_add():
            _known_or_raise(config, key)  # report a misspelled key as such
        reason = refuse(key) if refuse else None
        if reason:
            raise ConfigError(f"{key}: may not change here: {reason}")
        if key in known and not override.is_delete():
            _replace_group(config, key, override.value(), replaceable)
            continue
        _set_value(config, key, override, text)
    return config


def _known_or_raise(config: DictConfig, key: str) -> None:
    if not is_there(config, key):
        raise unknown_key(key, config)


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
            raise ConfigError(f"{override.input_line}: only `train -m` supports sweeps; write key=[a,b] to pass a list")
    return parsed


def _set_value(config: DictConfig, key: str, override: Override, text: str) -> None:
    if override.is_delete():
        raise ConfigError(f"{text}: keys of a run's configuration cannot be deleted; remove this override")
    force = override.is_add() or override.is_force_add()
    if not force and not is_there(config, key):
        raise unknown_key(key, config)
    try:
        OmegaConf.update(config, key, override.value(), merge=True, force_add=force)
    except (OmegaConfBaseException, AttributeError) as error:
        raise as_config_error(error, "train", []) or error from error


def _choose_named_part(config: DictConfig, override: Override, replaceable: Sequence[str]) -> None:
    """For `callbacks.early_stopping.patience=5` in a run without this callback, add it from its group first."""
    from ocrexp.config.compose import compose
    from ocrexp.config.nodes import NAMED, options_with

    group, _, rest = override.key_or_group.partition(".")
    name, _, key = rest.partition(".")
    forced = override.is_add() or override.is_force_add() or override.is_delete()
    if forced or not key or group not in NAMED or group not in replaceable or group not in config:
        return
    if config[group] is None or name not in config[group] or config[group][name] is not None:
        return
    options = options_with(group, name)
    if options:
        config[group][name] = compose("train", [f"{group}={options[0]}"])[group][name]


def is_there(config: DictConfig, key: str) -> bool:
    """Whether a configuration has the key, whatever its value: also `???` and null can be set."""
    if key.rpartition(".")[2].isdecimal():  # an element of a list
        return OmegaConf.select(config, key, throw_on_missing=False) is not None
    node: Any = config
    *parents, last = key.split(".")
    for name in parents:
        node = node._get_node(name) if isinstance(node, DictConfig) and name in node.keys() else None  # noqa: SIM118
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
            return False
    if not isinstance(node, DictConfig):
        return False
    return last in node.keys()  # noqa: SIM118 - `in` does not see a key whose value is missing


def _replace_group(config: DictConfig, group: str, choice: Any, replaceable: Sequence[str]) -> None:
    options = [str(option) for option in (choice if isinstance(choice, list) else [choice])]
    if group not in replaceable:
        node = {"optimizer": "optim", "scheduler": "optim.schedule"}.get(group, group.replace("/", "."))
        raise ConfigError(
            f"{group}={choice}: the {group} of a run cannot be replaced; change single keys with {node}.KEY=…"
        )
    for option in options:
        if option not in options_of(group):
            raise ConfigError(f"{group}={option}: unknown option; options: {', '.join(options_of(group))}")
    from ocrexp.config.compose import compose

    fresh = compose("train", [f"{group}=[{','.join(options)}]"])
    OmegaConf.set_struct(config, False)
    config[group] = fresh[group]
    OmegaConf.set_struct(config, True)
