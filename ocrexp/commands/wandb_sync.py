"""`ocrexp wandb-sync RUN… | SWEEP | PATTERN`: send runs that were logged offline to W&B, resumed ones as one run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf

from ocrexp.config.compose import compose
from ocrexp.errors import ConfigError, explain_import_error, printable
from ocrexp.runs.catalog import find_runs, read_runs
from ocrexp.runs.wandb_upload import Upload, upload, uploads_of

SUMMARY = "Send runs that were logged offline to W&B: a run, a sweep, many"
USAGE = """
Usage
  python -m ocrexp wandb-sync RUN_OR_SWEEP ... [key=value ...]
  python -m ocrexp wandb-sync outputs/sweeps/lr/DATE_TIME
  python -m ocrexp wandb-sync outputs/db_mbv3/* project=receipts entity=TEAM

Sends each run that was logged with logger=wandb while there was no network. The parts of a run that was resumed
become one W&B run, without the steps that were made twice. W&B is asked afterwards how much of each run it has: a run
that is not complete there is reported, and the exit code is 1. The same command again sends what is missing; a run
that is sent twice is the same run. Runs that still train are skipped."""


@dataclass(frozen=True)
class SyncSettings:
    """The keys of conf/wandb-sync.yaml."""

    runs: list[str]
    project: str | None
    entity: str | None
    all: bool
    jobs: int
    timeout: float


def run(arguments: Sequence[str]) -> int:
    """Send the runs; returns 0, or 1 if one of them could not be sent completely."""
    settings = _settings(arguments)
    records = read_runs(find_runs(settings.runs))
    found = [one for record in records for one in uploads_of(record.path, record.name, settings.all)]
    if not found:
        raise ConfigError(
            f"runs: none of the {len(records)} runs has files of W&B; log with logger=wandb, "
            "which writes them while there is no network"
        )
    open_ = [one for one in found if one.reason is None]
    for one in found:
        if one.reason is not None:
            print(f"{printable(one.name)}: skipped, {one.reason}")
    if open_:
        _require_account()
    with ThreadPoolExecutor(settings.jobs) as pool:
        failed = sum(pool.map(lambda one: _send(one, settings), open_))
    print(f"{len(open_) - failed} of {len(open_)} runs sent" + (f", {failed} failed" if failed else ""))
    return int(failed > 0)


def _send(one: Upload, settings: SyncSettings) -> bool:
    """Whether it failed; one line either way."""
    problem = upload(one, settings.entity, settings.project, settings.timeout)
    print(printable(f"{one.name}: {'sent' if problem is None else f'failed: {problem}'}"), flush=True)
    return problem is not None


def _require_account() -> None:
    try:
        import wandb

        from ocrexp.loggers.wandb_ids import api_key
    except ImportError as error:
        raise ConfigError(f"wandb-sync: {explain_import_error(error) or error}") from None
    if api_key(wandb) is None:
        raise ConfigError("wandb-sync: no key of a W&B account on this machine; run: wandb login, or set WANDB_API_KEY")
    if os.environ.get("WANDB_MODE") in ("offline", "disabled"):
        raise ConfigError(f"WANDB_MODE={os.environ['WANDB_MODE']}: nothing can be sent; unset it")


def _settings(arguments: Sequence[str]) -> SyncSettings:
    values = dict(OmegaConf.to_container(compose("wandb-sync", arguments), resolve=True))  # type: ignore[arg-type]
    given = values["runs"]
    values["runs"] = [str(item) for item in (given if isinstance(given, list) else [given] if given else [])]
    settings = SyncSettings(**{str(key): value for key, value in values.items()})
    if not settings.runs:
        raise ConfigError(
            "runs: no run is named; write run folders, a sweep or a pattern: python -m ocrexp wandb-sync outputs/NAME/*"
        )
    if type(settings.all) is not bool:
        raise ConfigError(f"all: expected true or false, got {settings.all!r}")
    if type(settings.jobs) is not int or settings.jobs < 1:
        raise ConfigError(f"jobs: expected a whole number, 1 or more, got {settings.jobs!r}")
    if isinstance(settings.timeout, bool) or not isinstance(settings.timeout, int | float) or settings.timeout <= 0:
        raise ConfigError(f"timeout: expected a number of seconds above 0, got {settings.timeout!r}")
    for name in ("project", "entity"):
        value = getattr(settings, name)
        if value is not None and (not isinstance(value, str) or not Path(value).name == value):
            raise ConfigError(f"{name}: expected the name of a W&B {name}, got {value!r}")
    return settings
