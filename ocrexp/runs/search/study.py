"""The study of a search: opened by every process and every job that works on it, and made by the first of them."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import Study

from ocrexp.command_line import key_of
from ocrexp.errors import ConfigError, OcrexpError, printable
from ocrexp.runs.grid import OF_THE_SWEEP
from ocrexp.runs.search.options import WHERE, SearchOptions
from ocrexp.runs.search.space import Space

log = logging.getLogger(__name__)

IDENTITY = "ocrexp"  # attribute of the study: what it searches
ERRORS = (OSError, ValueError, KeyError, ImportError, optuna.exceptions.OptunaError)  # of a storage out of reach
_SQLITE_SECONDS = 60  # how long a process waits for others to write
_ATTEMPTS = 5  # processes that make the tables of a database at the same time disturb each other


class StudyError(OcrexpError):
    """The study cannot be read or written."""


def open_storage(place: str) -> BaseStorage:
    """The storage at `place`, a journal file or the URL of a database; see `ocrexp.runs.search.options.storage_of`.

    Raises StudyError, in one line without the password of the URL.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    with explained(place):
        if "://" not in place:
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            backend = JournalFileBackend(place)
            _drop_partial_line(Path(place))
            return JournalStorage(backend)
        for attempt in range(_ATTEMPTS):
            try:
                return _database(place)
            except optuna.exceptions.OptunaError:
                if attempt == _ATTEMPTS - 1:
                    raise
            except Exception as error:  # of SQLAlchemy or the database's driver, which need not be installed here
                if attempt == _ATTEMPTS - 1 or isinstance(error, ImportError):
                    raise StudyError(_line(place, error)) from error
            time.sleep(0.2 * (attempt + 1))
    raise AssertionError("the last attempt returns or raises")


def _database(place: str) -> RDBStorage:
    waiting = {"connect_args": {"timeout": _SQLITE_SECONDS}} if place.startswith("sqlite") else {"pool_pre_ping": True}
    return RDBStorage(place, engine_kwargs=waiting)


def _drop_partial_line(path: Path) -> None:
    """Remove what a full disk has left of a last entry: Optuna would refuse the file from the next entry on."""
    with path.open("rb+") as file:
        if not file.seek(0, 2) or _last_byte(file.fileno(), file.tell()) == b"\n":
            return
        lock = JournalFileSymlinkLock(str(path))  # the one that writers hold
        lock.acquire()
        try:
            file.seek(0)
            content = file.read()
            if not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
        finally:
            lock.release()


def _last_byte(descriptor: int, size: int) -> bytes:
    import os

    return os.pread(descriptor, 1, size - 1)


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Within this block errors of the storage are StudyErrors, in one line."""
    try:
        yield
    except ERRORS as error:
        raise StudyError(_line(place, error)) from error


def _line(place: str, error: BaseException) -> str:
    cause = error.__cause__ or error
    reason = " ".join(str(cause).split())[:200] or type(cause).__name__
    if isinstance(cause, OSError):
        reason = cause.strerror or reason
    return printable(
        f"{WHERE}.storage={shown(place)}: cannot be used ({reason}); check its address and its permissions"
    )


def shown(place: str) -> str:
    """A storage without its password."""
    parts = urlsplit(place) if "://" in place else None
    if parts is None or parts.password is None:
        return place
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


def make_pruner(options: SearchOptions) -> BasePruner:
    """The pruner that the options name. It counts a job's evaluations, from 1."""
    warmup, factor = options.pruner_warmup, options.reduction_factor
    if options.prunes_by == "median":
        return MedianPruner(n_startup_trials=options.pruner_startup, n_warmup_steps=warmup)
    if options.prunes_by == "halving":
        return SuccessiveHalvingPruner(min_resource=warmup, reduction_factor=factor)
    if options.prunes_by == "hyperband":
        return HyperbandPruner(min_resource=warmup, reduction_factor=factor)
    return NopPruner()


def make_study(place: str, name: str, options: SearchOptions, space: Space, sampler: BaseSampler) -> Study:
    """The study of this name, new or as other processes have made it.

    Raises StudyError, and ConfigError where a study of this name searches something else.
    """
    storage = open_storage(place)
    with explained(place):
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=sampler,
            pruner=make_pruner(options),
            directions=options.directions,
            load_if_exists=True,
        )
        mine = {"objectives": options.objectives, "space": space.describe(), "fixed": sorted(_own_values(space.fixed))}
        there = study.user_attrs.get(IDENTITY)
        if there is None:
            study.set_user_attr(IDENTITY, json.dumps(mine))
            study.set_metric_names(options.objectives)
    if there is not None and (found := _difference(json.loads(there), mine)):
        raise ConfigError(
            f"{WHERE}: the study {name} in {shown(place)} searches something else ({found}); choose another sweep_dir, "
            f"and {WHERE}.warm_start=[…] to begin with its results"
        )
    return study


def _own_values(overrides: Sequence[str]) -> list[str]:
    """Overrides that are part of a job; those of the sweep as a whole may change from start to start."""
    return [item for item in overrides if key_of(item).partition(".")[0] not in OF_THE_SWEEP]


def _difference(before: Mapping[str, object], now: Mapping[str, object]) -> str | None:
    """What two searches differ in, for a message."""
    for part in now:
        was, is_now = before.get(part), now[part]
        if part == "fixed" and isinstance(was, list):
            was = _own_values(was)  # earlier versions kept all of them
        if was == is_now:
            continue
        if isinstance(was, dict) and isinstance(is_now, dict):
            key = next(key for key in sorted({*was, *is_now}) if was.get(key) != is_now.get(key))
            return f"{key} was {was.get(key, 'fixed')}, is {is_now.get(key, 'fixed')}"
        if isinstance(was, list) and isinstance(is_now, list):
            old, new = (", ".join(str(item) for item in one if item not in other) for one, other in
                        ((was, is_now), (is_now, was)))  # fmt: skip
            return f"{part}: {old or 'nothing'}, now {new or 'nothing'}"
    return None
