"""Earlier runs as results that a search begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import create_trial

from ocrexp.config.frozen import read_resolved
from ocrexp.engine.status import DONE
from ocrexp.errors import ConfigError, printable
from ocrexp.runs.search.options import WHERE, SearchOptions
from ocrexp.runs.search.samplers import WARM_START
from ocrexp.runs.search.space import Space
from ocrexp.runs.search.trial import values_of
from ocrexp.runs.state import is_run_folder, read_state
from ocrexp.runs.sweep_table import job_folders
from ocrexp.yaml_text import read_config


def run_folders(given: Sequence[str]) -> list[Path]:
    """The run folders among the given ones and in the sweeps among them, each once.

    Raises ConfigError for a folder that is neither.
    """
    found: list[Path] = []
    for text in given:
        folder = Path(text).expanduser()
        runs = [folder] if is_run_folder(folder) else list(job_folders(folder)) if folder.is_dir() else []
        if not runs:
            raise ConfigError(f"{WHERE}.warm_start: {folder} is not a run folder or a sweep folder; correct the path")
        found += runs
    return list(dict.fromkeys(path.resolve() for path in found))


def add_earlier_runs(study: Study, options: SearchOptions, space: Space, task: str) -> Iterator[str]:
    """Add the finished runs of the same task whose values are in the space, those of them that are not there yet.

    Yields lines: how many were added, and how many were skipped and why.
    """
    if not options.warm_start:
        return
    there = {trial.user_attrs.get(WARM_START) for trial in study.get_trials(deepcopy=False)}
    skipped: Counter[str] = Counter()
    added = 0
    distributions = {name: axis.distribution() for name, axis in space.axes.items()}
    folders = run_folders(options.warm_start)
    for folder in folders:
        if str(folder) in there:
            continue
        params, values = _result(folder, options, space, task)
        if isinstance(params, str):
            skipped[params] += 1
            continue
        study.add_trial(
            create_trial(
                params=params, distributions=distributions, values=values, user_attrs={WARM_START: str(folder)}
            )
        )
        added += 1
    reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.most_common())
    yield f"{WHERE}.warm_start: {added} of {len(folders)} earlier runs added" + (
        f"; skipped: {printable(reasons)}" if reasons else ""
    )


def _result(
    folder: Path, options: SearchOptions, space: Space, task: str
) -> tuple[dict[str, Any] | str, list[float] | None]:
    """Values and objectives of a run; or the reason why it cannot be used."""
    state = read_state(folder)
    if state.state != DONE:
        return "not finished", None
    values = values_of(state.values, options)
    if values is None:
        return f"without {', '.join(options.objectives)}", None
    try:
        config = read_resolved(folder)
    except ConfigError:
        return "with a configuration that cannot be read", None
    if config.get("task") != task:
        return "of another task", None
    chosen = _choices(folder)
    params: dict[str, Any] = {}
    for name, axis in space.axes.items():
        params[name] = axis.value_in(config, chosen)
        if params[name] is None:
            return f"with {name} outside of the search", None
    return params, values


def _choices(folder: Path) -> dict[str, Any]:
    """The options of the config groups that a run has chosen, as Hydra recorded them."""
    try:
        found = read_config((folder / ".hydra" / "hydra.yaml").read_bytes())["hydra"]["runtime"]["choices"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    return dict(found) if isinstance(found, dict | DictConfig) else {}
